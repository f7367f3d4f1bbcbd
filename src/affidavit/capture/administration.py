"""Administration: declared changes, proposals and approvals become records. Policy decides; this room asks it.

Theory. A change is planned on a copy of the live state, decided there, and handed over with the state index it was
decided under. If the state moved on meanwhile the ledger refuses it, and it is planned again, a bounded number of
times, only while every version that its author saw still stands. What policy refuses to the actor alone but would
allow with one approval becomes a proposal; an approval is a record by the approver's own login, and the approval that
suffices is followed by the change, with the same objects, in the proposer's name. What stays refused is recorded as a
proposal that nobody can approve (outcome `none`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from affidavit.capture.declared import Difference, Names, Plan, naming_people, plan
from affidavit.clock import Clock
from affidavit.errors import AffidavitError, Conflict, Denied, InvalidInput, Unavailable
from affidavit.history.asof import Records
from affidavit.history.live import Live
from affidavit.limits import APPROVERS_TRIED_MAX, REASON_CHARS_MAX, REPLAN_MAX
from affidavit.record.body import SALT_BYTES, encode_body, salt_text
from affidavit.record.draft import Answer, Draft, Refusal
from affidavit.record.ids import RANDOM_BYTES, uuid7
from affidavit.record.read import Record
from affidavit.state.change import Op, decode_ops, encode_ops
from affidavit.state.changing import decide_change, strongest
from affidavit.state.deciding import Authorization
from affidavit.state.fold import State

_IDENTITY_BYTES = 8


class Appender(Protocol):
    """Seals drafts that belong together. A `Producer` is one."""

    async def append(self, drafts: Sequence[Draft]) -> Answer:
        """What became of the drafts, once the sealed ones are durable and the live state has them."""


class ReadOnly:
    """The appender of a process that only reads: nothing is taken."""

    async def append(self, drafts: Sequence[Draft]) -> Answer:
        """Raises `Unavailable`."""
        raise Unavailable("log.read_only", f"This process only reads the log; {len(drafts)} records were not taken.")


@dataclass(frozen=True)
class Actor:
    """Who asks, and what proves it. `file_access`: they opened the log's files themselves."""

    identity: str
    method: str
    credential: str
    file_access: bool

    def via(self) -> dict[str, Any]:
        """The body's `via`."""
        return {"method": self.method, "credential": self.credential, "file_access": self.file_access}


@dataclass(frozen=True)
class Wish:
    """A declared change: objects as `capture.declared` reads them, and why. `seen` are the versions the author saw.

    `claimed` are names typed as approvers: kept, shown, never counted.
    """

    objects: Mapping[str, Any]
    reason: str
    ticket: str = ""
    claimed: tuple[str, ...] = ()
    seen: Mapping[str, int | None] | None = None


@dataclass(frozen=True)
class Result:
    """What a wish became. `kind` is `change`, `proposal`, `approval` or `nothing` (all is as declared already).

    `index` is its record, `change` the record of the change that applied (None while it waits).
    """

    kind: str
    index: int | None
    change: int | None
    state: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class _Decided:
    """What was decided, on which state, when, for whom."""

    state: State
    ops: tuple[Op, ...]
    actor: str
    at: int
    authorization: Authorization


