"""Recovery: what a log says of itself when it is opened, or why it must not be written to.

No content is changed here. In order:

 1. the published checkpoint verifies under the log's own key, and the tiles at the tree's edge lead to its root;
 2. what stood open is taken from the snapshot (`snapshot.py`), or where there is none that can be believed, folded
    from the published bundles up to where the journal begins;
 3. the journal is read from there on: no damage before its last frame;
 4. it holds at least the published records, and the tree before them, grown by them, has the published root. A
    checkpoint that is ahead means that the journal was rolled back; one that disagrees, that history was changed. The
    writer never signs a second history: it refuses. That the root comes out also says that the snapshot is about this
    history, and that the tiles that the tree was taken from are true;
 5. the newest published bundles hold what the journal holds; but of bodies that an unpublished `erase` record names,
    one of the two may hold the stub already;
 6. what the journal holds beyond is folded on top, by the very code that sealed it;
 7. the names that a publication may have left are synced: a process that was killed leaves what can be read and is not
    durable, and the next checkpoint will stand on it.

So a start costs what was written since the last snapshot, not the length of the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from affidavit.durable import Disk
from affidavit.errors import Corruption, VerificationError
from affidavit.ledger.bundles import edge_of, read_bundle
from affidavit.ledger.erasing import erasures_in
from affidavit.ledger.journal import End, Scan, segments_of
from affidavit.ledger.layout import Layout
from affidavit.ledger.publisher import Publisher, check_edge
from affidavit.ledger.signer import Signer
from affidavit.ledger.snapshot import SnapshotRefused, copy_of, read_snapshot
from affidavit.ledger.standing import BODY_KINDS, Note, Standing, notes_of
from affidavit.limits import TILE_WIDTH
from affidavit.record.body import BodyKey, open_slot
from affidavit.record.frame import Stored
from affidavit.record.header import Header
from affidavit.record.read import stored_header
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.tiles import tile_path

_log = logging.getLogger(__name__)
#: Told how many records were read, and of how many, while a fold is made anew.
Progress = Callable[[int, int], None]


@dataclass
class Recovered:
    """A log as it was found.

    `recent` are the records from `base` on, those that the publisher still needs. `published_standing` is the fold of
    what is published, `unpublished` the notes of the records beyond. `erasures` are those to carry out again: by erased
    record the `erase` record, which is not published (`erasing.py`). `snapshot_size` is the size of the snapshot that
    was used, 0 for none, and `folded` how many records were folded.
    """

    standing: Standing
    end: End
    base: int
    recent: list[Stored]
    publisher: Publisher
    published_standing: Standing
    unpublished: list[Note] = field(default_factory=list)
    erasures: dict[int, int] = field(default_factory=dict)
    snapshot_size: int = 0
    folded: int = 0


@dataclass(frozen=True)
class Opening:
    """What recovery is given. `snapshot_key` authenticates snapshots."""

    disk: Disk
    layout: Layout
    signer: Signer
    keys: Mapping[bytes, BodyKey]
    snapshot_key: bytes
    progress: Progress | None = None


def recover(opening: Opening) -> Recovered:
    """Read the log. Raises `Corruption`, and then nothing was changed."""
    publisher = Publisher.resume(opening.disk, opening.layout, opening.signer)
    try:
        return _Fold.from_snapshot(opening, publisher).read_journal()
    except SnapshotRefused as refused:
        _log.warning("the snapshot of what stands open is not used: %s; the log is folded anew", refused)
    try:
        return _Fold.from_bundles(opening, publisher).read_journal()
    except SnapshotRefused as refused:  # no snapshot was used, so it is the log itself that does not hold
        raise Corruption(
            "log.fork",
            f"The first {publisher.published.size} records do not lead to the root of the published checkpoint.",
            "Nothing was written. The journal or the checkpoint was replaced: compare both with a copy.",
        ) from refused


class _Fold:
    """A fold under way: `standing` after its size, and a tree that grows from `tree.size` with the journal."""

    def __init__(self, opening: Opening, publisher: Publisher, standing: Standing, tree: Tree, snapshot: bytes) -> None:
        self._opening = opening
        self._publisher = publisher
        self._published = publisher.published
        self._base = edge_of(self._published)
        self._standing = standing
        self._tree = tree
        self._snapshot_root = snapshot
        self._snapshot_size = standing.size if snapshot else 0
        self._folded = 0 if snapshot else standing.size
        self._published_standing = copy_of(standing)
        self._unpublished: list[Note] = []
        self._erasures: dict[int, int] = {}
        self._recent: list[Stored] = []

    @classmethod
    def from_snapshot(cls, opening: Opening, publisher: Publisher) -> _Fold:
        """Begin with the snapshot. Raises `SnapshotRefused`."""
        published = publisher.published
        snapshot = read_snapshot(opening.disk, opening.layout, opening.snapshot_key, published)
        size = snapshot.checkpoint.size
        start = min(size, edge_of(published))
        try:
            tree = publisher.tree_at(start)
        except (Corruption, VerificationError) as error:
            raise SnapshotRefused(f"the tiles that it would follow from cannot be read: {error}") from None
        return cls(opening, publisher, snapshot.standing, tree, snapshot.checkpoint.root)

    @classmethod
    def from_bundles(cls, opening: Opening, publisher: Publisher) -> _Fold:
        """Begin at record 0 and fold the published bundles up to where the journal begins. Raises `Corruption`."""
        begins = segments_of(opening.disk, opening.layout.journal)[0]
        _check_begins(begins, publisher.published)
        standing, tree = Standing(), Tree()
        while standing.size < begins:
            stored, leaves = read_bundle(opening.disk, opening.layout, standing.size // TILE_WIDTH)
            wanted = min(TILE_WIDTH, begins - standing.size)
            for raw, slot in stored[:wanted]:
                fold(standing, raw, slot, opening.keys)
            tree.append_leaf_hashes(leaves[:wanted])
            tree.forget(tree.size)
            if opening.progress is not None:
                opening.progress(standing.size, publisher.published.size)
        return cls(opening, publisher, standing, tree, b"")

    def read_journal(self) -> Recovered:
        """Fold what the journal holds, and compare it with what is published.

        Raises `Corruption`, or `SnapshotRefused` where it does not lead to the published root.
        """
        opening, published, base = self._opening, self._published, self._base
        start = self._tree.size
        begins = segments_of(opening.disk, opening.layout.journal)[0]
        _check_begins(begins, published)
        if begins > start:
            raise SnapshotRefused(f"it speaks of {start} records, and the journal begins at {begins}")
        scan = Scan(opening.disk, opening.layout.journal, published.origin, start)
        for frame in scan:
            if frame.first + len(frame.records) > start:
                records = frame.records[max(0, start - frame.first) :]
                self._take(max(start, frame.first), records)
                self._recent += frame.records[max(0, base - frame.first) :]
        if scan.end is None:
            raise Corruption("journal.missing", "The journal holds no segment.")
        _check_not_ahead(published, scan.end.next)
        if self._tree.root() != published.root:
            raise SnapshotRefused("what it speaks of does not lead to the published root")
        check_edge(opening.disk, opening.layout, published, base, self._recent, self._erasures)
        _settle(opening.disk, opening.layout, published.size, scan.end.next)
        return Recovered(
            self._standing,
            scan.end,
            base,
            self._recent,
            self._publisher,
            self._published_standing,
            self._unpublished,
            self._erasures,
            self._snapshot_size,
            self._folded,
        )

    def _take(self, first: int, records: tuple[Stored, ...]) -> None:
        """Records from index `first` on, none before the size of the tree."""
        size = self._published.size
        if first < size:
            leaves = [leaf_hash(raw) for raw, _ in records[: size - first]]
            cut = self._snapshot_size - first
            if self._snapshot_root and cut <= len(leaves):
                self._tree.append_leaf_hashes(leaves[:cut])
                if self._tree.root() != self._snapshot_root:
                    raise SnapshotRefused("its root is not the root of this log at its size")
                leaves, self._snapshot_root = leaves[cut:], b""
            self._tree.append_leaf_hashes(leaves)
            self._tree.forget(self._tree.size)
        headers: list[Header] = []
        bodies: list[bytes | None] = []
        for at, (raw, slot) in enumerate(records, start=first):
            if at < self._standing.size:
                continue
            header, body = fold(self._standing, raw, slot, self._opening.keys)
            self._folded += 1
            if at >= size:
                headers.append(header)
                bodies.append(body)
            elif at == size - 1:
                self._published_standing = copy_of(self._standing)
        self._unpublished += notes_of(headers, bodies)
        self._erasures |= erasures_in(self._standing.size - len(headers), headers)
        if self._opening.progress is not None and not self._snapshot_size:
            self._opening.progress(self._standing.size, size)


def fold(standing: Standing, raw: bytes, slot: bytes, keys: Mapping[bytes, BodyKey]) -> tuple[Header, bytes | None]:
    """Apply the next stored record to `standing`, and give its header, and its plaintext where the fold reads it.

    Raises `Corruption` for one that nobody could have sealed.
    """
    index = standing.size
    header = stored_header(index, raw)
    body: bytes | None = None
    if header.kind in BODY_KINDS and header.body is not None:
        try:
            opened = open_slot(slot, header.body, keys)
        except VerificationError as error:
            raise Corruption("log.body", f"The body of record {index} is damaged: {error}") from None
        if not isinstance(opened, bytes):
            raise Corruption(
                "log.body",
                f"The body of record {index} cannot be read, and recovery needs it.",
                "Is secrets/body.keys complete?",
            )
        body = opened
    standing.apply(header, body)
    return header, body


def _settle(disk: Disk, layout: Layout, published_size: int, size: int) -> None:
    """Make every name durable that publications from `published_size` to `size` could have made."""
    paths = {layout.checkpoint, layout.publishing, layout.rotating}
    for number in range(published_size // TILE_WIDTH, size // TILE_WIDTH + 1):
        paths.update((layout.entries(number), layout.slots(number)))
    level = 0
    while size >> 8 * level:
        for index in range(published_size >> 8 * (level + 1), (size >> 8 * (level + 1)) + 1):
            paths.add(layout.log / tile_path(level, index))
        level += 1
    folders = {parent for path in paths for parent in path.parents if parent.is_relative_to(layout.root)}
    for folder in sorted(folders):
        if disk.exists(folder):
            disk.sync_folder(folder)


def _check_begins(first: int, published: Checkpoint) -> None:
    if first > edge_of(published):
        raise Corruption(
            "journal.begins",
            f"The journal begins at record {first}, but only {published.size} records are published: what lies between"
            " is gone.",
            "Nothing was written. Put back the segments before it, or the newer checkpoint.",
        )


def _check_not_ahead(published: Checkpoint, size: int) -> None:
    if size < published.size:
        raise Corruption(
            "log.ahead",
            f"The published checkpoint speaks of {published.size} records, but the journal holds {size}: it was cut or"
            " rolled back.",
            "Nothing was written. Put back the whole journal; a log never goes on from less than it has signed.",
        )
