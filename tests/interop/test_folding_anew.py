"""`affidavit up` on a log whose snapshot is gone: standard error says how far the folding is, as lines or as a bar."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import threading
from pathlib import Path

from affidavit.cli.demo.site import COMMAND, Site

DEADLINE_S = 60


def made(folder: Path) -> Site:
    """A log that is stopped in order, without its snapshot."""
    site = Site(folder / "data")
    site.run("init", str(site.folder), "--origin", "long.example/log", "--handle", "root")
    (folder / "ana.yaml").write_text("identity/ana: {kind: human}\n")
    site.run("apply", str(folder / "ana.yaml"), "--reason", "a record", "--yes")
    (site.folder / "standing").unlink(missing_ok=True)
    return site


def run_up(site: Site, errors: int) -> subprocess.Popen[str]:
    """The server, once it has said that it runs; it is told to stop."""
    server = subprocess.Popen(
        [*COMMAND, "up"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
        env={**os.environ, "AFFIDAVIT_DATA": str(site.folder), "COLUMNS": "100", "TERM": "xterm"},
    )  # fmt: skip
    assert server.stdout is not None
    first = server.stdout.readline()
    if "runs" not in first:
        told = (site.folder.parent / "errors").read_text()
        raise AssertionError(f"it said {first!r}, ended with {server.wait(DEADLINE_S)}, and said of that: {told!r}")
    server.send_signal(signal.SIGTERM)
    return server


def ended(server: subprocess.Popen[str]) -> int:
    status = server.wait(DEADLINE_S)
    assert server.stdout is not None
    server.stdout.close()
    return status


def test_without_a_terminal_it_is_lines(tmp_path: Path) -> None:
    site = made(tmp_path)
    size = site.records("")[-1]["index"] + 1
    with (tmp_path / "errors").open("w") as errors:
        assert 0 == ended(run_up(site, errors.fileno()))
    said = [
        line for line in (tmp_path / "errors").read_text().splitlines() if "folded anew" in line and "WARN" not in line
    ]
    assert re.fullmatch(rf"The log is folded anew: [\d,]+ of {size} records\.", said[0])
    assert re.fullmatch(rf"The log is folded anew: all {size} records, in [\d.]+ s\.", said[-1])
    with (tmp_path / "errors").open("w") as errors:
        assert 0 == ended(run_up(site, errors.fileno()))  # with a snapshot again there is nothing to say
    assert "folded anew" not in (tmp_path / "errors").read_text()


def test_told_to_stop_while_it_opens_the_log_it_stops_in_order(tmp_path: Path) -> None:
    site = made(tmp_path)
    holder = site.folder / "lock"
    holder.write_text("")
    with (tmp_path / "errors").open("w") as errors:
        server = subprocess.Popen(
            [*COMMAND, "up"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
            env={**os.environ, "AFFIDAVIT_DATA": str(site.folder)},
        )  # fmt: skip
        while holder.read_text() != f"{server.pid}\n":  # it holds the log
            assert server.poll() is None, (tmp_path / "errors").read_text()
        server.send_signal(signal.SIGTERM)
        assert 0 == ended(server), (tmp_path / "errors").read_text()
    assert ["log.close"] == [record["header"]["kind"] for record in site.records("")[-1:]]


def test_on_a_terminal_it_is_a_bar_that_goes_away(tmp_path: Path) -> None:
    site = made(tmp_path)
    (tmp_path / "errors").touch()
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(ours, 65_536):
                shown.append(part)

    reading = threading.Thread(target=read)
    reading.start()
    server = run_up(site, theirs)
    os.close(theirs)
    assert 0 == ended(server)
    reading.join(DEADLINE_S)
    os.close(ours)
    text = b"".join(shown).decode()
    assert "The log is folded anew" in text and "\N{BOX DRAWINGS HEAVY HORIZONTAL}" in text
    assert "\x1b[2K" in text  # and it is taken away
