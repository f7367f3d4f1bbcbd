"""Erasing the body of a record: who may, what stands in the way, and the record that says so.

Policy decides, as on the rest of the log's own administration; a denied attempt is a record too. What the log still
rests on is refused first: a change whose objects are in force (but for profiles, which no decision reads) would leave
nobody able to say what is permitted now.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from affidavit.capture.administration import Actor
from affidavit.capture.declared import shown
from affidavit.clock import Clock
from affidavit.errors import Conflict, Denied, InvalidInput
from affidavit.history.asof import Records
from affidavit.history.live import Live
from affidavit.history.reviews import Reviews
from affidavit.ledger.own import Own
from affidavit.limits import REASON_CHARS_MAX, REPLAN_MAX
from affidavit.record.body import Erased
from affidavit.record.kinds import KINDS, STATE_KINDS
from affidavit.record.moment import format_moment
from affidavit.record.read import Record
from affidavit.state.change import Op, Put, decode_ops
from affidavit.state.fold import State
from affidavit.state.logadmin import decide_log_admin
from affidavit.state.reviewing import break_glass, concerned

_KEPT = "profile/"  # of these a change may be erased while they are in force


@dataclass(frozen=True)
class ErasureWish:
    """Which record's body is to be erased, and why."""

    index: int
    reason: str
    ticket: str = ""
    legal_basis: str = ""


@dataclass(frozen=True)
class Erasure:
    """What was erased. `index` is the `erase` record; `also` are records that hold some of the same and still have
    their bodies: the proposal of a change, and the earlier versions of its profiles."""

    index: int
    erased: int
    kind: str
    also: tuple[int, ...]


class Erasing:
    """Turns wishes to erase into records and erasures. One for each process that may write."""

    def __init__(
        self,
        live: Live,
        records: Records,
        clock: Clock,
        erase: Callable[[int, Own], int],
        forgetting: Callable[[Record], AbstractContextManager[None]],
    ) -> None:
        """`erase` is `Ledger.erase`; while a record's body is erased, `forgetting` keeps what is made from the log from
        holding it."""
        self._forgetting = forgetting
        self._one_at_a_time = threading.Lock()
        self._live = live
        self._records = records
        self._clock = clock
        self._erase = erase

    def erase(self, wish: ErasureWish, actor: Actor) -> Erasure:
        """Erase a body. Blocks until it is gone from the log's folder: call it in a thread of its own.

        Raises `InvalidInput` where it cannot be erased (now), `Denied` where policy does not let `actor` (recorded),
        `Conflict` where the state does not stand still, `Unavailable` or `Corruption` as `Ledger.erase`.
        """
        _check_words(wish)
        record = self._erasable(wish.index)
        for _ in range(REPLAN_MAX):
            state, at = self._live.snapshot(), self._clock.now_ns()
            authorization = decide_log_admin(state, actor.identity, at)
            content: dict[str, Any] = {
                "reason": wish.reason,
                "record": {"kind": record.header.kind, "actor": record.header.actor, "body": record.header.body},
                "authorization": authorization.block(),
                "decided_at": format_moment(at),
                "via": actor.via(),
            }
            content |= {"ticket": wish.ticket} if wish.ticket else {}
            content |= {"legal_basis": wish.legal_basis} if wish.legal_basis else {}
            fields: dict[str, Any] = {
                "actor": actor.identity,
                "action": "admin",
                "decision": authorization.decision,
                "decided": state.index,
                "ref": wish.index,
            }
            try:
                if not authorization.allowed:
                    index = self._erase(wish.index, Own("erase", content, {**fields, "outcome": "none"}))
                    raise Denied(
                        "erase.denied",
                        f"Policy does not let you erase what the log holds; the attempt is record {index}.",
                        f"See `affidavit explain {index}`, or ask an administrator of the log.",
                    )
                ops = self._ops(record)
                self._check_in_force(state, wish.index, ops)
                self._check_reviewed(state, record)
                with self._one_at_a_time, self._forgetting(record):
                    index = self._erase(wish.index, Own("erase", content, fields))
            except Conflict:
                continue
            return Erasure(index, wish.index, record.header.kind, self._also(record, ops))
        raise Conflict(
            "erase.state", f"The state moved on {REPLAN_MAX} times meanwhile.", "Try again.", self._live.index
        )

    def _erasable(self, index: int) -> Record:
        """The record, as far as its kind says that it may be erased."""
        if not 0 <= index < self._records.size:
            raise InvalidInput(
                "record.index", f"There is no record {index}: the log holds {self._records.size}.", "Count from 0."
            )
        record = self._records.record(index)
        rule = KINDS.get(record.header.kind)
        if rule is None or not rule.erasable:
            raise InvalidInput(
                "erase.kind",
                f"Record {index} is a {record.header.kind}: the log rests on what it says, so it is never erased.",
                "See docs/howto/erase.md for the kinds that can be.",
            )
        if record.body is None:
            raise InvalidInput("erase.none", f"Record {index} has no body.", "There is nothing to erase.")
        return record

    def _ops(self, record: Record) -> tuple[Op, ...]:
        """What a change does, or wished to do; nothing for other kinds."""
        if isinstance(record.body, Erased):
            raise InvalidInput(
                "erase.done", f"The body of record {record.index} was erased by record {record.body.by} already."
            )
        objects = record.content.get("objects")
        return () if objects is None else decode_ops(objects)

    @staticmethod
    def _check_in_force(state: State, index: int, ops: tuple[Op, ...]) -> None:
        in_force = [
            op.name
            for op in ops
            if isinstance(op, Put) and not op.name.startswith(_KEPT) and _version(state, op.name) == index
        ]
        if in_force:
            names = ", ".join(shown(state, name, {}) for name in in_force[:5])
            more = f" and {len(in_force) - 5} more" if len(in_force) > 5 else ""
            raise InvalidInput(
                "erase.in_force",
                f"Record {index} put what is in force now: {names}{more}. Without it nobody could tell.",
                "Delete those, or put other values in their place (`affidavit apply`), and then erase.",
            )

    def _check_reviewed(self, state: State, record: Record) -> None:
        """Break-glass is looked at afterwards by somebody else; what nobody looked at yet must be there to be seen."""
        objects = record.content.get("objects")
        if record.header.kind != "change" or not break_glass(objects):
            return
        involved = concerned(state, record.header.actor, objects)
        if not any(author not in involved for _, author in Reviews(self._records).of(record.index)):
            raise InvalidInput(
                "erase.review",
                f"Record {record.index} gave a break-glass grant that nobody else has reviewed yet.",
                f"Somebody else looks at it first: affidavit review {record.index} --note …",
            )

    def _also(self, record: Record, ops: tuple[Op, ...]) -> tuple[int, ...]:
        found = {op.based for op in ops if op.name.startswith(_KEPT) and op.based is not None}
        if record.header.kind in STATE_KINDS and record.header.ref is not None:
            found.add(record.header.ref)
        return tuple(at for at in sorted(found) if not isinstance(self._records.record(at).body, Erased))


def _version(state: State, name: str) -> int | None:
    held = state.get(name)
    return None if held is None else held.version


def _check_words(wish: ErasureWish) -> None:
    if not wish.reason.strip():
        raise InvalidInput("erase.reason", "An erasure needs a reason.", "Say why with --reason.")
    if max(map(len, (wish.reason, wish.ticket, wish.legal_basis))) > REASON_CHARS_MAX:
        raise InvalidInput("erase.reason", f"Reason, ticket, legal basis: at most {REASON_CHARS_MAX} characters each.")
