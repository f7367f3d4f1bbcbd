"""A real witness process, killed at random moments and between keeping and answering: it never cosigns two histories.

`AFFIDAVIT_KILLS` sets how often, `AFFIDAVIT_SEED` replays the moments.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from witnesscase import LEAVES, ORIGIN, OTHER_LEAVES, checkpoint, make_folder, note, request

from affidavit.server import witness_folder
from affidavit.server.witness_folder import WitnessFolder
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.witness import log_id, parse_size, read_cosignatures

KILLS = int(os.environ.get("AFFIDAVIT_KILLS", "10")) // 2  # a start takes longer than what is killed
SEED = int(os.environ.get("AFFIDAVIT_SEED", "2026"))
COMMAND = [sys.executable, "-c", "from affidavit.cli.main import main; main()"]
CLIENT = httpx.Client(timeout=20, trust_env=False)
_STOP_BEFORE_ANSWER = "AFFIDAVIT_TEST_STOP"


def serve(root: Path) -> None:
    """What the killed process does. Where asked, it stops dead once a checkpoint is durable and nobody was told."""
    from affidavit.compose.witness import run_witness

    if os.environ.get(_STOP_BEFORE_ANSWER):
        kept = witness_folder.WitnessFolder.cosigned

        def cosigned(self: WitnessFolder, origin: str, text: str) -> None:
            kept(self, origin, text)
            os.kill(os.getpid(), signal.SIGKILL)

        witness_folder.WitnessFolder.cosigned = cosigned  # type: ignore[method-assign]
    sys.exit(run_witness(root, "127.0.0.1:0", lambda line: print(line, flush=True)))


@contextmanager
def running(root: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process and its URL."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline().decode()
        assert "answers on" in said, said
        yield process, said.split("answers on ")[1].partition(";")[0]
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def post(url: str, body: bytes) -> httpx.Response:
    return CLIENT.post(f"{url}/add-checkpoint", content=body)


def cosigned_sizes(granted: list[tuple[Checkpoint, bytes]], folder: WitnessFolder) -> list[int]:
    """The sizes, after each cosignature was verified; all checkpoints must be of one history."""
    key = folder.signers()[0].verifier
    for one, lines in granted:
        assert read_cosignatures(one, lines, key)
    return [one.size for one, _ in granted]


def test_killed_between_keeping_and_answering_it_cosigns_no_second_history(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "w")
    with running(folder.root) as (_, url):
        assert 200 == post(url, request(0, 5)).status_code
    with running(folder.root, **{_STOP_BEFORE_ANSWER: "1"}) as (process, url):
        with pytest.raises(httpx.HTTPError):
            post(url, request(5, 7))
        assert -signal.SIGKILL == process.wait(timeout=20)
    assert checkpoint(7) == folder.latest(ORIGIN, [folder.signers()[0].verifier]), "it was durable"
    with running(folder.root) as (_, url):
        assert (409, b"7\n") == ((again := post(url, request(5, 8, OTHER_LEAVES))).status_code, again.content)
        assert 422 == post(url, request(7, 8, OTHER_LEAVES)).status_code
        assert 422 == post(url, request(7, 7, OTHER_LEAVES)).status_code
        assert 200 == post(url, request(7, 7)).status_code, "the log itself goes on"


def test_killed_at_random_moments_it_cosigns_one_history(tmp_path: Path) -> None:
    """Two writers on copies of one log ask the same witness while it is killed again and again."""
    folder, chance = make_folder(tmp_path / "w"), random.Random(SEED)
    granted: dict[str, list[tuple[Checkpoint, bytes]]] = {"true": [], "copy": []}
    with running(folder.root) as (_, url):
        assert 200 == post(url, request(0, 2)).status_code  # both histories begin with these two entries
    for _ in range(KILLS):
        with running(folder.root) as (process, url):
            killer = threading.Timer(chance.uniform(0.05, 0.5), process.send_signal, [signal.SIGKILL])
            killer.start()
            size = 2
            try:
                while True:
                    for who, leaves in (("true", LEAVES), ("copy", OTHER_LEAVES)):
                        new = min(size + chance.randrange(1, 4), 300)
                        answer = post(url, request(size, new, leaves))
                        if answer.status_code == 200:
                            granted[who].append((checkpoint(new, leaves), answer.content))
                            size = new
                        elif answer.status_code == 409:
                            size = parse_size(answer.content)
            except httpx.HTTPError:
                pass
            killer.join()
    sizes = {who: cosigned_sizes(one, folder) for who, one in granted.items()}
    print(f"seed {SEED}: {KILLS} kills, cosigned {len(sizes['true'])} of the log, {len(sizes['copy'])} of its copy")
    # Whichever asked first after size 2 is the history; not one checkpoint of the other was ever cosigned.
    assert sorted(map(bool, sizes.values())) == [False, True]
    assert max(sizes["true"] + sizes["copy"]) > 10, "hardly anything was asked: this run showed nothing"


def test_a_terminated_witness_stops_in_order_and_a_second_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "w")
    with running(folder.root) as (process, url):
        assert 404 == CLIENT.get(f"{url}/{log_id(ORIGIN)}/checkpoint").status_code
        second = subprocess.run(
            [*COMMAND, "witness", "serve", str(folder.root)],
            capture_output=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=60,
            check=False,
        )
        assert (3, True) == (second.returncode, b"Another process serves this witness" in second.stderr)
        process.terminate()
        assert 0 == process.wait(timeout=20)


def test_a_witness_that_cannot_write_cosigns_nothing_and_ends_with_a_reason(tmp_path: Path) -> None:
    """Its folder changes under it: the answer is no cosignature, the process ends with 3, a new start goes on."""
    folder = make_folder(tmp_path / "w")
    with subprocess.Popen(
        [*COMMAND, "witness", "serve", str(folder.root), "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().split("answers on ")[1].partition(";")[0]
        assert 200 == post(url, request(0, 5)).status_code
        shutil.rmtree(folder.root / "unfinished")
        (folder.root / "unfinished").write_text("in the way")
        assert 503 == post(url, request(5, 7)).status_code
        _, said = process.communicate(timeout=60)
    assert 3 == process.returncode
    assert str(folder.root / "unfinished") in said.decode().splitlines()[-1], said
    (folder.root / "unfinished").unlink()
    with running(folder.root) as (_, url):
        assert 200 == post(url, request(5, 7)).status_code


def test_a_request_in_pieces_and_one_that_never_ends(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "w")
    with running(folder.root) as (_, url):
        host, port = url.removeprefix("http://").split(":")
        body = request(0, 5)
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(
                f"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            )
            for at in range(0, len(body), 64):
                connection.sendall(body[at : at + 64])
                time.sleep(0.001)
            assert connection.recv(64).startswith(b"HTTP/1.1 200")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 1000000000\r\n\r\n")
            try:
                for _ in range(64):
                    connection.sendall(b"x" * 4096)
            except OSError:
                pass  # it does not read what it has refused
            with connection:
                try:
                    got = connection.recv(64)
                except OSError:
                    got = b""
            assert got == b"" or got.startswith(b"HTTP/1.1 400")
        assert note(5) in CLIENT.get(f"{url}/{log_id(ORIGIN)}/checkpoint").content


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
