"""Tokens from authorities over HTTP: a real one (`openssl ts`), and every way in which one can fail to be one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from ledgercase import BOOT, Batch, Case
from rfc3161_client._rust import parse_timestamp_request
from tsa import NOW, OPENSSL, YEAR, Made, reply, response_of, served

from affidavit.durable import OsDisk
from affidavit.errors import AffidavitError
from affidavit.ledger import timestamping as module
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.timestamping import AuthoritySite, Timestamping
from affidavit.limits import TIMESTAMP_BYTES_MAX
from affidavit.record.draft import Answer, Draft
from affidavit.timeproof.token import Authority
from affidavit.tlog.checkpoint import Checkpoint

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")


class Direct:
    """An appender that does the writer's work itself."""

    def __init__(self, ledger: Ledger, stream: str) -> None:
        self.ledger, self.stream, self.next = ledger, stream, 0

    async def append(self, drafts: list[Draft]) -> Answer:
        answer = self.ledger.append(Batch(self.stream, BOOT, self.next, tuple(drafts)))
        self.next += len(answer.receipts)
        return answer


class Stage:
    """A small log on a real disk, and the stamping of it."""

    def __init__(self, folder: Path) -> None:
        self.case = Case(OsDisk(), folder / "log")
        self.case.create()
        self.ledger = self.case.recover()
        self.ledger.publish_now()
        self.appender = Direct(self.ledger, self.case.stream())

    def stamping(self, *sites: AuthoritySite) -> Timestamping:
        return Timestamping(sites, self.ledger, self.appender, self.case.clock, self.case.random.randbytes)

    def stamp(self, site: AuthoritySite) -> int:
        async def once() -> int:
            async with httpx.AsyncClient(trust_env=False) as http:
                return await self.stamping(site).stamp(http, site)

        return asyncio.run(once())

    def refusal(self, site: AuthoritySite) -> str:
        """The code of the error, once it is seen that nothing was recorded."""
        size = self.ledger.size
        with pytest.raises(AffidavitError) as caught:
            self.stamp(site)
        assert size == self.ledger.size
        return caught.value.code


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.ledger.close("done")


def site(url: str, made: Made, name: str = "Example", interval_s: float = 3_600) -> AuthoritySite:
    return AuthoritySite(name, url, Authority.of_pem(made.pem, name), interval_s)


@contextmanager
def real(folder: Path, made: Made) -> Iterator[str]:
    made.write(folder)
    lock = threading.Lock()

    def answer(request: bytes) -> bytes:
        with lock:
            return reply(folder, request)

    with served(answer) as url:
        yield url


def asked(request: bytes) -> tuple[bytes, int]:
    parsed = parse_timestamp_request(request)
    assert parsed.nonce is not None
    return parsed.message_imprint.message, parsed.nonce


def test_a_token_becomes_an_anchor_that_stands_alone(stage: Stage, tmp_path: Path) -> None:
    made = Made()
    with real(tmp_path / "tsa", made) as url:
        published = stage.ledger.published
        first = stage.stamp(site(url, made))
        stage.ledger.publish_now()
        second = stage.stamp(site(url, made))
    body = stage.ledger.reader().record(first).content
    checkpoint = Checkpoint("log.example/clinic", body["checkpoint"]["size"], bytes.fromhex(body["checkpoint"]["root"]))
    assert published == checkpoint
    assert hashlib.sha256(checkpoint.format().encode()).hexdigest() == body["imprint"]
    assert ("rfc3161", {"name": "Example", "url": url}, None) == (body["method"], body["authority"], body["previous"])
    token = Authority.of_pem(made.pem, "x").verify(
        base64.b64decode(body["token"]), bytes.fromhex(body["imprint"]), int(body["nonce"])
    )
    assert str(token.accuracy_ns) == body["accuracy_ns"] == "1500000000"
    assert abs(token.time_ns / 1e9 - time.time()) < 60
    after = stage.ledger.reader().record(second)
    assert ("anchor", first) == (after.header.kind, after.content["previous"])
    assert first < after.content["checkpoint"]["size"] <= second
    assert second == stage.ledger.anchor


