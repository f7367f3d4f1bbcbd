"""What an insider with root does to a log: one entry a kind of alteration, and which check finds it with what."""
