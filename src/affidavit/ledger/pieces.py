"""A log's records as its copies give them, bundle by bundle: entry bundle, tile, body bundle and journal side by side.

Each record's hash stands in three places: it follows from the entry, it is in the tile of level 0, and it follows from
the journal. Where the three differ, a rule chooses among them; which rule was right only the signed root tells.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affidavit.durable import Disk
from affidavit.errors import AffidavitError, Corruption, VerificationError
from affidavit.ledger.layout import Layout
from affidavit.ledger.salvage import Salvage
from affidavit.limits import BODY_BUNDLE_BYTES_MAX, BUNDLE_BYTES_MAX, TILE_BYTES_MAX, TILE_WIDTH
from affidavit.record.body import BodyKey, Erased, Unreadable, open_slot
from affidavit.record.frame import Stored, decode_bundle
from affidavit.record.header import Header
from affidavit.record.read import stored_header
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.tiles import HASH_BYTES, decode_entries, tile_hashes, tile_path

_NO_HASH = bytes(HASH_BYTES)
Hashes = Sequence[bytes | None]


@dataclass(frozen=True)
class Piece:
    """One bundle of `width` records. A list holds None where its copy has nothing that could be the record; `wrong`
    says for each file that is not whole (by its path below the data folder) what is the matter."""

    number: int
    width: int
    entries: tuple[bytes | None, ...]
    tile: tuple[bytes | None, ...]
    slots: tuple[bytes | None, ...]
    journal: tuple[Stored | None, ...]
    wrong: Mapping[str, str]

    @property
    def first(self) -> int:
        """The index of its first record."""
        return self.number * TILE_WIDTH


@dataclass(frozen=True)
class Hashed:
    """The hashes that the three copies of a piece give."""

    entries: Hashes
    tile: Hashes
    journal: Hashes

    @classmethod
    def of(cls, piece: Piece) -> Hashed:
        """Of a piece."""
        entries = [None if entry is None else leaf_hash(entry) for entry in piece.entries]
        if all(
            record is None or record[0] == entry for record, entry in zip(piece.journal, piece.entries, strict=True)
        ):
            journal: list[bytes | None] = [
                None if record is None else own for record, own in zip(piece.journal, entries, strict=True)
            ]
        else:
            journal = [None if record is None else leaf_hash(record[0]) for record in piece.journal]
        return cls(entries, piece.tile, journal)

    def agree(self) -> bool:
        """Whether entries and tile are whole and the same, and the journal says nothing else."""
        if None in self.entries or tuple(self.entries) != tuple(self.tile):
            return False
        return all(own in (None, entry) for own, entry in zip(self.journal, self.entries, strict=True))


Rule = Callable[[bytes | None, bytes | None, bytes | None], bytes | None]


def _by_vote(entry: bytes | None, tile: bytes | None, journal: bytes | None) -> bytes | None:
    if journal is not None and journal in (entry, tile):
        return journal
    if entry is not None and entry == tile:
        return entry
    return journal or entry or tile


#: How a record's hash is chosen where the copies (entry, tile, journal) differ.
RULES: dict[str, Rule] = {
    "vote": _by_vote,
    "journal": lambda entry, tile, journal: journal or entry or tile,
    "published": lambda entry, tile, journal: entry or tile or journal,
    "tiles": lambda entry, tile, journal: tile or entry or journal,
}


def choose(hashed: Hashed, rule: Rule) -> list[bytes]:
    """The hashes by `rule`; 32 zero bytes where no copy has the record, which leads to no root."""
    rows = zip(hashed.entries, hashed.tile, hashed.journal, strict=True)
    return [rule(*row) or _NO_HASH for row in rows]


class Grown:
    """A tree that grows by what a rule chose: its tiles above level 0, and its root at the `wanted` sizes."""

    def __init__(self, wanted: Sequence[int]) -> None:
        self.tree = Tree()
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.roots: dict[int, bytes] = {}
        self._wanted = sorted(set(wanted))

    def append(self, hashes: Sequence[bytes]) -> None:
        """Take the next hashes."""
        old, done = self.tree.size, 0
        while self._wanted and self._wanted[0] <= old + len(hashes):
            size = self._wanted.pop(0)
            self.tree.append_leaf_hashes(hashes[done : size - old])
            done = size - old
            self.roots[size] = self.tree.root()
        self.tree.append_leaf_hashes(hashes[done:])
        for tile in self.tree.tiles(old):
            if tile.level:
                self.tiles[tile.level, tile.index] = tile.data


class Trees:
    """One tree a rule; they are the same tree until the copies first differ."""

    def __init__(self, wanted: Sequence[int]) -> None:
        self._one = Grown(wanted)
        self._by_rule: dict[str, Grown] | None = None

    def append(self, hashed: Hashed, agree: bool) -> None:
        """Take a piece's hashes."""
        if self._by_rule is None and agree:
            self._one.append(choose(hashed, _by_vote))
            return
        if self._by_rule is None:
            self._by_rule = {name: copy.deepcopy(self._one) for name in RULES}
        for name, tree in self._by_rule.items():
            tree.append(choose(hashed, RULES[name]))

    def leading_to(self, root: bytes | None) -> tuple[str, Grown] | None:
        """The rule that leads to `root`, and its tree; None where none does. Without a root: where nothing differs."""
        if self._by_rule is None:
            return ("vote", self._one) if root is None or self._one.tree.root() == root else None
        for name, tree in self._by_rule.items():
            if root is not None and tree.tree.root() == root:
                return name, tree
        return None


