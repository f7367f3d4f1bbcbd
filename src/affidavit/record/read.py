"""A record as it is read back: its index, its exact bytes, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from affidavit import canonical
from affidavit.errors import Corruption
from affidavit.record.body import Erased, Unreadable
from affidavit.record.header import Header

_headers = msgspec.json.Decoder(Header)


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


def stored_header(index: int, raw: bytes) -> Header:
    """The header of record `index` as it is stored. That it is canonical is not looked at: its leaf hash tells.

    Raises `Corruption` where it cannot be read.
    """
    try:
        return _headers.decode(raw)
    except canonical.UNREADABLE as error:
        raise Corruption("log.header", f"The header of record {index} cannot be read: {error}") from None
