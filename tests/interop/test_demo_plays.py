"""The demo, whole: it plays, verifies, finds its own thief, keeps running when asked, and leaves no server behind."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from affidavit.cli.demo.site import COMMAND
from affidavit.cli.main import run
from affidavit.tlog.checkpoint import Checkpoint

PLAY_TIMEOUT_S = 120  # three times what it takes on two busy cores


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="affidavit-play-"))
    yield path
    shutil.rmtree(path)


def _until(process: subprocess.Popen[bytes], output: Path, text: str) -> str:
    deadline = time.monotonic() + PLAY_TIMEOUT_S
    while time.monotonic() < deadline:
        said = output.read_text(encoding="utf-8")
        if text in said or process.poll() is not None:
            return said
        time.sleep(0.2)
    return output.read_text(encoding="utf-8")


def _asked(data: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [*COMMAND, *arguments, "--data", str(data), "--json"], check=True, capture_output=True, timeout=PLAY_TIMEOUT_S
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _questions(data: Path) -> None:
    """What reviewers ask of the demo's log: one command each, with answers known from the story."""
    found = _asked(data, "timeline", "actor:ben", "kind:access", "decision:allow", "table:public.patients")["records"]
    (access,) = [view["index"] for view in found]
    # Which rule and facts allowed it, was a rule skipped, and is it decided so again?
    said = _asked(data, "explain", str(access))
    assert ([rule["shown"].split("/")[:2] for rule in said["rules"]], said["errors"]) == ([["grant", "ben"]], [])
    assert (said["again"]["decision"], said["again"]["same"]) == ("allow", True)
    ranged = _asked(data, "what-if", "--from", "0")
    assert ranged["failed_then"] == []
    assert {name for name, count in ranged["counts"].items() if count} == {"denied", "same"}
    assert [(group["handle"], group["records"]) for group in ranged["groups"]] == [("ben", [access])]
    # What would it be under the state just before, and under today's?
    then, now = (_asked(data, "what-if", str(access), *at)["case"] for at in (("--at", str(access)), ("--now",)))
    assert (then["class"], now["class"]) == ("same", "denied")
    assert re.fullmatch(r"no rule allows it; grant/ben/g-[0-9a-f]{10} is not there", now["because"])
    # Who could have then, who did, and which human stands behind the shared account?
    both = _asked(data, "who", "can", "read", "clinic/public.patients", "--at", str(access), "--did")
    assert [(row["handle"], row["finding"], row["allowed"], row["denied"]) for row in both["beside"]] == [
        ("amara", "could and did", 1, 0),
        ("ben", "could and did", 1, 2),
    ]
    assert [(item["kind"], item["accounts"]) for item in both["people"]] == [("human", ["clinic_app"])] * 2
    assert (both["by_tags"], both["unread"], both["not_told"]) == (True, {}, [])
    assert both["range"]["stop"] == both["log"]["size"]


def test_the_demo_plays_and_keeps_running(folder: Path) -> None:
    output = folder / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [*COMMAND, "demo", "--folder", str(folder / "demo"), "--keep"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        said = _until(process, output, "Ctrl-C ends it")
        line = re.search(r"psql '(postgresql://[^']+)'", said)
        assert line is not None, said
        with psycopg.connect(line[1]) as connection:
            assert connection.execute("SELECT count(*) FROM visits").fetchone() == (400,)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, output.read_text()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    for expected in (
        "denied: permission denied by Affidavit (record",
        "You proposed",
        "1 row: Farid Jansen, 1947-05-02",
        "clinic_app, as everybody",
        "Ben Okafor, human, logged in as ben",
        "approved by  Theo Brandt",
        "from: unconfigured",
        "It holds:",
        "was altered: its hash is not the one in",
        "without settings of their own",
        "No checkpoint is kept outside",
    ):
        assert expected in said
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(line[1], connect_timeout=3)
    _questions(folder / "demo" / "data")
    text = (folder / "demo" / "data" / "log" / "checkpoint").read_text(encoding="utf-8").split("\n\n")[0] + "\n"
    assert Checkpoint.parse(text).origin == "clinic.example/audit"


def test_a_folder_of_somebody_else_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "letters").mkdir()
    assert run(["demo", "--folder", str(folder)]) == 2
    assert "holds something else than a demo" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["letters"]
