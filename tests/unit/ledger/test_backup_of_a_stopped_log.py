"""A copy that was made while the machine was about to stop: it is never ahead of the log that comes back."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from ledgercase import BOOT, Batch, Case
from simdisk import Crash, SimDisk

from affidavit.ledger.layout import Layout

TARGET = Path("/copy")


@pytest.mark.parametrize("seed", range(4))
def test_a_checkpoint_that_was_copied_is_not_taken_back_by_a_stop(seed: int) -> None:
    """The copy is made between the checkpoint's rename and the sync of its folder; then the machine stops."""
    disk = SimDisk(seed)
    case = Case(disk, Path("/data"))
    case.create()
    ledger = case.recover()
    ledger.publish_now()
    ledger.append(Batch(case.stream(), BOOT, 0, (case.context(),)))
    sizes: list[int] = []

    def shown(path: Path) -> None:
        if path == Layout(case.root).checkpoint:
            disk.shown = lambda _: None
            sizes.append(case.backup(TARGET).size)
            disk.stop()

    disk.shown = shown
    with suppress(Crash):
        ledger.publish_now()
    disk.crash()
    again = case.backup(TARGET)
    assert ([again.size], 0) == (sizes, again.added)