def test_the_anchor_before_is_known_after_a_restart(stage: Stage, tmp_path: Path) -> None:
    made = Made()
    with real(tmp_path / "tsa", made) as url:
        anchor = stage.stamp(site(url, made))
    stage.ledger.close("again")
    stage.ledger = stage.case.recover()
    assert anchor == stage.ledger.anchor
    clock = stage.ledger.reader().record(stage.ledger.size - 1)
    assert ("clock", anchor) == (clock.header.kind, clock.content["anchor"])


def answering(made: Made, **changed: object) -> Callable[[bytes], bytes]:
    def answer(request: bytes) -> bytes:
        imprint, nonce = asked(request)
        return response_of(made.forge(**{"imprint": imprint, "at": NOW, "nonce": nonce, **changed}))  # type: ignore[arg-type]

    return answer


def slow(request: bytes) -> bytes:
    time.sleep(1)
    return request


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda made: answering(Made()), "timestamp.authority"),  # another one under the same name
        (lambda made: answering(Made("Other")), "timestamp.unknown"),
        (lambda made: answering(made, imprint=bytes(32)), "timestamp.imprint"),
        (lambda made: answering(made, nonce=7), "timestamp.nonce"),  # an old answer, played again
        (lambda made: answering(made, at=NOW + 2 * YEAR), "timestamp.authority"),  # beyond its certificate
        (lambda made: lambda _: b"rubbish", "timestamp.malformed"),
        (lambda made: lambda _: b"", "timestamp.malformed"),
        (lambda made: lambda _: bytes(TIMESTAMP_BYTES_MAX + 1), "timestamp.unreachable"),
        (lambda made: lambda _: (500, b"no"), "timestamp.unreachable"),
        (lambda made: lambda _: (302, b"elsewhere"), "timestamp.unreachable"),
        (lambda made: lambda _: bytes.fromhex("30053003020102"), "timestamp.refused"),
        (lambda made: slow, "timestamp.unreachable"),
    ],
)
def test_what_is_no_proof_is_not_recorded(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Made], Callable[[bytes], bytes]], code: str
) -> None:
    monkeypatch.setattr(module, "TIMESTAMP_TIMEOUT_S", 0.3)
    made = Made()
    with served(answer(made)) as url:
        assert code == stage.refusal(site(url, made))


def test_an_expired_authority_gives_no_anchor(stage: Stage, tmp_path: Path) -> None:
    expired = Made(starts=NOW - 2 * YEAR, ends=NOW - timedelta(days=1))
    with real(tmp_path / "tsa", expired) as url:
        assert "timestamp.authority" == stage.refusal(site(url, expired))


def test_an_authority_that_is_down_is_known_and_asked_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMESTAMP_RETRY_S", 0.01)
    made, down, seen = Made(), [True] * 3, []
    good = answering(made)

    def answer(request: bytes) -> bytes | tuple[int, bytes]:
        return (503, b"") if down and down.pop() else good(request)

    async def run(url: str) -> None:
        sites = (site(url, made, interval_s=30), site("http://127.0.0.1:9/", made, "Gone", interval_s=30))
        stamping = stage.stamping(*sites)
        task = asyncio.create_task(stamping.run())
        stage.ledger.publish_now()
        for _ in range(1_000):
            await asyncio.sleep(0.01)
            status = {one.name: one for one in stamping.status()}
            seen.append((status["Example"].failures, status["Example"].problem, status["Gone"].failures))
            if status["Example"].anchor is not None and status["Gone"].failures >= 3:
                break
        task.cancel()
        assert stage.ledger.anchor == status["Example"].anchor
        assert ("", 0) == (status["Example"].problem, status["Example"].failures)
        assert "Gone gave nothing" in status["Gone"].problem

    with served(answer) as url:
        asyncio.run(run(url))
    assert any(failures and "it answered 503" in problem for failures, problem, _ in seen)
