"""Reviews of records, found by what they refer to: each header is looked at once, however often one asks."""

from __future__ import annotations

import threading

from affidavit.history.asof import Records


class Reviews:
    """Who reviewed which record. Safe to use from any thread."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lock = threading.Lock()
        self._looked: int | None = None  # headers before this one are known, from the first index that was asked for
        self._by: dict[int, list[tuple[int, str]]] = {}

    def of(self, index: int) -> list[tuple[int, str]]:
        """The reviews of the record `index`: index and author of each, oldest first. The first call reads the headers
        from there on; ask for the oldest record first."""
        with self._lock:
            size = self._records.size
            start = index + 1 if self._looked is None else self._looked
            for at in range(start, size):
                header = self._records.header(at)
                if header.kind == "review" and header.ref is not None and header.actor is not None:
                    self._by.setdefault(header.ref, []).append((at, header.actor))
            self._looked = max(start, size)
            return list(self._by.get(index, ()))
