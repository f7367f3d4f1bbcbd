"""The PostgreSQL gateway: stands between clients and a server, decides, records, and lets through what is recorded."""
