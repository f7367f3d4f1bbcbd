"""A witness as the log sees it: the real one over HTTP without a socket, and every answer that no witness should give."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import httpx
import pytest
from witnesscase import (
    KEY,
    LEAVES,
    NAME,
    ORIGIN,
    OTHER_LEAVES,
    checkpoint,
    make_folder,
    note,
    open_witness,
    request,
    write_tiles,
)

from affidavit.durable import OsDisk
from affidavit.errors import Corruption, Unavailable, VerificationError
from affidavit.ledger import witness_http
from affidavit.ledger.place import Published, Seen
from affidavit.ledger.witness_http import WitnessHttp
from affidavit.ledger.witness_place import WitnessPlace
from affidavit.limits import WITNESS_ANSWER_BYTES_MAX
from affidavit.server.witness import Witness, make_witness_app
from affidavit.server.witness_folder import WitnessFolder
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.witness import AddCheckpoint, log_id

Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_tiles(tmp_path / "log")


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return open_witness(make_folder(tmp_path / "w"))


def place(log: Path, transport: httpx.AsyncBaseTransport) -> WitnessPlace:
    http = WitnessHttp("http://w.example/prefix", lambda: transport)
    return WitnessPlace("w1", COSIGNER, http, OsDisk(), log, [KEY.verifier])


COSIGNER_KEY = SignerKey(NAME, b"\7" * 32, 4)
COSIGNER = COSIGNER_KEY.verifier


class Mounted(httpx.AsyncBaseTransport):
    """A witness below /prefix, and what was asked of it."""

    def __init__(self, witness: Witness) -> None:
        self.serve(witness)
        self.asked: list[tuple[str, bytes]] = []

    def serve(self, witness: Witness) -> None:
        self._inner = httpx.ASGITransport(make_witness_app(witness), raise_app_exceptions=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/prefix")
        self.asked.append((request.method, await request.aread()))
        inner = httpx.Request(request.method, f"http://w{path}", content=self.asked[-1][1])
        return await self._inner.handle_async_request(inner)


def real(log: Path, witness: Witness, kept: tuple[Path, ...] = ()) -> tuple[WitnessPlace, Mounted]:
    mounted = Mounted(witness)
    key = witness._signers[0].verifier
    http = WitnessHttp("http://w.example/prefix/", lambda: mounted)
    return WitnessPlace("w1", key, http, OsDisk(), log, [KEY.verifier], kept), mounted


def published(size: int, leaves: list[bytes] = LEAVES) -> Published:
    return Published(checkpoint(size, leaves), note(size, leaves))


def test_the_first_request_meets_a_conflict_and_the_next_need_none(log: Path, witness: Witness) -> None:
    one, mounted = real(log, witness)
    assert None is one.look()
    mounted.asked.clear()
    (line,) = one.push(published(5), "")
    assert (NAME, Seen(checkpoint(5), line.time_s)) == (line.name, one.look())
    assert [b"old 5", b"old 0"] == [body[:5] for method, body in mounted.asked if method == "POST"]
    mounted.asked.clear()
    for size in (5, 6, 256, 257, 300):
        assert one.push(published(size), "")
    assert 5 == len(mounted.asked)
    assert Seen(checkpoint(300), line.time_s) == one.look()


def test_after_a_restart_one_request_suffices(log: Path, witness: Witness) -> None:
    real(log, witness)[0].push(published(300), "")
    again, mounted = real(log, witness)
    again.compare(published(300))
    assert [b"old 300"] == [body[:7] for _, body in mounted.asked]


def test_a_log_put_back_is_told_so_with_evidence(log: Path, witness: Witness) -> None:
    real(log, witness)[0].push(published(300), "")
    old, _ = real(log, witness)
    with pytest.raises(Corruption) as refused:
        old.compare(published(200))
    assert "fork.behind" == refused.value.code
    assert "w1 holds a checkpoint of 300 records, this log has published 200" in refused.value.message
    assert old.evidence.startswith(note(300))


@pytest.mark.parametrize("size", [7, 8, 300])
def test_a_copy_that_went_another_way_is_told_so(tmp_path: Path, log: Path, witness: Witness, size: int) -> None:
    real(log, witness)[0].push(published(7), "")
    copy, _ = real(write_tiles(tmp_path / "copy", OTHER_LEAVES), witness)
    with pytest.raises(Corruption) as refused:
        copy.push(published(size, OTHER_LEAVES), "")
    assert "fork.other" == refused.value.code
    assert copy.evidence.startswith(note(7))


def test_a_narrower_tile_that_was_removed_meanwhile(log: Path, witness: Witness) -> None:
    """The publisher has gone on to 300: the tile of 200 entries is there no more, and the full one stands for it."""
    one, _ = real(log, witness)
    one.push(published(100), "")
    assert not (log / "tile/0/000.p/200").exists()
    assert one.push(published(200), "")


def test_a_witness_put_back_to_an_earlier_time_is_found_out_by_its_own_cosignature(
    tmp_path: Path, log: Path, witness: Witness
) -> None:
    """It would cosign a second history from size 2 on, and cannot know it; the log holds what it cosigned at 200."""
    one, _ = real(log, witness)
    (first,) = one.push(published(2), "")
    for copy in ("fooled", "asked"):
        shutil.copytree(tmp_path / "w", tmp_path / copy)
    (line,) = one.push(published(200), "")
    (log / "checkpoint").write_bytes(note(200) + line.to_text().encode())
    fooled, asked = (open_witness(WitnessFolder(OsDisk(), tmp_path / copy)) for copy in ("fooled", "asked"))
    assert isinstance(fooled.add_checkpoint(request(2, 150, OTHER_LEAVES)), str)
    again, _ = real(log, asked, (log / "checkpoint",))
    for _ in range(2):
        with pytest.raises(VerificationError) as refused:
            again.push(published(300), "")
        assert "witness.forgot" == refused.value.code
        assert "The witness w1 cosigned size 200 and says that it saw 2 last" in refused.value.message
    assert Seen(checkpoint(2), first.time_s) == again.look(), "it was given nothing"


def test_a_witness_that_forgets_while_the_log_runs_is_found_out_without_a_kept_note(
    tmp_path: Path, log: Path, witness: Witness
) -> None:
    one, mounted = real(log, witness)
    one.push(published(5), "")
    shutil.copytree(tmp_path / "w", tmp_path / "copy")
    one.push(published(200), "")
    mounted.serve(open_witness(WitnessFolder(OsDisk(), tmp_path / "copy")))
    with pytest.raises(VerificationError, match="cosigned size 200 and says that it saw 5 last"):
        one.push(published(300), "")


@pytest.mark.parametrize("content", [b"rubbish", note(200)])
def test_a_kept_note_that_this_witness_did_not_cosign_says_nothing_of_it(
    log: Path, witness: Witness, content: bytes
) -> None:
    """As when a witness is new to a log that others have cosigned."""
    (log / "checkpoint").write_bytes(content)
    assert real(log, witness, (log / "checkpoint", log / "absent"))[0].push(published(200), "")


class Whole(httpx.AsyncByteStream):
    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data


def streamed(answer: httpx.Response) -> httpx.Response:
    """As it comes from a network: the client reads it itself."""
    if not answer.is_closed:
        return answer
    return httpx.Response(answer.status_code, headers=answer.headers, stream=Whole(answer.content))


def answering(*answers: httpx.Response | Handler, shown: bytes | None = None) -> httpx.MockTransport:
    """Answers in this order; the read side shows `shown`."""
    left = list(answers)

    def handle(asked: httpx.Request) -> httpx.Response:
        if asked.method == "GET":
            return streamed(httpx.Response(404) if shown is None else httpx.Response(200, content=shown))
        answer = left.pop(0)
        return streamed(answer if isinstance(answer, httpx.Response) else answer(asked))

    return httpx.MockTransport(handle)


def conflict(body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
    return httpx.Response(409, content=body, headers=headers or {"content-type": "text/x.tlog.size"})


def cosign(asked: httpx.Request) -> httpx.Response:
    """What a good witness answers, whatever it is asked."""
    text, _, _ = AddCheckpoint.parse(asked.content).note.decode().partition("\n\n")
    return httpx.Response(200, text=COSIGNER_KEY.line(f"{text}\n", 1_700_000_000).to_text())


def shown(size: int, leaves: list[bytes] = LEAVES) -> bytes:
    return note(size, leaves) + COSIGNER_KEY.line(checkpoint(size, leaves).format(), 1_700_000_000).to_text().encode()


def test_deviations_that_are_tolerated(log: Path) -> None:
    plain = {"content-type": "text/plain"}
    assert place(log, answering(conflict(b"3\n", plain), cosign)).push(published(7), "")
    assert place(log, answering(conflict(b""), cosign, shown=shown(3))).push(published(7), ""), "an empty conflict"
    two = place(log, answering(conflict(b"0\n"), conflict(b"3\n"), cosign))
    assert two.push(published(7), ""), "one that came in between"


@pytest.mark.parametrize(
    ("transport", "size"),
    [
        (answering(httpx.Response(422), shown=shown(7, OTHER_LEAVES)), 7),
        (answering(httpx.Response(422)), 7),
        (answering(conflict(b"7\n"), shown=shown(7, OTHER_LEAVES)), 7),
        (answering(conflict(b"7\n")), 7),
        (answering(conflict(b""), shown=shown(7, OTHER_LEAVES)), 7),
        (answering(conflict(b"3\n"), httpx.Response(422), shown=shown(3, OTHER_LEAVES)), 7),
    ],
)
def test_every_way_to_say_that_the_roots_differ_ends_the_writing(
    log: Path, transport: httpx.MockTransport, size: int
) -> None:
    with pytest.raises(Corruption) as refused:
        place(log, transport).push(published(size), "")
    assert "fork.other" == refused.value.code


def test_ahead_by_its_word_alone_is_said_to_be_that(log: Path) -> None:
    with pytest.raises(Corruption, match="w1 says, without showing it, that it holds a checkpoint of 9 records"):
        place(log, answering(conflict(b"9\n"))).push(published(7), "")
    forged = note(9, key=SignerKey(ORIGIN, b"\2" * 32))
    with pytest.raises(Corruption, match="without showing it"):
        place(log, answering(conflict(b"9\n"), shown=forged)).push(published(7), "")


def test_a_witness_that_refuses_what_it_shows_to_be_right_is_a_problem_and_no_fork(log: Path) -> None:
    with pytest.raises(Unavailable, match="refuses a proof that holds"):
        place(log, answering(httpx.Response(422), shown=shown(7))).push(published(7), "")


class Dripping(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)


class Endless(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 4096


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(200, content=b""), "note.malformed"),
        (httpx.Response(200, content=b"<html>hello</html>\n"), "note.malformed"),
        (httpx.Response(200, content=b"x\n\n" + COSIGNER_KEY.line(checkpoint(7).format(), 9).to_text().encode()), "witness.answer"),
        (httpx.Response(200, text=COSIGNER_KEY.line(checkpoint(6).format(), 9).to_text()), "note.signature"),
        (httpx.Response(200, text=SignerKey(NAME, b"\x08" * 32, 4).line(checkpoint(7).format(), 9).to_text()), "witness.other_key"),
        (httpx.Response(200, stream=Endless()), "witness.unreachable"),
        (httpx.Response(200, content=b"x" * (WITNESS_ANSWER_BYTES_MAX + 1)), "witness.unreachable"),
        (httpx.Response(302, headers={"location": "http://elsewhere.example/"}), "witness.unreachable"),
        (httpx.Response(308, headers={"location": "http://w.example/other"}), "witness.unreachable"),
        (httpx.Response(200, stream=Dripping()), "witness.unreachable"),
        (httpx.Response(400), "witness.refused"),
        (httpx.Response(403), "witness.refused"),
        (httpx.Response(404), "witness.refused"),
        (httpx.Response(429), "witness.refused"),
        (httpx.Response(500), "witness.refused"),
        (httpx.Response(204), "witness.refused"),
        (conflict(b"many\n"), "witness.refused"),
    ],
)  # fmt: skip
def test_an_answer_that_no_witness_should_give_is_refused_and_added_to_nothing(
    log: Path, monkeypatch: pytest.MonkeyPatch, answer: httpx.Response, code: str
) -> None:
    monkeypatch.setattr(witness_http, "WITNESS_TIMEOUT_S", 0.2)
    with pytest.raises((Unavailable, VerificationError)) as refused:
        place(log, answering(answer)).push(published(7), "")
    assert code == refused.value.code


def test_a_witness_that_names_another_size_each_time_is_left(log: Path) -> None:
    wavering = answering(conflict(b"1\n"), conflict(b"2\n"), conflict(b"3\n"), cosign)
    with pytest.raises(Unavailable, match="names another size each time"):
        place(log, wavering).push(published(7), "")


def test_only_the_logs_own_lines_are_sent(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(shown(7))
    assert published(7) == Published.read(OsDisk(), tmp_path / "checkpoint")


def test_the_read_side_is_asked_below_the_prefix(log: Path, witness: Witness) -> None:
    witness.add_checkpoint(request(0, 5))
    one, mounted = real(log, witness)
    seen = one.look()
    assert seen is not None and seen.checkpoint == checkpoint(5)
    assert 1 == len(mounted.asked)
    assert witness.shown(log_id(ORIGIN)) == one.evidence
