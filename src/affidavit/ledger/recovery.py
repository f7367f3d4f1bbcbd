"""Recovery: what a log says of itself when it is opened, or why it must not be written to.

Nothing is changed here but, at the end, a torn write that was never acknowledged. In order:

 1. the published checkpoint verifies under the log's own key, and the published tiles lead to its root;
 2. the journal is read whole: no damage before its last frame;
 3. the journal holds at least the published records, and they lead to the published root. A checkpoint that is ahead
    means that the journal was rolled back; one that disagrees, that history was changed. The writer never signs a
    second history: it refuses;
 4. the newest published bundles hold what the journal holds;
 5. everything in between is folded into `Standing`, by the very code that sealed it;
 6. the names that a publication may have left are synced: a process that was killed leaves what can be read and is not
    durable, and the next checkpoint will stand on it.

The journal holds every record from the first on; this slice reads all of it at each start, about 10 µs a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from affidavit.durable import Disk
from affidavit.errors import Corruption, VerificationError
from affidavit.ledger.journal import End, Scan
from affidavit.ledger.layout import Layout
from affidavit.ledger.publisher import Publisher, check_edge
from affidavit.ledger.signer import Signer
from affidavit.ledger.standing import BODY_KINDS, Standing
from affidavit.limits import TILE_WIDTH
from affidavit.record.body import BodyKey, open_slot
from affidavit.record.frame import Stored
from affidavit.record.header import Header
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.tiles import tile_path

_headers = msgspec.json.Decoder(Header)


@dataclass
class Recovered:
    """A log as it was found: `recent` are the records from `base` on, those that the publisher still needs."""

    standing: Standing
    end: End
    base: int
    recent: list[Stored]
    publisher: Publisher


def recover(disk: Disk, layout: Layout, signer: Signer, keys: Mapping[bytes, BodyKey]) -> Recovered:
    """Read the log. Raises `Corruption`, and then nothing was changed."""
    publisher = Publisher.resume(disk, layout, signer)
    published = publisher.published
    base = (published.size - 1) // TILE_WIDTH * TILE_WIDTH
    standing, recent = Standing(), list[Stored]()
    prefix = Tree()
    scan = Scan(disk, layout.journal, signer.verifier.name)
    for frame in scan:
        if prefix.size < published.size:
            prefix.append_leaf_hashes([leaf_hash(raw) for raw, _ in frame.records[: published.size - prefix.size]])
            prefix.forget(prefix.size)
        for raw, slot in frame.records:
            fold(standing, raw, slot, keys)
        recent += frame.records[max(0, base - frame.first) :]
    if scan.end is None:
        raise Corruption("journal.missing", "The journal holds no segment.")
    _check_not_ahead(published, standing.size, prefix)
    check_edge(disk, layout, published, base, recent)
    _settle(disk, layout, published.size, standing.size)
    return Recovered(standing, scan.end, base, recent, publisher)


def fold(standing: Standing, raw: bytes, slot: bytes, keys: Mapping[bytes, BodyKey]) -> None:
    """Apply the next stored record to `standing`. Raises `Corruption` for one that nobody could have sealed."""
    index = standing.size
    try:
        header = _headers.decode(raw)
    except msgspec.DecodeError as error:
        raise Corruption("log.header", f"The header of record {index} cannot be read: {error}") from None
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


def _check_not_ahead(published: Checkpoint, size: int, prefix: Tree) -> None:
    if size < published.size:
        raise Corruption(
            "log.ahead",
            f"The published checkpoint speaks of {published.size} records, but the journal holds {size}: it was cut or"
            " rolled back.",
            "Nothing was written. Put back the whole journal; a log never goes on from less than it has signed.",
        )
    if prefix.root() != published.root:
        raise Corruption(
            "log.fork",
            f"The first {published.size} records of the journal do not lead to the root of the published checkpoint.",
            "Nothing was written. The journal or the checkpoint was replaced: compare both with a copy.",
        )
