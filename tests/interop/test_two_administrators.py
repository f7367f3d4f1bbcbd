"""Two administrators at once, as processes of their own over the socket of a running log: nothing is lost or mixed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-c", "from affidavit.cli.main import main; main()"]
TIMEOUT_S = 60
TOGETHER = 4


class Place:
    """A running log in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *words, "--data", "data"],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> str:
        process = self.start(*words)
        said, problem = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, problem
        return said

    def applying(self, name: str, objects: dict[str, Any]) -> subprocess.Popen[str]:
        (self.folder / name).write_text(json.dumps(objects))
        return self.start("apply", name, "--reason", name, "--yes")

    def value(self, name: str) -> Any:
        return json.loads(self.run("state", "at", "now", name, "--json"))["objects"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    found = Place(tmp_path_factory.mktemp("two"))
    subprocess.run([*COMMAND, "init", "data", "--origin", "two.example/audit"], cwd=found.folder, check=True)
    server = found.start("up")
    deadline = time.monotonic() + TIMEOUT_S
    while not (found.folder / "data" / "affidavit.sock").exists():
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield found
    server.terminate()
    server.communicate(timeout=TIMEOUT_S)


def test_of_changes_on_the_same_version_one_applies_and_the_others_see_it(place: Place) -> None:
    place.run("apply", _write(place, {"group/shared": {}}), "--reason", "first", "--yes")
    [held] = place.value("group/shared")
    wishes = [{"group/shared": {"description": f"by {n}", "based": held["version"]}} for n in range(TOGETHER)]
    running = [place.applying(f"same-{n}.json", wish) for n, wish in enumerate(wishes)]
    said = [process.communicate(timeout=TIMEOUT_S) for process in running]
    won = [n for n, process in enumerate(running) if process.returncode == 0]
    assert len(won) == 1
    [after] = place.value("group/shared")
    assert after["value"] == {"description": f"by {won[0]}"}
    for n, (_, problem) in enumerate(said):
        if n not in won:
            assert f"group/shared was at version {held['version']} when this was written" in problem
            assert f'version {after["version"]} now: {{"description": "by {won[0]}"}}' in problem


def test_changes_to_different_objects_all_apply(place: Place) -> None:
    running = [place.applying(f"own-{n}.json", {f"group/own-{n}": {}}) for n in range(TOGETHER)]
    said = [process.communicate(timeout=TIMEOUT_S)[1] for process in running]
    assert [0] * TOGETHER == [process.returncode for process in running], said
    assert {f"group/own-{n}" for n in range(TOGETHER)} <= {one["name"] for one in place.value("group/")}
    key = str(place.folder / "data" / "secrets" / "log.vkey")
    verify = [*COMMAND, "verify", "data", "--key", key]
    assert subprocess.run(verify, cwd=place.folder, check=False, capture_output=True).returncode == 0


def _write(place: Place, objects: dict[str, Any]) -> str:
    (place.folder / "first.json").write_text(json.dumps(objects))
    return "first.json"
