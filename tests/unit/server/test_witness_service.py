"""The witness over HTTP, without a socket: each answer of the table, what is kept, and what ends it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from ledgercase import START_NS, HandClock
from witnesscase import KEY, LEAVES, NAME, ORIGIN, OTHER_LEAVES, checkpoint, make_folder, note, open_witness, request

from affidavit.durable import OsDisk
from affidavit.errors import Corruption, InvalidInput, Unavailable
from affidavit.server import witness as service
from affidavit.server.witness import Witness, make_witness_app
from affidavit.server.witness_folder import WitnessFolder
from affidavit.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.notes import open_note
from affidavit.tlog.witness import AddCheckpoint, Refusal, log_id, read_cosignatures

LOG_ID = log_id(ORIGIN)


@pytest.fixture
def folder(tmp_path: Path) -> WitnessFolder:
    return make_folder(tmp_path / "w")


def ask(witness: Witness, method: str, path: str, content: bytes | AsyncIterator[bytes] = b"") -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(make_witness_app(witness), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://w") as client:
            return await client.request(method, path, content=content)

    return asyncio.run(run())


def post(witness: Witness, body: bytes) -> httpx.Response:
    return ask(witness, "POST", "/add-checkpoint", body)


def test_a_checkpoint_is_cosigned_kept_and_shown(folder: WitnessFolder) -> None:
    witness = open_witness(folder)
    key = folder.signers()[0].verifier
    assert 404 == ask(witness, "GET", f"/{LOG_ID}/checkpoint").status_code
    answer = post(witness, request(0, 5))
    assert 200 == answer.status_code
    (line,) = read_cosignatures(checkpoint(5), answer.content, key)
    assert (NAME, START_NS // 10**9) == (line.name, line.time_s)
    shown = ask(witness, "GET", f"/{LOG_ID}/checkpoint")
    assert note(5) + answer.content == shown.content == folder.seen(ORIGIN).read_bytes()
    assert checkpoint(5) == open_checkpoint(shown.content, KEY.verifier, ORIGIN)
    assert 200 == post(witness, request(5, 300)).status_code
    assert 200 == post(witness, request(300, 300)).status_code, "the same again is cosigned again"


def test_each_refusal_of_the_table(folder: WitnessFolder) -> None:
    witness = open_witness(folder)
    assert 200 == post(witness, request(0, 5)).status_code
    before = folder.seen(ORIGIN).read_bytes()
    stranger = SignerKey(ORIGIN, b"\2" * 32)
    other_log = note(5).replace(ORIGIN.encode(), b"log.example/b")
    cases = (
        (400, b"rubbish"),
        (400, request(5, 7).replace(b"old 5", b"old 8")),
        (400, request(5, 7) + b"x" * 20_000),
        (403, request(5, 7, key=stranger)),
        (404, b"old 0\n\n" + other_log),
        (409, request(0, 7)),
        (409, request(3, 3)),
        (409, request(7, 9)),  # from a size that it has not seen
        (400, request(5, 7).replace(b"=\n", b"!\n", 1)),
        (400, request(5, 7).replace(b"=\n", b"\n", 1)),
        (400, request(5, 7).replace(b"old 5", b"old -5")),
        (400, request(5, 7).replace(b"old 5", b"old 9223372036854775808")),
        (400, request(5, 7).replace(b"\n\n", b"\n", 1)),
        (422, request(5, 7, OTHER_LEAVES)),
        (422, request(5, 5, OTHER_LEAVES)),
    )
    for status, body in cases:
        answer = post(witness, body)
        assert (status, True) == (answer.status_code, answer.content.endswith(b"\n")), body
    conflict = post(witness, request(0, 7))
    assert (b"5\n", "text/x.tlog.size") == (conflict.content, conflict.headers["content-type"])
    assert 405 == ask(witness, "GET", "/add-checkpoint").status_code
    assert [404, 404] == [
        ask(witness, "GET", path).status_code for path in ("/..%2fwitness.key/checkpoint", "/x/checkpoint")
    ]
    assert before == folder.seen(ORIGIN).read_bytes()


def test_many_logs_are_judged_each_by_itself(folder: WitnessFolder) -> None:
    others = [SignerKey(f"log.example/{number}", bytes([number]) * 32) for number in range(100, 140)]
    for key in others:
        folder.add(key.verifier.to_text())
    witness = open_witness(folder)
    assert 200 == post(witness, request(0, 5)).status_code
    for key in others:
        first = sign_checkpoint(Checkpoint(key.name, 2, checkpoint(2).root), key)
        assert 200 == post(witness, AddCheckpoint(0, (), first).encode()).status_code
        assert b"2\n" == post(witness, AddCheckpoint(0, (), first).encode()).content
        # The signature of one log counts nothing for another.
        forged = sign_checkpoint(Checkpoint(ORIGIN, 7, checkpoint(7).root), SignerKey(ORIGIN, key.seed))
        assert 403 == post(witness, AddCheckpoint(5, (), forged).encode()).status_code
    assert b"5\n" == post(witness, request(0, 7)).content
    assert 41 == len(os.listdir(folder.root / "seen"))
    # All over again, from what lies on the disk.
    assert b"2\n" == post(open_witness(folder), AddCheckpoint(0, (), first).encode()).content


def test_a_clock_that_is_far_off_changes_what_it_says_of_time_and_nothing_else(folder: WitnessFolder) -> None:
    clock = HandClock()
    witness = open_witness(folder, clock)
    for size, ns in ((2, START_NS), (5, START_NS - 40 * 365 * 86_400 * 10**9), (7, START_NS + 10**18)):
        clock.wall_ns = ns
        old = {2: 0, 5: 2, 7: 5}[size]
        answer = post(witness, request(old, size))
        (line,) = read_cosignatures(checkpoint(size), answer.content, folder.signers()[0].verifier)
        assert ns // 10**9 == line.time_s
        assert 422 == post(witness, request(size, size, [*LEAVES[: size - 1], LEAVES[0]])).status_code
    clock.wall_ns = -(10**10)
    assert 500 == post(witness, request(7, 8)).status_code, "there is no such time to sign"
    clock.wall_ns = START_NS
    assert 200 == post(witness, request(7, 8)).status_code


def test_only_verified_lines_are_kept(folder: WitnessFolder) -> None:
    witness = open_witness(folder)
    foreign = "— somebody.example q83vASNFZ4k=\n".encode()
    answer = post(witness, request(0, 5) + foreign)
    assert 200 == answer.status_code
    assert foreign not in folder.seen(ORIGIN).read_bytes()


def test_it_goes_on_after_a_restart_where_it_was(folder: WitnessFolder) -> None:
    assert 200 == post(open_witness(folder), request(0, 5)).status_code
    again = open_witness(folder)
    assert b"5\n" == post(again, request(0, 7)).content
    assert 422 == post(again, request(5, 7, OTHER_LEAVES)).status_code
    assert 200 == post(again, request(5, 7)).status_code


def test_both_kinds_of_key_cosign(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "w", "ed25519", "ml-dsa-44")
    answer = post(open_witness(folder), request(0, 5))
    keys = [signer.verifier for signer in folder.signers()]
    assert [4, 6] == [key.type for key in keys]
    opened = open_note(note(5) + answer.content, [KEY.verifier, *keys])
    assert 3 == len(opened.verified)
    assert [START_NS // 10**9] * 2 == [line.time_s for line in opened.verified[1:]]
    assert 200 == post(open_witness(folder), request(5, 7)).status_code


def test_two_requests_at_once_get_one_history(folder: WitnessFolder) -> None:
    """Without the lock both would be checked against size 2, and both cosigned."""
    witness = open_witness(folder)
    assert 200 == post(witness, request(0, 2)).status_code
    bodies = [request(2, size, leaves) for size in range(3, 23) for leaves in (LEAVES, OTHER_LEAVES)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(witness.add_checkpoint, bodies))
    granted = [body for body, answer in zip(bodies, answers, strict=True) if isinstance(answer, str)]
    assert 1 == len(granted)
    assert all(answer.status == 409 for answer in answers if isinstance(answer, Refusal))


def test_a_log_whose_memory_is_gone_is_not_cosigned(folder: WitnessFolder) -> None:
    witness = open_witness(folder)
    assert 200 == post(witness, request(0, 5)).status_code
    folder.seen(ORIGIN).unlink()
    answer = post(witness, request(0, 5, OTHER_LEAVES))
    assert (500, b"This witness cannot answer now; its own log says why.\n") == (answer.status_code, answer.content)
    with pytest.raises(Corruption) as refused:
        open_witness(folder)
    assert "witness.lost" == refused.value.code
    with pytest.raises(Corruption) as refused:
        folder.add(SignerKey(ORIGIN, b"\2" * 32).verifier.to_text())
    assert "witness.lost" == refused.value.code


@pytest.mark.parametrize("content", [b"rubbish", note(5), note(5).replace(b"\n5\n", b"\n4\n")])
def test_a_memory_that_it_did_not_cosign_is_refused(folder: WitnessFolder, content: bytes) -> None:
    folder.seen(ORIGIN).write_bytes(content)
    with pytest.raises(Corruption) as refused:
        open_witness(folder)
    assert "witness.seen" == refused.value.code


class FailingDisk(OsDisk):
    """Fails to sync a folder once: after the rename, before it is known to be durable."""

    failing = False

    def sync_folder(self, path: Path) -> None:
        if self.failing and path.name == "seen":
            raise Unavailable("disk.sync", "simulated")
        super().sync_folder(path)


def test_a_failed_write_is_not_answered_with_a_cosignature_and_ends_it(folder: WitnessFolder) -> None:
    disk = FailingDisk()
    witness = open_witness(WitnessFolder(disk, folder.root))
    assert 200 == post(witness, request(0, 5)).status_code
    disk.failing = True
    assert 503 == post(witness, request(5, 7)).status_code
    disk.failing = False
    assert "disk.sync" == getattr(witness.failure, "code", None)
    assert 503 == post(witness, request(5, 7)).status_code
    assert 503 == ask(witness, "GET", f"/{LOG_ID}/checkpoint").status_code


def test_what_arrives_too_slowly_is_not_waited_for(folder: WitnessFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "WITNESS_BODY_TIMEOUT_S", 0.01)

    async def drip() -> AsyncIterator[bytes]:
        yield b"old 0\n"
        await asyncio.Event().wait()

    assert 408 == ask(open_witness(folder), "POST", "/add-checkpoint", drip()).status_code


def test_a_log_that_changes_its_key(folder: WitnessFolder) -> None:
    witness = open_witness(folder)
    new = SignerKey(ORIGIN, b"\2" * 32)
    assert 200 == post(witness, request(0, 5)).status_code
    assert 403 == post(witness, request(5, 7, key=new)).status_code
    assert (new.verifier, True) == folder.add(new.verifier.to_text())
    assert (new.verifier, False) == folder.add(new.verifier.to_text())
    assert 200 == post(witness, request(5, 7, key=new)).status_code, "a witness that serves takes it up"
    assert 422 == post(witness, request(7, 8, OTHER_LEAVES, key=new)).status_code


def test_a_folder_that_holds_something_is_not_made_a_witness(folder: WitnessFolder) -> None:
    with pytest.raises(InvalidInput) as refused:
        folder.create("witness.example/w2", [4])
    assert "witness.exists" == refused.value.code


def test_a_key_that_others_may_read_is_refused(folder: WitnessFolder) -> None:
    path = folder.root / "witness.key"
    assert 0o600 == path.stat().st_mode & 0o777
    path.chmod(0o640)
    with pytest.raises(InvalidInput) as refused:
        folder.signers()
    assert "disk.permissions" == refused.value.code


def test_a_key_that_does_not_cosign_is_refused(folder: WitnessFolder) -> None:
    (folder.root / "witness.key").write_text(f"{KEY.to_text()}\n")
    with pytest.raises(InvalidInput) as refused:
        folder.signers()
    assert "witness.key" == refused.value.code
    with pytest.raises(InvalidInput) as refused:
        WitnessFolder(OsDisk(), folder.root / "elsewhere").signers()
    assert "witness.none" == refused.value.code


def test_one_process_holds_the_lock(folder: WitnessFolder) -> None:
    lock = folder.lock()
    with pytest.raises(Unavailable) as refused:
        folder.lock()
    assert "witness.locked" == refused.value.code
    lock.release()
    folder.lock().release()


@pytest.mark.parametrize("line", ["rubbish", f"{NAME}+00000000+BAAA", "x " + KEY.verifier.to_text()])
def test_a_list_of_logs_that_is_not_understood_is_refused_by_its_line(folder: WitnessFolder, line: str) -> None:
    with (folder.root / "logs").open("a") as file:
        file.write(f"# more\n{line}\n")
    with pytest.raises(InvalidInput, match="Line 4 "):
        folder.logs()
    with pytest.raises(InvalidInput):
        folder.add(line)


def test_a_witness_follows_no_witness(folder: WitnessFolder) -> None:
    with pytest.raises(InvalidInput, match="is the key of a witness"):
        folder.add(folder.signers()[0].verifier.to_text())
    assert [ORIGIN] == list(folder.logs())
    assert os.listdir(folder.root / "seen") == [LOG_ID]
