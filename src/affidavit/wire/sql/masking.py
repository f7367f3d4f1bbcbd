"""Masking: literal credentials are never stored, at any setting (which those are: see `credentials`)."""

from __future__ import annotations

from affidavit.wire.sql.credentials import mask_literals
from affidavit.wire.sql.understand import understand

__all__ = ["mask_credentials", "mask_literals"]


def mask_credentials(text: str) -> tuple[str, bool]:
    """`text` with the literals of every statement that carries credentials masked, and whether there was one."""
    parts: list[str] = []
    at = 0
    masked = False
    for statement in understand(text):
        if not statement.credential:
            continue
        start = text.index(statement.text, at)
        parts += [text[at:start], mask_literals(statement.text)]
        at = start + len(statement.text)
        masked = True
    return "".join([*parts, text[at:]]), masked
