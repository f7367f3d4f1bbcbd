"""Keeps `DIR/standing` up to date: a second fold that follows what is published, and is written now and then.

The sequencer's own fold is ahead of what is published, and must not wait for a disk. So the writer leaves notes here
with each group (a list append), and the publisher, once a checkpoint is durable, takes the notes up to its size and
writes the snapshot where one is due: after `SNAPSHOT_RECORDS` records, when the journal has begun a new segment, and at
the end. What is written is the fold of exactly the published records, as recovery would make it.
"""

from __future__ import annotations

import logging
from collections import deque

from affidavit.durable import Disk
from affidavit.errors import Unavailable
from affidavit.ledger.layout import Layout
from affidavit.ledger.snapshot import write_snapshot
from affidavit.ledger.standing import Note, Standing
from affidavit.limits import SNAPSHOT_RECORDS
from affidavit.tlog.checkpoint import Checkpoint

_log = logging.getLogger(__name__)


class Keeper:
    """Follows one log. `note` is for the writer's thread, the rest for the publisher's."""

    def __init__(self, disk: Disk, layout: Layout, key: bytes, standing: Standing, written_size: int) -> None:
        """`standing` is the fold of what is published, and is owned from here on; the snapshot on disk is of the size
        `written_size`, 0 for none."""
        self._disk = disk
        self._layout = layout
        self._key = key
        self._standing = standing
        self._notes: deque[tuple[int, list[Note]]] = deque()
        self._segment = -1
        #: The size of the snapshot on disk, 0 for none.
        self.written_size = written_size

    def note(self, size: int, notes: list[Note]) -> None:
        """Records up to `size` became durable; `notes` are what the fold needs of them."""
        self._notes.append((size, notes))

    def published(self, checkpoint: Checkpoint, segment: int, last: bool) -> None:
        """`checkpoint` is durable, and the journal writes the segment that begins at `segment`. `last`: the end."""
        standing = self._standing
        while self._notes and self._notes[0][0] <= checkpoint.size:
            for note in self._notes.popleft()[1]:
                standing.take(note)
        due = checkpoint.size - self.written_size >= SNAPSHOT_RECORDS or segment != self._segment
        if standing.size != checkpoint.size or checkpoint.size == self.written_size or not (due or last):
            return
        try:
            write_snapshot(self._disk, self._layout, self._key, checkpoint, standing)
        except Unavailable as error:
            # Only the next start would be slower. If the disk fails for good, the journal will say so.
            _log.warning("the snapshot of what stands open could not be written: %s", error)
            return
        self.written_size, self._segment = checkpoint.size, segment
