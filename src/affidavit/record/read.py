"""A record as it is read back: its index, its exact bytes, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from affidavit.record.body import Erased, Unreadable
from affidavit.record.header import Header


@dataclass(frozen=True)
class Record:
    """One line of the log. `body` is the decoded content, or why there is none to read (`None`: it never had one)."""

    index: int
    raw: bytes
    header: Header
    body: dict[str, Any] | Erased | Unreadable | None

    @property
    def content(self) -> dict[str, Any]:
        """The body where it can be read, else an empty mapping."""
        return self.body if isinstance(self.body, dict) else {}
