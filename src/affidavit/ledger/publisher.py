"""The publisher: turns durable records into the public log and its bodies, and signs the checkpoint last.

The order is what makes a crash harmless: entry bundles, body bundles and hash tiles first, each written whole, synced
and renamed, its folder synced; then the checkpoint that speaks of them. Where the signer cannot be reached, all of that
stands and nothing speaks of it; the next publication signs it. A full bundle or tile that is there already,
from a publication that a crash cut short, must hold exactly what would be written: it is compared, never rewritten.
Partial ones of every published size stay until the full one is published under a checkpoint; then they are removed, and
what a crash leaves of them at the next start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from affidavit.durable import PRIVATE, PUBLIC, Disk, write_whole
from affidavit.errors import Corruption, Unavailable, VerificationError
from affidavit.ledger.layout import Layout
from affidavit.ledger.rotate import own_chain
from affidavit.ledger.signer import Purpose, Signer, signed_note
from affidavit.limits import (
    BODY_BUNDLE_BYTES_MAX,
    BUNDLE_BYTES_MAX,
    NOTE_BYTES_MAX,
    PARTIALS_LOOKED_BACK,
    TILE_BYTES_MAX,
    TILE_WIDTH,
)
from affidavit.record.frame import Stored, encode_bundle
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import EMPTY_ROOT, Tree, leaf_hash
from affidavit.tlog.keys import SignatureLine
from affidavit.tlog.notes import join_note, parse_note
from affidavit.tlog.rotation import KeyChain
from affidavit.tlog.tiles import encode_entries, partial_width, tile_hashes, tile_path, tile_width

_BUNDLES_AT_ONCE = 32  # bounds what is in memory twice while a long backlog is published
_FOLDER_TILES = 1_000  # tiles in one folder: three digits of their index
_PARTIAL = ".p"  # what the folder of a tile's partials is named by, after the tile
_HINT = "Nothing was signed. Keep the folder as it is, and compare it with a copy."


class Publisher:
    """Publishes one log. Any error is fatal to it: the tree has moved on, so it is not asked again.

    `tree` stands at the published size. `signer` may be replaced while nothing is published.
    """

    def __init__(self, disk: Disk, layout: Layout, signer: Signer, published: Checkpoint, tree: Tree) -> None:
        self._disk = disk
        self._layout = layout
        self.signer = signer
        self._tree = tree
        #: The newest checkpoint that is signed and durable.
        self.published = published
        #: Why the newest publication could not be signed; None where it was.
        self.unsigned: Unavailable | None = None

    @classmethod
    def create(cls, disk: Disk, layout: Layout, signer: Signer) -> Publisher:
        """For a new log: nothing is published yet."""
        return cls(disk, layout, signer, Checkpoint(signer.verifiers[0].name, 0, EMPTY_ROOT), Tree())

    @classmethod
    def resume(cls, disk: Disk, layout: Layout, signer: Signer) -> Publisher:
        """For a log whose checkpoint and newest tiles are read and must fit. Raises `Corruption` where they do not."""
        published = read_checkpoint(disk, layout, own_chain(disk, layout, signer.verifiers))

        try:
            tree = _tree_at(disk, layout, published, published.size)
        except VerificationError as error:
            raise Corruption("log.tile", f"A published tile is damaged: {error}", _HINT) from None
        if tree.root() != published.root:
            raise Corruption(
                "log.tile",
                f"The published tiles do not lead to the root of the checkpoint of size {published.size}.",
                _HINT,
            )
        return cls(disk, layout, signer, published, tree)

    def tree_at(self, size: int) -> Tree:
        """The tree of an earlier `size`, from the published tiles; they are believed.

        Whether they are true shows when the tree, grown to the published size, has the published root. Raises
        `Corruption` or `VerificationError` where a tile is gone or of the wrong length.
        """
        return _tree_at(self._disk, self._layout, self.published, size)

    def publish(self, base: int, records: Sequence[Stored]) -> Checkpoint:
        """Publish up to `base` + len(`records`). `base` is a multiple of 256 at or below the published size.

        Gives the checkpoint that is published then: the one before, where the signer cannot be reached (`unsigned`).
        """
        old = self.published.size
        size = base + len(records)
        if size <= old:
            return self.published
        self._tree.append_leaf_hashes([leaf_hash(header) for header, _ in records[self._tree.size - base :]])
        first = old // TILE_WIDTH
        for start in range(first, (size - 1) // TILE_WIDTH + 1, _BUNDLES_AT_ONCE):
            self._write_bundles(start, start + _BUNDLES_AT_ONCE, base, records)
        tiles = self._tree.tiles(old)
        full = [(self._layout.log / tile.path, tile.data) for tile in tiles if tile.width == TILE_WIDTH]
        partial = [(self._layout.log / tile.path, tile.data) for tile in tiles if tile.width != TILE_WIDTH]
        self._write_new(full, TILE_BYTES_MAX, PUBLIC)
        self._write(partial, PUBLIC)
        checkpoint = Checkpoint(self.published.origin, size, self._tree.root())
        try:
            note = signed_note(self.signer, Purpose.CHECKPOINT, checkpoint.format())
        except Unavailable as error:
            self.unsigned = error
            return self.published
        self._write([(self._layout.checkpoint, note)], PUBLIC)
        self.published, self.unsigned = checkpoint, None
        self._tree.forget(size)
        self._remove_partials(old, size)
        return checkpoint

    def cosign(self, checkpoint: Checkpoint, lines: Sequence[SignatureLine]) -> None:
        """Add cosignatures to the published note while `checkpoint` is what it says; later ones of a key replace its
        earlier ones. Must not run beside `publish`."""
        if checkpoint != self.published:
            return
        note = self._disk.read(self._layout.checkpoint, NOTE_BYTES_MAX)
        text, signed = parse_note(note or b"")
        new = {(line.name, line.key_id) for line in lines}
        kept = [line for line in signed if (line.name, line.key_id) not in new]
        self._write([(self._layout.checkpoint, join_note(text, [*kept, *lines]))], PUBLIC)

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
                raise Corruption("log.immutable", f"{path} exists and holds something else.", _HINT)
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
                for full in self._files_at(level, index):
                    self._remove_folder(_partial_folder(full))
            level += 1

    def remove_left_partials(self) -> None:
        """Remove the partials that a crash between a checkpoint and its clean-up left behind.

        Such a crash leaves them within the tiles of one publication: only the newest folders of tiles are looked into.
        """
        size = self.published.size
        level = 0
        while full := size >> 8 * (level + 1):  # so many full tiles are there
            newest = range(full - 1, max(0, full - PARTIALS_LOOKED_BACK) - 1, -1)
            first_of = {
                path.parent: index // _FOLDER_TILES * _FOLDER_TILES
                for index in (*newest[::_FOLDER_TILES], newest[-1])
                for path in self._files_at(level, index)
            }
            for folder, first in first_of.items():
                for name in self._disk.names(folder):
                    stem = name.removesuffix(_PARTIAL)
                    if stem != name and stem.isdecimal() and first + int(stem) < full:
                        self._remove_folder(folder / name)
            level += 1

    def _files_at(self, level: int, index: int) -> list[Path]:
        """The files, in their full form, that hold what tile `index` of `level` stands for."""
        tile = self._layout.log / tile_path(level, index)
        return [tile] if level else [tile, self._layout.entries(index), self._layout.slots(index)]

    def _remove_folder(self, folder: Path) -> None:
        for name in self._disk.names(folder):
            self._disk.unlink(folder / name)
        self._disk.unlink(folder)


def read_checkpoint(disk: Disk, layout: Layout, keys: KeyChain) -> Checkpoint:
    """The published checkpoint, verified with the log's own keys. Raises `Corruption`: a log always has one."""
    note = disk.read(layout.checkpoint, NOTE_BYTES_MAX)
    if note is None:
        raise Corruption(
            "log.checkpoint",
            f"{layout.checkpoint} is missing.",
            "If `init` was interrupted, remove the folder and run it again. Else put the checkpoint back.",
        )
    try:
        return keys.open(note)[0]
    except VerificationError as error:
        raise Corruption(
            "log.checkpoint", f"{layout.checkpoint} is not a checkpoint by this log's key: {error}"
        ) from None


