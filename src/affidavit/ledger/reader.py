"""Reads records by index: from memory what is not published yet, else from the published bundles.

What is read is checked as far as one file can be: entries against their level-0 tile, bodies against the digest in
their header. Whether the tile belongs to a signed checkpoint is the business of `verify`; a reader trusts the disk
for that. A reader keeps a few bundles; use one for each thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from affidavit import canonical
from affidavit.durable import Disk
from affidavit.errors import Corruption, InvalidInput, VerificationError
from affidavit.ledger.bundles import read_bundle
from affidavit.ledger.journal import Scan
from affidavit.ledger.layout import Layout
from affidavit.limits import (
    BUNDLES_CACHED_MAX,
    NOTE_BYTES_MAX,
    READ_TRIES_MAX,
    TILE_WIDTH,
)
from affidavit.record.body import BodyKey, Erased, Unreadable, open_slot
from affidavit.record.frame import Stored
from affidavit.record.header import Header
from affidavit.record.read import Record, stored_header
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.rotation import KeyChain

_bodies = msgspec.json.Decoder(dict)


class Recent(Protocol):
    """Where the records are that stand in no full bundle yet."""

    def recent(self) -> tuple[int, int, Callable[[int], Stored | None]]:
        """The first index held, the size of the log, and how to get one; None for one that is held no more."""

    @property
    def erasures(self) -> int:
        """How many bodies were erased since this was made: whoever keeps bundles reads them again when it grows."""


class Reader:
    """Random and sequential access to one log. Not safe to share between threads."""

    def __init__(self, disk: Disk, layout: Layout, body_keys: Mapping[bytes, BodyKey], recent: Recent) -> None:
        self._disk = disk
        self._layout = layout
        self._body_keys = body_keys
        self._recent = recent
        self._bundles: OrderedDict[int, list[Stored]] = OrderedDict()
        self._erasures = recent.erasures

    @classmethod
    def of_folder(cls, root: Path, disk: Disk, body_keys: Mapping[bytes, BodyKey], keys: KeyChain) -> Reader:
        """A reader of a log that somebody else may be writing: what was durable when this was called.

        Takes no lock and changes nothing. Raises `InvalidInput` where there is no log, `Corruption` where its
        checkpoint is not one by `keys`.
        """
        layout = Layout(root)
        return cls(disk, layout, body_keys, _FolderTail(disk, layout, keys))

    @property
    def size(self) -> int:
        """How many records can be read now."""
        return self._recent.recent()[1]

    def record(self, index: int) -> Record:
        """The record at `index`.

        Raises `InvalidInput` beyond the log, `Corruption` where the stored bytes are not what was written.
        """
        raw, slot = self.stored(index)
        header = stored_header(index, raw)
        return Record(index, raw, header, self._body(index, header, slot))

    def records(self, start: int, stop: int, step: int = 1) -> Iterator[Record]:
        """The records at `range(start, stop, step)`; a step of -1 reads newest first."""
        return map(self.record, range(start, stop, step))

    def stored(self, index: int) -> Stored:
        """The exact bytes of a record: header and body slot. Raises as `record`."""
        base, size, held = self._recent.recent()
        if not 0 <= index < size:
            raise InvalidInput("log.index", f"The log has no record {index}: it holds {size}, numbered from 0.")
        if index >= base:
            found = held(index)
            if found is not None:
                return found
            # It was published just now, and its bundle is full: else it would be held.
        number, at = divmod(index, TILE_WIDTH)
        return self._bundle(number)[at]

    def _bundle(self, number: int) -> list[Stored]:
        erasures = self._recent.erasures
        if erasures != self._erasures:
            self._bundles.clear()
            self._erasures = erasures
        bundle = self._bundles.get(number)
        if bundle is None:
            bundle = self._bundles[number] = read_bundle(self._disk, self._layout, number)[0]
            if len(self._bundles) > BUNDLES_CACHED_MAX:
                self._bundles.popitem(last=False)
        else:
            self._bundles.move_to_end(number)
        return bundle

    def _body(self, index: int, header: Header, slot: bytes) -> dict[str, object] | Erased | Unreadable | None:
        if header.body is None:
            if slot:
                raise Corruption("log.body", f"Record {index} has no body, but something stands in its place.")
            return None
        try:
            opened = open_slot(slot, header.body, self._body_keys)
        except (VerificationError, Corruption) as error:
            raise Corruption("log.body", f"The body of record {index} is not what was written: {error}") from None
        if not isinstance(opened, bytes):
            return opened
        try:
            return _bodies.decode(opened)
        except canonical.UNREADABLE as error:
            raise Corruption("log.body", f"The body of record {index} cannot be read: {error}") from None


class _FolderTail:
    """What stood in the journal beyond the last full bundle when this was made."""

    erasures = 0  # of those that happen meanwhile a reader hears nothing: it gives what was there when it began

    def __init__(self, disk: Disk, layout: Layout, keys: KeyChain) -> None:
        published = _published(disk, layout, keys)
        self._base = published.size // TILE_WIDTH * TILE_WIDTH
        self._tail: list[Stored] = []
        for tried in range(1, READ_TRIES_MAX + 1):
            try:
                self._tail = self._read_tail(disk, layout, published.origin)
                break
            except Corruption:
                # The writer may have been between two writes: a frame seen half, a segment seen before its name.
                if tried == READ_TRIES_MAX:
                    raise
        if self._base + len(self._tail) < published.size:
            raise Corruption("log.ahead", "The published checkpoint speaks of more records than the journal holds.")

    def recent(self) -> tuple[int, int, Callable[[int], Stored | None]]:
        return self._base, self._base + len(self._tail), self._at

    def _at(self, index: int) -> Stored | None:
        return self._tail[index - self._base]

    def _read_tail(self, disk: Disk, layout: Layout, origin: str) -> list[Stored]:
        tail: list[Stored] = []
        for frame in Scan(disk, layout.journal, origin, start=self._base):
            tail += frame.records[max(0, self._base - frame.first) :]
        return tail


def _published(disk: Disk, layout: Layout, keys: KeyChain) -> Checkpoint:
    note = disk.read(layout.checkpoint, NOTE_BYTES_MAX)
    if note is None:
        raise InvalidInput("log.none", f"{layout.root} holds no published log.", "Give the folder that `init` made.")
    try:
        return keys.open(note)[0]
    except VerificationError as error:
        raise Corruption(
            "log.checkpoint", f"{layout.checkpoint} is not a checkpoint by this log's key: {error}"
        ) from None
