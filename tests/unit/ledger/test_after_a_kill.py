"""A process that was killed, or failed, leaves what can be read and is not durable: nothing may stand on it as it is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from ledgercase import BOOT, ORIGIN, Batch, Case
from simdisk import Crash, SimDisk

from affidavit.errors import Unavailable
from affidavit.ledger import journal
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.limits import TILE_WIDTH
from affidavit.tlog.tiles import tile_path

ROOT = Path("/data")
LAYOUT = Layout(ROOT)


class Unlucky(random.Random):
    """At a crash, everything that was not synced is lost; a write that fails has happened, and a sync has not."""

    def random(self) -> float:
        return 0.9

    def choice(self, seq):  # type: ignore[no-untyped-def]
        return seq[-1]


def work(case: Case, ledger: Ledger, count: int) -> dict[int, str]:
    """Append, and give what was acknowledged."""
    drafts = tuple(case.draft("log.read", actor="u-0123456789abcdef") for _ in range(count))
    answer = ledger.append(Batch(case.stream(), BOOT, 0, drafts))
    return {receipt.index: receipt.id for receipt in answer.receipts}


def stopped(case: Case, disk: SimDisk, how: str, step: int) -> tuple[bool, dict[int, str]]:
    """A life that is killed, or meets an error, at its step of this number (False: it had none); what it promised."""
    promised: dict[int, str] = {}
    at = disk.steps + step
    disk.crash_at, disk.fail_at = (at, 0) if how == "killed" else (0, at)
    try:
        ledger = case.recover()
        for count in (250, 3):
            promised |= work(case, ledger, count)
            ledger.publish_now()
    except (Crash, Unavailable):
        pass
    met = disk.steps >= at
    disk.kill()
    return met, promised


@pytest.mark.parametrize("how", ["killed", "failed"])
def test_what_a_stopped_process_left_is_durable_before_anything_stands_on_it(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop a process at each step; a second one goes on from what it reads; then the machine loses all it may lose."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 20_000)
    monkeypatch.setattr(journal, "PREALLOCATE_BYTES", 4_096)
    met, step = True, 0
    while met:
        step += 1
        disk = SimDisk()
        disk.chance = Unlucky()
        case = Case(disk, ROOT)
        case.create()
        met, promised = stopped(case, disk, how, step)
        ledger = case.recover()
        promised |= work(case, ledger, 3)
        size = ledger.publish_now().size
        disk.crash()
        for number in range(size // TILE_WIDTH):
            for path in (LAYOUT.entries(number), LAYOUT.slots(number), LAYOUT.log / tile_path(0, number)):
                assert disk.exists(path), f"stopped at step {step}, {path} is gone"
        again = case.recover()
        reader = again.reader()
        kept = {index: reader.record(index).header.id for index in promised if index < again.size}
        assert promised == kept, f"stopped at step {step}, promises are broken"
        assert ORIGIN == again.published.origin
    assert step > 100
