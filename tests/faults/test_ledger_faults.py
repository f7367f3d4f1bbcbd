"""The short form of faults in a real process, and that it can fail. `make faults` runs the long one; docs/TESTING.md says what it does.

`AFFIDAVIT_SEED` chooses other calls and moments.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from injection import NO_STRACE, Life, Log, Result, Unsupported, campaign, main, whole_lines
from ledgercase import ORIGIN

from affidavit.durable import AppendFile, OsDisk
from affidavit.errors import Unavailable
from affidavit.ledger.journal import Journal

SEED = int(os.environ.get("AFFIDAVIT_SEED", "2026"))
SECONDS = 20.0


def test_what_was_acknowledged_survives_a_fault_of_any_call() -> None:
    try:
        result = campaign(SEED, SECONDS)
    except Unsupported as error:
        pytest.skip(str(error))
    print(result.last_line())
    assert [] == result.violations
    assert sum(result.injected.values()), "nothing was injected: this run showed nothing"


def test_a_lost_record_and_an_acknowledgement_after_a_refusal_are_told(tmp_path: Path) -> None:
    log, result = Log(tmp_path / "data"), Result(SEED)
    assert [] == log._recover(result)
    log.acknowledged[10_000] = "a record that is not there"
    assert ["lost of 1 acknowledged: [10000], 1 in all"] == log._recover(result)
    said = [["!", "unavailable", "the disk"], ["=", "7", "late"]]
    assert ["a record was acknowledged after one was refused"] == log._ending(
        Life(said, 0, False, [], ""), False, result
    )
    line = f"9 fdatasync(7<{log.root}/journal/{0:020}.segment>) = -1 EIO (Input/output error) (INJECTED)"
    assert ["it went on after an error of what it stands on"] == log._ending(
        Life([["=", "7", "on"], ["end"]], 0, False, [line], ""), False, result
    )


def test_a_call_that_strace_broke_off_keeps_its_path() -> None:
    trace = (
        "7  fsync(3</a/b> <unfinished ...>\n8  read(4</c>, 5) = 5\n7  <... fsync resumed>) = -1 EIO (x) (INJECTED)\n"
    )
    assert ["8  read(4</c>, 5) = 5", "7  fsync(3</a/b> ) = -1 EIO (x) (INJECTED)"] == whole_lines(trace)


def test_a_lock_that_cannot_be_written_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by `make faults`: a bare `OSError`, and the lock was held on by a descriptor that nobody closed."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(Unavailable, match="No space left"):
            OsDisk().lock(tmp_path / "lock")
    OsDisk().lock(tmp_path / "lock").release()


def test_an_opened_file_that_cannot_be_looked_at_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by `make faults`: a bare `OSError`, and a descriptor that nobody closed."""
    (tmp_path / "file").touch()
    before = os.listdir("/proc/self/fd")

    def broken(*_: object) -> os.stat_result:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", broken)
        with pytest.raises(Unavailable, match="Input/output error"):
            OsDisk().open_append(tmp_path / "file")
    assert before == os.listdir("/proc/self/fd")


def test_a_segment_that_cannot_be_opened_leaves_a_journal_that_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by `make faults`: the old segment's descriptor was closed a second time, and the log's lock was kept."""
    (tmp_path / "unfinished").mkdir()
    journal = Journal.create(OsDisk(), tmp_path / "journal", tmp_path / "unfinished", ORIGIN)

    def refuse(*_: object) -> AppendFile:
        raise Unavailable("disk.open", "Could not open it.")

    monkeypatch.setattr("affidavit.ledger.journal.SEGMENT_BYTES", 1)
    monkeypatch.setattr(OsDisk, "open_append", refuse)
    with pytest.raises(Unavailable, match="Could not open it"):
        journal.append(0, [(b"header", b"slot")])
    journal.close()


def test_without_strace_it_says_so_and_a_run_that_did_nothing_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("injection.campaign", lambda *_: Result(SEED))
    assert 1 == main(["--seconds", "1"])
    assert "0 injections (none)" in capsys.readouterr().out.splitlines()[-1]

    def unsupported(*_: object) -> Result:
        raise Unsupported("strace is not installed")

    monkeypatch.setattr("injection.campaign", unsupported)
    assert NO_STRACE == main(["--seconds", "1"])
    assert "strace is not installed" in capsys.readouterr().out
