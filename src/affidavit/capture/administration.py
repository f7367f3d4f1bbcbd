"""Administration: declared changes, proposals and approvals become records. Policy decides; this room asks it.

Theory. A change is planned on a copy of the live state, decided there, and handed over with the state index it was
decided under. If the state moved on meanwhile the ledger refuses it, and it is planned again, a bounded number of
times, only while every version that its author saw still stands. What policy refuses to the actor alone but would
allow with one approval becomes a proposal; an approval is a record by the approver's own login, and the approval that
suffices is followed by the change, with the same objects, in the proposer's name. What stays refused is recorded as a
proposal that nobody can approve (outcome `none`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from affidavit.capture.declared import Difference, Names, Plan, naming_people, plan
from affidavit.capture.slips import check_slips
from affidavit.clock import Clock
from affidavit.errors import AffidavitError, Conflict, Denied, InvalidInput, Unavailable
from affidavit.history.asof import Records
from affidavit.history.live import Live
from affidavit.limits import APPROVERS_TRIED_MAX, REASON_CHARS_MAX, REPLAN_MAX
from affidavit.record.body import SALT_BYTES, Erased, encode_body, salt_text
from affidavit.record.draft import Answer, Draft, Refusal
from affidavit.record.ids import RANDOM_BYTES, uuid7
from affidavit.record.read import Record
from affidavit.state.change import Op, decode_ops, encode_ops
from affidavit.state.changing import decide_change, strongest
from affidavit.state.deciding import Authorization
from affidavit.state.fold import State
from affidavit.state.objects import has_ended
from affidavit.state.policy import ADMINISTRATORS
from affidavit.state.reviewing import concerned

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

    `claimed` are names typed as approvers: kept, shown, never counted. `folder` names the folder of files that declares
    the objects, where one does; with `prune`, what that folder put last and does not declare any more is deleted: as
    far as `seen` names it, in a change. `propose`: propose it, also where the actor may do it alone.
    """

    objects: Mapping[str, Any]
    reason: str
    ticket: str = ""
    claimed: tuple[str, ...] = ()
    seen: Mapping[str, int | None] | None = None
    folder: str = ""
    prune: bool = False
    propose: bool = False


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
        self._folders: dict[int, str] = {}  # by change: the folder that declared it

    def preview(self, wish: Wish) -> tuple[Plan, int]:
        """The difference that `wish` would make now, and the state index it was taken at. Nothing is recorded."""
        state = self._live.snapshot()
        names = self._names()
        with naming_people(state, names):
            prunable = self._put_by(state, wish.folder) if wish.prune else frozenset()
            planned = plan(state, wish.objects, names, self._salt, wish.seen or {}, prunable)
            if planned.ops:
                self._after(state, planned.ops, prunable)
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
                # Only what was shown to somebody is pruned.
                prunable = self._put_by(state, wish.folder) & set(wish.seen or {}) if wish.prune else frozenset()
                planned = plan(state, wish.objects, names, self._salt, seen, prunable)
                if not planned.ops:
                    return Result("nothing", None, None, state.index, ())
                root = self._after(state, planned.ops, prunable).root
            seen.update((op.name, op.based) for op in planned.ops)
            decided = self._decide(state, planned.ops, actor.identity, actor)
            if wish.propose or not decided.authorization.allowed:
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
        ops = decode_ops(proposal.content["objects"])
        state = self._live.snapshot()
        with naming_people(state, self._names()):
            _check_based(state, ops, proposal.index)
            self._after(state, ops)
        if actor.identity not in {approver for _, approver in approved}:
            approved.append((await self._approval(proposal, actor, reason), actor.identity))
        return await self._apply_approved(proposal, approved, actor)

    async def review(self, index: int, note: str, actor: Actor) -> int:
        """Record that the actor has looked at the record `index`, and what they say of it; the index of the review.

        Raises `InvalidInput` where there is no such record or the note is empty, `Denied` where they are reviewing
        themselves, `Unavailable` where the log cannot write.
        """
        if not note.strip():
            raise InvalidInput("review.note", "A review says what was found.", "Say it with --note.")
        _check_length(note, "")
        if not 0 <= index < self._records.size:
            raise InvalidInput("review.index", f"There is no record {index}.", "See `affidavit timeline`.")
        record = self._records.record(index)
        for _ in range(REPLAN_MAX):
            state, at = self._live.snapshot(), self._clock.now_ns()
            _check_login(state, actor, at)
            if actor.identity in concerned(state, record.header.actor, record.content.get("objects")):
                raise Denied(
                    "review.own",
                    f"Record {index} is your own doing, or gave something to you.",
                    "Somebody else has to review it, by their own login.",
                )
            draft = Draft(
                kind="review",
                id=uuid7(at, self._randomness(RANDOM_BYTES)),
                at=at,
                decided=state.index,
                actor=actor.identity,
                ref=index,
                body=encode_body({"note": note, "via": actor.via()}, self._randomness(SALT_BYTES)),
            )
            sealed = await self._seal(draft)
            if sealed is not None:
                return sealed
        raise _busy(self._live.index)

    async def _approval(self, proposal: Record, actor: Actor, reason: str) -> int:
        """Record the approval; its index. Raises `Denied` once a refusal of it is recorded."""
        ops = decode_ops(proposal.content["objects"])
        for _ in range(REPLAN_MAX):
            state = self._live.snapshot()
            _check_based(state, ops, proposal.index)
            decided = self._decide(state, ops, actor.identity, actor, approving=True)
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
        claimed, folder = tuple(said.get("claimed", ())), said.get("folder", "")
        wish = Wish({}, said["reason"], said.get("ticket", ""), claimed, folder=folder)
        last = approved[-1][0]
        for _ in range(REPLAN_MAX):
            state = self._live.snapshot()
            _check_based(state, ops, proposal.index)
            approvers = tuple(who for _, who in approved)
            decided = self._decide(state, ops, proposal.header.actor or "", approver, approvers)
            if not decided.authorization.allowed:
                return Result("approval", last, None, state.index, ())
            content = _content(wish, decided, approver.via(), approved)
            root = state.preview(ops).root
            index = await self._seal(self._draft("change", decided, content, root=root, ref=proposal.index))
            if index is not None:
                return Result("approval", last, index, index + 1, ())
        raise _busy(self._live.index)

    async def _propose(self, decided: _Decided, planned: Plan, wish: Wish, actor: Actor) -> Result | None:
        """Record what the actor only proposes, or what policy refused to them alone: as a proposal that waits, or as a
        refusal.

        None where the state moved on meanwhile.
        """
        waits = decided.authorization.allowed or _could_be_approved(decided)
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
        self,
        state: State,
        ops: Sequence[Op],
        actor: str,
        login: Actor,
        approvers: Sequence[str] = (),
        *,
        approving: bool = False,
    ) -> _Decided:
        """The decision now; `login` is what brought it in, and must not have ended meanwhile."""
        at = self._clock.now_ns()
        _check_login(state, login, at)
        authorization = decide_change(state, tuple(ops), actor, tuple(approvers), at, approving=approving)
        return _Decided(state, tuple(ops), actor, at, authorization)

    def _after(self, state: State, ops: Sequence[Op], pruned: Collection[str] = ()) -> State:
        """The state after `ops`. Raises `InvalidInput` and `Conflict` where they cannot apply, or are a slip."""
        after = state.preview(ops)
        check_slips(state, after, ops, self._clock.now_ns())
        if pruned and _administered(state) and not _administered(after):
            raise InvalidInput(
                "apply.last_administrator",
                "Pruning would leave nobody in the group administrators who can log in.",
                "Declare who administers the log in the folder, or apply it without --prune.",
            )
        return after

    def _put_by(self, state: State, folder: str) -> frozenset[str]:
        """The names of the objects whose present version was put by a change that `folder` declared."""
        if not folder:
            raise InvalidInput("apply.folder", "Only a folder of files can be pruned.", "Apply the folder, not a file.")
        found = []
        for name in state.names():
            held = state.get(name)
            if held is None or name.startswith("observed/"):
                continue
            if held.version not in self._folders:
                self._folders[held.version] = str(self._records.record(held.version).content.get("folder", ""))
            if self._folders[held.version] == folder:
                found.append(name)
        return frozenset(found)

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
        if record.header.kind == "proposal" and isinstance(record.body, Erased):
            raise InvalidInput(
                "approval.erased", f"Proposal {index} was erased by record {record.body.by}.", "Propose it again."
            )
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


