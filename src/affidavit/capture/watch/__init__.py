"""Watching an upstream from beside its gateway: what it enforces, who is connected past us, who has to be told."""
