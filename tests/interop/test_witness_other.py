"""A witness and a witness's client that we did not write (aics-witness): ours against theirs, both ways.

Where both follow the specification their answers are compared code by code. The known difference, asserted here: of a
body that is far too long they say 413; ours says 400 above 16 KiB and closes the connection above 64 KiB. And of an empty tree with a wrong root, sent from a size
that is not the last one, they say 409, we 422: both are so.
"""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from aics_build import aics_python
from gochecker_build import run_checker
from test_go_checker import KEY as GO_KEY
from test_go_checker import write_log
from witnesscase import (
    KEY,
    LEAVES,
    ORIGIN,
    OTHER_LEAVES,
    checkpoint,
    make_folder,
    note,
    proof,
    request,
    write_tiles,
)

from affidavit.durable import OsDisk
from affidavit.errors import Corruption, Unavailable
from affidavit.ledger.place import Published
from affidavit.ledger.witness_http import WitnessHttp
from affidavit.ledger.witness_place import WitnessPlace
from affidavit.tlog.keys import SignatureLine, SignerKey, VerifierKey
from affidavit.tlog.notes import open_note
from affidavit.tlog.witness import AddCheckpoint, log_id

CLIENT = httpx.Client(timeout=30, trust_env=False)


@contextmanager
def theirs(root: Path) -> Iterator[tuple[str, VerifierKey]]:
    """Their witness, following our log: its URL and key."""
    python, config = str(aics_python()), str(root / "witness.json")
    root.mkdir()

    def run(*words: str) -> str:
        command = [python, "-m", "aics_witness", *words, "--config", config]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert 0 == done.returncode, done.stderr
        return done.stdout

    said = run("init", "--name", "w.example/theirs")
    key = next(word for word in said.split() if word.startswith("w.example/theirs+"))
    run("add-log", "--origin", ORIGIN, "--vkey", KEY.verifier.to_text())
    port = free_port()
    process = subprocess.Popen(
        [python, "-m", "aics_witness", "serve", "--config", config, "--listen", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                if CLIENT.get(f"{url}/healthz").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield url, VerifierKey.parse(key)
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def ours(root: Path) -> Iterator[str]:
    """Our witness, as the command serves it: its URL."""
    code = "from affidavit.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "witness", "serve", str(root), "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().decode().split("answers on ")[1].partition(";")[0]
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def place(log: Path, url: str, key: VerifierKey) -> WitnessPlace:
    return WitnessPlace("theirs", key, WitnessHttp(url), OsDisk(), log, [KEY.verifier])


def published(size: int, leaves: list[bytes] = LEAVES) -> Published:
    return Published(checkpoint(size, leaves), note(size, leaves))


def test_our_client_is_cosigned_by_their_witness(tmp_path: Path) -> None:
    log = write_tiles(tmp_path / "log")
    with theirs(tmp_path / "w") as (url, key):
        one = place(log, url, key)
        for size in (1, 5, 255, 256, 257, 300, 300):
            (line,) = one.push(published(size), "")
            assert open_note(note(size) + line.to_text().encode(), [KEY.verifier, key]).verified[1] == line
        seen = one.look()
        assert seen is not None and checkpoint(300) == seen.checkpoint
        with pytest.raises(Corruption) as refused:
            place(log, url, key).push(published(200), "")
        assert "fork.behind" == refused.value.code
        copy = place(write_tiles(tmp_path / "copy", OTHER_LEAVES), url, key)
        with pytest.raises(Corruption) as refused:
            copy.push(published(300, OTHER_LEAVES), "")
        assert "fork.other" == refused.value.code
        stranger = SignerKey(ORIGIN, b"\2" * 32)
        with pytest.raises(Unavailable, match="does not know the key"):
            place(log, url, key).push(Published(checkpoint(300), note(300, key=stranger)), "")


def bodies() -> dict[str, bytes]:
    """Requests after size 5 was cosigned, in an order that changes nothing; all but the last are refused."""
    stranger, other_log = SignerKey(ORIGIN, b"\2" * 32), note(5).replace(ORIGIN.encode(), b"log.example/b")
    empty = f"{ORIGIN}\n0\n{base64.b64encode(bytes(32)).decode()}\n"
    signed = SignatureLine(ORIGIN, KEY.verifier.key_id, KEY.line(empty).signature).to_text()
    return {
        "rubbish": b"rubbish",
        "20,000 bytes": b"x" * 20_000,
        "no proof line": b"old 5\n\n",
        "leading zero": request(5, 7).replace(b"old 5", b"old 05"),
        "old above size": request(5, 7).replace(b"old 5", b"old 8"),
        "64 proof lines": AddCheckpoint(5, (bytes(32),) * 64, note(7)).encode(),
        "short hash": request(5, 7).replace(b"=\n", b"\n", 1),
        "another log": b"old 0\n\n" + other_log,
        "another key": request(5, 7, key=stranger),
        "a signature that fails": request(5, 7).replace(b"\n7\n", b"\n8\n"),
        "size from before": request(0, 7),
        "an older checkpoint": request(3, 3),
        "another root of this size": request(5, 5, OTHER_LEAVES),
        "another history": request(5, 7, OTHER_LEAVES),
        "proof missing": AddCheckpoint(5, (), note(7)).encode(),
        "proof at equal size": AddCheckpoint(5, proof(3, 5), note(5)).encode(),
        "empty tree, wrong root": b"old 0\n\n" + f"{empty}\n{signed}".encode(),
        "the same again": request(5, 5),
        "goes on": request(5, 9),
    }


def test_both_witnesses_give_the_same_answers(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "ours")
    with theirs(tmp_path / "w") as (their_url, _), ours(folder.root) as our_url:
        got: dict[str, list[tuple[int, str, bytes]]] = {}
        for url in (our_url, their_url):
            assert 200 == CLIENT.post(f"{url}/add-checkpoint", content=request(0, 5)).status_code
            for name, body in bodies().items():
                answer = CLIENT.post(f"{url}/add-checkpoint", content=body)
                conflict = answer.status_code == 409
                kind = answer.headers.get("content-type", "") if conflict else ""
                got.setdefault(name, []).append((answer.status_code, kind, answer.content if conflict else b""))
            assert 200 == CLIENT.get(f"{url}/{log_id(ORIGIN)}/checkpoint").status_code
            assert 404 == CLIENT.get(f"{url}/{'0' * 64}/checkpoint").status_code
        assert 413 == CLIENT.post(f"{their_url}/add-checkpoint", content=b"x" * 300_000).status_code
        with pytest.raises(httpx.HTTPError):
            CLIENT.post(f"{our_url}/add-checkpoint", content=b"x" * 300_000)
    for name, (mine, other) in got.items():
        print(f"{name}: {mine} {other}")
    differing = {name: (mine[0], other[0]) for name, (mine, other) in got.items() if mine != other}
    assert {"empty tree, wrong root": (422, 409)} == differing


def test_their_client_is_cosigned_by_our_witness(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "ours")
    (tmp_path / "leaves").write_text("\n".join(leaf.hex() for leaf in LEAVES))
    names = []
    for size in (1, 5, 256, 300, 300, 200):
        names.append(tmp_path / f"note-{len(names)}")
        names[-1].write_bytes(note(size))
    names.append(tmp_path / "note-other")
    names[-1].write_bytes(note(300, OTHER_LEAVES))
    key = folder.signers()[0].verifier
    program = Path(__file__).with_name("aics_feed.py")
    with ours(folder.root) as url:
        done = subprocess.run(
            [str(aics_python()), str(program), url, key.to_text(), str(tmp_path / "leaves"), *map(str, names)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    expected = ["1 ok", "5 ok", "256 ok", "300 ok", "300 ok", "200 WitnessAhead", "300 WitnessRejected"]
    assert expected == done.stdout.splitlines(), done.stderr
    assert 2 == len(open_note((tmp_path / "note-3.cosigned").read_bytes(), [KEY.verifier, key]).verified)


def test_the_go_packages_open_a_note_that_our_witness_cosigned(tmp_path: Path) -> None:
    """Cosignatures of both types are lines of unknown keys to them, and must not spoil the note."""
    write_log(tmp_path, 300)
    path = tmp_path / "checkpoint"
    text = path.read_bytes().decode().partition("\n\n")[0] + "\n"
    signers = [SignerKey("w.example/1", b"\7" * 32, kind) for kind in (4, 6)]
    lines = "".join(signer.line(text, 1_795_359_600).to_text() for signer in signers)
    path.write_bytes(path.read_bytes() + lines.encode())
    got = run_checker(tmp_path, GO_KEY.verifier.to_text())
    assert (0, "") == (got.returncode, got.stderr)
