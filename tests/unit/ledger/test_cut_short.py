"""What a publication leaves that was cut short before its checkpoint: partial files go, full ones must be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgercase import ACTOR, BOOT, ORIGIN, Batch, Case
from simaudit import SimArchive, failed
from simdisk import Crash, SimDisk

from affidavit.errors import Unavailable
from affidavit.ledger.fsck import Examination, Remedy, examine
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.repair import Repair
from affidavit.ledger.snapshot import snapshot_key
from affidavit.tlog.tiles import tile_path
from affidavit.verify.verify import verify

ROOT = Path("/data")
LAYOUT = Layout(ROOT)


@pytest.fixture
def disk() -> SimDisk:
    return SimDisk()


@pytest.fixture
def case(disk: SimDisk) -> Case:
    """A log of 300 published records, and 400 more of a publication that stopped before its checkpoint."""
    case = Case(disk, ROOT)
    case.create()
    ledger = case.recover()
    append(case, ledger, 300 - ledger.size)
    ledger.publish_now()
    append(case, ledger, 400)
    with pytest.MonkeyPatch.context() as patch:
        rename = disk.rename

        def stopping(source: Path, target: Path) -> None:
            if target == LAYOUT.checkpoint:
                raise Crash
            rename(source, target)

        patch.setattr(disk, "rename", stopping)
        with pytest.raises(Crash):
            ledger.publish_now()
    disk.kill()
    return case


def append(case: Case, ledger: Ledger, count: int) -> None:
    drafts = tuple(case.draft("log.read", actor=ACTOR) for _ in range(count))
    assert ledger.append(Batch(case.stream(), BOOT, 0, drafts)).refusal is None


def look(case: Case) -> Examination:
    assert case.secrets is not None
    secrets = case.secrets
    key = snapshot_key(secrets.digest_key)
    return examine(case.disk, LAYOUT, secrets.verifiers, secrets.body_keys_by_id, ORIGIN, key)


PARTIALS = [
    LAYOUT.entries(2, 188), LAYOUT.slots(2, 188), LAYOUT.log / tile_path(0, 2, 188), LAYOUT.log / tile_path(1, 0, 2)
]  # fmt: skip
FULL = [LAYOUT.entries(1), LAYOUT.slots(1), LAYOUT.log / tile_path(0, 1)]


def test_a_start_removes_partials_of_a_later_size_and_no_other(case: Case, disk: SimDisk) -> None:
    kept = [LAYOUT.entries(1, 44), LAYOUT.slots(1, 44), LAYOUT.log / tile_path(1, 0, 1), *FULL]
    assert all(map(disk.exists, [*PARTIALS, *kept]))
    case.recover()
    assert [] == [path for path in PARTIALS if disk.exists(path)]
    assert [] == [path for path in kept if not disk.exists(path)]


@pytest.mark.parametrize("path", PARTIALS, ids=str)
def test_a_damaged_partial_of_it_is_gone_with_the_next_start(case: Case, disk: SimDisk, path: Path) -> None:
    disk.flip(path, 20)
    case.recover().publish_now()
    assert case.secrets is not None
    assert [] == failed(verify(SimArchive(disk, ROOT), [case.secrets.verifier], {}, only="structure"))


def test_a_start_that_stops_while_it_removes_them_leaves_nothing_that_accuses(case: Case, disk: SimDisk) -> None:
    assert case.secrets is not None
    before = disk.state()
    steps = 1
    while steps:
        disk.restore(before)
        before = disk.state()
        disk.crash_at = disk.steps + steps
        try:
            case.recover()
        except Crash:
            steps += 1
        else:
            steps = 0
        disk.crash()
        verdict = verify(SimArchive(disk, ROOT), [case.secrets.verifier], {}, only="structure")
        assert [] == failed(verdict), f"stopped {steps} steps after the start began"


@pytest.mark.parametrize("path", FULL, ids=str)
def test_a_damaged_full_one_is_found_and_mended_before_the_log_stops_at_it(
    case: Case, disk: SimDisk, path: Path
) -> None:
    assert [] == look(case).faults
    disk.flip(path, 20)
    found = look(case)
    where = str(path.relative_to(ROOT))
    assert [("files.leftover", where, Remedy.CLEAN)] == [(one.code, one.where, one.remedy) for one in found.faults]
    before = disk.state()
    with pytest.raises(Unavailable, match="holds something else"):
        case.recover().publish_now()
    disk.restore(before)
    assert case.secrets is not None
    Repair(disk, LAYOUT, case.secrets.body_keys_by_id, found, "then").run()
    assert [] == look(case).faults
    case.recover().publish_now()
    assert [] == failed(verify(SimArchive(disk, ROOT), [case.secrets.verifier], {}, only="structure"))
