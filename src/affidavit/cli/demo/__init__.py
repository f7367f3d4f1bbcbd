"""The demo: a real PostgreSQL of its own, a small clinic in it, and an afternoon played in seconds."""
