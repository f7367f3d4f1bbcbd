"""Entries, hash tiles and the root: read bundle by bundle, every hash derived again and compared with what is stored.

Two trees can be built from a log: one over the entries, one over the leaf hashes that the tiles of level 0 hold. As
long as they agree there is only one. Where they part, the one that leads to the signed root tells which file was
altered: the entry, or the tile. Where neither does, both are named.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from affidavit.archive.source import Source
from affidavit.errors import VerificationError
from affidavit.limits import BUNDLE_BYTES_MAX, TILE_BYTES_MAX, TILE_WIDTH, VERIFY_FINDINGS_MAX
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.tiles import (
    HASH_BYTES,
    bundles_of,
    decode_entries,
    entries_path,
    tile_hashes,
    tile_path,
    tiles_of,
)
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.evidence import read
from affidavit.verify.line import entry_place

_NO_HASH = bytes(HASH_BYTES)
_MISMATCHES_MAX = 10 * VERIFY_FINDINGS_MAX  # remembered until it is known whose fault they are


@dataclass(frozen=True, slots=True)
class Bundle:
    """Up to 256 entries; None stands for one that is not there. `first` is the index of the first one."""

    number: int
    first: int
    entries: tuple[bytes | None, ...]

    @property
    def place(self) -> str:
        """The path that findings name."""
        return entry_place(self.number, len(self.entries))


class Roots:
    """A tree under construction: its higher tiles and its root at the wanted sizes."""

    def __init__(self, wanted: Sequence[int], tree: Tree | None = None) -> None:
        """`wanted` ascend, from the size of `tree` on, which is grown; None for an empty one."""
        self.tree = tree or Tree()
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.at: dict[int, bytes] = {}
        self._wanted = list(wanted)

    def append(self, hashes: Sequence[bytes]) -> None:
        """Take the next leaf hashes."""
        old = self.tree.size
        end = old + len(hashes)
        done = 0
        while self._wanted and self._wanted[0] <= end:
            size = self._wanted.pop(0)
            self.tree.append_leaf_hashes(hashes[done : size - old])
            done = size - old
            self.at[size] = self.tree.root()
        self.tree.append_leaf_hashes(hashes[done:])
        for tile in self.tree.tiles(old):
            if tile.level:
                self.tiles[tile.level, tile.index] = tile.data


class TreeWalk:
    """Duties 2 and 3. `bundles` must be exhausted before `finish` is called."""

    def __init__(self, source: Source, checkpoint: Checkpoint, wanted: Sequence[int], notes: Notebook) -> None:
        self._source = source
        self._checkpoint = checkpoint
        self._notes = notes
        self._entries = Roots(wanted)
        self._stored: Roots | None = None  # None: no different from _entries so far
        self._mismatches: list[int] = []
        self._mismatch_count = 0
        self._missing_count = 0
        #: After `finish`, the tree that leads to the signed root; None where none does.
        self.tree: Tree | None = None

    def bundles(self) -> Iterator[Bundle]:
        """The entries in order, compared with the tiles of level 0 on the way."""
        for address in bundles_of(self._checkpoint.size):
            bundle = Bundle(address.index, address.index * TILE_WIDTH, self._read_entries(address.index, address.width))
            self._hash(bundle, self._read_level_0(address.index, address.width))
            yield bundle

    def finish(self) -> dict[int, bytes]:
        """Judge what was read. Returns the roots at the wanted sizes of the tree that is this log's."""
        signed = self._checkpoint.root
        self._notes.looked(Duty.ROOT, self._checkpoint.size or 1)
        entries_hold = self._missing_count == 0 and self._entries.tree.root() == signed
        stored_hold = self._stored is not None and self._stored.tree.root() == signed
        if not entries_hold:
            self._blame_entries(stored_hold)
        elif self._mismatch_count:
            self._blame_tiles()
        right = self._stored if self._stored is not None and stored_hold else self._entries
        self._compare_higher(right)
        self.tree = right.tree if entries_hold or stored_hold else None
        return right.at

    def _read_entries(self, number: int, width: int) -> tuple[bytes | None, ...]:
        place = entry_place(number, width)
        data = self._read_or_full(entries_path(number, width), entries_path(number), BUNDLE_BYTES_MAX, Duty.ROOT)
        if data is None:
            message = f"Entries {number * TILE_WIDTH} to {number * TILE_WIDTH + width - 1} are not there."
            self._notes.fail(Duty.ROOT, "log.absent", place, message, number * TILE_WIDTH)
            self._missing_count += width
            return (None,) * width
        content, held = data
        try:
            return tuple(decode_entries(content, held)[:width])
        except VerificationError as error:
            self._notes.fail(Duty.ROOT, error.code, place, str(error))
        saved = _decode_what_stands(content, width)
        self._missing_count += saved.count(None)
        return saved

    def _read_or_full(self, path: str, full: str, limit: int, duty: Duty) -> tuple[bytes, int] | None:
        """The file and its width. A partial may be gone once the full one exists (C2SP tlog-tiles)."""
        data = read(self._source, path, limit, place=f"log/{path}", duty=duty, notes=self._notes)
        if data is not None:
            return data, TILE_WIDTH if path == full else int(path.rpartition("/")[2])
        if path != full:
            data = read(self._source, full, limit, place=f"log/{full}", duty=duty, notes=self._notes)
        return None if data is None else (data, TILE_WIDTH)

    def _read_tile(self, level: int, number: int, width: int) -> list[bytes] | None:
        path = tile_path(level, number, width)
        data = self._read_or_full(path, tile_path(level, number), TILE_BYTES_MAX, Duty.TILES)
        self._notes.looked(Duty.TILES)
        if data is None:
            self._notes.fail(Duty.TILES, "log.absent", f"log/{path}", "The tile is not there.")
            return None
        try:
            return tile_hashes(*data)[:width]
        except VerificationError as error:
            self._notes.fail(Duty.TILES, error.code, f"log/{path}", str(error))
            return None

    def _read_level_0(self, number: int, width: int) -> list[bytes] | None:
        return self._read_tile(0, number, width)

    def _hash(self, bundle: Bundle, stored: list[bytes] | None) -> None:
        """Append the bundle to both trees, and remember where they part."""
        derived = [None if entry is None else leaf_hash(entry) for entry in bundle.entries]
        fallback = stored or [_NO_HASH] * len(derived)
        hashes = [by_tile if own is None else own for own, by_tile in zip(derived, fallback, strict=True)]
        if stored is None:
            stored = hashes
        if hashes != stored:
            if self._stored is None:
                self._stored = copy.deepcopy(self._entries)
            parted = [bundle.first + at for at, own in enumerate(hashes) if own != stored[at]]
            self._mismatch_count += len(parted)
            self._mismatches += parted[: _MISMATCHES_MAX - len(self._mismatches)]
        self._entries.append(hashes)
        if self._stored is not None:
            self._stored.append(stored)

    def _blame_entries(self, stored_hold: bool) -> None:
        size, tile = self._checkpoint.size, "log/checkpoint"
        for index in self._mismatches:
            where = self._place_of(index)
            if stored_hold:
                message = f"Entry {index} was altered: its hash is not the one in {self._tile_of(index)}."
            else:
                message = f"Entry {index} and its hash in {self._tile_of(index)} disagree; neither leads to the root."
            self._notes.fail(Duty.ROOT, "entry.altered", where, message, index)
        if not stored_hold and not self._missing_count:
            message = (
                f"The {size} entries lead to the root {self._entries.tree.root().hex()}, and the checkpoint says "
                f"{self._checkpoint.root.hex()}."
            )
            self._notes.fail(Duty.ROOT, "root.differs", tile, message)

    def _blame_tiles(self) -> None:
        for index in self._mismatches:
            message = f"The hash of entry {index} is not the one that the entry, which leads to the root, has."
            self._notes.fail(Duty.TILES, "tile.altered", self._tile_of(index), message, index)

    def _compare_higher(self, right: Roots) -> None:
        """Tiles above level 0: each hash of each must be the root over the tile below it."""
        for address in tiles_of(self._checkpoint.size):
            if address.level:
                stored = self._read_tile(address.level, address.index, address.width)
                derived = tile_hashes(right.tiles[address.level, address.index], address.width)
                for at, hash_ in enumerate(stored or []):
                    if hash_ != derived[at]:
                        count = TILE_WIDTH**address.level
                        start = (address.index * TILE_WIDTH + at) * count
                        message = f"Its hash over entries {start} to {start + count - 1} is not what they give."
                        self._notes.fail(Duty.TILES, "tile.altered", f"log/{address.path}", message, start)

    def _place_of(self, index: int) -> str:
        number = index // TILE_WIDTH
        return entry_place(number, min(TILE_WIDTH, self._checkpoint.size - number * TILE_WIDTH))

    def _tile_of(self, index: int) -> str:
        number = index // TILE_WIDTH
        return f"log/{tile_path(0, number, min(TILE_WIDTH, self._checkpoint.size - number * TILE_WIDTH))}"


def _decode_what_stands(data: bytes, width: int) -> tuple[bytes | None, ...]:
    """The entries of a bundle that does not hold exactly `width`: those that are whole, None for the rest."""
    entries: list[bytes | None] = []
    at = 0
    while len(entries) < width and at + 2 <= len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data):
            break
        entries.append(data[at + 2 : end])
        at = end
    return tuple(entries + [None] * (width - len(entries)))
