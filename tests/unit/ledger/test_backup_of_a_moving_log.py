"""A copy that is made while the log goes on, or the machine is about to stop: of one moment, and never ahead of the log."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from ledgercase import BOOT, ORIGIN, Batch, Case
from simaudit import SimArchive, failed
from simdisk import Crash, SimDisk

from affidavit.errors import Unavailable
from affidavit.ledger.backup import copy_all
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.rotate import FileSuccessor
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.keys import ED25519
from affidavit.verify.verdict import Verdict
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


# -- stopped, and the keys -----------------------------------------------------------------------------------------


def successor(case: Case) -> FileSuccessor:
    return FileSuccessor.make(case.disk, Layout(case.root), ORIGIN, (ED25519,), case.random.randbytes)


def not_finished(verdict: Verdict) -> bool:
    return any("this copy is not finished" in one for one in verdict.scope.not_checked)


@pytest.mark.parametrize("again", [True, False])
def test_a_copy_that_was_stopped_anywhere_accuses_nobody_and_is_finished_by_the_next_run(again: bool) -> None:
    disk = SimDisk()
    case = Case(disk, Path("/data"))
    first = case.create()
    ledger = case.recover()
    ledger.publish_now()
    if again:
        case.backup(TARGET)
    ledger.rotate(successor(case), "now", {}, {})
    ledger.append(Batch(case.stream(), BOOT, 0, tuple(case.context() for _ in range(600))))
    ledger.publish_now()
    ledger.append(Batch(case.stream(), BOOT, 0, (case.context(),)))
    before, step, said, done = disk.state(), 0, 0, False
    while not done:
        step += 2
        disk.restore(before)
        before = disk.state()
        disk.crash_at = disk.steps + step
        try:
            case.backup(TARGET)
            done = True
        except Crash:
            disk.kill()
        disk.crash_at = 0
        if not disk.exists(Layout(TARGET).copying / "checkpoint") and not disk.exists(Layout(TARGET).checkpoint):
            continue  # nothing of it is there yet
        verdict = verify(SimArchive(disk, TARGET), first.verifiers, {}, only="structure")
        assert [] == failed(verdict), f"stopped at step {step}"
        said += not_finished(verdict)
    assert (0, False, True) == (verdict.exit_status, not_finished(verdict), said > 10)
    assert not disk.exists(Layout(TARGET).copying)


def test_what_does_not_open_explains_nothing() -> None:
    """The checkpoint to come must be one of this log, by its keys, of no fewer records."""
    disk = SimDisk()
    case = Case(disk, Path("/data"))
    first = case.create()
    ledger = case.recover()
    ledger.publish_now()
    older = disk.copy(Layout(case.root).checkpoint)
    for count in (5, 7):
        ledger.append(Batch(case.stream(), BOOT, 0, tuple(case.context() for _ in range(count))))
        ledger.publish_now()
    newer = disk.copy(Layout(case.root).checkpoint)
    disk.replace(Layout(case.root).checkpoint, older)
    other = Case(SimDisk(1), Path("/data"), 9).create().signers
    for note, told in (
        (newer, False),
        (b"rubbish", True),
        (sign_checkpoint(Checkpoint(ORIGIN, 500, bytes(32)), *other), True),
        (sign_checkpoint(Checkpoint(ORIGIN, 2, bytes(32)), *first.signers), True),
    ):
        disk.replace(Layout(case.root).copying / "checkpoint", note)
        verdict = verify(SimArchive(disk, case.root), first.verifiers, {}, only="structure")
        assert told is any("files.beyond" in line for line in failed(verdict)), note
        assert 3 - 2 * told == verdict.exit_status


@pytest.mark.parametrize("when", ["between two files", "while the log is copied"])
def test_the_keys_in_a_copy_are_of_one_moment_and_fit_its_log(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    disk = SimDisk()
    case = Case(disk, Path("/data"))
    case.create()
    ledger = case.recover()
    ledger.publish_now()
    rotations = iter([successor(case), successor(case)])

    def rotate(*_: object) -> None:
        new = next(rotations, None)
        if new is not None:
            ledger.rotate(new, "now", {}, {})
            ledger.append(Batch(case.stream(), BOOT, 0, (case.context(),)))
            ledger.publish_now()

    read_private = disk.read_private

    def read(path: Path, limit: int) -> bytes | None:
        data = read_private(path, limit)
        if path.name == "log.key" and path.parent == Layout(case.root).secrets:
            monkeypatch.undo()
            rotate()
        return data

    if when == "between two files":
        monkeypatch.setattr(disk, "read_private", read)
    try:
        copy_all(case.run_of_backup(TARGET), rotate if when == "while the log is copied" else lambda *_: None)
    except Unavailable as error:
        assert ("backup.rotating", "while the log is copied") == (error.code, when)
        copy_all(case.run_of_backup(TARGET), lambda *_: None)
    disk.kill()
    copied = Case(disk, TARGET)
    copied.secrets = Secrets.load(disk, Layout(TARGET).secrets)
    assert ledger.verifiers == copied.secrets.verifiers == copied.recover().verifiers
