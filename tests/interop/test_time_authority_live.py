"""A running `affidavit up` and authorities in a process of their own: one that is good (`openssl ts`), and every way in
which one is not. The server goes on, and `ready` says of each what is wrong, since when, and what to do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tsa import NOW, OPENSSL, YEAR, Made

import affidavit
from affidavit.cli.demo.site import COMMAND, Said
from affidavit.cli.demo.site import Site as Commands
from affidavit.config import AuthorityConfig, Config, load_config, render_config

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")

DEADLINE_S = 90
TESTS = Path(__file__).parents[1]
#: How each authority answers, what `ready` says of it, and what it says to do.
WRONG = {
    "gone": ("gave nothing", "See that this machine reaches "),
    "slow": ("nothing came within 20 s", "See that this machine reaches "),
    "garbage": ("no time-stamp token", "Ask the authority's operator"),
    "nonce": ("does not carry the number that was asked with", "Ask the authority's operator"),
    "other": ("is for other data", "Ask the authority's operator"),
    "expired": ("certificate has expired", "Compare its certificates"),
    "wrong": ("it answered 500", "It is asked again by itself"),
    "redirect": ("it answered 302, which leads to /good", "If it moved there, write that as its url."),
}


@contextmanager
def running(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with (folder / "errors.txt").open("a") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def environment(root: Path) -> dict[str, str]:
    paths = [str(Path(affidavit.__file__).parents[1]), str(TESTS)]
    return {**os.environ, "AFFIDAVIT_DATA": str(root), "PYTHONPATH": os.pathsep.join(paths)}


class Live:
    """A log with these authorities, and the commands on it."""

    def __init__(self, folder: Path, port: int, names: dict[str, str], made: dict[str, Made]) -> None:
        self.root, self.commands = folder / "data", Commands(folder / "data")
        self.commands.run("init", str(self.root), "--origin", "live.example/log", "--handle", "root")
        sites = []
        for name, path in names.items():
            trusted = folder / f"{name}.pem"
            trusted.write_bytes(made.get(name, made["good"]).pem)
            where = f"http://127.0.0.1:{9 if name == 'gone' else port}/{path}"
            sites.append(AuthorityConfig(name, where, trusted, 60))
        config = load_config(self.root)
        text = render_config(Config(config.origin, config.server, authorities=tuple(sites)), self.root)
        (self.root / "affidavit.toml").write_text(text)

    def run(self, *words: str, expect: tuple[int, ...] = (0,)) -> Said:
        return self.commands.run(*words, expect=expect)

    def checks(self) -> dict[str, dict[str, Any]]:
        return {one["check"]: one for one in self.run("ready", "--json", expect=(0, 1)).json()["checks"]}

    def anchors(self) -> list[dict[str, Any]]:
        return self.commands.records("kind:anchor")


def until(live: Live, server: subprocess.Popen[str], enough: Any) -> Any:
    """What `enough()` gives, once that is something."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        found = enough()
        if found:
            return found
        assert server.poll() is None, "the server has ended"
        assert time.monotonic() < deadline, json.dumps(live.checks(), indent=1)
        time.sleep(0.2)


@contextmanager
def up(folder: Path, names: dict[str, str]) -> Iterator[tuple[Live, subprocess.Popen[str]]]:
    made = {"good": Made("Example"), "expired": Made("Old", starts=NOW - 2 * YEAR, ends=NOW - timedelta(days=1))}
    for name, one in made.items():
        one.write(folder / "tsa" / name)
    authority = [sys.executable, str(TESTS / "tsaserver.py"), str(folder / "tsa")]
    with running(authority, folder, environment(folder)) as served:
        assert served.stdout is not None
        live = Live(folder, int(served.stdout.readline()), names, made)
        with running([*COMMAND, "up"], folder, environment(live.root)) as server:
            assert server.stdout is not None
            assert "runs" in server.stdout.readline()
            yield live, server


def test_a_token_is_fetched_recorded_proven_and_told(tmp_path: Path) -> None:
    with up(tmp_path, {"good": "good"}) as (live, server):
        (anchor,) = until(live, server, live.anchors)
        declared = tmp_path / "ana.yaml"
        declared.write_text("identity/ana: {kind: human}\n")
        live.run("apply", str(declared), "--reason", "afterwards", "--yes")
        (change,) = [one["index"] for one in live.commands.records("kind:change") if one["index"] > anchor["index"]]
        checks = live.checks()
        assert checks["proved time"]["holds"] and checks["time authority good"]["holds"]
        assert "good, by a token " in checks["proved time"]["detail"]
        assert "one is due every 1 minute" in checks["proved time"]["detail"]
        when = live.run("explain", str(change), "--json").json()["when"]
        assert anchor["index"] == when["recorded"]["not_before_by"]["record"]
        assert (
            f"the token of good in record {anchor['index']} was there already"
            in live.run("explain", str(change)).output
        )
        assert f"covers the first {anchor['body']['checkpoint']['size']} records" in live.run("show", "2").output
        order = live.run("order", "2", str(change), "--json", expect=(0,)).json()
        assert ("a", "proven") == (order["first"], order["result"])
        server.terminate()
        assert 0 == server.wait(30)
        verdict = live.run(
            "verify", str(live.root), "--key", str(live.root / "secrets" / "log.vkey"),
            "--authority", str(tmp_path / "good.pem"), expect=(0, 3),
        ).output  # fmt: skip
        assert f"by the token in record {anchor['index']} of Example" in " ".join(verdict.split())


def test_the_server_goes_on_whatever_an_authority_does_and_ready_tells_it(tmp_path: Path) -> None:
    with up(tmp_path, {"good": "good", **{name: name for name in WRONG}}) as (live, server):

        def told() -> dict[str, dict[str, Any]]:
            checks = live.checks()
            tried = all("failing since" in checks[f"time authority {name}"]["detail"] for name in WRONG)
            return checks if tried and checks["time authority good"]["holds"] else {}

        checks = until(live, server, told)
        for name, (what, fix) in WRONG.items():
            check = checks[f"time authority {name}"]
            assert not check["holds"]
            assert f"{name} gave no token yet, failing since 20" in check["detail"]
            assert what in check["detail"], check
            assert check["fix"].startswith(fix), check
        assert checks["proved time"]["holds"]  # one that stands is enough
        declared = tmp_path / "ana.yaml"
        declared.write_text("identity/ana: {kind: human}\n")
        live.run("apply", str(declared), "--reason", "the log goes on", "--yes")
        assert {"good"} == {one["body"]["authority"]["name"] for one in live.anchors()}
        assert "fix: If it moved there, write that as its url." in live.run("ready", expect=(1,)).output
        server.terminate()
        assert 0 == server.wait(30)
