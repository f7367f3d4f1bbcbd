"""Copies a log while it is being written, so that what the copy's checkpoint covers is whole whenever this stops.

Ordinary tools cannot do it: they may read a frame of the journal that is half written, and partial tiles that are gone
a second later. Here the order makes the copy right:

 1. the signed checkpoint is read first, and its name made durable: else a stop of the machine could take it back, and
    the copy be ahead of an honest log. Every record that it covers is there by then;
 2. records are read as any reader does, bundle by bundle, and hashed into a tree that continues the copy's own; the
    tiles of the copy are made from that tree, not copied;
 3. the tree must lead to the signed root, else nothing is signed over in the copy: a damaged log never replaces a good
    copy;
 4. the copy's journal holds what is newer than the last full bundle, published or not;
 5. the rotation notes that the checkpoint rests on; then the checkpoint;
 6. checkpoints that the log kept, as far as they are not ahead of it.

Before the first of these, `DIR/copying` says where this is going: the checkpoint to come, and the rotation notes that
it rests on. It is removed last. So whatever stops a run, the copy holds all of the checkpoint that it has, and `verify`
calls what lies beside that a copy that is not finished, until the next run, or `recover`, ends it.

A copy that has seen more than the log is the newer one: then nothing is written, and the log should not go on either.
The copy holds `recover.json`, so no writer opens it before `recover` has said what going on from a copy means.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affidavit.durable import PRIVATE, PRIVATE_FOLDER, PUBLIC, PUBLIC_FOLDER, Disk, clear_temporary, write_whole
from affidavit.errors import Corruption, InvalidInput, Unavailable, VerificationError
from affidavit.ledger.guard import PublishedTree
from affidavit.ledger.keys import NEXT_KEY
from affidavit.ledger.layout import Layout
from affidavit.ledger.reader import Reader
from affidavit.ledger.strays import find_strays
from affidavit.limits import (
    BODY_BUNDLE_BYTES_MAX,
    NOTE_BYTES_MAX,
    READ_TRIES_MAX,
    ROTATION_SIZES_BYTES_MAX,
    SECRET_BYTES_MAX,
    TILE_WIDTH,
)
from affidavit.record.frame import Stored, encode_bundle, encode_frame, segment_header, segment_name
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.notes import parse_note
from affidavit.tlog.rotation import SIZES_PATH, KeyChain, decode_sizes, encode_sizes, rotation_path
from affidavit.tlog.tiles import encode_entries, tile_width

Progress = Callable[[str, int, int], None]
_BUNDLES_AT_ONCE = 32  # what is in memory, and synced together
_UNFINISHED = "backup"
_FILE_BYTES_MAX = max(NOTE_BYTES_MAX, SECRET_BYTES_MAX)


@dataclass(frozen=True)
class Copied:
    """What a copy holds now: `size` published records of `held`, and how many of them this time added."""

    size: int
    held: int
    added: int


class Backup:
    """One run, from the log in `source` to the copy in `target`."""

    def __init__(
        self,
        disk: Disk,
        source: Layout,
        target: Layout,
        keys: Callable[[], KeyChain],
        reader: Callable[[], Reader],
        now: str,
    ) -> None:
        """`keys` gives the log's keys and `reader` opens it, each as it is when called; `now` is the moment."""
        self._disk = disk
        self._source = source
        self._target = target
        self._keys = keys
        self._open_reader = reader
        self._now = now
        self._temporary = target.root / "unfinished" / _UNFINISHED

    def run(self, progress: Progress) -> Copied:
        """Bring the copy up to the log. Raises `Corruption` where the two are not one history, or the log is damaged,
        `InvalidInput` where `target` holds something else. The copy is as before then."""
        note = self._disk.read(self._source.checkpoint, NOTE_BYTES_MAX)
        if note is None:
            raise InvalidInput("log.none", f"{self._source.root} holds no published log.", "Give a log's data folder.")
        self._disk.sync_folder(self._source.log)
        signed = self._open(note, self._source.checkpoint)
        before = self._check_target(signed)
        reader = self._reader()
        for folder in (self._target.root, self._target.bodies, self._target.journal):
            self._disk.make_folder(folder, PRIVATE_FOLDER)
        self._disk.make_folder(self._target.log, PUBLIC_FOLDER)
        clear_temporary(self._disk, self._temporary)
        self._write_marker(signed, reader.size)
        self._announce(note, signed.size)
        self._copy_records(reader, before, signed, progress)
        self._write_journal(reader, signed)
        self._copy_file(Path("affidavit.toml"), PUBLIC)
        self._copy_keys(signed.size, self._target.log)
        self._write([(self._target.checkpoint, note)], PUBLIC)
        self._copy_kept(signed.size)
        self._drop_old(signed)
        forget_unfinished(self._disk, self._target)
        return Copied(signed.size, reader.size, signed.size - (0 if before is None else before.size))

    def _reader(self) -> Reader:
        try:
            return self._open_reader()
        except Corruption:
            # Its keys are read before its checkpoint: in between it may have been given new ones.
            return self._open_reader()

    def _open(self, note: bytes, where: Path) -> Checkpoint:
        keys = self._keys()
        try:
            return keys.open(note)[0]
        except VerificationError as error:
            raise Corruption(
                "backup.other",
                f"{where} is no checkpoint of the log {keys.origin} by its key: {error}",
                "Each log needs a folder of its own for its copy; a damaged log is not copied.",
            ) from None

    def _check_target(self, signed: Checkpoint) -> Checkpoint | None:
        """What the copy was at its last run, which the log must continue."""
        note = self._disk.read(self._target.checkpoint, NOTE_BYTES_MAX)
        if note is None:
            ours = {"log", "bodies", "journal", "unfinished", self._target.pending.name, self._target.copying.name}
            if set(self._disk.names(self._target.root)) - ours:
                raise InvalidInput("backup.folder", f"{self._target.root} holds something else.", "Name another one.")
            return None
        before = self._open(note, self._target.checkpoint)
        if before.size > signed.size:
            raise Corruption(
                "backup.behind",
                f"The copy holds {before.size} published records, the log {signed.size}: the log was put back to an "
                "earlier time.",
                "Do not write to the log. The copy is the newer one: see `affidavit recover`.",
            )
        if self._tree(self._source, signed.size, before.size).root() != before.root:
            raise Corruption(
                "backup.fork",
                f"The log does not continue the {before.size} records that were copied: one of the two was rewritten.",
                "Do not write to the log. Keep both, and look.",
            )
        return before

    def _tree(self, layout: Layout, now: int, size: int) -> Tree:
        """The tree of the first `size` records, from the tiles of `layout`, a log of `now` or more."""
        return Tree.resume(size, PublishedTree(self._disk, layout.log, now).read_tile)

    def _write_marker(self, signed: Checkpoint, held: int) -> None:
        said = {"what": "backup", "cause": "restore", "at": self._now, "size": signed.size}
        note = {**said, "lost": {"first": held, "readable": 0}}
        self._write([(self._target.pending, json.dumps(note).encode())], PRIVATE)

    def _announce(self, note: bytes, size: int) -> None:
        """Say where this is going, the checkpoint last: until that is there, nothing else of the copy was touched."""
        self._copy_keys(size, self._target.copying)
        self._write([(self._target.copying / "checkpoint", note)], PUBLIC)

    def _copy_records(self, reader: Reader, before: Checkpoint | None, signed: Checkpoint, progress: Progress) -> None:
        """Every record from the copy's last full bundle on; then the root, before anything rests on it."""
        old = 0 if before is None else before.size
        tree = self._tree(self._target, old, old)
        first = old // TILE_WIDTH
        last = (signed.size - 1) // TILE_WIDTH
        written = old
        for start in range(first, last + 1, _BUNDLES_AT_ONCE):
            bundles = [
                self._records(reader, number * TILE_WIDTH, min(signed.size, (number + 1) * TILE_WIDTH))
                for number in range(start, min(last + 1, start + _BUNDLES_AT_ONCE))
            ]
            for number, records in enumerate(bundles, start):
                new = records[max(0, old - number * TILE_WIDTH) :]
                tree.append_leaf_hashes([leaf_hash(raw) for raw, _ in new])
            self._write_bundles(start, bundles)
            # A partial tile that grows no more before the end is already what it will be then.
            tiles = [
                tile for tile in tree.tiles(written) if tile.width == tile_width(signed.size, tile.level, tile.index)
            ]
            self._write([(self._target.log / tile.path, tile.data) for tile in tiles], PUBLIC)
            written = tree.size
            progress("records", tree.size, signed.size)
        if tree.root() != signed.root:
            raise Corruption(
                "backup.source",
                f"The records of the log do not lead to the root that it signed for {signed.size} of them.",
                "The copy is as it was before. See `affidavit fsck`.",
            )
        for number in range(first):
            self._copy_changed(self._source.slots(number), self._target.slots(number))

    @staticmethod
    def _records(reader: Reader, start: int, stop: int) -> list[Stored]:
        return [reader.stored(index) for index in range(start, stop)]

    def _write_bundles(self, start: int, bundles: Sequence[Sequence[Stored]]) -> None:
        public, private = [], []
        for number, records in enumerate(bundles, start):
            width = len(records)
            public.append((self._target.entries(number, width), encode_entries([raw for raw, _ in records])))
            private.append((self._target.slots(number, width), encode_bundle([slot for _, slot in records])))
        self._write(public, PUBLIC)
        self._write(private, PRIVATE)

    def _copy_changed(self, source: Path, target: Path) -> None:
        """A body bundle that was rewritten since: erasing does that, and the copy must forget too."""
        theirs, ours = self._disk.stamp(source), self._disk.stamp(target)
        if theirs is not None and theirs == ours:
            return
        data = self._disk.read(source, BODY_BUNDLE_BYTES_MAX)
        if data is None or theirs is None:
            raise Corruption("log.file", f"{source} is gone.", "See `affidavit fsck`.")
        if self._disk.read(target, BODY_BUNDLE_BYTES_MAX) != data:
            self._write([(target, data)], PRIVATE)
        self._disk.restamp(target, theirs)

    def _write_journal(self, reader: Reader, signed: Checkpoint) -> None:
        """One segment with what is newer than the last full bundle."""
        base = (signed.size - 1) // TILE_WIDTH * TILE_WIDTH
        parts = [segment_header(base, signed.origin)]
        for start in range(base, reader.size, TILE_WIDTH):
            records = self._records(reader, start, min(reader.size, start + TILE_WIDTH))
            parts.append(encode_frame(start, records))
        self._write([(self._target.journal / segment_name(base), b"".join(parts))], PRIVATE)

    def _copy_keys(self, size: int, folder: Path) -> None:
        """Rotation notes up to `size`: without them the checkpoint to come cannot be opened."""
        data = self._disk.read(self._source.log / SIZES_PATH, ROTATION_SIZES_BYTES_MAX)
        sizes = [] if data is None else [one for one in decode_sizes(data) if one <= size]
        for one in sizes:
            self._copy(self._source.log / rotation_path(one), folder / rotation_path(one), PUBLIC)
        listed = folder / SIZES_PATH
        if sizes and self._disk.read(listed, ROTATION_SIZES_BYTES_MAX) != encode_sizes(sizes):
            self._write([(listed, encode_sizes(sizes))], PUBLIC)

    def _copy_kept(self, size: int) -> None:
        """Kept checkpoints of at most `size`: later ones would be ahead of the copy, and accuse it."""
        for name in self._disk.names(self._source.kept):
            note = self._disk.read(self._source.kept / name, NOTE_BYTES_MAX)
            if note is not None and _size_said(note) <= size:
                self._copy_file(Path("checkpoints") / name, PUBLIC)

    def secrets(self) -> Mapping[Path, bytes]:
        """The files of secrets, by their path below the data folder, as they were all at one moment.

        Raises `Unavailable` where they change all the time.
        """
        seen: Mapping[Path, bytes] | None = None
        for _ in range(READ_TRIES_MAX):
            before, seen = seen, self._read_secrets()
            # No key comes back once it is gone: what two readings have in common stood there between them.
            if seen == before:
                return seen
        raise rotating()

    def write_secrets(self, held: Mapping[Path, bytes]) -> None:
        """Into the copy: then whoever holds it can read every body and sign in the log's name."""
        changed = []
        for where, data in held.items():
            path = self._target.root / where
            if not self._disk.exists(path) or self._disk.read_private(path, _FILE_BYTES_MAX) != data:
                changed.append((path, data))
        self._write(changed, PRIVATE)
        for path in _files(self._disk, self._target.secrets):
            if path.name == NEXT_KEY and path.relative_to(self._target.root) not in held:
                self._disk.unlink(path)  # of a rotation that was under way at an earlier run

    def _read_secrets(self) -> Mapping[Path, bytes]:
        found = {
            path: self._disk.read_private(path, _FILE_BYTES_MAX) for path in _files(self._disk, self._source.secrets)
        }
        return {path.relative_to(self._source.root): data for path, data in found.items() if data is not None}

    def _copy_file(self, where: Path, mode: int) -> None:
        self._copy(self._source.root / where, self._target.root / where, mode)

    def _copy(self, source: Path, target: Path, mode: int) -> None:
        data = self._disk.read(source, _FILE_BYTES_MAX)
        if data is not None and self._disk.read(target, _FILE_BYTES_MAX) != data:
            self._write([(target, data)], mode)

    def _drop_old(self, signed: Checkpoint) -> None:
        """Journal segments of earlier runs, and partial files that are over."""
        base = segment_name((signed.size - 1) // TILE_WIDTH * TILE_WIDTH)
        for name in self._disk.names(self._target.journal):
            if name != base:
                self._disk.unlink(self._target.journal / name)
        self._disk.sync_folder(self._target.journal)
        for stray in find_strays(self._disk, self._target, signed.size, signed.size):
            if stray.rubbish:
                self._disk.unlink(self._target.root / stray.where)
        # Partials of earlier runs hold bodies that may have been erased since; the checkpoint speaks of the newest.
        number, width = divmod(signed.size, TILE_WIDTH)
        partials = self._target.slots(number, 1).parent
        for name in self._disk.names(partials):
            if name != str(width):
                self._disk.unlink(partials / name)

    def _write(self, files: Sequence[tuple[Path, bytes]], mode: int) -> None:
        if files:
            write_whole(self._disk, self._temporary, files, mode)


def copy_all(run: Backup, progress: Progress) -> Copied:
    """The copy, with the secrets that belong to it: those in force before and after. Raises as `run` and `secrets`."""
    for _ in range(READ_TRIES_MAX):
        before = run.secrets()
        copied = run.run(progress)
        if run.secrets() == before:
            run.write_secrets(before)
            return copied
    raise rotating()


def forget_unfinished(disk: Disk, layout: Layout) -> None:
    """This is no copy on its way any more. The checkpoint goes first: without it the rest says nothing."""
    if not disk.exists(layout.copying):
        return
    disk.unlink(layout.copying / "checkpoint")
    disk.sync_folder(layout.copying)
    for path in _files(disk, layout.copying):
        disk.unlink(path)
    disk.unlink(layout.copying / Path(SIZES_PATH).parent)
    disk.unlink(layout.copying)
    disk.sync_folder(layout.root)


def rotating() -> Unavailable:
    """The key is being replaced while its files are copied."""
    return Unavailable(
        "backup.rotating",
        "The log's keys changed while they were copied.",
        "The copy is whole, without the newest keys. Run it again once `affidavit key rotate` is done.",
    )


def _size_said(note: bytes) -> int:
    """The size of a checkpoint; 0 for what is none."""
    try:
        return Checkpoint.parse(parse_note(note)[0]).size
    except VerificationError:
        return 0


def _files(disk: Disk, folder: Path) -> Iterator[Path]:
    for name in disk.names(folder):
        path = folder / name
        if disk.is_folder(path):
            yield from _files(disk, path)
        else:
            yield path
