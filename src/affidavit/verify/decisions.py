"""Contexts and decisions, made again from the folded state (duties 16 and 17).

A context is built from our own fold and compared by digest with the one recorded; deciding again then uses ours. Views
are kept for each actor and system while the state index stands still, and the prepared policies while the context does.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import msgspec

from affidavit.errors import AffidavitError
from affidavit.limits import DECISIONS_CACHED_MAX, VERIFY_DECIDERS_MAX
from affidavit.record.moment import parse_moment
from affidavit.state.context import build_context, context_digest
from affidavit.state.deciding import Decider, Request, nesting_of
from affidavit.state.facts import Fact
from affidavit.state.fold import State
from affidavit.state.objects import has_ended
from affidavit.verify.capture import Asked, asked_of
from affidavit.verify.compare import difference
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.line import Line
from affidavit.verify.sift import Shape

RULES = 1
UNREAD_DECISION = "the body of a decision could not be read"


@dataclass(slots=True)
class View:
    """A context as our fold gives it, at the state index `state`."""

    state: int
    digest: str
    decider: Decider
    settings: list[dict[str, Any]]
    asked: Asked
    before: Asked | None  # what was asked under the view that this one replaced
    since: str  # when the change that replaced it was sealed
    #: By question, the remarks of decisions that came out the same; None for one that is worth more words.
    settled: dict[tuple[str, bytes, int], tuple[str, ...] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quiet:
    """The view that a decision was made under, and what is to be remarked about it."""

    view: View
    remarks: tuple[str, ...]


class Decisions:
    """Takes `context` lines and lines with an authorization in order."""

    def __init__(self, notes: Notebook) -> None:
        self.changed_at = ""  # when the last change was sealed
        self.recorded: dict[int, str] = {}  # digest by context record
        self._notes = notes
        self._views: OrderedDict[tuple[str, str], View] = OrderedDict()

    def take_context(self, line: Line, state: State, unknown: str) -> None:
        """A `context` record: it must be what the state at `decided` gives."""
        if line.content is None or unknown:
            self._notes.skip(Duty.CONTEXTS, unknown or "a context could not be read")
            return
        self._notes.looked(Duty.CONTEXTS)
        content = {name: value for name, value in line.content.items() if name != "salt"}
        self.recorded[line.index] = context_digest(content)
        if content.get("rules") != RULES:
            self._notes.skip(Duty.CONTEXTS, f"a context is of rules {str(content.get('rules'))[:20]}, not {RULES}")
            return
        view = self._view(line, state)
        if view is not None and view.digest != self.recorded[line.index]:
            parted = _parted(content, build_context(state, line.header.actor or "", line.header.system or ""))
            message = f"Context {line.index} is not what the changes before it give: it differs in {parted}."
            self._fail(line, Duty.CONTEXTS, "context.differs", message)

    def take(self, line: Line, state: State, unknown: str) -> View | None:
        """A line that carries a decision of ours. Returns the view that it was made under, where it holds."""
        if line.content is None or unknown:
            self._notes.skip(Duty.DECISIONS, unknown or UNREAD_DECISION)
            return None
        said = line.content.get("authorization")
        if said is None and line.header.kind == "session.open" and line.header.decision != "allow":
            return None  # nobody was identified, so nothing was decided; the failure's reason stands in the body
        self._notes.looked(Duty.DECISIONS)
        view = self._view(line, state)
        if view is None:
            return None
        if line.header.kind == "session.open" and line.header.decision == "allow":
            self._check_login(line, line.content, state)
        at = line.header.context
        if at is not None and at in self.recorded and self.recorded[at] != view.digest:
            message = (
                f"Record {line.index} was decided under context {at}, but at state {line.header.decided} another one "
                f"applied to {line.header.actor} on {line.header.system}."
            )
            self._fail(line, Duty.DECISIONS, "decision.context", message)
            return None
        self._decide(line, line.content, said, view)
        return view

    def _check_login(self, line: Line, content: dict[str, Any], state: State) -> None:
        """Nobody is let in by a credential that has ended."""
        actor = content.get("actor")
        proof = actor.get("authenticated") if isinstance(actor, dict) else None
        name = str(proof.get("credential")) if isinstance(proof, dict) else ""
        held = state.get(f"credential/{name}")
        if held is not None and held.erased:
            self._notes.skip(Duty.DECISIONS, f"its login {name[:80]!r}, which was erased by record {held.erased_by}")
        elif held is not None and has_ended(held.value, parse_moment(line.header.time.at)):
            message = f"Session {line.index} was opened by {name[:80]!r}, which ended at {held.value['end']}."
            self._fail(line, Duty.DECISIONS, "decision.login", message)

    def weigh(self, shape: Shape, case: bytes, state: State, made: tuple[str, str]) -> Quiet | None:
        """Whether records of this shape and case, made between two moments, carry the decision that is made again.

        None where one of them may be worth more words than a remark. The state must be known, and `decided`.
        """
        view = self._view(Line(-1, shape.header(made[0]), None, "", ""), state)
        if view is None or shape.context is None or self.recorded.get(shape.context, view.digest) != view.digest:
            return None
        # Only which grants live depends on the moment, and they come and go at the edges.
        interval = view.decider.interval(parse_moment(made[0]))
        if made[0] != made[1] and interval != view.decider.interval(parse_moment(made[1])):
            return None
        question = (shape.kind, case, interval)  # the view is of one actor and system
        if question not in view.settled:
            if len(view.settled) >= DECISIONS_CACHED_MAX:
                view.settled.clear()
            view.settled[question] = self._weigh(shape, case, made[0], view)
        remarks = view.settled[question]
        return None if remarks is None else Quiet(view, remarks)

    def _weigh(self, shape: Shape, case: bytes, at: str, view: View) -> tuple[str, ...] | None:
        content = msgspec.json.decode(case)
        scratch = Notebook()
        apart = Decisions(scratch)
        apart._decide(Line(-1, shape.header(at), content, "", ""), content, content.get("authorization"), view)
        return scratch.only_remarks(Duty.DECISIONS)

    def _decide(self, line: Line, content: dict[str, Any], said: Any, view: View) -> None:
        try:
            requests, facts = _asked(said)
        except (KeyError, TypeError, ValueError):
            self._fail(
                line, Duty.DECISIONS, "decision.form", f"Record {line.index} holds no authorization as specified."
            )
            return
        for request in _expected(line, content):
            if request not in requests:
                message = f"Record {line.index} touches {request.id}, but {request.action} on it was not decided."
                self._fail(line, Duty.DECISIONS, "decision.requests", message)
        self._compare_parts(line, content, facts, view)
        try:
            again = view.decider.decide(requests, facts, parse_moment(line.header.time.at)).block()
        except AffidavitError as error:
            self._fail(
                line, Duty.DECISIONS, "decision.again", f"Record {line.index} could not be decided again: {error}"
            )
            return
        if again.get("engine") != said.get("engine"):
            remark = f"decided by {str(said.get('engine'))[:40]}, decided again by {again.get('engine')}"
            self._notes.remark(Duty.DECISIONS, remark)
        differs = difference(said, again)
        if differs:
            message = f"The decision of record {line.index} for {line.header.actor}, made again, differs in {differs}."
            self._fail(line, Duty.DECISIONS, "decision.differs", message)

    def _compare_parts(self, line: Line, content: dict[str, Any], facts: dict[str, Fact], view: View) -> None:
        """What the record shows must be what was decided on, and what was in force."""
        action = content.get("action")
        for name in ("verb", "parsed"):
            said = action.get(name) if isinstance(action, dict) else None
            if name in facts and isinstance(action, dict) and facts[name] != said:
                message = f"Record {line.index} was decided on {name} {facts[name]!r}, but says {said!r}."
                self._fail(line, Duty.DECISIONS, "decision.facts", message)
        if line.header.kind == "session.open" and content.get("settings") != view.settings:
            message = f"Session {line.index} says other settings than those in force for {line.header.actor}."
            self._fail(line, Duty.DECISIONS, "decision.settings", message)

    def _view(self, line: Line, state: State) -> View | None:
        actor, system = line.header.actor, line.header.system
        if actor is None or system is None or line.header.decided is None:
            message = f"Record {line.index} was decided, but does not say for whom, on what system or under what state."
            self._fail(line, Duty.DECISIONS, "decision.form", message)
            return None
        view = self._views.get((actor, system))
        if view is not None and view.state == state.index:
            return view
        content = build_context(state, actor, system)
        digest = context_digest(content)
        if view is not None and view.digest == digest and view.decider.nesting == nesting_of(content, state):
            view.state = state.index
            return view
        view = View(
            state.index, digest, Decider(content, state), content["settings"], asked_of(content), None, self.changed_at
        )
        earlier = self._views.get((actor, system))
        if earlier is not None:
            view.before = earlier.asked
        self._views[actor, system] = view
        self._views.move_to_end((actor, system))
        if len(self._views) > VERIFY_DECIDERS_MAX:
            self._views.popitem(last=False)
        return view

    def _fail(self, line: Line, duty: Duty, code: str, message: str) -> None:
        self._notes.fail(duty, code, line.where, message, line.index)


def _asked(said: Any) -> tuple[tuple[Request, ...], dict[str, Fact]]:
    """The requests and facts that an authorization records. Raises `ValueError`, `KeyError` or `TypeError`."""
    requests = tuple(Request(item["action"], item["type"], item["id"]) for item in said["requests"])
    if not all(isinstance(text, str) for request in requests for text in request):
        raise ValueError
    facts: dict[str, Fact] = {}
    for item in said["facts"]:
        value = item["value"]
        fact = tuple(value) if isinstance(value, list) else value
        if not isinstance(fact, str | int | tuple) or (isinstance(fact, tuple) and not all(map(_is_text, fact))):
            raise ValueError
        facts[item["name"]] = fact
    return requests, facts


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _expected(line: Line, content: dict[str, Any]) -> list[Request]:
    """What must have been asked for the tables that the record says were touched."""
    action = content.get("action")
    tables = action.get("tables") if isinstance(action, dict) else None
    if line.header.kind not in ("access", "access.intent") or not isinstance(tables, list):
        return []
    return [
        Request(table["action"], "Table", f"{line.header.system}/{table['schema']}.{table['name']}")
        for table in tables
        if isinstance(table, dict) and all(isinstance(table.get(name), str) for name in ("action", "schema", "name"))
    ]


def _parted(said: dict[str, Any], again: dict[str, Any]) -> str:
    return ", ".join(sorted(name for name in {*said, *again} if said.get(name) != again.get(name)))
