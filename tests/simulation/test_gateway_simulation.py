"""Random conversations: a client that sends anything, a server that keeps the protocol, a log that seals when it likes.

The server here follows PostgreSQL's rules for names, errors and Sync on its own, so what it ran is known without the
gateway. Invariants: nothing denied reaches it; rows leave only behind their record; what ran is what is on record; every
intent gets its outcome; every session ends.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter

import pytest
from gateway_stage import Stage

from affidavit.wire.postgres import backend_messages as backend
from affidavit.wire.postgres import codes, notices
from affidavit.wire.postgres import frontend_messages as frontend
from affidavit.wire.postgres.framing import Framer

_SECONDS = 4.0
_READY = backend.encode_ready_for_query(codes.IDLE)
_COLUMN = backend.encode_row_description((backend.Column("id", 16384, 1, 23, 4, -1, 0),))
_ERROR = notices.error("ERROR", "42601", "refused by the test")
_NAMES = (b"", b"", b"s", b"t")
_MARK = re.compile(rb"/\*(\d+)\*/")


class Server:
    """Answers as PostgreSQL would; `ran` counts the marks of statements that ran."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._framer = Framer(codes.FRONTEND_SESSION)
        self._statements: dict[bytes, bytes] = {}
        self._portals: dict[bytes, bytes] = {}
        self._skipping = False
        self.ran: Counter[bytes] = Counter()
        self.seen = b""

    def take(self, data: bytes) -> list[bytes]:
        """The answers to what the gateway sent, message by message."""
        self.seen += data
        self._framer.feed(data)
        answers: list[bytes] = []
        for code, payload in self._framer.messages():
            if self._skipping and code != codes.SYNC:
                continue
            answers += self._answer(code, payload)
        return answers

    def _answer(self, code: int, payload: bytes) -> list[bytes]:
        if code == codes.SYNC:
            self._skipping = False
            self._portals.clear()
            return [_READY]
        if code == codes.QUERY:
            self._statements.pop(b"", None)
            self._portals.clear()
            text = frontend.decode_query(payload)
            if text.startswith(b"affidavit"):
                return [_ERROR, _READY]
            answers: list[bytes] = []
            for part in text.split(b";"):
                answers += self._run(part, described=True)
                if answers[-1] is _ERROR:
                    break
            return [*answers, _READY]
        answers = self._extended(code, payload)
        self._skipping = bool(answers) and answers[-1] is _ERROR
        return answers

    def _extended(self, code: int, payload: bytes) -> list[bytes]:
        if code == codes.PARSE:
            parse = frontend.decode_parse(payload)
            if not parse.name:
                self._statements.pop(b"", None)
            if parse.query.startswith(b"affidavit") or self._dice.random() < 0.1 or parse.name in self._statements:
                return [_ERROR]
            self._statements[parse.name] = parse.query
            return [backend.PARSE_COMPLETE]
        if code == codes.BIND:
            bind = frontend.decode_bind(payload)
            taken = bind.portal and bind.portal in self._portals
            if bind.statement not in self._statements or taken or self._dice.random() < 0.1:
                return [_ERROR]
            self._portals[bind.portal] = self._statements[bind.statement]
            return [backend.BIND_COMPLETE]
        if code == codes.EXECUTE:
            portal = frontend.decode_execute(payload).portal
            return self._run(self._portals[portal], described=False) if portal in self._portals else [_ERROR]
        if code == codes.CLOSE:
            target = frontend.decode_close(payload)
            (self._statements if target.kind == codes.STATEMENT else self._portals).pop(target.name, None)
            return [backend.CLOSE_COMPLETE]
        return []

    def _run(self, text: bytes, described: bool) -> list[bytes]:
        mark = _MARK.search(text)
        assert mark is not None
        self.ran[mark[1]] += 1
        if self._dice.random() < 0.1:
            return [_ERROR]
        if b"DELETE" in text:
            return [backend.encode_command_complete("DELETE 1")]
        row = backend.encode_data_row((b"row<" + mark[1] + b">",))
        return [*([_COLUMN] if described else []), row, backend.encode_command_complete("SELECT 1")]


