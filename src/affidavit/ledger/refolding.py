"""Whether the snapshot of what stands open says what folding the records anew says. For `fsck`."""

from __future__ import annotations

from collections.abc import Mapping

from affidavit.durable import Disk
from affidavit.errors import Corruption
from affidavit.ledger.layout import Layout
from affidavit.ledger.recovery import fold
from affidavit.ledger.snapshot import Snapshot, SnapshotRefused, fold_bytes, read_snapshot
from affidavit.ledger.standing import Standing
from affidavit.record.body import BodyKey
from affidavit.tlog.checkpoint import Checkpoint


class Refolding:
    """Takes the records in order, up to the size of the snapshot. `problem` then says what is wrong with it."""

    def __init__(
        self, disk: Disk, layout: Layout, key: bytes, published: Checkpoint, body_keys: Mapping[bytes, BodyKey]
    ) -> None:
        self._keys = body_keys
        self._standing = Standing()
        self._snapshot: Snapshot | None = None
        #: Why the snapshot cannot be used; empty where there is none, or none is wrong.
        self.problem = ""
        #: Whether there is a snapshot that was compared to its end.
        self.compared = False
        try:
            self._snapshot = read_snapshot(disk, layout, key, published) if disk.exists(layout.standing) else None
        except SnapshotRefused as refused:
            self.problem = f"It is not used: {refused}."

    @property
    def size(self) -> int:
        """The size of the snapshot; 0 where there is nothing to compare."""
        return 0 if self._snapshot is None else self._snapshot.checkpoint.size

    def take(self, raw: bytes | None, slot: bytes | None) -> None:
        """The next record; None for a part that is not there. Then nothing can be compared any more."""
        if self._snapshot is None:
            return
        try:
            if raw is None or slot is None:
                raise Corruption("log.header", "a record before it cannot be read")
            fold(self._standing, raw, slot, self._keys)
        except Corruption:
            self._snapshot = None
            return
        if self._standing.size == self.size:
            if fold_bytes(self._standing) != fold_bytes(self._snapshot.standing):
                self.problem = f"It does not say what the first {self.size} records say."
            self.compared = True
            self._snapshot = None
