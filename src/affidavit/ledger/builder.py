"""The builder: makes the files that a checkpoint speaks of, from durable records. It signs nothing.

The order is what makes a crash harmless: entry bundles, body bundles and hash tiles first, each written whole, synced
and renamed, its folder synced; then, by the publisher, the checkpoint that speaks of them. A full bundle or tile that
is there already, from a publication that a crash cut short, must hold exactly what would be written: it is compared,
never rewritten. Partial ones of every published size stay until the full one is published under a checkpoint; then they
are removed, and what a crash leaves of them at the next start; so are those of a publication that it cut short.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affidavit.durable import PRIVATE, PUBLIC, Disk, write_whole
from affidavit.errors import Corruption, VerificationError
from affidavit.ledger.layout import Layout
from affidavit.ledger.pruning import Pruner
from affidavit.limits import (
    BODY_BUNDLE_BYTES_MAX,
    BUNDLE_BYTES_MAX,
    PARTIALS_LOOKED_BACK,
    TILE_BYTES_MAX,
    TILE_WIDTH,
)
from affidavit.record.frame import Stored, encode_bundle
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import Tree, leaf_hashes
from affidavit.tlog.tiles import encode_entries, partial_width, tile_hashes, tile_path, tile_width

_BUNDLES_AT_ONCE = 32  # bounds what is in memory twice while a long backlog is published
_FOLDER_TILES = 1_000  # tiles in one folder: three digits of their index
_PARTIAL = ".p"  # what the folder of a tile's partials is named by, after the tile
HINT = "Nothing was signed. Keep the folder as it is, and compare it with a copy."


class Builder:
    """Builds the files of one log. Any error is fatal to it: the tree has moved on, so it is not asked again.

    `tree` stands at the published size.
    """

    def __init__(self, disk: Disk, layout: Layout, tree: Tree) -> None:
        self._disk = disk
        self._layout = layout
        self._tree = tree
        self._published = tree.size
        self._pruner = Pruner(disk, layout)

    @classmethod
    def resume(cls, disk: Disk, layout: Layout, published: Checkpoint) -> Builder:
        """For a log that is published up to `published`. Raises `Corruption` where its newest tiles do not fit."""
        try:
            tree = tree_at(disk, layout, published, published.size)
        except VerificationError as error:
            raise Corruption("log.tile", f"A published tile is damaged: {error}", HINT) from None
        if tree.root() != published.root:
            raise Corruption(
                "log.tile",
                f"The published tiles do not lead to the root of the checkpoint of size {published.size}.",
                HINT,
            )
        return cls(disk, layout, tree)

    def build(self, base: int, records: Sequence[Stored]) -> bytes:
        """As `publisher.Builds` promises, from `records`."""
        old = self._published
        size = base + len(records)
        self._tree.append_leaf_hashes(leaf_hashes([header for header, _ in records[self._tree.size - base :]]))
        first = old // TILE_WIDTH
        for start in range(first, (size - 1) // TILE_WIDTH + 1, _BUNDLES_AT_ONCE):
            self._write_bundles(start, start + _BUNDLES_AT_ONCE, base, records)
        tiles = self._tree.tiles(old)
        full = [(self._layout.log / tile.path, tile.data) for tile in tiles if tile.width == TILE_WIDTH]
        partial = [(self._layout.log / tile.path, tile.data) for tile in tiles if tile.width != TILE_WIDTH]
        self._write_new(full, TILE_BYTES_MAX, PUBLIC)
        self._write(partial, PUBLIC)
        return self._tree.root()

    def published(self, size: int) -> None:
        """As `publisher.Builds` promises."""
        self._tree.forget(size)
        self._remove_partials(self._published, size)
        self._published = size

    def prune(self, published: Checkpoint, snapshot_size: int, segments_kept: int) -> str:
        """As `publisher.Builds` promises."""
        self._pruner.prune(published, snapshot_size, segments_kept)
        return self._pruner.problem

    def stop(self) -> None:
        """There is nothing to end."""

    def _write_bundles(self, start: int, stop: int, base: int, records: Sequence[Stored]) -> None:
        """Entry and body bundles from number `start` to before `stop`, as far as there are records."""
        layout = self._layout
        for encode, path, part, limit, mode in (
            (encode_entries, layout.entries, 0, BUNDLE_BYTES_MAX, PUBLIC),
            (encode_bundle, layout.slots, 1, BODY_BUNDLE_BYTES_MAX, PRIVATE),
        ):
            full: list[tuple[Path, bytes]] = []
            partial: list[tuple[Path, bytes]] = []
            for number in range(start, stop):
                at = number * TILE_WIDTH - base
                held = records[at : at + TILE_WIDTH]
                if held:
                    data = encode([record[part] for record in held])
                    (full if len(held) == TILE_WIDTH else partial).append((path(number, len(held)), data))
            self._write_new(full, limit, mode)
            self._write(partial, mode)

    def _write_new(self, files: Sequence[tuple[Path, bytes]], limit: int, mode: int) -> None:
        """Write immutable files. One that exists is compared."""
        missing = []
        for path, data in files:
            if not self._disk.exists(path):
                missing.append((path, data))
            elif self._disk.read(path, limit) != data:
                raise Corruption("log.immutable", f"{path} exists and holds something else.", HINT)
        self._write(missing, mode)

    def _write(self, files: Sequence[tuple[Path, bytes]], mode: int) -> None:
        if files:
            write_whole(self._disk, self._layout.publishing, files, mode)

    def _remove_partials(self, old: int, size: int) -> None:
        """Remove partials of `old` whose full form is published at `size`. A crash may leave some: they still hold."""
        level = 0
        while old >> 8 * level:
            index = old >> 8 * (level + 1)
            if partial_width(old, level) and size >> 8 * (level + 1) > index:
                for full in _files_at(self._layout, level, index):
                    _remove_folder(self._disk, _partial_folder(full))
            level += 1


def remove_left_partials(disk: Disk, layout: Layout, size: int) -> None:
    """Remove the partials that a crash between the checkpoint of `size` and its clean-up left behind.

    Such a crash leaves them within the tiles of one publication: only the newest folders of tiles are looked into.
    """
    level = 0
    while full := size >> 8 * (level + 1):  # so many full tiles are there
        newest = range(full - 1, max(0, full - PARTIALS_LOOKED_BACK) - 1, -1)
        first_of = {
            path.parent: index // _FOLDER_TILES * _FOLDER_TILES
            for index in (*newest[::_FOLDER_TILES], newest[-1])
            for path in _files_at(layout, level, index)
        }
        for folder, first in first_of.items():
            for name in disk.names(folder):
                stem = name.removesuffix(_PARTIAL)
                if stem != name and stem.isdecimal() and first + int(stem) < full:
                    _remove_folder(disk, folder / name)
        level += 1


def remove_unsigned(disk: Disk, layout: Layout, size: int, end: int) -> None:
    """Remove the partials of a publication beyond the checkpoint of `size` that was cut short; `end`: the journal's.

    Nothing speaks of them, and the next publication writes its own. Full ones stay: they are compared with what would
    be written. The highest level goes first, durably: as long as any is left, one of level 0 tells their size.
    """
    levels = range((max(end, 1).bit_length() - 1) // 8, -1, -1)
    for level in levels:
        for index in range(size >> 8 * (level + 1), (end >> 8 * (level + 1)) + 1):
            held = tile_width(size, level, index)
            for full in _files_at(layout, level, index):
                folder = _partial_folder(full)
                names = disk.names(folder)
                over = [name for name in names if name.isdecimal() and int(name) > held]
                for name in over:
                    disk.unlink(folder / name)
                if over:
                    disk.sync_folder(folder)
                    if over == names:
                        disk.unlink(folder)


def tree_at(disk: Disk, layout: Layout, published: Checkpoint, size: int) -> Tree:
    """The tree of `size`, up to what is published, from the published tiles; they are believed."""

    def read_tile(level: int, index: int, width: int) -> bytes:
        stored = tile_width(published.size, level, index)
        path = layout.log / tile_path(level, index, stored)
        data = disk.read(path, TILE_BYTES_MAX)
        if data is None:
            raise Corruption("log.tile", f"The published tile {path} is gone.", HINT)
        return b"".join(tile_hashes(data, stored)[:width])

    return Tree.resume(size, read_tile)


def _files_at(layout: Layout, level: int, index: int) -> list[Path]:
    """The files, in their full form, that hold what tile `index` of `level` stands for."""
    tile = layout.log / tile_path(level, index)
    return [tile] if level else [tile, layout.entries(index), layout.slots(index)]


def _remove_folder(disk: Disk, folder: Path) -> None:
    for name in disk.names(folder):
        disk.unlink(folder / name)
    disk.unlink(folder)


def _partial_folder(full: Path) -> Path:
    return full.with_name(full.name + _PARTIAL)
