"""What the simulation holds a log to: the records as the disk holds them, read and hashed by code of its own.

`Truth` reads the journal from what is durable, not from what is seen: a record counts once it would survive the loss of
everything that is not. Frames and hashes are computed here a second time, by the specification (docs/spec/journal.md,
RFC 6962), so that a defect in the product's own does not hide itself.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from simdisk import SimDisk

from affidavit.ledger.layout import Layout
from affidavit.limits import TILE_WIDTH
from affidavit.record.frame import Stored
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.tiles import entries_path, tile_path

HEADER_BYTES = 60


class Violation(BaseException):
    """The log broke a promise. Not an `Exception`: the ledger handles those of its producers and its own."""


def demand(holds: object, what: str) -> None:
    """Raise `Violation` unless it holds."""
    if not holds:
        raise Violation(what)


def frames_of(data: bytes | bytearray, offset: int) -> Iterator[tuple[int, list[Stored], int]]:
    """First index, records and end of each whole frame from `offset` on, up to anything that is none."""
    while data[offset : offset + 4] == b"AFRM":
        length, crc = struct.unpack_from(">II", data, offset + 4)
        payload = bytes(data[offset + 12 : offset + 12 + length])
        if len(payload) != length or zlib.crc32(payload, zlib.crc32(data[offset + 4 : offset + 8])) != crc:
            return
        first, count = struct.unpack_from(">QI", payload)
        records, at = [], 12
        for _ in range(count):
            (size,) = struct.unpack_from(">H", payload, at)
            header = payload[at + 2 : at + 2 + size]
            at += 2 + size
            (size,) = struct.unpack_from(">I", payload, at)
            records.append((header, payload[at + 4 : at + 4 + size]))
            at += 4 + size
        offset += 12 + length
        yield first, records, offset


class Truth:
    """The records of one log. `acknowledged` and `published` say how many of them are promised."""

    def __init__(self, disk: SimDisk, layout: Layout, origin: str) -> None:
        self.disk = disk
        self._layout = layout
        self._origin = origin
        self.records: list[Stored] = []
        self._rows: list[list[bytes]] = [[]]  # by level: roots of full subtrees of 256^level records
        self.acknowledged: dict[int, str] = {}
        self.acknowledged_size = 0
        self.published = Checkpoint(origin, 0, sha256(b"").digest())
        self.checkpoints = 0
        #: A file in which a bit has turned over since it was written.
        self.turned: Path | None = None
        self._segment = 0
        self._offset = HEADER_BYTES

    def acknowledge(self, index: int, name: str, lied_to: bool) -> None:
        """Somebody was told that the record `name` is durable at `index`."""
        if index >= len(self.records):
            self.extend(lied_to)
        demand(index < len(self.records), f"record {index} was acknowledged before it was durable")
        demand(self._is(index, name), f"record {index} was acknowledged as {name}, and another one stands there")
        known = self.acknowledged.setdefault(index, name)
        demand(known == name, f"the place {index} was given to {known} and to {name}")
        self.acknowledged_size = max(self.acknowledged_size, index + 1)

    def extend(self, seen: bool) -> None:
        """Take in what the journal holds more: durably, or (`seen`) to those who read it now."""
        while True:
            data = self._bytes(self._segment, seen)
            for first, records, end in frames_of(data, self._offset):
                demand(first == len(self.records), f"a frame begins at {first}, record {len(self.records)} is next")
                self._append(records)
                self._offset = end
            following = self._layout.journal / _name(len(self.records))
            if len(self.records) == self._segment or self._read(following, seen) is None:
                return
            self._segment, self._offset = len(self.records), HEADER_BYTES

    def read_again(self, seen: bool) -> None:
        """Read the whole journal anew after a stop. What was promised must stand there; the rest may have gone.

        Where syncs lie (`seen`), the names of pruned segments may stand before a hole that nobody needs: the journal is
        read from the first segment that leads on to what was promised.
        """
        before, rows = self.records, self._rows
        promised = max(self.acknowledged_size, self.published.size)
        folder = self._layout.journal
        names = [path.name for path in self.disk.paths(folder)] if seen else self.disk.durable_names(folder)
        demand(names, "the journal is gone")
        for name in names if seen else names[:1]:
            self._segment, self._offset = int(name.split(".")[0]), HEADER_BYTES
            kept = len(before[: self._segment])
            self.records = before[:kept]
            self._rows = [row[: kept // TILE_WIDTH**level] for level, row in enumerate(rows)]
            self.extend(seen)
            if len(self.records) >= promised:
                break
        demand(len(self.records) >= promised, f"{promised} records were promised, {len(self.records)} are left")
        for index in range(kept, promised):
            if index < self.published.size or index in self.acknowledged:
                demand(self.records[index] == before[index], f"record {index} is not what it was")

    def begin_at(self, other: Truth, first: int) -> None:
        """Take the records before `first` from `other`, and read on from the segment that begins there."""
        self.records = other.records[:first]
        self._rows = [row[: first // TILE_WIDTH**level] for level, row in enumerate(other._rows)]
        self._segment, self._offset = first, HEADER_BYTES

    def written(self, path: Path) -> int:
        """How many bytes of a file were written for good: of the segment that is written to, those of whole frames."""
        if path == self._layout.journal / _name(self._segment):
            return self._offset
        return len(self.disk.copy(path).rstrip(b"\0")) or 1

    def show(self, checkpoint: Checkpoint, lied_to: bool) -> None:
        """A reader may fetch this checkpoint from now on: all that it speaks of is there, durably."""
        self.extend(lied_to)
        size, old = checkpoint.size, self.published.size
        demand(checkpoint.origin == self._origin, "a checkpoint of another log was signed")
        demand(size <= len(self.records), f"a checkpoint of {size} was shown, {len(self.records)} records are durable")
        demand(checkpoint.root == self.root(size), f"the checkpoint of {size} has another root than its records")
        demand(size >= old, f"the checkpoint of {size} follows one of {old}")
        if not lied_to:
            self._demand_files(size, min(old, size))
        self.published = checkpoint
        self.checkpoints += 1

    def forget(self, checkpoint: Checkpoint) -> None:
        """After a disk that lied: hold the log to what is left. `checkpoint` is the one that lies there."""
        self.acknowledged.clear()
        self.acknowledged_size = 0
        self.published = checkpoint

    def root(self, size: int) -> bytes:
        """The root of the tree over the first `size` records, RFC 6962 section 2.1."""
        return self._root(0, size)

    def _root(self, start: int, size: int) -> bytes:
        if size == 0:
            return sha256(b"").digest()
        for level, row in enumerate(self._rows):
            if size == TILE_WIDTH**level and start % size == 0:
                return row[start // size]
        half = 1 << (size - 1).bit_length() - 1
        return sha256(b"\1" + self._root(start, half) + self._root(start + half, size - half)).digest()

    def _append(self, records: list[Stored]) -> None:
        self.records += records
        self._rows[0] += [sha256(b"\0" + raw).digest() for raw, _ in records]
        level = 0
        while len(self._rows[level]) >= TILE_WIDTH:
            if level + 1 == len(self._rows):
                self._rows.append([])
            below, above = self._rows[level], self._rows[level + 1]
            while (len(above) + 1) * TILE_WIDTH <= len(below):
                hashes = below[len(above) * TILE_WIDTH :][:TILE_WIDTH]
                while len(hashes) > 1:
                    pairs = zip(hashes[::2], hashes[1::2], strict=True)
                    hashes = [sha256(b"\1" + left + right).digest() for left, right in pairs]
                above += hashes
            level += 1

    def _demand_files(self, size: int, old: int) -> None:
        """Every bundle and tile that changed between two sizes, byte by byte, as far as it is durable."""
        for number in range(old // TILE_WIDTH, (size + TILE_WIDTH - 1) // TILE_WIDTH):
            held = self.records[number * TILE_WIDTH : min(size, (number + 1) * TILE_WIDTH)]
            entries = b"".join(struct.pack(">H", len(raw)) + raw for raw, _ in held)
            self._demand_file(self._layout.log / entries_path(number, len(held)), entries)
            slots = b"".join(struct.pack(">I", len(slot)) + slot for _, slot in held)
            self._demand_file(self._layout.slots(number, len(held)), slots)
        for level, row in enumerate(self._rows):
            hashes = size // TILE_WIDTH**level
            for number in range(old // TILE_WIDTH ** (level + 1), (hashes + TILE_WIDTH - 1) // TILE_WIDTH):
                part = row[number * TILE_WIDTH : min(hashes, (number + 1) * TILE_WIDTH)]
                self._demand_file(self._layout.log / tile_path(level, number, len(part)), b"".join(part))

    def _demand_file(self, path: Path, wanted: bytes) -> None:
        held = self.disk.durable(path)
        demand(held is not None, f"{path} is spoken of by a checkpoint, and not durable")
        demand(held == wanted or path == self.turned, f"{path} is not what the journal gives")

    def _is(self, index: int, name: str) -> bool:
        return f'"id":"{name}"'.encode() in self.records[index][0]

    def _bytes(self, segment: int, seen: bool) -> bytes | bytearray:
        return self._read(self._layout.journal / _name(segment), seen) or b""

    def _read(self, path: Path, seen: bool) -> bytes | bytearray | None:
        if seen:
            return self.disk.copy(path) if self.disk.exists(path) else None
        return self.disk.durable(path)


def _name(first: int) -> str:
    return f"{first:020d}.segment"
