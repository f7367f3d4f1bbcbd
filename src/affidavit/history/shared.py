"""One reader of the log for several threads: readers keep caches, so each use holds a lock for one record."""

from __future__ import annotations

import threading
from typing import Protocol

from affidavit.record.header import Header
from affidavit.record.read import Record, stored_header


class OneThread(Protocol):
    """A reader for one thread at a time: `ledger.Reader`."""

    @property
    def size(self) -> int:
        """How many records can be read now."""

    def record(self, index: int) -> Record:
        """The record at `index`, its body checked against its header."""

    def stored(self, index: int) -> tuple[bytes, bytes]:
        """The exact bytes of a record: header and body slot."""


class SharedRecords:
    """`Records` over a reader, for any thread."""

    def __init__(self, reader: OneThread) -> None:
        self._reader = reader
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """The count of records that can be read now."""
        return self._reader.size

    def record(self, index: int) -> Record:
        """The record at `index`, its body checked against its header."""
        with self._lock:
            return self._reader.record(index)

    def header(self, index: int) -> Header:
        """The header of the record at `index`, without its body."""
        with self._lock:
            raw, _ = self._reader.stored(index)
        return stored_header(index, raw)