class Pieces:
    """Reads the pieces of a log of `size` records. `salvage` is walked in step."""

    def __init__(self, disk: Disk, layout: Layout, size: int, salvage: Salvage) -> None:
        self._disk = disk
        self._layout = layout
        self._size = size
        self._journal = iter(salvage)
        self._ahead: tuple[int, Stored] | None = None

    def __iter__(self) -> Iterator[Piece]:
        for number in range((self._size + TILE_WIDTH - 1) // TILE_WIDTH):
            yield self._piece(number, min(TILE_WIDTH, self._size - number * TILE_WIDTH))

    def beyond(self) -> Iterator[tuple[int, Stored]]:
        """What the journal holds after the last piece."""
        if self._ahead is not None:
            yield self._ahead
        yield from self._journal

    def _piece(self, number: int, width: int) -> Piece:
        wrong: dict[str, str] = {}
        entries = self._parts(self._layout.entries, number, width, BUNDLE_BYTES_MAX, decode_entries, 2, wrong)
        slots = self._parts(self._layout.slots, number, width, BODY_BUNDLE_BYTES_MAX, decode_bundle, 4, wrong)
        first = number * TILE_WIDTH
        journal = tuple(self._record(first + at) for at in range(width))
        return Piece(number, width, entries, self._tile(number, width, wrong), slots, journal, wrong)

    def _record(self, index: int) -> Stored | None:
        while True:
            placed = self._ahead or next(self._journal, None)
            self._ahead = None
            if placed is None or placed[0] == index:
                return None if placed is None else placed[1]
            if placed[0] > index:
                self._ahead = placed
                return None

    def _tile(self, number: int, width: int, wrong: dict[str, str]) -> tuple[bytes | None, ...]:
        path = self._layout.log / tile_path(0, number, width)
        data = self._file(path, TILE_BYTES_MAX, wrong)
        if data is None:
            return (None,) * width
        try:
            return tuple(tile_hashes(data, width))
        except VerificationError as error:
            wrong[self._name(path)] = error.message
            found = [data[at : at + HASH_BYTES] for at in range(0, len(data) - HASH_BYTES + 1, HASH_BYTES)][:width]
            return (*found, *[None] * (width - len(found)))

    def _parts(
        self,
        place: Callable[[int, int], Path],
        number: int,
        width: int,
        limit: int,
        decode: Callable[[bytes, int], list[bytes]],
        length_bytes: int,
        wrong: dict[str, str],
    ) -> tuple[bytes | None, ...]:
        path = place(number, width)
        data = self._file(path, limit, wrong)
        if data is None:
            return (None,) * width
        try:
            return tuple(decode(data, width))
        except AffidavitError as error:
            wrong[self._name(path)] = error.message
        found: list[bytes | None] = []
        at = 0
        while len(found) < width and at + length_bytes <= len(data):
            end = at + length_bytes + int.from_bytes(data[at : at + length_bytes], "big")
            if end > len(data):
                break
            found.append(data[at + length_bytes : end])
            at = end
        return (*found, *[None] * (width - len(found)))

    def _file(self, path: Path, limit: int, wrong: dict[str, str]) -> bytes | None:
        try:
            data = self._disk.read(path, limit)
        except Corruption as error:
            wrong[self._name(path)] = error.message
            return None
        if data is None:
            wrong[self._name(path)] = "it is not there"
        return data

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._layout.root))


class SlotJudge:
    """Whether a slot is the body that a header names, as far as the keys open it."""

    def __init__(self, keys: Mapping[bytes, BodyKey]) -> None:
        self._keys = keys

    def header(self, raw: bytes | None) -> Header | None:
        """A header, or None where it cannot be read."""
        try:
            return None if raw is None else stored_header(0, raw)  # the index would stand in the error alone
        except Corruption:
            return None

    def state(self, slot: bytes | None, body: str | None) -> str:
        """`right`, `wrong`, `erased` for a stub, or `unread` where no key opens it."""
        if slot is None:
            return "wrong"
        if body is None:
            return "wrong" if slot else "right"
        try:
            opened = open_slot(slot, body, self._keys)
        except (Corruption, VerificationError):
            return "wrong"
        return "unread" if isinstance(opened, Unreadable) else "erased" if isinstance(opened, Erased) else "right"
