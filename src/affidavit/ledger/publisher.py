"""The publisher: turns durable records into the public log and its bodies, and signs the checkpoint last.

A builder (`ledger/builder.py`) writes what the checkpoint speaks of, here or in a process of its own
(`ledger/apart.py`); the publisher signs, and writes the checkpoint. Where the signer cannot be reached, all of that
stands and nothing speaks of it; the next publication signs it.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence
from typing import Protocol

from affidavit.durable import PUBLIC, Disk, write_whole
from affidavit.errors import Corruption, Unavailable, VerificationError
from affidavit.ledger.apart import Apart
from affidavit.ledger.builder import HINT, Builder, tree_at
from affidavit.ledger.layout import Layout
from affidavit.ledger.rotate import own_chain
from affidavit.ledger.signer import Purpose, Signer, signed_note
from affidavit.limits import (
    BODY_BUNDLE_BYTES_MAX,
    BUILD_APART_RECORDS,
    BUNDLE_BYTES_MAX,
    NOTE_BYTES_MAX,
    SEGMENTS_KEPT,
    TILE_WIDTH,
)
from affidavit.record.frame import Stored, decode_bundle, encode_bundle
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import EMPTY_ROOT, Tree
from affidavit.tlog.keys import SignatureLine
from affidavit.tlog.notes import join_note, parse_note
from affidavit.tlog.rotation import KeyChain
from affidavit.tlog.tiles import encode_entries

_log = logging.getLogger(__name__)


class Builds(Protocol):
    """Builds the files that a checkpoint speaks of. After an error it is not asked again."""

    def build(self, base: int, records: Sequence[Stored]) -> bytes:
        """All that a checkpoint of the size `base` + len(`records`) speaks of is durable when this returns: the root.

        The records are durable in the journal; `base` is a multiple of 256 at or below the published size.
        """

    def published(self, size: int) -> None:
        """The checkpoint of `size`, the last one built, is durable: what only earlier ones spoke of may go."""

    def prune(self, published: Checkpoint, snapshot_size: int, segments_kept: int) -> str:
        """As `Pruner.prune`; gives its `problem`."""

    def stop(self) -> None:
        """Nothing more will be asked."""


class Publisher:
    """Publishes one log. Any error is fatal to it: what was built has moved on, so it is not asked again.

    `builder` stands at the published size. `builder` and `signer` may be replaced while nothing is published.
    """

    def __init__(self, disk: Disk, layout: Layout, signer: Signer, published: Checkpoint, builder: Builds) -> None:
        self._disk = disk
        self._layout = layout
        self.signer = signer
        self.builder = builder
        #: The newest checkpoint that is signed and durable.
        self.published = published
        #: Why the newest publication could not be signed; None where it was.
        self.unsigned: Unavailable | None = None
        #: Why nothing is pruned from the journal any more, empty while it is.
        self.prune_problem = ""

    @classmethod
    def create(cls, disk: Disk, layout: Layout, signer: Signer) -> Publisher:
        """For a new log: nothing is published yet."""
        return cls(
            disk, layout, signer, Checkpoint(signer.verifiers[0].name, 0, EMPTY_ROOT), Builder(disk, layout, Tree())
        )

    @classmethod
    def resume(cls, disk: Disk, layout: Layout, signer: Signer) -> Publisher:
        """For a log whose checkpoint and newest tiles are read and must fit. Raises `Corruption` where they do not."""
        published = read_checkpoint(disk, layout, own_chain(disk, layout, signer.verifiers))
        return cls(disk, layout, signer, published, Builder.resume(disk, layout, published))

    def tree_at(self, size: int) -> Tree:
        """The tree of an earlier `size`, from the published tiles; they are believed.

        Whether they are true shows when the tree, grown to the published size, has the published root. Raises
        `Corruption` or `VerificationError` where a tile is gone or of the wrong length.
        """
        return tree_at(self._disk, self._layout, self.published, size)

    def publish(self, base: int, records: Sequence[Stored]) -> Checkpoint:
        """Publish up to `base` + len(`records`). `base` is a multiple of 256 at or below the published size.

        Gives the checkpoint that is published then: the one before, where the signer cannot be reached (`unsigned`).
        """
        size = base + len(records)
        if size <= self.published.size:
            return self.published
        checkpoint = Checkpoint(self.published.origin, size, self.builder.build(base, records))
        try:
            note = signed_note(self.signer, Purpose.CHECKPOINT, checkpoint.format())
        except Unavailable as error:
            self.unsigned = error
            return self.published
        self._write_checkpoint(note)
        self.published, self.unsigned = checkpoint, None
        self.builder.published(size)
        return checkpoint

    def build_apart(self, size: int, lock: int | None) -> None:
        """Before a log is published up to `size`: leave building to a process of its own once it is much.

        `lock` is the descriptor of the log's lock, None where no other process can hold it. Commands that write a few
        records and end never start a process; one that was started stays until `close`.
        """
        much = size - self.published.size >= BUILD_APART_RECORDS
        if lock is None or not much or isinstance(self.builder, Apart):
            return
        try:
            self.builder = Apart(self._layout, self.published, lock)
        except OSError as error:
            _log.warning("no process could be started that builds what is published: %s", error)

    def begin_anew(self) -> None:
        """Records that are not published yet have changed: what was read of them elsewhere is forgotten."""
        if isinstance(self.builder, Apart):
            self.builder.stop()
            self.builder = Builder.resume(self._disk, self._layout, self.published)

    def prune(self, snapshot_size: int) -> None:
        """Prune the journal, where something may go. A problem is said once and kept in `prune_problem`."""
        problem = self.builder.prune(self.published, snapshot_size, SEGMENTS_KEPT)
        if problem != self.prune_problem:
            _log.error("%s", problem)
        self.prune_problem = problem

    def close(self) -> None:
        """Nothing more will be published."""
        self.builder.stop()

    def cosign(self, checkpoint: Checkpoint, lines: Sequence[SignatureLine]) -> None:
        """Add cosignatures to the published note while `checkpoint` is what it says; later ones of a key replace its
        earlier ones. Must not run beside `publish`."""
        if checkpoint != self.published:
            return
        note = self._disk.read(self._layout.checkpoint, NOTE_BYTES_MAX)
        text, signed = parse_note(note or b"")
        new = {(line.name, line.key_id) for line in lines}
        kept = [line for line in signed if (line.name, line.key_id) not in new]
        self._write_checkpoint(join_note(text, [*kept, *lines]))

    def _write_checkpoint(self, note: bytes) -> None:
        write_whole(self._disk, self._layout.publishing, [(self._layout.checkpoint, note)], PUBLIC)


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


def check_edge(
    disk: Disk,
    layout: Layout,
    published: Checkpoint,
    base: int,
    records: Sequence[Stored],
    erasures: Container[int] = (),
) -> None:
    """Raise `Corruption` unless the newest published bundles hold what the journal holds.

    Older ones are checked when they are read, and by `verify`. `records` begin at `base`, a multiple of 256. Bodies of
    the records in `erasures` are being erased: they may differ.
    """
    number = (published.size - 1) // TILE_WIDTH
    first = number * TILE_WIDTH
    held = records[first - base : published.size - base]
    entries, slots = layout.entries(number, len(held)), layout.slots(number, len(held))
    if disk.read(entries, BUNDLE_BYTES_MAX) != encode_entries([header for header, _ in held]):
        raise Corruption("log.bundle", f"{entries} does not hold what the journal holds.", HINT)
    data = disk.read(slots, BODY_BUNDLE_BYTES_MAX) or b""
    if data == encode_bundle([slot for _, slot in held]):
        return
    try:
        pairs = zip(decode_bundle(data, len(held)), held, strict=True)
        same = all(one == slot or first + at in erasures for at, (one, (_, slot)) in enumerate(pairs))
    except Corruption:
        same = False
    if not same:
        raise Corruption("log.bundle", f"{slots} does not hold what the journal holds.", HINT)