class Conversation:
    """One session from its first message to its end."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.stage = Stage()
        self.stage.allows = lambda requests, facts: "public.secrets" not in facts["tables"]
        self.server = Server(self.dice)
        self.marks = 0
        self.answers: list[bytes] = []
        self.delivered = b""

    def text(self) -> bytes:
        self.marks += 1
        what = self.dice.choice(("SELECT id FROM patients", "DELETE FROM visits", "SELECT id FROM secrets"))
        return f"{what} WHERE id = 1 /*{self.marks}*/".encode()

    def message(self) -> bytes:
        dice = self.dice
        name, portal = dice.choice(_NAMES), dice.choice((b"", b"", b"c"))
        match dice.randrange(12):
            case 0 | 1:
                return frontend.encode_query(b";".join(self.text() for _ in range(dice.randint(1, 2))))
            case 2 | 3 | 4:
                return frontend.encode_parse(frontend.Parse(name, self.text(), ()))
            case 5 | 6:
                return frontend.encode_bind(frontend.Bind(portal, name, (), (), ()))
            case 7 | 8:
                return frontend.encode_execute(frontend.Execute(portal, 0))
            case 9:
                return frontend.encode_close(frontend.Target(dice.choice((codes.STATEMENT, codes.PORTAL)), name))
            case 10:
                return frontend.FLUSH
        return frontend.SYNC

    def step(self) -> None:
        stage, dice = self.stage, self.dice
        match dice.randrange(5):
            case 0 | 1:
                stage.client(*[self.message() for _ in range(dice.randint(1, 4))])
            case 2:
                self.answer(dice.randint(1, 3))
            case 3 if stage.log.waiting:
                self.log()
            case 4 if stage.refreshing:
                stage.refreshed()
        self.look()

    def log(self) -> None:
        if self.dice.random() < 0.15 and self.stage.log.waiting[0][0][0].decision is not None:
            self.stage.log.refuse("conflict", self.stage.index + 1)
        else:
            self.stage.log.seal()

    def answer(self, count: int) -> None:
        for _ in range(min(count, len(self.answers))):
            self.stage.server(self.answers.pop(0))

    def look(self) -> None:
        """What left on both sides, held against the records."""
        self.answers += self.server.take(self.stage.to_server())
        assert b"secrets" not in self.server.seen
        self.delivered += self.stage.to_client()
        if not self.stage.client_channel.closed or b"row<" in self.delivered:
            recorded = set(self.recorded("access", "access.intent"))
            assert set(re.findall(rb"row<(\d+)>", self.delivered)) <= recorded

    def recorded(self, *kinds: str) -> Counter[bytes]:
        """The marks of allowed statements on record."""
        found: Counter[bytes] = Counter()
        for (_, draft), body in zip(self.stage.log.sealed, self.stage.log.bodies(), strict=True):
            if draft.kind in kinds and draft.decision == "allow" and draft.outcome != "none":
                found.update(_MARK.findall(body["action"]["statement"].encode()))
        return found

    def settle(self) -> None:
        """Everybody does what is left to do."""
        for _ in range(10_000):
            stage = self.stage
            if stage.refreshing:
                stage.refreshed()
            elif stage.log.waiting:
                stage.log.seal()
            elif self.answers:
                self.answer(1)
            else:
                return
            self.look()
        raise AssertionError("it never comes to rest")

    def play(self) -> None:
        for _ in range(self.dice.randint(5, 60)):
            if self.stage.session.closing:
                break
            self.step()
        if self.dice.random() < 0.5 and not self.stage.session.closing:
            self.stage.client(frontend.SYNC)
            self.settle()
        self.stage.session.client_lost()
        self.look()
        self.settle()
        assert self.stage.ended
        sealed = self.stage.log.sealed
        outcomes = Counter(draft.ref for _, draft in sealed if draft.kind == "access.outcome")
        assert {index: 1 for index, draft in sealed if draft.kind == "access.intent"} == outcomes
        recorded = self.recorded("access", "access.intent")
        missing = {mark: count for mark, count in self.server.ran.items() if recorded[mark] < count}
        assert {} == missing


def _run(seed: int) -> int:
    conversation = Conversation(seed)
    try:
        conversation.play()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return conversation.server.ran.total()


@pytest.mark.parametrize("first", [1])
def test_random_conversations_are_recorded_as_they_ran(first: int) -> None:
    until = time.monotonic() + _SECONDS
    seed, statements = first, 0
    while time.monotonic() < until and seed < first + 2_000:
        statements += _run(seed)
        seed += 1
    print(f"seeds {first} to {seed - 1}: {seed - first} conversations, {statements} statements ran")
    assert statements > 0
