"""A recorded access, decided again under another state or at another moment: computed, not guessed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from affidavit.errors import AffidavitError, Corruption
from affidavit.evidence.findings.finding import Missed
from affidavit.limits import FINDINGS_DECIDERS_MAX
from affidavit.record.moment import parse_moment
from affidavit.record.read import Record
from affidavit.state.context import build_context
from affidavit.state.deciding import Authorization, Decider, Request
from affidavit.state.hidden import ErasedContent
from affidavit.state.view import StateView


class Again:
    """`state_at` gives the state at a position. `unknown` counts what could not be decided again.

    A record holds the facts that the policies of its day read. Where another state's policies read further facts, or
    the body of a change is gone, nobody can say what they would have decided: then the answer is None.
    """

    def __init__(self, state_at: Callable[[int], StateView]) -> None:
        self._state_at = state_at
        self._deciders: OrderedDict[tuple[int, str, str], Decider | None] = OrderedDict()
        self.unknown = Missed()

    def decide(self, record: Record, position: int, at_ns: int | None = None) -> Authorization | None:
        """The decision on what `record` asked, under the state at `position`, at its own moment or at `at_ns`."""
        said, actor = record.content["authorization"], record.header.actor or ""
        system = record.header.system or ""
        own = self._decider(record.header.decided or 0, actor, system)
        other = self._decider(position, actor, system)
        if own is None or other is None or not set(other.mentions) <= set(own.mentions):
            self.unknown.add(record.index)
            return None
        requests = tuple(Request(one["action"], one["type"], one["id"]) for one in said["requests"])
        facts = {
            fact["name"]: tuple(fact["value"]) if isinstance(fact["value"], list) else fact["value"]
            for fact in said["facts"]
        }
        try:
            return other.decide(requests, facts, parse_moment(record.header.time.at) if at_ns is None else at_ns)
        except AffidavitError:
            self.unknown.add(record.index)
            return None

    def decisive(self, record: Record, change: int) -> bool:
        """Whether the change made what was asked allowed: denied under the state before it, allowed right after it."""
        before, after = self.decide(record, change), self.decide(record, change + 1)
        return before is not None and after is not None and not before.allowed and after.allowed

    def groups_that_gave(self, record: Record, context: dict[str, Any]) -> set[str]:
        """The groups by which the access was allowed: those of the grants that decided, or that a rule names."""
        held = [item["group"] for item in context.get("groups", ())]
        state = self._state_at(record.header.decided or 0)
        found = set()
        for item in record.content["authorization"]["determining"]:
            kind, _, rest = str(item["policy"]).partition("/")
            if kind == "grant" and rest.startswith("group:"):
                found.add(rest.removeprefix("group:").partition("/")[0])
            version = state.get(item["policy"]) if kind == "policy" else None
            if version is not None and version.policy is not None:
                system, policy = record.header.system or "", version.policy
                if not policy.can_match("", frozenset(), system):
                    found |= {group for group in held if policy.can_match("", frozenset({group}), system)}
        return found

    def _decider(self, position: int, actor: str, system: str) -> Decider | None:
        key = (position, actor, system)
        if key not in self._deciders:
            try:
                state = self._state_at(position)
                self._deciders[key] = Decider(build_context(state, actor, system), state)
            except ErasedContent:
                self._deciders[key] = None
            except Corruption as error:
                if error.code != "state.body":
                    raise
                self._deciders[key] = None
            if len(self._deciders) > FINDINGS_DECIDERS_MAX:
                self._deciders.popitem(last=False)
        self._deciders.move_to_end(key)
        return self._deciders[key]