def check_edge(disk: Disk, layout: Layout, published: Checkpoint, base: int, records: Sequence[Stored]) -> None:
    """Raise `Corruption` unless the newest published bundles hold what the journal holds.

    Older ones are checked when they are read, and by `verify`. `records` begin at `base`, a multiple of 256.
    """
    number = (published.size - 1) // TILE_WIDTH
    held = records[number * TILE_WIDTH - base : published.size - base]
    wanted: list[tuple[Path, int, Callable[[], bytes]]] = [
        (layout.entries(number, len(held)), BUNDLE_BYTES_MAX, lambda: encode_entries([header for header, _ in held])),
        (layout.slots(number, len(held)), BODY_BUNDLE_BYTES_MAX, lambda: encode_bundle([slot for _, slot in held])),
    ]
    for path, limit, encode in wanted:
        if disk.read(path, limit) != encode():
            raise Corruption("log.bundle", f"{path} does not hold what the journal holds.", _HINT)


def _tree_at(disk: Disk, layout: Layout, published: Checkpoint, size: int) -> Tree:
    def read_tile(level: int, index: int, width: int) -> bytes:
        stored = tile_width(published.size, level, index)
        path = layout.log / tile_path(level, index, stored)
        data = disk.read(path, TILE_BYTES_MAX)
        if data is None:
            raise Corruption("log.tile", f"The published tile {path} is gone.", _HINT)
        return b"".join(tile_hashes(data, stored)[:width])

    return Tree.resume(size, read_tile)


def _partial_folder(full: Path) -> Path:
    return full.with_name(full.name + _PARTIAL)
