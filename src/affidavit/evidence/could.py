"""Who may do something at a moment: every identity there was then, decided as the gateway or the administration would.

Nothing is read off role names: each identity's permissions are put together from the state and decided by the engine.
Facts that come with a request (the verb, the address, TLS) are not known beforehand. Where the decision is the same
whatever they are, it is yes or no; where it is not, the answer names the facts that it depends on, and is never a yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from affidavit.evidence.asking import Resource
from affidavit.evidence.sentence import named
from affidavit.record.moment import format_moment
from affidavit.state.bounds import Bounds
from affidavit.state.changing import OF_ONE_KIND
from affidavit.state.context import permissions
from affidavit.state.deciding import RULE_INACTIVE, Determining, PolicySets, Request
from affidavit.state.facts import Fact
from affidavit.state.hidden import ErasedContent, kind_at
from affidavit.state.map import owner_of
from affidavit.state.objects import GROUP_PREFIX
from affidavit.state.recalled import Recalled
from affidavit.state.supposing import DEPENDS, NO, YES, Supposer, Verdict, policies_of
from affidavit.state.view import StateView

#: How a change of an object of the log can come about, with the facts that policy is then asked with.
WAYS: Final[Mapping[str, Mapping[str, Fact]]] = {
    "alone": {"approvals": 0},
    "with_approval": {"approvals": 1},
    "may_approve": {"approvals": 0, "approving": True},
}
_OF_WAYS: Final = frozenset({"approvals", "approving"})
_CAPTURE_KINDS: Final = ("settings", "membership")
BEYOND_POLICY: Final = (
    "Two rules stand above every policy: nobody lowers what is captured of their own accesses alone, and no change may "
    "leave its author and approvers unable to undo it."
)


@dataclass(frozen=True)
class Question:
    """May they do `action` on `resource`, at `at_ns`? `facts` are those that whoever asks takes as known."""

    action: str
    resource: Resource
    facts: Mapping[str, Fact]
    at_ns: int


def who_could(state: StateView, question: Question) -> dict[str, Any]:
    """The answer for every identity of `state`, as values for JSON.

    `people`: for each active identity `identity`, `handle`, `kind`, `answer` (`yes`, `depends`, `no`), `by`, `against`,
    `on`, `errors`, sorted by answer and handle; where that is not no, on a connected system, `login`: whether they may
    open a session there; for a change of an object of the log the answer is that for doing it alone, and
    `with_approval` and `may_approve` say the same of doing it with another's approval, and of approving it.
    `inactive`: identities that are suspended, to whom nothing is allowed. For whom it rests on what was erased, it
    `depends` on that; `erased` are changes that may have put identities which nobody knows any more. Raises
    `InvalidInput`.
    """
    asking = _Asking(Recalled(state), question)
    people: list[dict[str, Any]] = []
    inactive: list[dict[str, Any]] = []
    for name in state.names("identity/"):
        identity = name.removeprefix("identity/")
        version = state.get(name)
        if version is None:
            continue
        who = {"identity": identity, "handle": state.handle_of(identity) or identity, "kind": version.value["kind"]}
        if version.value["status"] == "active":
            people.append({**who, **_answered(asking, identity, version.value)})
        else:
            inactive.append({**who, "by": [RULE_INACTIVE], "since": version.version})
    order = {YES: 0, DEPENDS: 1, NO: 2}
    people.sort(key=lambda item: (order[item["answer"]], item["handle"]))
    resource = question.resource
    return {
        "action": question.action,
        "resource": {"type": resource.type, "id": resource.id, "system": resource.system},
        "shown": named(resource.shown, lambda identity: state.handle_of(identity) or identity),
        "at": format_moment(question.at_ns),
        "state": state.index,
        "facts": [{"name": name, "value": _plain(value)} for name, value in sorted(question.facts.items())],
        "counts": {
            **{answer: sum(item["answer"] == answer for item in people) for answer in order},
            "inactive": len(inactive),
        },
        "people": people,
        "inactive": sorted(inactive, key=lambda item: str(item["handle"])),
        "erased": [
            {"version": version, "by": by}
            for version, by in sorted(
                {(one.version, one.by) for path, one in state.hidden.items() if kind_at(path) == "identity"}
            )
        ],
        "beyond_policy": BEYOND_POLICY if resource.is_object else "",
    }


class _Asking:
    """One question put to one identity after the other. Parsed policies and their bounds are shared."""

    def __init__(self, state: Recalled, question: Question) -> None:
        self._state = state
        self._question = question
        self._request = question.resource.request(question.action)
        self._sets = PolicySets()
        self._bounds: dict[frozenset[str], Bounds] = {}
        self._supposers: dict[frozenset[str], Supposer] = {}  # of one identity
        self._alike: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.of_object = question.resource.is_object and not question.facts.keys() & _OF_WAYS

    def person(self, identity: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """What the answer says of one identity, which has this value.

        One decision stands for all whom nothing tells apart: the engine sees of an identity its groups, kind and
        attributes, and who it is only where a policy or a grant names it.
        """
        context = permissions(self._state, identity, self._question.resource.system)
        named_alone = any(item["name"].split("/")[1] == identity for item in context["grants"])
        if named_alone or any(policy.identities for policy in policies_of(context, self._state)):
            return self._decided(context)
        names = (tuple(item["name"] for item in context[part]) for part in ("policies", "grants"))
        groups = tuple((item["group"], *item["via"]) for item in context["groups"])
        attributes = tuple((item["name"], item["value"]) for item in value["attributes"])
        alike = (*names, groups, value["kind"], attributes, identity in self._question.resource.id)
        if alike not in self._alike:
            self._alike[alike] = self._decided(context)
        return self._alike[alike]

    def _decided(self, context: Mapping[str, Any]) -> dict[str, Any]:
        question = self._question
        self._supposers = {}
        if question.resource.is_object:
            if question.facts.keys() & _OF_WAYS:
                return self._way(context, {})
            ways = {way: self._way(context, facts) for way, facts in WAYS.items()}
            return {**ways["alone"], "with_approval": ways["with_approval"], "may_approve": ways["may_approve"]}
        found = self._shown(context, self._verdict(context, self._request, question.facts, self._unknown()))
        if not question.resource.of_log and question.action != "login" and found["answer"] != NO:
            system = question.resource.system
            known = {name: value for name, value in question.facts.items() if name in _of_login(question.resource)}
            unknown = question.resource.unknown("login", known)
            login = self._verdict(context, Request("login", "System", system), known, unknown)
            found["login"] = {"answer": login.answer, "on": list(login.on)}
        return found

    def _way(self, context: Mapping[str, Any], way: Mapping[str, Fact]) -> dict[str, Any]:
        """A change of an object of the log by one of the ways; of the facts, what its name tells is known."""
        kind, _, rest = self._question.resource.id.partition("/")
        known: dict[str, Fact] = {"kinds": (kind,)}
        if rest:
            owner, _, last = rest.partition("/") if owner_of(self._question.resource.id) != kind else ("", "", "")
            if kind == "reported":
                known["sources"] = (last,)
            known["own"] = context["actor"] in (owner, rest.removeprefix("user/") if kind == "settings" else "")
        if kind not in _CAPTURE_KINDS:
            known["lowers_capture"] = False
        facts = {**known, **way, **self._question.facts}
        never = {name for name, only in OF_ONE_KIND.items() if only != kind}
        unknown = frozenset(self._unknown() - facts.keys() - _OF_WAYS - never)
        return self._shown(context, self._verdict(context, self._request, facts, unknown))

    def _unknown(self) -> frozenset[str]:
        return self._question.resource.unknown(self._question.action, self._question.facts)

    def _verdict(
        self, context: Mapping[str, Any], request: Request, facts: Mapping[str, Fact], unknown: frozenset[str]
    ) -> Verdict:
        read = unknown & self._mentions(context)
        supposer = self._supposers.get(read)
        if supposer is None:
            bounds = self._bounds.setdefault(read, Bounds(read))
            supposer = self._supposers[read] = Supposer(context, self._state, bounds, self._sets)
        return supposer.decide((request,), facts, self._question.at_ns)

    def _mentions(self, context: Mapping[str, Any]) -> frozenset[str]:
        """Names of the facts that policies of the context read."""
        return frozenset().union(*(policy.mentions for policy in policies_of(context, self._state)))

    def _shown(self, context: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
        via = {item["group"]: item["via"] for item in context["groups"]}
        return {
            "answer": verdict.answer,
            "by": [self._rule(item, via) for item in verdict.by],
            "against": [self._rule(item, via) for item in verdict.against],
            "on": list(verdict.on),
            "errors": [{"policy": error.policy, "message": error.message} for error in verdict.errors],
        }

    def _rule(self, item: Determining, via: Mapping[str, list[str]]) -> dict[str, Any]:
        """A rule with the record that put it, and the groups of the identity that it speaks of."""
        version = self._state.get(item.policy) if item.digest else None
        rule: dict[str, Any] = {
            "name": item.policy,
            "shown": named(item.policy, lambda identity: self._state.handle_of(identity) or identity),
            "version": None if version is None else version.version,
            "groups": [],
        }
        if version is None:
            return rule
        if version.policy is not None:
            spoken_of = version.policy.groups
        else:
            principal = item.policy.split("/")[1]
            spoken_of = frozenset({principal.removeprefix(GROUP_PREFIX)} if principal.startswith(GROUP_PREFIX) else ())
            rule |= {member: version.value[member] for member in ("start", "end", "reason", "ticket")}
        rule["groups"] = [{"group": group, "via": via[group]} for group in sorted(spoken_of & via.keys())]
        return rule


def _answered(asking: _Asking, identity: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """What the answer says of one identity; where what it rests on was erased, it depends on that."""
    try:
        return asking.person(identity, value)
    except ErasedContent as error:
        on: dict[str, Any] = {"answer": DEPENDS, "by": [], "against": [], "on": [f"what {error.what}"], "errors": []}
        return {**on, "with_approval": on, "may_approve": on} if asking.of_object else on


def _of_login(resource: Resource) -> frozenset[str]:
    return resource.unknown("login", {})


def _plain(value: Fact) -> Any:
    return list(value) if isinstance(value, tuple) else value
