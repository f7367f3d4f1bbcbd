"""Findings: what an auditor would write up, computed from the log, each with the records that it rests on."""
