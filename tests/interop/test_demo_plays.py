"""The demo, whole: it plays, verifies, finds its own thief, keeps running when asked, and leaves no server behind."""

from __future__ import annotations

import json
import re
import shlex
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

PAGES = Path(__file__).parents[2] / "docs" / "howto"
PLAY_TIMEOUT_S = 180  # three times what it takes on two busy cores


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


class Asking:
    """Commands on the log that AFFIDAVIT_DATA names, run in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def says(self, *arguments: str) -> str:
        """What a command prints."""
        status = run(arguments)
        said = self._capsys.readouterr()
        assert status == 0, (arguments, said.err)
        return said.out

    def json(self, *arguments: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.says(*arguments, "--json"))
        return answer

    def one(self, query: str) -> int:
        """The index of the one record that a query finds."""
        (view,) = self.json("timeline", query)["records"]
        return int(view["index"])


def _page(asking: Asking, data: Path) -> None:
    """Every command of docs/howto/questions.md, with the answer that matters, worked out from the demo's story."""
    access = asking.one("actor:ben kind:access decision:allow table:public.patients")
    denied = [
        view["index"] for view in asking.json("timeline", "actor:ben decision:deny table:public.patients")["records"]
    ]
    taken, given = (view for view in asking.json("timeline", "kind:change object:grant/ben")["records"])
    name = str(given["body"]["objects"][0]["name"]).rpartition("/")[2]
    words = {
        "ACCESS": str(access),
        "REFUSED": str(asking.one("actor:ben table:public.staff")),
        "REPORT": str(asking.one("actor:nightly kind:access")),
        "GRANT": f"grant/ben/{name}",
        "$AFFIDAVIT_DATA/secrets/log.vkey": str(data / "secrets" / "log.vkey"),
    }
    said: dict[str, str] = {}
    text = (PAGES / "questions.md").read_text(encoding="utf-8")
    for part in re.split(r"^## (?=\d)", text.partition("\n## Not here")[0], flags=re.MULTILINE)[1:]:
        number = part.partition(".")[0]
        commands = re.findall(r"^    affidavit (.*)$", part, re.MULTILINE)
        assert commands, number
        said[number] = "".join(asking.says(*(words.get(word, word) for word in shlex.split(one))) for one in commands)
    expected = {
        "1": [
            f"allowed by grant/ben/{name}",
            "; recall of a laboratory kit: call the patients; DPO-512",
            "The same: allow",
        ],
        "2": ["could not be evaluated: policy/hold-for-auditor: entity", "That denies", "The same: deny"],
        "3": [
            "Allowed then, denied under the state of",
            f"no rule allows it; grant/ben/{name} is not there.",
            "Allowed then, and the same under",
        ],
        "4": [f"Record {given['index']}: ", "The decision had seen every change before it that bears on it."],
        "5": [
            "parameters full (unconfigured), result digest (unconfigured)",  # the notice
            "capture.result digest (unconfigured)",  # what was applied
            f"was told: permission denied by Affidavit (record {max(denied)}) No policy or grant allows it.",
            f"in force from record {max(denied)} on",  # the grant's end, at the action after it
        ],
        "6": ["capture.result      digest  (unconfigured)", "(organisation, record 2)", f"live: grant/ben/{name}"],
        "9": ["held no grant on the system clinic", "Shown: u-", "All that concerns it could be read."],
        "10": ["added by mara", "ticket DPO-512, proposal ", "approved by theo (record ", "removed by mara"],
        "11": [
            "nightly, service, proved by token-",
            "through the account clinic_app",
            "(“the nightly report”) was given by mara, human, in record",
            "The human who answers for it: mara",
            "Not known: Which person, if any, had nightly act",
        ],
        "12": [
            "    + in force: grant/nightly/report",
            "    - in force: grant/nightly/report",
            "of which 2 without any record, by the clock alone.",
            "membership/group:analysts/research: through a nested group; no record about ana",
            "    + group research, through analysts\n    + can apply: policy/research-annotates",
            "of which 0 without any record, by the clock alone.",
        ],
        "16": ["amara  could and did  1        0 ", "ben    could and did  1        2 ", "2 could and did\n"],
        "19": [
            "capture.result for ana on clinic until",
            "rows:3  user ",
            "settings/floor: as at",
            "for 100.000 % of the period",
        ],
    }
    assert said.keys() == expected.keys()
    assert [(number, text) for number, texts in expected.items() for text in texts if text not in said[number]] == []
    # Who never touched the patients is not in the list, and nobody's answer hides behind the shared account.
    assert re.findall(r"^(\w+) +human", said["9"], re.MULTILINE) == ["amara", "ben"]
    # Minutes before the end Ana's answers were counted, and before the declaration there was nothing.
    assert re.findall(r"UTC  (\S+) +(?:user|-) ", said["19"]) == ["-", "count", "rows:3"]
    assert taken["index"] < max(denied)


def _questions(asking: Asking) -> None:
    """What reviewers ask of the demo's log: one command each, with answers known from the story."""
    access = asking.one("actor:ben kind:access decision:allow table:public.patients")
    erred = asking.one("actor:ben table:public.staff")
    # Which rule and facts allowed it, was a rule skipped, and is it decided so again?
    said = asking.json("explain", str(access))
    assert ([rule["shown"].split("/")[:2] for rule in said["rules"]], said["errors"]) == ([["grant", "ben"]], [])
    assert (said["again"]["decision"], said["again"]["same"]) == ("allow", True)
    ranged = asking.json("what-if", "--from", "0")
    assert ranged["failed_then"] == [erred]
    assert {name for name, count in ranged["counts"].items() if count} == {"denied", "failed", "same"}
    assert [(one["class"], one["handle"], one["records"]) for one in ranged["groups"]] == [
        ("denied", "ben", [access]),
        ("failed", "ben", [erred]),
    ]
    # What would it be under the state just before, and under today's?
    then, now = (asking.json("what-if", str(access), *at)["case"] for at in (("--at", str(access)), ("--now",)))
    assert (then["class"], now["class"]) == ("same", "denied")
    assert re.fullmatch(r"no rule allows it; grant/ben/g-[0-9a-f]{10} is not there", now["because"])
    # Who could have then, who did, and which human stands behind the shared account?
    both = asking.json("who", "can", "read", "clinic/public.patients", "--at", str(access), "--did")
    assert [(row["handle"], row["finding"], row["allowed"], row["denied"]) for row in both["beside"]] == [
        ("amara", "could and did", 1, 0),
        ("ben", "could and did", 1, 2),
    ]
    assert [(item["kind"], item["accounts"]) for item in both["people"]] == [("human", ["clinic_app"])] * 2
    assert (both["by_tags"], both["unread"], both["not_told"]) == (True, {}, [])
    assert both["range"]["stop"] == both["log"]["size"]


def test_the_demo_plays_and_keeps_running(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folder / "demo" / "data"
    asking = Asking(capsys)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AFFIDAVIT_DATA", str(data))
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
        _page(asking, data)
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
    _questions(asking)
    text = (data / "log" / "checkpoint").read_text(encoding="utf-8").split("\n\n")[0] + "\n"
    assert Checkpoint.parse(text).origin == "clinic.example/audit"


def test_a_folder_of_somebody_else_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "letters").mkdir()
    assert run(["demo", "--folder", str(folder)]) == 2
    assert "holds something else than a demo" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["letters"]
