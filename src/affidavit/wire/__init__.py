"""Protocols as state machines without I/O: bytes in, values and bytes out. Shells own the sockets."""
