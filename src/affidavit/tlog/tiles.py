"""Tiles and entry bundles of a C2SP tlog-tiles log: their paths, widths at a tree size, and bytes.

A tree is cut into tiles of up to 256 hashes. Entry i of tile (l, n) is the root of the full subtree over the
256^l entries from (n·256 + i)·256^l. At level l a tree of size s has ⌊s / 256^l⌋ such hashes: every 256 of
them are a full tile, which never changes, and the rest, where there is one, is the partial tile of that size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import (
    BUNDLE_BYTES_MAX,
    ENTRY_BYTES_MAX,
    TILE_LEVEL_MAX,
    TILE_WIDTH,
    TREE_SIZE_MAX,
)

HASH_BYTES = 32
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)"
    r"/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class TileAddress:
    """Where a tile (`level` 0 to 63) or an entry bundle (`level` None) lies; `width` counts what is in it."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix."""
        if self.level is None:
            return entries_path(self.index, self.width)
        return tile_path(self.level, self.index, self.width)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile's place and its bytes: `width` hashes of 32 bytes, first leaf first."""

    level: int
    index: int
    width: int
    data: bytes

    @property
    def path(self) -> str:
        """The path below the log's prefix."""
        return tile_path(self.level, self.index, self.width)


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """The path of a hash tile, `tile/0/x001/x234/067` or with `.p/W` for a partial. Raises `InvalidInput`."""
    if not 0 <= level <= TILE_LEVEL_MAX:
        raise InvalidInput("tile.level", f"A tile level is 0 to {TILE_LEVEL_MAX}, not {level}.")
    return f"tile/{level}/{_index_and_width(index, width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """The path of an entry bundle, `tile/entries/000` or with `.p/W` for a partial. Raises `InvalidInput`."""
    return f"tile/entries/{_index_and_width(index, width)}"


def parse_path(path: str) -> TileAddress:
    """The address that a path below the log's prefix names; the only spelling of it, or `InvalidInput`."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise InvalidInput("tile.path", f"{path[:100]!r} names no tile and no entry bundle.")
    level = None if match["level"] == "entries" else int(match["level"])
    width = TILE_WIDTH if match["width"] is None else int(match["width"])
    index = int(match["index"].replace("x", "").replace("/", ""))
    address = TileAddress(level, index, width)
    # Writing it again refuses every other spelling: x000/001 for 001, .p/256 for a full tile, a level above
    # 63.
    if (level is not None and level > TILE_LEVEL_MAX) or width > TILE_WIDTH or index > TREE_SIZE_MAX // TILE_WIDTH:
        raise InvalidInput("tile.path", f"{path[:100]!r} names a tile that no log can hold.")
    if address.path != path:
        raise InvalidInput("tile.path", f"{path[:100]!r} is not how the path of this tile is written.")
    return address


def partial_width(size: int, level: int) -> int:
    """How many hashes the partial tile of `level` has in a tree of `size`; 0 for no partial tile."""
    return (size >> 8 * level) % TILE_WIDTH


def tile_width(size: int, level: int, index: int) -> int:
    """How many hashes tile (`level`, `index`) has in a tree of `size`; 0 where it is not in the tree."""
    return max(0, min(TILE_WIDTH, (size >> 8 * level) - index * TILE_WIDTH))


def tiles_of(size: int) -> Iterator[TileAddress]:
    """Every hash tile that belongs to a tree of `size`, level by level, each level's partial tile last."""
    level = 0
    while size >> 8 * level:
        yield from _row_of(size, level, level)
        level += 1


def bundles_of(size: int) -> Iterator[TileAddress]:
    """Every entry bundle that belongs to a tree of `size`, the partial bundle last."""
    yield from _row_of(size, 0, None)


def tile_hashes(data: bytes, width: int) -> list[bytes]:
    """The hashes of a tile's bytes. Raises `VerificationError` unless there are exactly `width` of them."""
    if len(data) != width * HASH_BYTES:
        raise VerificationError(
            "tile.length",
            f"A tile of {width} hashes has {width * HASH_BYTES} bytes; this one has {len(data)}.",
        )
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """The bytes of an entry bundle: each entry after its length as uint16.

    Raises `InvalidInput` beyond the bounds.
    """
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise InvalidInput("bundle.count", f"A bundle holds 1 to {TILE_WIDTH} entries, not {len(entries)}.")
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            raise InvalidInput(
                "bundle.entry", f"An entry has at most {ENTRY_BYTES_MAX} bytes; this one has {len(entry)}."
            )
        parts.append(len(entry).to_bytes(2, "big"))
        parts.append(entry)
    return b"".join(parts)


def decode_entries(data: bytes, count: int) -> list[bytes]:
    """The entries of a bundle; exactly `count` and not a byte more, else `VerificationError`.



    A bundle with one entry too many once passed another project's checker: hence the exact count.
    """
    if not 1 <= count <= TILE_WIDTH:
        raise InvalidInput("bundle.count", f"A bundle holds 1 to {TILE_WIDTH} entries, not {count}.")
    if len(data) > BUNDLE_BYTES_MAX:
        raise VerificationError("bundle.length", f"A bundle has at most {BUNDLE_BYTES_MAX} bytes, not {len(data)}.")
    entries: list[bytes] = []
    at = 0
    for number in range(count):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data):
            raise VerificationError(
                "bundle.short",
                f"The bundle ends within entry {number} of {count}: it has been cut or altered.",
            )
        entries.append(data[start:at])
    if at != len(data):
        raise VerificationError("bundle.trailing", f"{len(data) - at} bytes follow the bundle's {count} entries.")
    return entries


def _index_and_width(index: int, width: int) -> str:
    if not 0 <= index <= TREE_SIZE_MAX // TILE_WIDTH:
        raise InvalidInput("tile.index", f"{index} is not the index of a tile.")
    if not 1 <= width <= TILE_WIDTH:
        raise InvalidInput("tile.width", f"A tile or bundle has a width of 1 to {TILE_WIDTH}, not {width}.")
    text = f"{index % 1000:03d}"
    while index := index // 1000:
        text = f"x{index % 1000:03d}/{text}"
    return text if width == TILE_WIDTH else f"{text}.p/{width}"


def _row_of(size: int, tree_level: int, address_level: int | None) -> Iterator[TileAddress]:
    full, width = divmod(size >> 8 * tree_level, TILE_WIDTH)
    for index in range(full):
        yield TileAddress(address_level, index)
    if width:
        yield TileAddress(address_level, full, width)
