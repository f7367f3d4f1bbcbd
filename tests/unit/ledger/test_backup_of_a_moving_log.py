"""A copy that is made while the log goes on, or the machine is about to stop: of one moment, and never ahead of the log."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from ledgercase import BOOT, ORIGIN, Batch, Case
from simaudit import SimArchive, failed
from simdisk import Crash, SimDisk

from affidavit.ledger.layout import Layout
from affidavit.ledger.rotate import FileSuccessor
from affidavit.tlog.keys import ED25519
from affidavit.verify.verify import verify

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


def test_what_the_log_keeps_and_signs_while_it_is_copied_is_left_for_the_next_copy() -> None:
    """Checkpoints that are kept meanwhile, and keys, are ahead of the checkpoint that was copied."""
    disk = SimDisk()
    case = Case(disk, Path("/data"))
    first = case.create()
    ledger = case.recover()
    ledger.publish_now()

    def grow(*_: object) -> None:
        case.clock.advance(7_200 * 10**9)
        ledger.append(Batch(case.stream(), BOOT, 0, (case.context(),)))
        ledger.publish_now()
        new = FileSuccessor.make(disk, Layout(case.root), ORIGIN, (ED25519,), case.random.randbytes)
        ledger.rotate(new, "now", {}, {})
        ledger.publish_now()

    for progress in (grow, grow, lambda *_: None):
        case.backup(TARGET, progress)
        verdict = verify(SimArchive(disk, TARGET), first.verifiers, {}, only="structure")
        assert [] == failed(verdict)
    assert disk.names(Layout(case.root).kept) == disk.names(Layout(TARGET).kept)
    assert disk.names(case.root / "log/key") == disk.names(TARGET / "log/key")


def test_a_partial_tile_that_is_over_while_the_log_is_copied_is_read_from_the_full_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The publisher removes it as soon as the full one is there, which may be after the checkpoint was read."""
    disk = SimDisk()
    case = Case(disk, Path("/data"))
    case.create()
    ledger = case.recover()
    ledger.publish_now()
    case.backup(TARGET)
    ledger.append(Batch(case.stream(), BOOT, 0, (case.context(),)))
    size = ledger.publish_now().size
    sync_folder = disk.sync_folder

    def grow_once(path: Path) -> None:
        sync_folder(path)
        if path == Layout(case.root).log:
            monkeypatch.undo()
            ledger.append(Batch(case.stream(), BOOT, 0, tuple(case.context() for _ in range(300))))
            ledger.publish_now()

    monkeypatch.setattr(disk, "sync_folder", grow_once)
    assert (size, 1) == ((copied := case.backup(TARGET)).size, copied.added)


def test_new_keys_while_the_log_is_opened_for_copying_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key chain is read before the checkpoint; between the two the key is rotated, and the new one signs."""
    disk = SimDisk()
    case = Case(disk, Path("/data"))
    case.create()
    ledger = case.recover()
    ledger.publish_now()
    read, layout, seen = disk.read, Layout(case.root), []

    def rotate_before_the_second(path: Path, limit: int) -> bytes | None:
        seen.append(path)
        if path == layout.checkpoint and seen.count(path) == 2:
            monkeypatch.undo()
            ledger.rotate(FileSuccessor.make(disk, layout, ORIGIN, (ED25519,), case.random.randbytes), "now", {}, {})
            ledger.publish_now()
        return read(path, limit)

    monkeypatch.setattr(disk, "read", rotate_before_the_second)
    assert case.backup(TARGET).size < ledger.published.size
