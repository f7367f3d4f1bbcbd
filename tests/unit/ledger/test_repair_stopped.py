"""A repair of the journal that stops wherever it may: the next one ends it, and the log goes on with all it held."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgercase import ACTOR, BOOT, ORIGIN, Batch, Case
from simaudit import SimArchive, failed
from simdisk import Crash, SimDisk

from affidavit.ledger import journal
from affidavit.ledger.fsck import Examination, examine
from affidavit.ledger.layout import Layout
from affidavit.ledger.repair import Repair
from affidavit.ledger.snapshot import snapshot_key
from affidavit.record.frame import segment_name
from affidavit.verify.verify import verify

ROOT = Path("/data")
LAYOUT = Layout(ROOT)


def segment(first: int) -> Path:
    return LAYOUT.journal / segment_name(first)


@pytest.fixture
def disk() -> SimDisk:
    return SimDisk()


@pytest.fixture
def case(disk: SimDisk, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A published log of 44 records in many short segments: what a repair writes anew is longer than they are."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 2_000)
    monkeypatch.setattr(journal, "PREALLOCATE_BYTES", 2_000)
    case = Case(disk, ROOT)
    case.create()
    ledger = case.recover()
    for _ in range(8):
        drafts = tuple(case.draft("log.read", actor=ACTOR) for _ in range(5))
        assert ledger.append(Batch(case.stream(), BOOT, 0, drafts)).refusal is None
    ledger.publish_now()
    disk.crash()
    return case


def look(case: Case) -> Examination:
    assert case.secrets is not None
    secrets = case.secrets
    key = snapshot_key(secrets.digest_key)
    return examine(case.disk, LAYOUT, secrets.verifiers, secrets.body_keys_by_id, ORIGIN, key)


def mend(case: Case, found: Examination) -> None:
    assert case.secrets is not None
    Repair(case.disk, LAYOUT, case.secrets.body_keys_by_id, found, "then").run()


def test_a_repair_that_stops_anywhere_is_ended_by_the_next(case: Case, disk: SimDisk) -> None:
    assert case.secrets is not None
    firsts = journal.segments_of(disk, LAYOUT.journal)
    assert len(firsts) > 4
    disk.flip(segment(firsts[1]), 300)
    found, before, steps = look(case), disk.state(), 1
    assert ["journal.damage"] == sorted({one.code for one in found.faults})
    while steps:
        disk.restore(before)
        before = disk.state()
        disk.crash_at = disk.steps + steps
        try:
            mend(case, found)
        except Crash:
            steps += 1
        else:
            steps = 0
        disk.crash()
        where = f"stopped {steps - 1} steps after it began"
        mend(case, look(case))
        assert [] == look(case).faults, where
        case.recover().publish_now()
        assert [] == failed(verify(SimArchive(disk, ROOT), [case.secrets.verifier], {}, only="structure")), where
        disk.crash()


def test_segments_that_hold_what_others_hold_already_go(case: Case, disk: SimDisk) -> None:
    """As where only the first of the new segments had its name: it reaches over old ones that still lie there."""
    firsts = journal.segments_of(disk, LAYOUT.journal)
    disk.flip(segment(firsts[1]), 300)
    old = {first: disk.copy(segment(first)) for first in firsts[2:]}
    mend(case, look(case))
    assert journal.segments_of(disk, LAYOUT.journal) == firsts[:2]
    disk.write_synced([(segment(first), data) for first, data in old.items()], 0o600)
    disk.sync_folder(LAYOUT.journal)
    mend(case, look(case))
    assert [] == look(case).faults
    assert journal.segments_of(disk, LAYOUT.journal) == firsts[:2]
    case.recover().publish_now()
