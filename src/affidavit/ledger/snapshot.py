"""`DIR/standing`: what stood open in a log at one published size, so that a start need not read what lies before.

    "affidavit standing 1\n" [21] ‖ HMAC-SHA256 of the rest under a key made from `digest.key` [32] ‖ JSON

The JSON names the origin, the size and the root of the tree at that size, and holds the fold (`Standing`). Nothing
rests on it: it may be deleted, and whatever is wrong with it only makes the next start fold the log anew. It is
believed where all of these hold, and then it says what folding would say:

 1. the code under the key holds: this log's writer wrote it, whole. Whoever can forge it holds the log's secrets;
 2. its origin is the log's, and its size is at most the published one;
 3. its root is that of the tree whose further growth, by the records in the journal, leads to the signed root (that is
    for `recovery` to check): it is about this history.

An older one of the same log is as good as the newest: more of the journal, or of the bundles, is folded on top of it.
"""

from __future__ import annotations

import hmac
from collections import deque
from dataclasses import dataclass

import msgspec

from affidavit import canonical
from affidavit.durable import PRIVATE, Disk, write_whole
from affidavit.errors import AffidavitError
from affidavit.ledger.layout import Layout
from affidavit.ledger.standing import Session, Standing, Stream
from affidavit.limits import CONTEXTS_KEPT_MAX, SNAPSHOT_BYTES_MAX
from affidavit.tlog.checkpoint import Checkpoint

_MAGIC = b"affidavit standing 1\n"
_LABEL = b"affidavit standing"
_MAC_BYTES = 32


class _Fold(msgspec.Struct):
    """The fields of `Standing`. Sets are sorted, dicts keep their order as lists."""

    state: int
    last_at: str
    last_kind: str
    streams: list[tuple[str, int]]
    ended: list[str]
    sessions: list[tuple[int, str, str, str, list[int]]]
    contexts: list[tuple[str, str, list[int]]]
    clocks: dict[str, int]
    anchor: int | None


class _Content(msgspec.Struct):
    origin: str
    size: int
    root: str
    fold: _Fold


@dataclass(frozen=True)
class Snapshot:
    """What stood open at `checkpoint`, which was published then."""

    checkpoint: Checkpoint
    standing: Standing


class SnapshotRefused(Exception):
    """Why a snapshot is not used. Never leaves the room: the fold is made anew."""


def snapshot_key(digest_key: bytes) -> bytes:
    """The key that snapshots are authenticated with."""
    return hmac.digest(digest_key, _LABEL, "sha256")


def fold_bytes(standing: Standing) -> bytes:
    """The fold as bytes: equal for two `Standing` that say the same."""
    return msgspec.json.encode(_export(standing))


def copy_of(standing: Standing) -> Standing:
    """Another one that says the same and goes its own way."""
    return _restore(standing.size, msgspec.json.decode(fold_bytes(standing), type=_Fold))


def write_snapshot(disk: Disk, layout: Layout, key: bytes, checkpoint: Checkpoint, standing: Standing) -> None:
    """Write `DIR/standing`, durably. `standing` is the fold of exactly the records under `checkpoint`."""
    content = _Content(checkpoint.origin, checkpoint.size, checkpoint.root.hex(), _export(standing))
    data = msgspec.json.encode(content)
    sealed = b"".join((_MAGIC, hmac.digest(key, data, "sha256"), data))
    write_whole(disk, layout.snapshotting, [(layout.standing, sealed)], PRIVATE)


def read_snapshot(disk: Disk, layout: Layout, key: bytes, published: Checkpoint) -> Snapshot:
    """The snapshot, checked as far as it and the published checkpoint tell (1 and 2). Raises `SnapshotRefused`."""
    try:
        data = disk.read(layout.standing, SNAPSHOT_BYTES_MAX)
    except AffidavitError as error:
        raise SnapshotRefused(error.message) from None
    if data is None:
        raise SnapshotRefused("there is none")
    start = len(_MAGIC) + _MAC_BYTES
    if not data.startswith(_MAGIC) or not hmac.compare_digest(
        data[len(_MAGIC) : start], hmac.digest(key, data[start:], "sha256")
    ):
        raise SnapshotRefused("it is damaged, or was not written with this log's secrets")
    try:
        content = msgspec.json.decode(data[start:], type=_Content)
        root = bytes.fromhex(content.root)
    except (*canonical.UNREADABLE, ValueError) as error:
        raise SnapshotRefused(f"it is of another form: {error}") from None
    if content.origin != published.origin:
        raise SnapshotRefused(f"it belongs to the log {content.origin}")
    if content.size > published.size:
        raise SnapshotRefused(f"it speaks of {content.size} records, the checkpoint of {published.size}")
    standing = _restore(content.size, content.fold)
    return Snapshot(Checkpoint(content.origin, content.size, root), standing)


def _export(standing: Standing) -> _Fold:
    return _Fold(
        standing.state,
        standing.last_at,
        standing.last_kind,
        [(name, stream.next) for name, stream in standing.streams.items()],
        sorted(standing.ended),
        [
            (index, session.actor, session.system, session.stream, sorted(session.intents))
            for index, session in standing.sessions.items()
        ],
        [(actor, system, list(known)) for (actor, system), known in standing.contexts.items()],
        standing.clocks,
        standing.anchor,
    )


def _restore(size: int, fold: _Fold) -> Standing:
    standing = Standing()
    standing.size = size
    standing.state, standing.last_at, standing.last_kind = fold.state, fold.last_at, fold.last_kind
    standing.streams = {name: Stream(number) for name, number in fold.streams}
    standing.ended = set(fold.ended)
    for index, actor, system, stream, intents in fold.sessions:
        standing.sessions[index] = Session(actor, system, stream, set(intents))
        standing.streams[stream].sessions.add(index)
    for actor, system, known in fold.contexts:
        standing.contexts[actor, system] = deque(known, maxlen=CONTEXTS_KEPT_MAX)
    standing.clocks = dict(fold.clocks)
    standing.anchor = fold.anchor
    return standing
