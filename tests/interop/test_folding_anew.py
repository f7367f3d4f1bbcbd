"""`affidavit up` on a log whose snapshot is gone: standard error says how far the folding is, as lines or as a bar."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
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
    assert "runs" in server.stdout.readline()
    server.send_signal(signal.SIGTERM)
    return server


def ended(server: subprocess.Popen[str]) -> int:
    status = server.wait(DEADLINE_S)
    assert server.stdout is not None
    server.stdout.close()
    return status


def test_without_a_terminal_it_is_lines(tmp_path: Path) -> None:
    site = made(tmp_path)
    size = site.run("status", "--json", expect=(0, 2)) and site.records("")[-1]["index"] + 1
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


def test_on_a_terminal_it_is_a_bar_that_goes_away(tmp_path: Path) -> None:
    site = made(tmp_path)
    ours, theirs = pty.openpty()
    server = run_up(site, theirs)
    os.close(theirs)
    shown, deadline = b"", time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert 0 == ended(server)
    text = shown.decode()
    assert "The log is folded anew" in text and "\N{BOX DRAWINGS HEAVY HORIZONTAL}" in text
    assert "\x1b[2K" in text  # and it is taken away
