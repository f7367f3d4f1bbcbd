"""The places of a log as real processes: the server, its witness, folders that fill up, and what `ready` says of each."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from affidavit.cli.main import run as run_command
from affidavit.compose.create import create
from affidavit.compose.site import Site
from affidavit.compose.witness import add_log, create_witness

COMMAND = [sys.executable, "-c", "from affidavit.cli.main import main; main()"]
NAME = "witness.example/w1"
PATIENCE_S = 60.0


def environment(data: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AFFIDAVIT_")}
    return {**kept, "AFFIDAVIT_DATA": str(data), "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}


class Stage:
    """A data folder, a witness's folder, and the port that the witness is to answer on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.witness = root / "witness"
        self.output = root / "up.txt"
        self.changes = 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        create(self.data, "example.com/audit", "root", "")
        self.make_witness(self.witness)

    def make_witness(self, folder: Path) -> None:
        create_witness(folder, NAME, ["ed25519"])
        add_log(folder, str(self.data / "secrets/log.vkey"))

    def configure(self, text: str = "", *, top: str = "", witness: bool = True) -> None:
        """`top` and `text` in affidavit.toml, and the witness."""
        path = self.data / "affidavit.toml"
        key = (self.witness / "witness.vkey").read_text().strip()
        table = f'[[witness]]\nname = "w1"\nkey = "{key}"\nurl = "http://127.0.0.1:{self.port}"\n' if witness else ""
        path.write_text(f"{top}\n{path.read_text()}\n{table}{text}")

    def run(self, *words: str, expected: int | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *words],
            env=environment(self.data),
            cwd=self.root,
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
        )
        assert expected is None or expected == done.returncode, done.stdout + done.stderr
        return done

    def ready(self) -> tuple[bool, str]:
        """What `affidavit ready` says of places: whether all is well with them, and the words."""
        said = io.StringIO()
        with redirect_stdout(said):  # in this process: it is asked often, and starting one takes longest
            status = run_command(["ready", "--json", "--data", str(self.data)])
        answer = json.loads(said.getvalue() or "{}")
        assert (0 if answer["ready"] else 1) == status
        (found,) = (check for check in answer["checks"] if check["check"] == "checkpoint outside")
        assert found["holds"] or found["fix"]
        return found["holds"], found["detail"]

    def ready_once(self, met: Callable[[bool, str], bool]) -> tuple[bool, str]:
        """The same, once it is as wanted, or when patience is over."""
        end = time.monotonic() + PATIENCE_S
        while not met(*(found := self.ready())) and time.monotonic() < end:
            time.sleep(0.2)
        return found

    def change(self, *, expected: int = 0) -> str:
        """One more record, by a command that opens the log itself where no server runs: what it says to stderr."""
        self.changes += 1
        setting = f"capture.result=rows:{self.changes}"
        return self.run("settings", "set", "root", setting, "--reason", "test", expected=expected).stderr

    def records(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of all records of a kind."""
        log = Site(self.data).read_only()
        found = [log.record(index) for index in range(log.size)]
        return [dict(record.content) for record in found if record.header.kind == kind]

    @contextmanager
    def witnessing(self, folder: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
        words = ["witness", "serve", str(folder or self.witness), "--listen", f"127.0.0.1:{self.port}"]
        with self.started(words, self.root / "witness.txt", "answers on") as process:
            yield process

    @contextmanager
    def up(self, before: Sequence[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
        with self.started(["up"], self.output, " runs: ", before) as process:
            yield process

    @contextmanager
    def started(
        self, words: Sequence[str], output: Path, said: str, before: Sequence[str] = ()
    ) -> Iterator[subprocess.Popen[bytes]]:
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*before, *COMMAND, *words], env=environment(self.data), stdout=file, stderr=subprocess.STDOUT
            )
        try:
            end = time.monotonic() + PATIENCE_S
            while said not in output.read_text():
                assert process.poll() is None and time.monotonic() < end, output.read_text()
                time.sleep(0.05)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=PATIENCE_S)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def written(data: Path) -> dict[str, bytes]:
    """What a writer writes to."""
    return {
        str(path): path.read_bytes()
        for folder in ("journal", "log", "bodies", "checkpoints")
        for path in sorted((data / folder).rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("silence", ["refuses connections", "takes the connection and says nothing"])
def test_a_log_that_must_not_start_unguarded_does_not(stage: Stage, silence: str) -> None:
    stage.configure(top='unguarded = "refuse"')
    before = written(stage.data)
    with socket.create_server(("127.0.0.1", stage.port)) as mute:
        if silence == "refuses connections":
            mute.close()
        done = stage.run("up")
        assert 3 == done.returncode
        assert "Nobody can say whether this log may go on: w1 did not answer." in done.stderr
        assert 'write unguarded = "start"' in done.stderr
        assert "Traceback" not in done.stderr
    assert before == written(stage.data), "nothing was written"
    if silence == "refuses connections":  # the same again, for a command that writes, and then with its witness
        assert "w1 did not answer" in stage.change(expected=3)
        with stage.witnessing():
            stage.change()


def test_a_log_that_starts_unguarded_says_so_until_the_witness_answers_and_records_both(stage: Stage) -> None:
    stage.configure()
    with stage.up() as server:
        holds, words = stage.ready()
        assert not holds and "w1 has not answered since the start, so the log is unguarded" in words
        assert "WARNING affidavit.ledger.places: unguarded: w1: The witness at" in stage.output.read_text()
        stage.change()
        (opened,) = (one for one in stage.records("log.open") if one["reason"] == "start")
        assert ["w1"] == opened["unguarded"]
        assert [] == stage.records("log.gap")
        with stage.witnessing() as witness:
            holds, words = stage.ready_once(lambda holds, _: holds)
            assert holds and "enough witnesses" in words, words
            (gap,) = stage.records("log.gap")
            assert "unguarded" == gap["cause"] and gap["start"] < gap["end"]
            assert "w1 did not answer at the start, and does now" in gap["detail"]
            # It is killed while all runs: that is said, and stops nothing.
            witness.kill()
            witness.wait(timeout=PATIENCE_S)
            stage.change()
            holds, words = stage.ready_once(lambda holds, _: not holds)
            assert not holds and "unguarded" not in words and "The newest checkpoint there: size" in words, words
            assert "WARNING affidavit.ledger.places: w1 does not take checkpoints" in stage.output.read_text()
            stage.change()
        assert server.poll() is None
        with stage.witnessing():
            assert stage.ready_once(lambda holds, _: holds)[0]
        assert "w1 takes checkpoints again" in stage.output.read_text()
        assert 1 == len(stage.records("log.gap")), "the log was unguarded once, at its start"
    assert 0 == server.returncode
    verified = stage.run("verify", str(stage.data), "--key", str(stage.data / "secrets/log.vkey"))
    assert 0 == verified.returncode, verified.stdout


def test_ready_of_a_log_that_does_not_run_asks_its_witness(stage: Stage, tmp_path: Path) -> None:
    stage.configure()
    with stage.witnessing():
        stage.change()
        holds, words = stage.ready()
        assert holds and "Checkpoints are kept by w1 (size" in words
    shutil.copytree(stage.data, tmp_path / "old")
    shutil.copytree(stage.witness, tmp_path / "forgetful")
    holds, words = stage.ready()
    assert not holds and "cannot be asked" in words
    stage.change()
    with stage.witnessing():
        holds, words = stage.ready()
        assert not holds and "w1: It is behind: this log has published" in words and "there: size" in words
        stage.change()
        assert stage.ready()[0]
        # The same log as it was before: a copy that must not be written to.
        now, stage.data = stage.data, tmp_path / "old"
        holds, words = stage.ready()
        assert not holds and "put back to an earlier time, or another copy of it is being written to" in words
        assert "w1 holds a checkpoint of" in stage.change(expected=3)
        stage.data = now
    # The witness as it was before: it would cosign what the log's copy says.
    with stage.witnessing(tmp_path / "forgetful"):
        assert "The witness w1 cosigned size" in stage.change()


def test_a_witness_that_signs_with_a_key_that_nobody_told_us_of(stage: Stage, tmp_path: Path) -> None:
    stage.configure()
    stage.make_witness(tmp_path / "stranger")
    with stage.witnessing(tmp_path / "stranger"):
        assert "w1 signs with another key than affidavit.toml names, witness.example/w1 " in stage.change()
        holds, words = stage.ready()
    assert not holds and "signs with another key" in words and "a new key is a new witness" in words
    assert "witness.example" not in (stage.data / "log/checkpoint").read_text(), "its line was added to nothing"


def test_ready_says_what_is_wrong_with_a_folder(stage: Stage, tmp_path: Path) -> None:
    usb = tmp_path / "usb"
    stage.configure(f'[[outside]]\nfolder = "{usb}"\n', witness=False)
    with stage.up():
        holds, words = stage.ready()
        assert not holds and f"the log is unguarded: There is no folder {usb}. Mount the disk" in words
        usb.mkdir()
        assert stage.ready_once(lambda holds, _: holds)[0]
        usb.rename(tmp_path / "unplugged")
        stage.change()
        holds, words = stage.ready_once(lambda holds, _: not holds)
        assert not holds and f"{usb}: There is no folder" in words and "unguarded" not in words
        (tmp_path / "unplugged").rename(usb)
        assert stage.ready_once(lambda holds, _: holds)[0]


def may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"], check=False, capture_output=True, timeout=30
    )
    return done.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="this user may not mount file systems, so none can be full or read-only")
@pytest.mark.parametrize(
    ("trouble", "said"),
    [("size=16k && head -c 99999 /dev/zero > usb/fill", "No space left"), ("ro", "Read-only file system")],
    ids=["full", "read-only"],
)
def test_ready_says_that_a_folder_is_full_or_read_only(stage: Stage, trouble: str, said: str) -> None:
    """A file system of its own, in a mount name space of its own: gone with the process."""
    usb = stage.root / "usb"
    usb.mkdir()
    stage.configure(f'[[outside]]\nfolder = "{usb}"\n', witness=False)
    options, _, then = trouble.partition(" && ")
    script = f'cd "{stage.root}" && mount -t tmpfs -o {options} none usb && ({then or "true"}); shift 0; exec "$@"'
    with stage.up(["unshare", "-m", "sh", "-c", script, "sh"]) as server:
        stage.change()
        holds, words = stage.ready_once(lambda holds, words: said in words)
        assert not holds and f"{usb}: " in words and said in words, words
        assert server.poll() is None
    assert 0 == server.returncode
