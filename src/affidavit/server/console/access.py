"""Who is logged in to the console: links that let somebody in once, and the sessions that they became.

Both are secrets of 256 bits that only their owner holds; here lies a digest of each, in memory, so a restart ends them
all. A link is for who was proved on the local socket, and a later one of theirs voids it. A session never begins under
an id that a browser brought along. Time is the monotonic clock, which nobody can set back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from affidavit.capture.administration import Actor
from affidavit.clock import Clock
from affidavit.errors import Denied
from affidavit.limits import (
    CONSOLE_IDLE_S,
    CONSOLE_LINK_S,
    CONSOLE_SECRET_CHARS_MAX,
    CONSOLE_SESSION_S,
    CONSOLE_SESSIONS_EACH_MAX,
)
from affidavit.record.moment import NS

_SECRET_BYTES = 32
_AGAIN = "Ask for a new one: `affidavit login`."
#: What proves an actor of the console, beside the credential that proved them when they asked for the link.
METHOD = "console"


@dataclass(frozen=True)
class Session:
    """One login: as whom, and the token that each form of its pages carries."""

    actor: Actor
    form_token: str
    began_ns: int


@dataclass
class _Waiting:
    digest: bytes
    actor: Actor
    made_ns: int


@dataclass
class _Open:
    session: Session
    used_ns: int


class Access:
    """Links and sessions of one console. Used in one event loop only."""

    def __init__(self, clock: Clock, randomness: Callable[[int], bytes]) -> None:
        self._clock, self._randomness = clock, randomness
        self._waiting: dict[str, _Waiting] = {}
        self._open: dict[bytes, _Open] = {}

    def link(self, actor: Actor) -> str:
        """A secret that lets `actor` in once, within `CONSOLE_LINK_S`. The one they had before counts no more."""
        secret = self._secret()
        console = Actor(actor.identity, METHOD, actor.credential, file_access=False)
        self._waiting[actor.identity] = _Waiting(_digest(secret), console, self._clock.monotonic_ns())
        return secret

    def enter(self, secret: str, former: str = "") -> tuple[str, Session]:
        """The id of a new session, for the `secret` of a link, which is used up. The session `former` ends.

        Raises `Denied` where the link is wrong, used, void or too old: which of these is not told apart.
        """
        digest, now_ns = _digest(secret), self._clock.monotonic_ns()
        found = [identity for identity, one in self._waiting.items() if one.digest == digest]
        waiting = self._waiting.pop(found[0]) if found else None
        if waiting is None or now_ns - waiting.made_ns >= CONSOLE_LINK_S * NS:
            raise Denied(
                "console.link",
                f"This link lets nobody in: each works once, within {CONSOLE_LINK_S // 60} minutes, until the next.",
                _AGAIN,
            )
        self.leave(former)
        self._make_room(waiting.actor.identity)
        cookie = self._secret()
        session = Session(waiting.actor, self._secret(), now_ns)
        self._open[_digest(cookie)] = _Open(session, now_ns)
        return cookie, session

    def session(self, cookie: str) -> Session:
        """The session of that id, which counts as used now. Raises `Denied` where there is none, or it has ended."""
        now_ns = self._clock.monotonic_ns()
        for digest in [key for key, one in self._open.items() if _ended(one, now_ns)]:
            del self._open[digest]
        held = self._open.get(_digest(cookie))
        if held is None:
            raise Denied("auth.console", "Nobody is logged in here, or no more.", "Get a link: `affidavit login`.")
        held.used_ns = now_ns
        return held.session

    def leave(self, cookie: str) -> None:
        """End the session of that id, where there is one."""
        self._open.pop(_digest(cookie), None)

    def _make_room(self, identity: str) -> None:
        theirs = [digest for digest, one in self._open.items() if one.session.actor.identity == identity]
        for digest in theirs[: max(0, len(theirs) + 1 - CONSOLE_SESSIONS_EACH_MAX)]:  # in the order of their beginning
            del self._open[digest]

    def _secret(self) -> str:
        return self._randomness(_SECRET_BYTES).hex()


def _ended(one: _Open, now_ns: int) -> bool:
    return now_ns - one.used_ns >= CONSOLE_IDLE_S * NS or now_ns - one.session.began_ns >= CONSOLE_SESSION_S * NS


def _digest(secret: str) -> bytes:
    # Looked up by digest, so the time that it takes says nothing about the secret.
    return hashlib.sha256(secret[: CONSOLE_SECRET_CHARS_MAX + 1].encode("utf-8", "replace")).digest()
