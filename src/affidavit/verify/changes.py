"""Changes decided again: policy, the proof of who made them, and the approvals that they count (duty 15).

Approvals are believed only as records of their own: by the approver's own login, of the proposal with the very objects
that the change applies. Names that a requester typed (`claimed`) count nowhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from affidavit import canonical
from affidavit.errors import AffidavitError, VerificationError
from affidavit.record.moment import parse_moment
from affidavit.state.change import Op
from affidavit.state.changing import check_genesis, check_restoration, decide_change, strongest
from affidavit.state.fold import State
from affidavit.state.hidden import ErasedContent, Hidden, erased_words, kind_at
from affidavit.state.logadmin import decide_log_admin
from affidavit.state.reviewing import break_glass, concerned
from affidavit.tlog.notes import open_note
from affidavit.tlog.restoration import restoration_text
from affidavit.verify.compare import difference
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.erasures import erased_reason, hidden_reason
from affidavit.verify.keys import Keys
from affidavit.verify.line import Line


@dataclass(frozen=True, slots=True)
class _Proposal:
    actor: str | None
    objects: bytes
    ops: tuple[Op, ...]


@dataclass(frozen=True, slots=True)
class _Approval:
    actor: str | None
    proposal: int | None
    allowed: bool


class Changes:
    """Takes `change`, `proposal`, `approval`, `log.key` and `review` lines in order, each before it is applied."""

    def __init__(self, notes: Notebook, keys: Keys) -> None:
        self._notes = notes
        self._keys = keys
        self._proposals: dict[int, _Proposal] = {}
        self._approvals: dict[int, _Approval] = {}
        self._broken: dict[int, tuple[str | None, Any]] = {}  # actor and objects of changes that gave break-glass
        self._erased: dict[int, Hidden] = {}  # proposals and changes

    def take(self, line: Line, ops: tuple[Op, ...] | None, state: State, unknown: str) -> None:
        """Check one line against the state before it; `unknown` says why there is none."""
        if line.header.kind == "approval":
            ops = self._note_approval(line)
        if line.erased is not None and line.header.kind in ("proposal", "change"):
            self._erased[line.index] = Hidden(line.index, line.erased.by)
        if ops is None or unknown or line.content is None:
            why = erased_reason(line) or unknown or self._proposal_erased(line)
            self._notes.skip(Duty.CHANGES, why or "a body that it needs could not be read")
            return
        if line.header.kind == "proposal":
            self._proposals[line.index] = _Proposal(line.header.actor, _digest(line.content.get("objects")), ops)
        if line.header.kind == "change" and break_glass(line.content.get("objects")):
            self._broken[line.index] = line.header.actor, line.content.get("objects")
        why = self._proposal_erased(line) or self._not_replayable(line, line.content, state)
        if why:
            self._notes.skip(Duty.CHANGES, why)
            return
        self._notes.looked(Duty.CHANGES)
        via = line.content.get("via")
        if line.header.kind == "change" and isinstance(via, dict) and via.get("method") == "genesis":
            self._check_genesis(line, ops, state)
            return
        if line.header.kind == "change" and isinstance(via, dict) and via.get("method") == "recovery":
            self._check_restoration(line, ops, state)
            return
        approvers = self._approvers(line) if line.header.kind == "change" else ()
        self._check_actor(line, via, state, approvers, line.header.time.at)
        self._decide(line, line.content, ops, state, approvers)

    def take_log_admin(self, line: Line, state: State, unknown: str) -> None:
        """Check who asked for another key of the log, or for an erasure, and what policy said to that at that state."""
        header, content = line.header, line.content
        what, code = ("erasure", "erase") if header.kind == "erase" else ("rotation", "key")
        why = unknown or ("" if content is None else self._not_replayable(line, content, state))
        if why or content is None:
            self._notes.skip(Duty.CHANGES, why or "a body that it needs could not be read")
            return
        self._notes.looked(Duty.CHANGES)
        self._check_actor(line, content.get("via"), state, (), str(content.get("decided_at")))
        said = content.get("authorization")
        try:
            again = decide_log_admin(state, header.actor or "", parse_moment(str(content.get("decided_at"))))
            differs = difference(said, again.block())
        except (AffidavitError, ValueError) as error:
            self._fail(line, f"{code}.decided", f"The {what} {line.index} could not be decided again: {error}")
            return
        done = "note" in content if header.kind == "log.key" else header.outcome != "none"
        if differs or header.decision != again.decision or again.allowed != done:
            message = f"The {what} {line.index} by {header.actor}, decided again, differs: {differs or again.decision}."
            self._fail(line, f"{code}.decided", message)
        if str(content.get("decided_at")) > header.time.at:
            self._fail(line, f"{code}.decided", f"The {what} {line.index} was decided after it was recorded.")

    def _proposal_erased(self, line: Line) -> str:
        hidden = None if line.header.ref is None else self._erased.get(line.header.ref)
        return "" if hidden is None else f"its proposal, {erased_words([hidden])}"

    @staticmethod
    def _not_replayable(line: Line, content: dict[str, Any], state: State) -> str:
        """Why a decision on the log cannot be made again because of what was erased; empty where it can."""
        if not state.hidden:
            return ""
        listed = content.get("approvals")
        approvers = (
            [item.get("approver") for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
        )
        for person in (line.header.actor, *approvers):
            why = hidden_reason(state, person if isinstance(person, str) else None, None)
            if why:
                return why
        # Who proved themselves how, whose capture is lowered, and who is locked out, may rest on any of these.
        hidden = [one for path, one in state.hidden.items() if kind_at(path) in ("credential", "settings", "system")]
        return f"not replayable: {ErasedContent(hidden).reason}" if hidden else ""

    def take_review(self, line: Line, state: State, unknown: str) -> None:
        """Check that a review came in by a login of its author, and that a break-glass grant was reviewed by somebody
        whom it did not concern then: that somebody else looked is what a review is for."""
        gone = self._erased.get(line.header.ref or 0)
        why = unknown or (f"what it reviews, {erased_words([gone])}" if gone else "")
        why = why or ("" if line.content is None else self._not_replayable(line, line.content, state))
        if why or line.content is None:
            self._notes.skip(Duty.CHANGES, why or "a body that it needs could not be read")
            return
        self._notes.looked(Duty.CHANGES)
        self._check_actor(line, line.content.get("via"), state, (), line.header.time.at)
        reviewed, author = self._broken.get(line.header.ref or 0), line.header.actor
        if reviewed is not None and author in concerned(state, *reviewed):
            message = f"The review {line.index} is by {author}, whom the break-glass grant {line.header.ref} concerns."
            self._fail(line, "review.own", message)

    def _check_genesis(self, line: Line, ops: tuple[Op, ...], state: State) -> None:
        """Policy does not exist yet: the first change makes its actor an administrator. That it is record 2: duty 7."""
        try:
            check_genesis(state, ops, line.header.actor or "")
        except AffidavitError as error:
            self._fail(line, "change.genesis", f"Record {line.index}: {error}")

    def _check_restoration(self, line: Line, ops: tuple[Op, ...], state: State) -> None:
        """Outside of policy, by the log's own key: it may give one identity administration, and is always said."""
        header, content = line.header, line.content or {}
        try:
            check_restoration(state, ops, header.actor or "")
            in_force = self._keys.chain.keys_at(line.index + 1)
            if not in_force:
                self._notes.skip(Duty.CHANGES, "a recovery was signed before the oldest key that was given")
                return
            opened = open_note(str(content.get("recovery")).encode(), in_force)
            if opened.text != restoration_text(self._keys.chain.origin, line.index, header.root or ""):
                raise VerificationError("change.recovery", "What the log's key signed is another change.")
        except AffidavitError as error:
            self._fail(line, "change.recovery", f"Record {line.index} gives administration outside of policy: {error}")
            return
        if header.action != strongest(ops):
            message = f"Record {line.index} says action {header.action!r}; its objects make it {strongest(ops)!r}."
            self._fail(line, "change.action", message)
        said = f"record {line.index} gave administration to {header.actor} by the log's key, outside of policy"
        self._notes.remark(Duty.CHANGES, said)

    def _note_approval(self, line: Line) -> tuple[Op, ...] | None:
        header = line.header
        self._approvals[line.index] = _Approval(header.actor, header.ref, header.decision == "allow")
        proposal = None if header.ref is None else self._proposals.get(header.ref)
        return None if proposal is None else proposal.ops

    def _approvers(self, line: Line) -> tuple[str, ...]:
        """The identities whose approvals the change counts, each proved; a finding for each that is not."""
        content = line.content or {}
        listed = content.get("approvals", [])
        if not isinstance(listed, list):
            self._fail(line, "change.approval", f"The approvals of the change {line.index} are no list.")
        approvers: list[str] = []
        proposal = None if line.header.ref is None else self._proposals.get(line.header.ref)
        if line.header.ref is not None and proposal is None:
            self._fail(line, "change.proposal", f"The change {line.index} refers to a proposal that was not read.")
        if proposal is not None:
            if proposal.objects != _digest(content.get("objects")):
                message = f"The change {line.index} applies other objects than its proposal {line.header.ref}."
                self._fail(line, "change.proposal", message)
            if proposal.actor != line.header.actor:
                message = f"The change {line.index} is by another identity than its proposal {line.header.ref}."
                self._fail(line, "change.proposal", message)
        for item in listed if isinstance(listed, list) else []:
            approver = self._proved(line, item)
            if approver is None:
                message = f"The change {line.index} counts an approval that no record proves: {str(item)[:80]}."
                self._fail(line, "change.approval", message)
            elif approver not in approvers:
                approvers.append(approver)
        return tuple(approvers)

    def _proved(self, line: Line, item: Any) -> str | None:
        if not isinstance(item, dict):
            return None
        at, approver = item.get("approval"), item.get("approver")
        approval = self._approvals.get(at) if isinstance(at, int) else None
        if approval is None or not approval.allowed or approval.actor is None or approval.actor != approver:
            return None
        if approval.proposal != line.header.ref or approver == line.header.actor:
            return None
        return approval.actor

    def _check_actor(self, line: Line, via: Any, state: State, approvers: tuple[str, ...], decided_at: str) -> None:
        """The login that brought the record must be a credential of its actor, or of one who approved it, and must not
        have ended when the record was decided."""
        if not isinstance(via, dict) or via.get("method") not in ("uid", "token"):
            method = via.get("method") if isinstance(via, dict) else None
            message = f"Record {line.index} came in by {str(method)[:40]!r}, which proves nobody."
            self._fail(line, "change.actor", message)
            return
        name = str(via.get("credential")).removeprefix("credential/")
        held = state.get(f"credential/{name}")
        owner = None if held is None else held.value.get("identity")
        kind = None if held is None else held.value.get("type")
        if kind != via.get("method") or owner not in (line.header.actor, *approvers):
            message = f"Record {line.index} claims the login {name[:80]!r}, which is not one of {line.header.actor}."
            self._fail(line, "change.actor", message)
        elif held is not None and "end" in held.value and held.value["end"] <= decided_at:
            message = f"Record {line.index} came in by {name[:80]!r}, which ended at {held.value['end']}."
            self._fail(line, "change.actor", message)

    def _decide(
        self, line: Line, content: dict[str, Any], ops: tuple[Op, ...], state: State, approvers: tuple[str, ...]
    ) -> None:
        header = line.header
        at_ns = parse_moment(header.time.at)
        try:
            again = decide_change(state, ops, header.actor or "", approvers, at_ns, approving=header.kind == "approval")
        except ErasedContent as error:  # what would apply after it
            self._notes.skip(Duty.CHANGES, f"not replayable: {error.reason}")
            return
        except AffidavitError as error:
            self._fail(line, "change.decided", f"Record {line.index} could not be decided again: {error}")
            return
        if header.action != strongest(ops):
            message = f"Record {line.index} says action {header.action!r}; its objects make it {strongest(ops)!r}."
            self._fail(line, "change.action", message)
        said = content.get("authorization")
        differs = difference(said, again.block())
        if differs:
            message = f"Record {line.index} by {header.actor}, decided again, differs in {differs}."
            self._fail(line, "change.decided", message)
        if header.kind == "change" and again.decision != "allow":
            message = (
                f"Policy does not allow the change {line.index} to {header.actor} with {len(approvers)} approvals."
            )
            self._fail(line, "change.denied", message)

    def _fail(self, line: Line, code: str, message: str) -> None:
        self._notes.fail(Duty.CHANGES, code, line.where, message, line.index)


def _digest(objects: Any) -> bytes:
    return hashlib.sha256(canonical.encode(objects)).digest()
