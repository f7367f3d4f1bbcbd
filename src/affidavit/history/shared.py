"""One reader of the log for several threads: readers keep caches, so each use holds a lock for one record."""

from __future__ import annotations

import threading

from affidavit.history.asof import Records
from affidavit.record.header import Header
from affidavit.record.read import Record


class SharedRecords:
    """`Records` over another one that is for one thread at a time."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """The count of records that can be read now."""
        return self._records.size

    def record(self, index: int) -> Record:
        """The record at `index`, its body checked against its header."""
        with self._lock:
            return self._records.record(index)

    def header(self, index: int) -> Header:
        """The header of the record at `index`, without its body."""
        with self._lock:
            return self._records.header(index)
