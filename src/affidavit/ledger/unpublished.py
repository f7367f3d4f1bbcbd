"""The records that stand in no full published bundle yet: what the publisher still needs, held in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from affidavit.limits import TILE_WIDTH
from affidavit.record.frame import Stored


class Unpublished:
    """Records from the index `base` on. `changed` guards it; who owns it notifies others there.

    `bytes` is what waits to be published, and `size` how many records are durable. For reading only.
    """

    def __init__(self, base: int, records: list[Stored], size: int) -> None:
        self.changed = threading.Condition()
        self.base = base
        self.size = size
        self.bytes = sum(len(raw) + len(slot) for raw, slot in records)
        self._records = records

    def add(self, records: Sequence[Stored], written: int) -> None:
        """These are durable now, in so many bytes. For who holds `changed`."""
        self._records += records
        self.size += len(records)
        self.bytes += written

    def take(self) -> tuple[int, list[Stored], int]:
        """What is to be published: from which index on, the records, and what they weigh."""
        with self.changed:
            return self.base, self._records[:], self.bytes

    def published(self, size: int, weight: int) -> None:
        """The first `size` records are published, and `weight` of what was taken. For who holds `changed`."""
        base = size // TILE_WIDTH * TILE_WIDTH
        del self._records[: base - self.base]
        self.base = base
        self.bytes -= weight

    def at(self, index: int) -> Stored | None:
        """The record at `index`; None for one that is not held."""
        with self.changed:
            return self._records[index - self.base] if self.base <= index < self.size else None

    def replace_slot(self, index: int, slot: bytes) -> None:
        """Another slot stands for the record at `index`, where it is held."""
        with self.changed:
            if index >= self.base:
                self._records[index - self.base] = (self._records[index - self.base][0], slot)
