"""Decide requests under a context, by Cedar, so that the same decision can be made again (docs/spec/state.md).

What is not left to Cedar: an identity that is absent or not active is denied; grants count by their interval
(start ≤ at < end) before Cedar sees them, each as one permit; every request of a statement or change must be allowed;
and any evaluation error is a deny, because Cedar skips a policy that errs, and a skipped `forbid` forbids nothing.
"""

from __future__ import annotations

import bisect
import importlib.metadata
import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import cedarpy

from affidavit.errors import Conflict, InvalidInput
from affidavit.limits import (
    DECISION_ERROR_CHARS_MAX,
    DECISION_ERRORS_MAX,
    DECISIONS_CACHED_MAX,
    DETERMINING_MAX,
    POLICY_SETS_SHARED_MAX,
    REQUESTS_MAX,
)
from affidavit.record.moment import parse_moment
from affidavit.state.context import RULES
from affidavit.state.facts import Fact, cedar_context
from affidavit.state.fold import Version
from affidavit.state.objects import GROUP_PREFIX, KINDS
from affidavit.state.policy import LOG_SYSTEM, Policy, policy_set_json
from affidavit.state.schema import ACTIONS
from affidavit.state.view import StateView

#: Names the library that decided. A verifier with another one says so.
ENGINE: Final = f"cedarpy {importlib.metadata.version('cedarpy')}"
RULE_INACTIVE: Final = "state.inactive"
_LIVE_SETS_MAX = 8  # policy sets kept for instants between grant edges: time moves on, so the last few suffice
_CACHED_REQUESTS_MAX = 16  # wider questions are rare, and big to keep
_ERROR = re.compile(r"error while evaluating policy `([^`]*)`: (.*)", re.DOTALL)


class Request(NamedTuple):
    """One question: may the actor do `action` on the resource `type`::`id`?"""

    action: str
    type: str
    id: str


class Determining(NamedTuple):
    """What decided the request numbered `request`: a policy or grant with the digest of its value, or a built-in rule
    (`state.…`) with an empty digest."""

    request: int
    policy: str
    digest: str


class DecisionError(NamedTuple):
    """A policy that could not be evaluated for the request numbered `request`."""

    request: int
    policy: str
    message: str


@dataclass(frozen=True)
class Authorization:
    """What was asked, on which facts, and what came of it. `facts`: sorted, only those that a policy mentions."""

    requests: tuple[Request, ...]
    facts: tuple[tuple[str, Fact], ...]
    decision: str
    determining: tuple[Determining, ...]
    errors: tuple[DecisionError, ...]

    @property
    def allowed(self) -> bool:
        """Whether every request was allowed, without an error."""
        return self.decision == "allow"

    @property
    def rules(self) -> tuple[str, ...]:
        """The built-in rules that denied, whatever policy says."""
        return tuple(sorted({item.policy for item in self.determining if not item.digest}))

    def block(self) -> dict[str, Any]:
        """The `authorization` part of a body."""
        return {
            "rules": RULES,
            "engine": ENGINE,
            "requests": [request._asdict() for request in self.requests],
            "facts": [
                {"name": name, "value": list(value) if isinstance(value, tuple) else value}
                for name, value in self.facts
            ],
            "decision": self.decision,
            "determining": [item._asdict() for item in self.determining],
            "errors": [error._asdict() for error in self.errors],
        }

    def denied_by(self, rule: str) -> Authorization:
        """This authorization, denied by a built-in rule."""
        rules = tuple(Determining(number, rule, "") for number in range(len(self.requests)))
        return Authorization(self.requests, self.facts, "deny", rules[:DETERMINING_MAX], self.errors)


@dataclass(frozen=True)
class _Grant:
    name: str
    est: str
    start_ns: int
    end_ns: int | None


#: Groups of a context with the groups that hold each directly, sorted.
Nesting = tuple[tuple[str, tuple[str, ...]], ...]


def nesting_of(context: Mapping[str, Any], state: StateView) -> Nesting:
    """How the groups of a context nest. A context names each group and the shortest way to it; decisions rest on every
    way. So a decider stands for another state only where that gives the same context *and* the same nesting."""
    return tuple(
        (item["group"], tuple(state.direct_groups(f"{GROUP_PREFIX}{item['group']}"))) for item in context["groups"]
    )


