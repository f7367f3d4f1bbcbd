"""The console: pages for people, made on the server from the same functions as the HTTP API. It decides nothing."""
