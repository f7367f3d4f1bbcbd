"""The HTTP API on the local socket: it translates requests into calls and decides nothing."""
