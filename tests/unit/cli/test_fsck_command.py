"""`affidavit fsck` on a real log: whole, while a writer holds it, altered, and cleaned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affidavit.cli.main import run
from affidavit.durable import OsDisk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert 0 == run(["init", str(tmp_path / "data"), "--origin", "log.example/clinic"])
    return tmp_path / "data"


def test_a_whole_log_while_a_writer_holds_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = OsDisk().lock(folder / "lock")
    capsys.readouterr()
    assert 0 == run(["fsck", "--data", str(folder)])
    assert "Everything is as it was written." in capsys.readouterr().out
    assert 3 == run(["fsck", "--data", str(folder), "--clean"])
    assert "Another writer holds this log" in capsys.readouterr().err
    lock.release()


def test_an_altered_file_is_named_with_what_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "log/tile/0/000.p/4").write_bytes(bytes(128))
    capsys.readouterr()
    assert 1 == run(["fsck", "--data", str(folder), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (False, 1, 4) == (said["whole"], said["exit_status"], said["size"])
    (fault,) = said["faults"]
    assert ("bundle.tile", "log/tile/0/000.p/4", 0, "rewrite") == (
        fault["code"],
        fault["where"],
        fault["index"],
        fault["remedy"],
    )
    assert "affidavit recover" in fault["hint"]


def test_what_is_left_over_is_removed_when_asked_and_nothing_else(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half, stray = folder / "unfinished/log/0", folder / "log/notes.txt"
    half.write_bytes(b"half")
    stray.write_text("?")
    capsys.readouterr()
    assert 1 == run(["fsck", "--data", str(folder), "--clean"])
    said = capsys.readouterr().out
    assert "Removed unfinished/log/0." in said
    assert "log/notes.txt: No log has a file of this name." in said
    assert (False, True) == (half.exists(), stray.exists())


def test_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run(["fsck", "--data", str(tmp_path)])
    assert "holds no log" in capsys.readouterr().err
