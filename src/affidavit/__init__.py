"""Affidavit: an audit log that can testify."""

__version__ = "0.1.0"
