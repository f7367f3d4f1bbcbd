"""Asks time-stamp authorities for tokens over the log's checkpoints, and records each as an `anchor`.

Nothing waits for it: it asks for what is published already, and hands its record over like any producer. A token that
does not verify proves nothing, and is not recorded; why none came is known (`AuthorityStatus`) until one does. Each
anchor names the one before it, so that they are found without reading the log.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from affidavit.clock import Clock
from affidavit.errors import AffidavitError, Unavailable
from affidavit.limits import PUBLISH_INTERVAL_S, TIMESTAMP_BYTES_MAX, TIMESTAMP_RETRY_S, TIMESTAMP_TIMEOUT_S
from affidavit.record.body import SALT_BYTES, encode_body
from affidavit.record.draft import Answer, Draft
from affidavit.record.ids import RANDOM_BYTES, uuid7
from affidavit.record.moment import format_moment
from affidavit.tlog.checkpoint import Checkpoint

if TYPE_CHECKING:
    import httpx

    from affidavit.timeproof.token import Asked, Authority, Token

METHOD = "rfc3161"
_OTHER = "See that the url is that of an RFC 3161 service, or ask another authority."
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AuthoritySite:
    """An authority that is asked every `interval_s` seconds at `url`, and what its tokens are verified with."""

    name: str
    url: str
    authority: Authority
    interval_s: float


@dataclass(frozen=True)
class AuthorityStatus:
    """How it went with an authority since this start: the last anchor's index and the moment it was recorded. Where the
    last try failed: the problem, what to do about it, since when, and how often in a row."""

    name: str
    url: str
    interval_s: float
    anchor: int | None = None
    recorded_ns: int | None = None
    problem: str = ""
    fix: str = ""
    failing_since_ns: int | None = None
    failures: int = 0


class Log(Protocol):
    """What is stamped: `ledger.Ledger`."""

    @property
    def published(self) -> Checkpoint:
        """The newest checkpoint that is signed and durable."""

    @property
    def size(self) -> int:
        """How many records are durable."""

    @property
    def anchor(self) -> int | None:
        """The index of the newest `anchor` record."""


class Appender(Protocol):
    """Takes drafts, and tells once they are durable: a producer."""

    async def append(self, drafts: Sequence[Draft]) -> Answer: ...


class Timestamping:
    """The background task of one log. `status` may be called from any thread."""

    def __init__(
        self,
        sites: Sequence[AuthoritySite],
        log: Log,
        appender: Appender,
        clock: Clock,
        randomness: Callable[[int], bytes],
    ) -> None:
        self._sites = tuple(sites)
        self._log = log
        self._appender = appender
        self._clock = clock
        self._randomness = randomness
        self._status = {site.name: AuthorityStatus(site.name, site.url, site.interval_s) for site in sites}
        self._chain = asyncio.Lock()  # one anchor after another, each naming the one before

    def status(self) -> tuple[AuthorityStatus, ...]:
        """One for each authority, as configured."""
        return tuple(self._status.values())

    async def run(self) -> None:
        """Ask each authority until cancelled: once this start is published, and then at its interval."""
        import httpx  # noqa: PLC0415  heavy rooms only when needed

        first = self._log.size
        async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=TIMESTAMP_TIMEOUT_S) as http:
            while self._sites and self._log.published.size < first:
                await asyncio.sleep(PUBLISH_INTERVAL_S / 2)
            await asyncio.gather(*(self._keep_asking(http, site) for site in self._sites))

    async def stamp(self, http: httpx.AsyncClient, site: AuthoritySite) -> int:
        """One token over the newest checkpoint, recorded: the index of its `anchor`.

        Raises `Unavailable` where the authority or the log does not answer, `VerificationError` where the token is
        not one.
        """
        from affidavit.timeproof.token import ask_for  # noqa: PLC0415  heavy rooms only when needed

        checkpoint = self._log.published
        text = checkpoint.format().encode()
        asked = ask_for(text)
        token = await _fetch(http, site, asked, hashlib.sha256(text).digest())
        async with self._chain:
            content = _content(site, checkpoint, asked, token, self._log.anchor)
            at = self._clock.now_ns()
            draft = Draft(
                kind="anchor",
                id=uuid7(at, self._randomness(RANDOM_BYTES)),
                at=at,
                body=encode_body(content, self._randomness(SALT_BYTES)),
            )
            answer = await self._appender.append([draft])
        if answer.refusal is not None:
            raise Unavailable("anchor.refused", f"The log does not take the anchor: {answer.refusal.message}")
        return answer.receipts[0].index

    async def _keep_asking(self, http: httpx.AsyncClient, site: AuthoritySite) -> None:
        failures, since_ns = 0, 0
        while True:
            asked_ns = self._clock.now_ns()
            try:
                index = await self.stamp(http, site)
            except AffidavitError as error:
                failures, since_ns = failures + 1, since_ns if failures else asked_ns
                self._note(site, problem=error.message, fix=error.hint, failing_since_ns=since_ns, failures=failures)
                _log.warning("the time-stamp authority %s gave no token: %s", site.name, error.message)
                await asyncio.sleep(min(TIMESTAMP_RETRY_S * 2 ** min(failures - 1, 20), site.interval_s))
            else:
                failures = 0
                now_ns = self._clock.now_ns()
                self._note(
                    site, anchor=index, recorded_ns=now_ns, problem="", fix="", failing_since_ns=None, failures=0
                )
                await asyncio.sleep(site.interval_s)

    def _note(self, site: AuthoritySite, **changed: Any) -> None:
        self._status[site.name] = replace(self._status[site.name], **changed)


async def _fetch(http: httpx.AsyncClient, site: AuthoritySite, asked: Asked, imprint: bytes) -> Token:
    """The verified token that the authority gives. Raises `Unavailable` or `VerificationError`."""
    import httpx  # noqa: PLC0415  heavy rooms only when needed

    from affidavit.timeproof.token import token_of_response  # noqa: PLC0415

    headers = {"Content-Type": _QUERY, "Accept": _REPLY, "Accept-Encoding": "identity"}
    data = bytearray()
    try:
        async with (
            asyncio.timeout(TIMESTAMP_TIMEOUT_S),
            http.stream("POST", site.url, content=asked.request, headers=headers) as response,
        ):
            if response.status_code != 200:
                raise _not_asked_for(site, response)
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) > TIMESTAMP_BYTES_MAX:
                    raise _silent(site, f"its answer is larger than {TIMESTAMP_BYTES_MAX} bytes", _OTHER)
    except (httpx.HTTPError, TimeoutError) as error:
        why = str(error) or f"nothing came within {TIMESTAMP_TIMEOUT_S:.0f} s"
        raise _silent(site, why, f"See that this machine reaches {site.url}: name, port, firewall.") from None
    # About 2 ms of parsing and RSA, which other sessions of this loop need not wait for.
    return await asyncio.to_thread(lambda: site.authority.verify(token_of_response(bytes(data)), imprint, asked.nonce))


def _content(
    site: AuthoritySite, checkpoint: Checkpoint, asked: Asked, token: Token, previous: int | None
) -> dict[str, Any]:
    return {
        "method": METHOD,
        "authority": {"name": site.name, "url": site.url},
        "checkpoint": {"size": checkpoint.size, "root": checkpoint.root.hex()},
        "imprint": hashlib.sha256(checkpoint.format().encode()).hexdigest(),
        "nonce": str(asked.nonce),
        "token": base64.b64encode(token.der).decode(),
        "time": format_moment(token.time_ns),
        "accuracy_ns": None if token.accuracy_ns is None else str(token.accuracy_ns),
        "previous": previous,
    }


def _not_asked_for(site: AuthoritySite, response: httpx.Response) -> Unavailable:
    """For an answer that is no 200. A redirection is not followed: where to ask is for the configuration to say."""
    status, leads = response.status_code, response.headers.get("Location", "")[:200]
    if leads and 300 <= status < 400:
        return _silent(
            site, f"it answered {status}, which leads to {leads}", "If it moved there, write that as its url."
        )
    who = "its operator knows why" if status >= 500 else "see that the url is that of its RFC 3161 service"
    return _silent(site, f"it answered {status}", f"It is asked again by itself; {who}.")


def _silent(site: AuthoritySite, why: str, hint: str) -> Unavailable:
    return Unavailable("timestamp.unreachable", f"The time-stamp authority {site.name} gave nothing: {why}.", hint)