class Administration:
    """Turns wishes into records. One for each process that may write."""

    def __init__(
        self,
        live: Live,
        records: Records,
        appender: Appender,
        clock: Clock,
        randomness: Callable[[int], bytes],
    ) -> None:
        self._live = live
        self._records = records
        self._appender = appender
        self._clock = clock
        self._randomness = randomness

    def preview(self, wish: Wish) -> tuple[Plan, int]:
        """The difference that `wish` would make now, and the state index it was taken at. Nothing is recorded."""
        state = self._live.snapshot()
        names = self._names()
        with naming_people(state, names):
            planned = plan(state, wish.objects, names, self._salt, wish.seen or {})
            if planned.ops:
                state.preview(planned.ops)
        return planned, state.index

    async def change(self, wish: Wish, actor: Actor) -> Result:
        """Apply `wish`, or propose it where it needs an approval.

        Raises `InvalidInput` and `Conflict` as planning does, `Denied` where policy refuses it also with an approval
        (the refusal is recorded), `Unavailable` where the log cannot write.
        """
        _check_reason(wish.reason, wish.ticket)
        names, seen = self._names(), dict(wish.seen or {})
        for _ in range(REPLAN_MAX):
            state = self._live.snapshot()
            # Refuses what cannot apply before anything is decided or recorded.
            with naming_people(state, names):
                planned = plan(state, wish.objects, names, self._salt, seen)
                if not planned.ops:
                    return Result("nothing", None, None, state.index, ())
                root = state.preview(planned.ops).root
            seen.update((op.name, op.based) for op in planned.ops)
            decided = self._decide(state, planned.ops, actor.identity)
            if not decided.authorization.allowed:
                result = await self._propose(decided, planned, wish, actor)
            else:
                content = _content(wish, decided, actor.via(), ())
                index = await self._seal(self._draft("change", decided, content, root=root))
                result = None if index is None else Result("change", index, index, index + 1, planned.differences)
            if result is not None:
                return result
        raise _busy(self._live.index)

    async def approve(self, index: int, actor: Actor, reason: str) -> Result:
        """Approve the proposal at `index`, and apply it where that suffices.

        Raises `InvalidInput` where it is no waiting proposal, `Denied` where the actor may not approve it (recorded,
        unless they proposed it themselves), `Conflict` where its objects have changed since.
        """
        _check_reason(reason, "")
        proposal = self._proposal(index)
        if proposal.header.actor == actor.identity:
            raise Denied(
                "approval.own",
                f"You proposed {index} yourself.",
                "Somebody else has to approve it, by their own login.",
            )
        approved = self._approvals(proposal)
        if actor.identity not in {approver for _, approver in approved}:
            approved.append((await self._approval(proposal, actor, reason), actor.identity))
        return await self._apply_approved(proposal, approved, actor)

    async def _approval(self, proposal: Record, actor: Actor, reason: str) -> int:
        """Record the approval; its index. Raises `Denied` once a refusal of it is recorded."""
        ops = decode_ops(proposal.content["objects"])
        for _ in range(REPLAN_MAX):
            state = self._live.snapshot()
            _check_based(state, ops, proposal.index)
            decided = self._decide(state, ops, actor.identity, approving=True)
            content = {
                "reason": reason,
                "authorization": decided.authorization.block(),
                "via": actor.via(),
                "proposal": proposal.index,
            }
            index = await self._seal(self._draft("approval", decided, content, ref=proposal.index))
            if index is None:
                continue
            if not decided.authorization.allowed:
                raise Denied(
                    "approval.denied",
                    f"Policy does not let you approve proposal {proposal.index}; the attempt is record {index}.",
                    f"See `affidavit explain {index}`.",
                )
            return index
        raise _busy(self._live.index)

    async def _apply_approved(self, proposal: Record, approved: Sequence[tuple[int, str]], approver: Actor) -> Result:
        """The change that the approvals allow, or the proposal as it waits for more.

        The change is the proposer's; what brought it in is the login of the last approver.
        """
        said, ops = proposal.content, decode_ops(proposal.content["objects"])
        wish = Wish({}, said["reason"], said.get("ticket", ""), tuple(said.get("claimed", ())))
        last = approved[-1][0]
        for _ in range(REPLAN_MAX):
            state = self._live.snapshot()
            _check_based(state, ops, proposal.index)
            approvers = tuple(who for _, who in approved)
            decided = self._decide(state, ops, proposal.header.actor or "", approvers)
            if not decided.authorization.allowed:
                return Result("approval", last, None, state.index, ())
            content = _content(wish, decided, approver.via(), approved)
            root = state.preview(ops).root
            index = await self._seal(self._draft("change", decided, content, root=root, ref=proposal.index))
            if index is not None:
                return Result("approval", last, index, index + 1, ())
        raise _busy(self._live.index)

    async def _propose(self, decided: _Decided, planned: Plan, wish: Wish, actor: Actor) -> Result | None:
        """Record what policy refused to the actor alone: as a proposal that waits, or as a refusal.

        None where the state moved on meanwhile.
        """
        waits = _could_be_approved(decided)
        content = _content(wish, decided, actor.via(), ())
        index = await self._seal(self._draft("proposal", decided, content, outcome=None if waits else "none"))
        if index is None:
            return None
        if waits:
            return Result("proposal", index, None, decided.state.index, planned.differences)
        rules = sorted({item.policy for item in decided.authorization.determining}) or ["no rule allows it"]
        raise Denied(
            "change.denied",
            f"Policy does not let you change {', '.join(d.shown for d in planned.differences)} ({', '.join(rules)}); "
            f"the refusal is record {index}.",
            f"See `affidavit explain {index}`, or ask an administrator.",
        )

    def _decide(
        self, state: State, ops: Sequence[Op], actor: str, approvers: Sequence[str] = (), *, approving: bool = False
    ) -> _Decided:
        at = self._clock.now_ns()
        authorization = decide_change(state, tuple(ops), actor, tuple(approvers), at, approving=approving)
        return _Decided(state, tuple(ops), actor, at, authorization)

    async def _seal(self, draft: Draft) -> int | None:
        """The index of the sealed draft; None where the state moved on. Raises what else keeps it out of the log."""
        answer = await self._appender.append([draft])
        if answer.refusal is None:
            return answer.receipts[0].index
        if answer.refusal.code == "conflict":
            return None
        raise refusal_error(answer.refusal)

    def _proposal(self, index: int) -> Record:
        if not 0 <= index < self._records.size:
            raise InvalidInput(
                "approval.index", f"There is no record {index}.", "See `affidavit timeline kind:proposal`."
            )
        record = self._records.record(index)
        if record.header.kind != "proposal" or not isinstance(record.body, dict):
            raise InvalidInput(
                "approval.kind", f"Record {index} is no proposal.", "See `affidavit timeline kind:proposal`."
            )
        if record.header.outcome == "none":
            raise InvalidInput("approval.refused", f"Proposal {index} was refused; no approval would allow it.")
        return record

    def _approvals(self, proposal: Record) -> list[tuple[int, str]]:
        """The approvals that `proposal` has: index and approver. Raises `InvalidInput` where it was applied already."""
        found: list[tuple[int, str]] = []
        for at in range(proposal.index + 1, self._records.size):
            header = self._records.header(at)
            if header.ref != proposal.index:
                continue
            if header.kind == "change":
                raise InvalidInput("approval.done", f"Proposal {proposal.index} was applied by record {at} already.")
            if header.kind == "approval" and header.decision == "allow" and header.actor is not None:
                found.append((at, header.actor))
        return found

    def _draft(
        self,
        kind: str,
        decided: _Decided,
        content: dict[str, Any],
        *,
        ref: int | None = None,
        root: str | None = None,
        outcome: str | None = None,
    ) -> Draft:
        return Draft(
            kind=kind,
            id=uuid7(decided.at, self._randomness(RANDOM_BYTES)),
            at=decided.at,
            decided=decided.state.index,
            actor=decided.actor,
            action=strongest(decided.ops),
            decision=decided.authorization.decision,
            outcome=outcome,
            ref=ref,
            root=root,
            body=encode_body(content, self._randomness(SALT_BYTES)),
        )

    def _names(self) -> Names:
        return Names(lambda: f"u-{self._randomness(_IDENTITY_BYTES).hex()}")

    def _salt(self) -> str:
        return salt_text(self._randomness(SALT_BYTES))


