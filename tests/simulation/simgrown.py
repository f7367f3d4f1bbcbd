"""A log that has grown: worlds that begin with so many records that the tree has a third level of tiles.

It is made once a process, by the ledger itself in large batches; each world that begins with it gets a copy of the disk. For
long runs: every life of such a world reads and hashes as much as a hundred of the others.
"""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

from ledgercase import ACTOR, BOOT, Batch, Case
from simdisk import SimDisk

from affidavit.ledger.keys import Secrets

#: A full tile of level 1, and a little of the next.
RECORDS = 65_536 + 300
_BATCH = 1_000


class Grown:
    """The disk with that log on it, closed in order."""

    def __init__(self, root: Path) -> None:
        disk = SimDisk()
        case = Case(disk, root)
        case.create()
        ledger = case.recover()
        stream, first = case.stream(), 0
        while ledger.size < RECORDS:
            count = min(_BATCH, RECORDS - ledger.size)
            drafts = tuple(case.draft("log.read", actor=ACTOR) for _ in range(count))
            assert ledger.append(Batch(stream, BOOT, first, drafts)).refusal is None
            first += count
            if first % (20 * _BATCH) == 0:
                ledger.publish_now()
        ledger.close("It has grown.")
        disk.kill()
        self._state = disk.state()
        self._wall_ns = case.clock.wall_ns
        self._secrets = root / "secrets"

    def put(self, case: Case) -> Secrets:
        """The log of `case` is this one from now on."""
        assert isinstance(case.disk, SimDisk)
        case.disk.restore(copy.deepcopy(self._state))
        case.clock.wall_ns = self._wall_ns
        case.secrets = Secrets.load(case.disk, self._secrets)
        return case.secrets


@cache
def grown(root: Path) -> Grown:
    """Made when it is first asked for."""
    return Grown(root)
