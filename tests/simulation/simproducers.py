"""Producers of the simulation: each owns a stream, has one batch in flight, and checks every answer that it gets.

They do what producers do, right and wrong: open sessions and use them, change the state, hand over again what was
answered, or what was not, skip numbers, come back with a number that is used up, refer to what is not there.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from ledgercase import ACTOR, SYSTEM, Batch, Case, Earlier, code
from simtruth import Truth, demand

from affidavit.ledger.ledger import Ledger
from affidavit.record.draft import Answer, Draft

#: What an answer may refuse a batch for, by what was wrong with it; `unavailable` and `full` may always come.
_RIGHT = {"", "conflict", "reference"}
_REFUSALS = {
    "next": _RIGHT,
    "repeat": _RIGHT | {"number", "draft"},
    "hole": _RIGHT,
    "used number": {"number"},
    "ended stream": {"number"},
    "bad draft": {"draft", "conflict", "reference"},
}
ALWAYS = {"unavailable", "full"}


class Producer:
    """One incarnation of a source, for one life of the ledger."""

    def __init__(self, case: Case, chance: random.Random, boot: str, truth: Truth, counts: Counter[str]) -> None:
        self.stream = case.stream()
        self._case = case
        self._chance = chance
        self._boot = boot
        self._truth = truth
        self._counts = counts
        self._next = 0
        self._in_flight = False
        self._last: tuple[Batch, Answer] | None = None
        self._session: tuple[int, int, int] | None = None  # session, context, the state it was made under
        self._intent: int | None = None

    @property
    def sealed(self) -> bool:
        """Whether the log knows this stream."""
        return self._last is not None

    def act(self, ledger: Ledger, lied_to: bool) -> str:
        """Hand over a batch, if none is in flight. Says what it was."""
        if self._in_flight:
            return ""
        what, batch = self._choose(ledger.state_index)
        self._in_flight = True

        def done(answer: Answer) -> None:
            demand(self._in_flight, "a batch was answered twice")
            self._in_flight = False
            self._answered(what, batch, answer, lied_to)

        ledger.submit(batch, done)
        return f"{what} {self.stream[:4]} from {batch.first}, {len(batch.drafts)} drafts"

    def hand_over_to(self, ledger: Ledger, answers: list[str]) -> None:
        """A batch of this stream, which ended with an earlier life."""
        batch = Batch(self.stream, self._boot, self._next, (self._case.draft("log.read", actor=ACTOR),))
        ledger.submit(batch, lambda answer: answers.append(code(answer)))

    def _choose(self, state: int) -> tuple[str, Batch]:
        luck = self._chance.random()
        if luck < 0.08 and self._last is not None:
            return "repeat", self._last[0]
        if luck < 0.11:
            return "hole", self._batch(self._next + self._chance.randrange(1, 4), state)
        if luck < 0.13 and self._next:
            return "used number", self._batch(self._chance.randrange(self._next), state)
        if luck < 0.16:
            good = self._batch(self._next, state)
            bad = self._case.draft("log.read", actor=None)
            return "bad draft", Batch(self.stream, self._boot, self._next, (*good.drafts, bad))
        return "next", self._batch(self._next, state)

    def _batch(self, first: int, state: int) -> Batch:
        return Batch(self.stream, self._boot, first, self._drafts(first, state))

    def _drafts(self, first: int, state: int) -> tuple[Draft, ...]:
        case, luck = self._case, self._chance.random()
        if luck < 0.08:
            return (case.change(state),)
        if luck < 0.2:
            return tuple(case.draft("log.read", actor=ACTOR, body=self._body()) for _ in range(self._count()))
        if self._session is not None and self._session[2] == state:
            return self._use(*self._session)
        drafts = [case.opening(state), case.context(state)]
        drafts += [
            case.access(Earlier(first), Earlier(first + 1), state, body=self._body()) for _ in range(self._count())
        ]
        if self._chance.random() < 0.3:
            drafts.append(self._closing(Earlier(first)))
        return tuple(drafts)

    def _use(self, session: int, context: int, state: int) -> tuple[Draft, ...]:
        case = self._case
        if self._intent is not None:
            wanted: dict[str, Any] = {"actor": ACTOR, "system": SYSTEM, "outcome": "ok", "ref": self._intent}
            return (case.draft("access.outcome", session=session, **wanted),)
        luck = self._chance.random()
        if luck < 0.2:
            return (self._closing(session),)
        if luck < 0.5:
            return (case.access(session, context, state, kind="access.intent", action="write"),)
        return tuple(case.access(session, context, state, body=self._body()) for _ in range(1 + self._count()))

    def _closing(self, session: Any) -> Draft:
        return self._case.draft("session.close", actor=ACTOR, system=SYSTEM, session=session, outcome="ok")

    def _count(self) -> int:
        return self._chance.choice((0, 1, 1, 2, 5, self._chance.choice((3, 40, 300))))

    def _body(self) -> bytes:
        size = self._chance.choice((0, 0, 0, 50, 700, self._chance.choice((0, 6_000, 30_000))))
        return self._case.body(text="x" * size)

    def _answered(self, what: str, batch: Batch, answer: Answer, lied_to: bool) -> None:
        refused = code(answer)
        self._counts[refused or "acknowledged whole"] += 1
        demand(refused in _REFUSALS[what] | ALWAYS, f"{what} of {self.stream} was answered {answer.refusal}")
        demand(len(answer.receipts) <= len(batch.drafts), "there are more receipts than drafts")
        if not refused:
            demand(len(answer.receipts) == len(batch.drafts), "a draft was neither acknowledged nor refused")
        if what == "repeat" and self._last is not None and answer.receipts:
            demand(answer == self._last[1], "a repeat got another answer")
            return
        first = answer.receipts[0].index if answer.receipts else 0
        for at, (receipt, draft) in enumerate(zip(answer.receipts, batch.drafts, strict=False)):
            demand(receipt.index == first + at, "the records of one batch do not follow each other")
            demand(receipt.id == draft.id, "a receipt is for another draft")
            self._truth.acknowledge(receipt.index, receipt.id, lied_to)
        self._counts["records"] += len(answer.receipts)
        if what == "hole" and batch.drafts and refused not in ALWAYS:
            self._next = batch.first  # the numbers before it are recorded as missing, whatever became of the drafts
        if answer.receipts:
            self._next = batch.first + len(answer.receipts)
            self._last = (batch, answer)
            self._follow(batch, answer)

    def _follow(self, batch: Batch, answer: Answer) -> None:
        """What stands open after what was sealed."""
        for receipt, draft in zip(answer.receipts, batch.drafts, strict=False):
            if draft.kind == "context":
                self._session = (receipt.index - 1, receipt.index, receipt.state)
                self._intent = None
            elif draft.kind == "access.intent":
                self._intent = receipt.index
            elif draft.kind == "access.outcome":
                self._intent = None
            elif draft.kind == "session.close":
                self._session = self._intent = None
