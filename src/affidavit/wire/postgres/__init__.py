"""PostgreSQL protocol 3.0 without I/O: framing, first packets, messages, SCRAM, and whose answer is whose."""