def check_not_ended(name: str, credential: Mapping[str, Any], at_ns: int) -> None:
    """Raise `Denied` where the credential `name` counts no more."""
    if has_ended(credential, at_ns):
        raise Denied(
            "auth.ended",
            f"{name} ended at {credential['end']}.",
            "Ask for another credential: `affidavit token create`.",
        )


def _check_login(state: State, login: Actor, at_ns: int) -> None:
    """Raise `Denied` where the credential that brought something in is gone by now, or has ended."""
    held = state.get(f"credential/{login.credential}")
    if held is None or held.value["identity"] != login.identity:
        raise Denied("auth.revoked", f"{login.credential} proves nobody any more.", "Log in anew.")
    check_not_ended(login.credential, held.value, at_ns)


def _administered(state: State) -> bool:
    """Whether an active member of the group administrators can log in."""
    for name in state.names("identity/"):
        version, identity = state.get(name), name.removeprefix("identity/")
        active = version is not None and version.value["status"] == "active"
        if active and state.credentials_of(identity) and ADMINISTRATORS in dict(state.groups_of(identity)):
            return True
    return False


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
    _check_length(reason, ticket)


def _check_length(reason: str, ticket: str) -> None:
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
    if wish.folder:
        content["folder"] = wish.folder
    return content


def _busy(state: int) -> Conflict:
    return Conflict("change.busy", f"The state moved on {REPLAN_MAX} times meanwhile.", "Try again.", state=state)