def _could_be_approved(decided: _Decided) -> bool:
    """Whether one approval by somebody who may give it would make policy allow the change.

    Where there are more people than we try, it may wait: a proposal that nobody approves does no harm.
    """
    state, others = decided.state, 0
    for name in state.names("identity/"):
        other = name.removeprefix("identity/")
        if other == decided.actor:
            continue
        others += 1
        if others > APPROVERS_TRIED_MAX:
            return True
        may_approve = decide_change(state, decided.ops, other, (), decided.at, approving=True)
        if may_approve.allowed and decide_change(state, decided.ops, decided.actor, (other,), decided.at).allowed:
            return True
    return False


def _check_reason(reason: str, ticket: str) -> None:
    if not reason.strip():
        raise InvalidInput("change.reason", "A change needs a reason.", "Say why with --reason.")
    if max(len(reason), len(ticket)) > REASON_CHARS_MAX:
        raise InvalidInput("change.reason", f"A reason or ticket has at most {REASON_CHARS_MAX} characters.")


def _check_based(state: State, ops: Sequence[Op], proposal: int) -> None:
    for op in ops:
        current = state.get(op.name)
        if op.based != (None if current is None else current.version):
            raise Conflict(
                "proposal.stale",
                f"{op.name} has changed since proposal {proposal} was made.",
                "Propose it again on the present state.",
                state=state.index,
            )


def refusal_error(refusal: Refusal) -> AffidavitError:
    """The error for a draft that the log did not take, other than by `conflict`."""
    if refusal.code in ("unavailable", "full"):
        return Unavailable(
            "log.unavailable",
            f"The log does not take records now: {refusal.message}",
            "Nothing was changed. Try again.",
        )
    return InvalidInput("log.refused", f"The log refused the record: {refusal.message}")


def _content(wish: Wish, decided: _Decided, via: dict[str, Any], approved: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """The body of a change or proposal."""
    content: dict[str, Any] = {
        "reason": wish.reason,
        "objects": encode_ops(decided.ops),
        "authorization": decided.authorization.block(),
        "approvals": [{"approval": index, "approver": who} for index, who in approved],
        "via": via,
    }
    if wish.ticket:
        content["ticket"] = wish.ticket
    if wish.claimed:
        content["claimed"] = list(wish.claimed)
    return content


def _busy(state: int) -> Conflict:
    return Conflict("change.busy", f"The state moved on {REPLAN_MAX} times meanwhile.", "Try again.", state=state)