class PolicySets:
    """Parsed policies, shared by the deciders of many contexts of one state. Bounded. Not for several threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[tuple[str, str], ...], cedarpy.PolicySet] = {}

    def parsed(self, policies: Mapping[str, str]) -> cedarpy.PolicySet:
        """The set of these policies, from id to Cedar JSON."""
        key = tuple(policies.items())
        found = self._kept.get(key)
        if found is None:
            found = _parsed(policies)
            if len(self._kept) >= POLICY_SETS_SHARED_MAX:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = found
        return found


class Decider:
    """Decides for one context. Holds the parsed policies and entities, and a bounded cache of decisions.

    Takes what it needs from `state` when built: later changes to the state do not reach it. `sets` shares parsed
    policies with others; `form` gives the Cedar JSON that stands for a policy, which is its own unless a bound of it is
    asked for (`affidavit.state.bounds`). Not for several threads. Raises `Conflict` when the context does not belong to
    the state.
    """

    def __init__(
        self,
        context: Mapping[str, Any],
        state: StateView,
        *,
        sets: PolicySets | None = None,
        form: Callable[[Policy], str] = operator.attrgetter("est"),
    ) -> None:
        self.actor: str = context["actor"]
        self.system: str = context["system"]
        self._parsed = _parsed if sets is None else sets.parsed
        self._policies: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        found: set[str] = set()
        for item in context["policies"]:
            version = _held(state, item)
            if version.policy is None:
                raise _not_of_state(item["name"])
            found |= version.policy.mentions
            self._policies[item["name"]] = form(version.policy)
            self._digests[item["name"]] = item["digest"]
        #: Names of the facts that some policy of the context reads. Others are left out of decision and record.
        self.mentions: tuple[str, ...] = tuple(sorted(found))
        self._grants = tuple(_grant(_held(state, item)) for item in context["grants"])
        self._digests |= {item["name"]: item["digest"] for item in context["grants"]}
        identity = None
        if context["identity"] is not None:
            identity = _held(state, {"name": f"identity/{self.actor}", **context["identity"]})
        self._active = identity is not None and identity.value["status"] == "active"
        #: What decisions rest on beside the context.
        self.nesting: Nesting = nesting_of(context, state)
        self._entities = _entities(self.nesting, context, identity)
        edges = {grant.start_ns for grant in self._grants} | {grant.end_ns for grant in self._grants}
        self._edges = sorted(edge for edge in edges if edge is not None)
        self._sets: dict[int, cedarpy.PolicySet] = {}
        self._cache: dict[tuple[int, tuple[Request, ...], tuple[Fact | None, ...]], Authorization] = {}

    def decide(self, requests: tuple[Request, ...], facts: Mapping[str, Fact], at_ns: int) -> Authorization:
        """The decision on all of `requests` together at `at_ns` (nanoseconds since 1970).

        Raises `InvalidInput` for no request or too many, a resource that is not of this system, and facts of a wrong
        type, as far as they are mentioned.
        """
        # True and 1 are equal as keys: who gives 1 for true gets the decision for true, where it is known already.
        mentioned = tuple(map(facts.get, self.mentions))
        interval = self.interval(at_ns)
        key = (interval, requests, mentioned)
        try:
            cached = self._cache.get(key)
        except TypeError:
            raise InvalidInput("state.fact", "A fact or request cannot be a list.", "Give a tuple.") from None
        if cached is None:
            cached = self._decide(requests, mentioned, interval)
            if len(requests) <= _CACHED_REQUESTS_MAX:
                if len(self._cache) >= DECISIONS_CACHED_MAX:
                    del self._cache[next(iter(self._cache))]
                self._cache[key] = cached
        return cached

    def interval(self, at_ns: int) -> int:
        """The number of the interval between two beginnings or ends of grants that holds `at_ns`: within one, the same
        question has the same answer."""
        return bisect.bisect_right(self._edges, at_ns)

    def _decide(
        self, requests: tuple[Request, ...], mentioned: tuple[Fact | None, ...], interval: int
    ) -> Authorization:
        if not 1 <= len(requests) <= REQUESTS_MAX:
            raise InvalidInput("state.requests", f"1 to {REQUESTS_MAX} requests are decided together.", "Split them.")
        entities = self._entities.with_added_json_str(json.dumps(self._resources(requests)))
        facts = tuple((name, value) for name, value in zip(self.mentions, mentioned, strict=True) if value is not None)
        context = json.dumps(cedar_context(facts))
        if not self._active:
            return Authorization(requests, facts, "allow", (), ()).denied_by(RULE_INACTIVE)
        asked = [
            {
                "principal": {"type": "Identity", "id": self.actor},
                "action": {"type": "Action", "id": request.action},
                "resource": {"type": request.type, "id": request.id},
                "context": context,
            }
            for request in requests
        ]
        results = cedarpy.is_authorized_batch(asked, self._policy_set(interval), entities)
        return self._authorization(requests, facts, results)

    def _authorization(
        self, requests: tuple[Request, ...], facts: tuple[tuple[str, Fact], ...], results: list[cedarpy.AuthzResult]
    ) -> Authorization:
        determining: list[Determining] = []
        errors: list[DecisionError] = []
        allowed = len(results) == len(requests)
        for number, result in enumerate(results):
            failed = sorted(_split_error(text) for text in result.diagnostics.errors)
            errors += [DecisionError(number, policy, message) for policy, message in failed]
            allowed = allowed and result.decision is cedarpy.Decision.Allow and not failed
            if result.decision is cedarpy.Decision.Allow and failed:
                continue  # Cedar would allow; it is the error that denies, not the permits that it names
            determining += [
                Determining(number, name, self._digests[name]) for name in sorted(result.diagnostics.reasons)
            ]
        return Authorization(
            requests,
            facts,
            "allow" if allowed else "deny",
            tuple(determining[:DETERMINING_MAX]),
            tuple(errors[:DECISION_ERRORS_MAX]),
        )

    def _policy_set(self, interval: int) -> cedarpy.PolicySet:
        """The policies and the grants that are live in an interval between two grant edges."""
        handle = self._sets.get(interval)
        if handle is None:
            # Every instant of an interval has the same live grants as its first, an edge; before the first edge
            # only grants without a start live.
            at_ns = self._edges[interval - 1] if interval else -1
            live = {
                grant.name: grant.est
                for grant in self._grants
                if grant.start_ns <= at_ns and (grant.end_ns is None or at_ns < grant.end_ns)
            }
            handle = self._parsed(self._policies | live)
            if len(self._sets) >= _LIVE_SETS_MAX:
                del self._sets[next(iter(self._sets))]
            self._sets[interval] = handle
        return handle

    def _resources(self, requests: tuple[Request, ...]) -> list[dict[str, Any]]:
        """Entities of the requests that the base does not hold: tables, objects. Checks each resource."""
        added: dict[tuple[str, str], dict[str, Any]] = {}
        on_log = self.system == LOG_SYSTEM
        for action, kind, which in requests:
            if action not in ACTIONS:
                raise InvalidInput("state.request", f"There is no action `{action}`.", f"Known: {', '.join(ACTIONS)}.")
            if kind == "Table" and not on_log and which.startswith(f"{self.system}/"):
                added[kind, which] = _entity(kind, which, [("System", self.system)])
            elif kind == "Object" and on_log and which.partition("/")[0] in KINDS:
                added[kind, which] = _entity(kind, which, [("ObjectKind", which.partition("/")[0])])
            elif (kind, which) != (("Log", LOG_SYSTEM) if on_log else ("System", self.system)) and not (
                kind == "ObjectKind" and on_log and which in KINDS
            ):
                raise InvalidInput(
                    "state.request", f"{kind} `{which:.80}` is no resource of `{self.system}`.", "Ask there."
                )
        return list(added.values())


def _parsed(policies: Mapping[str, str]) -> cedarpy.PolicySet:
    return cedarpy.PolicySet.from_json_str(policy_set_json(policies))


def _not_of_state(name: str) -> Conflict:
    return Conflict("state.context", f"The context names another `{name}` than the state holds.", "Build it again.")


def _held(state: StateView, item: Mapping[str, Any]) -> Version:
    version = state.get(item["name"])
    if version is None or version.version != item["version"] or version.digest != item["digest"]:
        raise _not_of_state(item["name"])
    return version


def _grant(version: Version) -> _Grant:
    """A grant as one permit: `permit(principal in P, action in […], resource in R)`."""
    principal = version.name.split("/")[1]
    group = principal.startswith(GROUP_PREFIX)
    entity = {"type": "Group" if group else "Identity", "id": principal.removeprefix(GROUP_PREFIX)}
    value = version.value
    est = {
        "effect": "permit",
        "principal": {"op": "in", "entity": entity},
        "action": {"op": "in", "entities": [{"type": "Action", "id": action} for action in value["actions"]]},
        "resource": {"op": "in", "entity": dict(value["resource"])},
        "conditions": [],
    }
    start, end = value["start"], value["end"]
    return _Grant(
        version.name,
        json.dumps(est),
        -1 if start is None else parse_moment(start),
        None if end is None else parse_moment(end),
    )


def _entity(kind: str, which: str, parents: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "uid": {"type": kind, "id": which},
        "attrs": {},
        "parents": [{"type": parent, "id": name} for parent, name in parents],
    }


def _entities(nesting: Nesting, context: Mapping[str, Any], identity: Version | None) -> cedarpy.Entities:
    """The entities that all requests of a context share."""
    groups = [group for group, _ in nesting]
    held = set(groups)
    entities = []
    for group, parents in nesting:
        if not held.issuperset(parents):
            raise _not_of_state(f"group/{group}")
        entities.append(_entity("Group", group, [("Group", name) for name in parents]))
    actor = _entity("Identity", context["actor"], [("Group", group) for group in groups])
    if identity is not None:
        actor["attrs"] = {"kind": identity.value["kind"]}
        actor["tags"] = {item["name"]: item["value"] for item in identity.value["attributes"]}
    entities.append(actor)
    if context["system"] == LOG_SYSTEM:
        entities.append(_entity("Log", LOG_SYSTEM, []))
        entities += [_entity("ObjectKind", kind, [("Log", LOG_SYSTEM)]) for kind in KINDS]
    else:
        entities.append(_entity("System", context["system"], []))
    return cedarpy.Entities.from_json_str(json.dumps(entities))


def _split_error(text: str) -> tuple[str, str]:
    match = _ERROR.fullmatch(text)
    policy, message = (match[1], match[2]) if match else ("", text)
    return policy, message[:DECISION_ERROR_CHARS_MAX]
