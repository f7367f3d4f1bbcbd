"""Turns what happens into drafts: the gateways, the administration of the log's own state, and lapses."""
