"""What people type for durations and indexes, and how commands print."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from affidavit.cli.main import run
from affidavit.cli.options import duration_s, index_of
from affidavit.cli.output import print_error, print_table, say
from affidavit.errors import Conflict, Corruption, Denied, InvalidInput, Unavailable


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1_800), ("2h", 7_200), ("1h30m", 5_400), ("7d", 604_800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "-2h", "2w", "1.5h", "2hh"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidInput):
        duration_s(text)


def test_indexes_may_be_typed_as_they_are_shown() -> None:
    assert index_of("48,190") == 48_190
    with pytest.raises(InvalidInput):
        index_of("-1")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("a.b", "One.", "Two."), 2),
        (Denied("a.b", "One.", "Two."), 1),
        (Conflict("a.b", "One.", "Two."), 1),
        (Unavailable("a.b", "One.", "Two."), 3),
        (Corruption("a.b", "One.", "Two."), 3),
    ],
)
def test_an_error_is_one_line_with_what_to_do(
    error: InvalidInput, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_error(error) == status
    assert capsys.readouterr() == ("", "affidavit: One. Two.\n")


def test_records_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2Jb\u202ec\x07")
    print_table(("n",), [("x\x1b]0;t\x07",)])
    print_error(InvalidInput("a.b", "line\x1b[1m\nnext"))
    out, err = capsys.readouterr()
    assert out == "a\ufffd[2Jb\ufffdc\ufffd\nn\nx\ufffd]0;t\ufffd\n"
    assert err == "affidavit: line\ufffd[1m next\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["grant", "ana"],
        ["grant", "ana", "read", "at", "clinic", "--for", "2h", "--reason", "r"],
        ["grant", "ana", "read", "on", "clinic", "--for", "soon", "--reason", "r"],
        ["settings", "set", "ana", "nothing", "--reason", "r"],
        ["settings", "set", "ana", "--reason", "r"],
        ["timeline", "--limit", "0"],
        ["timeline", "--data", "/nonexistent/folder"],
        ["apply", "/nonexistent.yaml", "--reason", "r"],
        ["show", "one"],
    ],
)
def test_wrong_input_ends_with_status_two_and_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("AFFIDAVIT_DATA", f"{tmp_path}/absent")
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), err.startswith("affidavit: ")) == ("", 1, True)


def test_output_that_nobody_reads_says_nothing_about_what_was_asked(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "affidavit.cli.main", "init", str(tmp_path / "log"), "--origin", "a.example/b"]
    done = subprocess.run(command, check=False, stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_output_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "affidavit.cli.main", "init", str(tmp_path / "log"), "--origin", "a.example/b"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert 3 == done.returncode
    assert b"affidavit: The output could not be written: No space left on device." in done.stderr
    assert 1 == done.stderr.count(b"\n")
    assert (tmp_path / "log/log/checkpoint").exists(), "what was asked was done"


def test_without_standard_files_a_command_does_its_work_and_puts_no_log_in_their_place(tmp_path: Path) -> None:
    line = f'exec "{sys.executable}" -m affidavit.cli.main init "{tmp_path}/log" --origin a.example/b 0<&- 1>&- 2>&-'
    assert 0 == subprocess.run(["sh", "-c", line], check=False, timeout=60).returncode
    assert (tmp_path / "log/log/checkpoint").exists()


def test_a_socket_that_finds_no_folder_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 == run(["init", str(tmp_path / "log"), "--origin", "a.example/b"])
    capsys.readouterr()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    assert 3 == run(["timeline", "--data", str(tmp_path / "log")])
    out, err = capsys.readouterr()
    assert ("", 1) == (out, err.count("\n"))
    assert err.startswith("affidavit: No private folder could be made for a socket: No such file or directory.")


def test_wrong_use_names_the_help_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "folder"]) == 2
    assert capsys.readouterr().err.endswith("See `affidavit verify --help`.\n")
