"""A stage for conversations: a session between two recorded channels, with a log and a decider that the test directs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from affidavit.capture.gateway.catalogue import Backend, Catalogue
from affidavit.capture.gateway.planning import Planner
from affidavit.capture.gateway.recording import Recorder
from affidavit.capture.gateway.rendering import Capture, Renderer
from affidavit.capture.gateway.session import Session
from affidavit.capture.gateway.unit import View
from affidavit.capture.gateway.upstream import Upstream
from affidavit.limits import HOLD_BYTES_MAX
from affidavit.record.draft import Answer, Draft, Receipt, Refusal
from affidavit.state.deciding import Authorization, Determining
from affidavit.wire.postgres import codes
from affidavit.wire.postgres.framing import Framer
from affidavit.wire.sql.understand import Understanding


class Clock:
    def __init__(self) -> None:
        self.at = 1_795_000_000_000_000_000

    def now_ns(self) -> int:
        self.at += 1_000
        return self.at

    monotonic_ns = now_ns


class Channel:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.out = b""
        self.lost = False
        self.closed = False
        self.paused = False

    def write(self, data: bytes) -> None:
        assert not self.closed, "written after close"
        self.out += data

    def take(self) -> bytes:
        out, self.out = self.out, b""
        return out

    def close(self) -> None:
        self.closed = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


class Log:
    """Holds groups of drafts until the test seals or refuses them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.waiting: list[tuple[tuple[Draft, ...], Callable[[Answer], None]]] = []
        self.sealed: list[tuple[int, Draft]] = []
        self.next = 100

    def submit(self, drafts: tuple[Draft, ...], done: Callable[[Answer], None]) -> None:
        self.waiting.append((drafts, done))

    def seal(self) -> list[Draft]:
        """Make the oldest group durable."""
        drafts, done = self.waiting.pop(0)
        receipts = []
        for draft in drafts:
            self.sealed.append((self.next, draft))
            receipts.append(Receipt(self.next, draft.id, "", self._stage.index))
            self.next += 1
        done(Answer(tuple(receipts)))
        return list(drafts)

    def seal_all(self) -> None:
        while self.waiting:
            self.seal()

    def refuse(self, code: str, state: int = 0) -> None:
        _, done = self.waiting.pop(0)
        done(Answer((), Refusal(code, "refused by the test", state)))

    def kinds(self) -> list[tuple[str, str | None, str | None]]:
        return [(d.kind, d.decision, d.outcome) for _, d in self.sealed]

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(d.body or b"{}") for _, d in self.sealed]


class Decider:
    """Allows what `stage.allows` says."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def decide(self, requests, facts, at_ns) -> Authorization:
        allowed = self._stage.allows(requests, facts)
        determining = (Determining(0, "policy/test", "00"),) if allowed else ()
        return Authorization(requests, (), "allow" if allowed else "deny", determining, ())


class Stage:
    """`client(bytes)` and `server(bytes)` play; `to_client` and `to_server` take what came out."""

    def __init__(
        self,
        read: str = "before_answer",
        write: str = "before_action",
        capture: Capture | None = None,
        keys: dict[tuple[int, int], str] | None = None,
    ) -> None:
        self.index = 3
        self.allows: Callable[[Any, Any], bool] = lambda requests, facts: True
        self.read, self.write = read, write
        self.capture = capture or Capture("full", "full", "digest", 0)
        self.clock = Clock()
        self.until_ns: int | None = None
        self.log = Log(self)
        self.client_channel, self.server_channel = Channel(), Channel()
        self.refreshing: list[tuple[Session, int]] = []
        self.ended = False
        recorder = Recorder(
            self.clock, Renderer(bytes(32)), "clinic", {"id": "u-0000000000000001", "name": "ada"}, {"address": "here"}
        )
        recorder.session = 42
        catalogue = Catalogue({"patients": "public", "visits": "public"}, "public", keys or {}, Backend(1, ""))
        planner = Planner("clinic", Understanding(100), catalogue.schema_of, "public", {"database": "clinic"})
        framer = Framer(codes.BACKEND_SESSION, 2**30, pieced=codes.BULK, whole_bytes_max=HOLD_BYTES_MAX)
        self.session = Session(
            log=self.log, head=self, recorder=recorder, planner=planner, catalogue=catalogue,
            client=self.client_channel, client_framer=Framer(codes.FRONTEND_SESSION),
            upstream=Upstream(self.server_channel, framer), session_facts={"database": "clinic"},
            current=self._current, refresh=lambda s, state: self.refreshing.append((s, state)),
            ended=lambda s: setattr(self, "ended", True),
        )  # fmt: skip
        self.recorded = True
        self.session.judge.seen(self.view(), Decider(self))

    def view(self) -> View:
        return View(self.index, 50, self.capture, self.read, self.write, self.until_ns)

    def _current(self):
        return (self.view(), Decider(self)) if self.recorded else None

    def refreshed(self) -> None:
        """The context was recorded."""
        session, state = self.refreshing.pop(0)
        self.index = max(self.index, state)
        session.viewed(self.view(), Decider(self))

    def client(self, *messages: bytes, split: bool = False) -> None:
        data = b"".join(messages)
        for part in [data[i : i + 1] for i in range(len(data))] if split else [data]:
            self.session.from_client(part)

    def server(self, *messages: bytes, split: bool = False) -> None:
        data = b"".join(messages)
        for part in [data[i : i + 1] for i in range(len(data))] if split else [data]:
            self.session.from_upstream(part)

    def to_client(self) -> bytes:
        return self.client_channel.take()

    def to_server(self) -> bytes:
        return self.server_channel.take()
