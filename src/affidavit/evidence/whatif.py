"""Decides recorded accesses again under another state: that of another moment, or one with a declaration laid over it.

Each record is decided as if it had been asked at the other moment: with the requests and facts that it holds, the
policies and groups of the other state, and the grants that are live then. Facts that the other rules read and the old
ones did not are told from the record where it shows them. Where it does not, the decision still stands if it is the
same whatever they are; else it cannot be made, and the answer says for want of which fact. Nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from affidavit.errors import AffidavitError
from affidavit.evidence.knownfacts import KnownFacts
from affidavit.evidence.sentence import Names, named
from affidavit.history.asof import Records
from affidavit.limits import CONTEXT_VIEWS_MAX, READ_TOLD_EVERY
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.moment import parse_moment
from affidavit.record.read import Record
from affidavit.state.bounds import Bounds
from affidavit.state.context import permissions
from affidavit.state.deciding import RULE_INACTIVE, Determining, PolicySets, Request
from affidavit.state.facts import Fact
from affidavit.state.policy import LOG_SYSTEM, parse_policy
from affidavit.state.supposing import DEPENDS, YES, Supposer, Verdict, policies_of
from affidavit.state.view import StateView

SAME: Final = "same"
DENIED: Final = "denied"
ALLOWED: Final = "allowed"
UNDECIDED: Final = "undecided"
FAILED: Final = "failed"
#: What can become of a record: decided as before; would be denied; newly allowed; cannot be decided; a rule of the
#: other state could not be evaluated, which denies.
CLASSES: Final = (DENIED, ALLOWED, UNDECIDED, FAILED, SAME)
_ACCESSES: Final = frozenset({"access", "access.intent", "session.open"})
_OF_LOG: Final = frozenset({"change", "proposal", "approval", "log.key"})
_BEYOND: Final = frozenset({"state.lowers_capture", "state.lockout"})


@dataclass(frozen=True)
class Other:
    """The state that is decided under, and the moment (nanoseconds since 1970) that it is asked at."""

    state: StateView
    at_ns: int


@dataclass(frozen=True)
class Case:
    """One record decided again. `because` says in words what makes the difference, or why there is no decision."""

    index: int
    actor: str
    system: str
    outcome: str
    was: str
    because: str
    then: tuple[str, ...]
    now: Verdict | None
    failed_then: tuple[str, ...]
    unknown: tuple[str, ...]

    def as_dict(self, names: Names) -> dict[str, Any]:
        """As JSON shows it."""
        now = self.now
        return {
            "index": self.index,
            "identity": self.actor,
            "handle": names(self.actor),
            "system": self.system,
            "class": self.outcome,
            "was": self.was,
            "because": self.because,
            "rules_then": list(self.then),
            "rules_now": [] if now is None else sorted({item.policy for item in now.by}),
            "unknown": list(self.unknown),
            "errors": [] if now is None else sorted({f"{error.policy}: {error.message}" for error in now.errors}),
            "failed_then": list(self.failed_then),
        }


@dataclass
class Compared:
    """What a range comes to. `looked_at` counts records of any kind, `counts` those that were chosen, by class;
    `failed_then` are those in whose own decision a rule could not be evaluated."""

    looked_at: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLASSES, 0))
    failed_then: list[int] = field(default_factory=list)
    groups: dict[tuple[str, str, str, str], list[int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many accesses were looked into."""
        return sum(self.counts.values())

    def take(self, case: Case) -> None:
        """One more record."""
        self.counts[case.outcome] += 1
        if case.failed_then:
            self.failed_then.append(case.index)
        if case.outcome != SAME:
            self.groups.setdefault((case.outcome, case.because, case.actor, case.system), []).append(case.index)

    def as_dict(self, names: Names) -> dict[str, Any]:
        """As JSON shows it: `total`, `counts`, `failed_then`, and `groups` by class, reason and person, each with the
        indexes of its records."""
        order = sorted(self.groups.items(), key=lambda item: (CLASSES.index(item[0][0]), -len(item[1]), item[0]))
        return {
            "looked_at": self.looked_at,
            "total": self.total,
            "counts": dict(self.counts),
            "failed_then": self.failed_then,
            "groups": [
                {
                    "class": outcome,
                    "because": because,
                    "identity": actor,
                    "handle": names(actor),
                    "system": system,
                    "count": len(indexes),
                    "records": indexes,
                }
                for (outcome, because, actor, system), indexes in order
            ],
        }


@dataclass(frozen=True)
class Chosen:
    """Which accesses of a range are meant; None means all. Changes are meant where `system` is `log`."""

    actor: str | None = None
    system: str | None = None
    action: str | None = None

    def holds(self, header: Header) -> bool:
        """Whether a record is one of them."""
        kinds = _OF_LOG if self.system == LOG_SYSTEM else _ACCESSES
        return (
            header.kind in kinds
            and header.actor is not None
            and header.decision in ("allow", "deny")
            and self.actor in (None, header.actor)
            and self.system in (None, LOG_SYSTEM, header.system)
            and self.action in (None, header.action)
        )


class WhatIf:
    """Decides records of one log again under one other state. `names` gives handles. Not for several threads."""

    def __init__(self, records: Records, other: Other, names: Names) -> None:
        self._records = records
        self._other = other
        self._names = names
        self._facts = KnownFacts(records.record)
        self._sets = PolicySets()
        self._contexts: dict[tuple[str, str], tuple[dict[str, Any], frozenset[str]]] = {}
        self._bounds: dict[frozenset[str], Bounds] = {}
        self._supposers: dict[tuple[str, str, frozenset[str]], Supposer] = {}
        self._mentioned: dict[int, frozenset[str] | None] = {}
        self._texts: dict[tuple[str, int], frozenset[str]] = {}

    def over(self, first: int, stop: int, chosen: Chosen, told: Compared) -> Iterator[list[Case]]:
        """Put into `told` what becomes of the chosen records from `first` to before `stop`; gives the cases that do not
        come out the same, now and then, and so how far it has got."""
        cases: list[Case] = []
        for index in range(first, stop):
            if chosen.holds(self._records.header(index)):
                case = self.case(self._records.record(index))
                told.take(case)
                if case.outcome != SAME or case.failed_then:
                    cases.append(case)
            told.looked_at += 1
            if told.looked_at % READ_TOLD_EVERY == 0:
                yield cases
                cases = []
        yield cases

    def case(self, record: Record) -> Case:
        """One record, in which something was decided."""
        said = record.content.get("authorization")
        if not isinstance(record.body, dict):
            why = "there is no key for its body"
            if isinstance(record.body, Erased):
                why = f"its body was erased by record {record.body.by}"
            return self._undecided(record, why)
        if not isinstance(said, dict):
            return self._undecided(record, "no policy was asked then")
        then = tuple(sorted({str(item["policy"]) for item in said["determining"]}))
        failed = tuple(sorted({str(item["policy"]) for item in said["errors"]}))
        if not _BEYOND.isdisjoint(then):
            return self._undecided(record, f"{then[0]} decided it, which is beyond policy", then)
        try:
            verdict, unknown = self._decided(record, said)
        except AffidavitError as error:
            return self._undecided(record, error.message, then, failed)
        was = str(said["decision"])
        outcome, because = self._compared(was, then, said["determining"], failed, verdict, unknown)
        actor, system = _whom(record.header)
        return Case(record.index, actor, system, outcome, was, because, then, verdict, failed, tuple(sorted(unknown)))

    def _undecided(self, record: Record, why: str, then: tuple[str, ...] = (), failed: tuple[str, ...] = ()) -> Case:
        actor, system = _whom(record.header)
        was = record.header.decision or ""
        return Case(record.index, actor, system, UNDECIDED, was, why, then, None, failed, ())

    def _decided(self, record: Record, said: Mapping[str, Any]) -> tuple[Verdict, frozenset[str]]:
        """The verdict under the other state, and the facts that it was made without."""
        actor, system = _whom(record.header)
        context, reads = self._context(actor, system)
        facts: dict[str, Fact] = {
            item["name"]: tuple(item["value"]) if isinstance(item["value"], list) else item["value"]
            for item in said["facts"]
        }
        asked = self._mentioned_then(record)
        missing = reads - facts.keys() - (asked or frozenset())
        unknown: frozenset[str] = frozenset()
        if missing:
            told, unknown = self._facts.tell(record, missing)
            facts |= told
        requests = tuple(Request(item["action"], item["type"], item["id"]) for item in said["requests"])
        supposer = self._supposer(actor, system, context, unknown)
        return supposer.decide(requests, facts, self._other.at_ns), unknown

    def _context(self, actor: str, system: str) -> tuple[dict[str, Any], frozenset[str]]:
        """What decisions rest on under the other state, and the facts that its policies read."""
        key = (actor, system)
        if key not in self._contexts:
            context = permissions(self._other.state, actor, system)
            policies = policies_of(context, self._other.state)
            self._contexts[key] = context, frozenset().union(*(policy.mentions for policy in policies))
        return self._contexts[key]

    def _supposer(self, actor: str, system: str, context: dict[str, Any], unknown: frozenset[str]) -> Supposer:
        key = (actor, system, unknown)
        if key not in self._supposers:
            if len(self._supposers) >= CONTEXT_VIEWS_MAX:
                self._supposers.clear()
            bounds = self._bounds.setdefault(unknown, Bounds(unknown))
            self._supposers[key] = Supposer(context, self._other.state, bounds, self._sets)
        return self._supposers[key]

    def _mentioned_then(self, record: Record) -> frozenset[str] | None:
        """The facts that some policy read when the record was decided: of these, the record holds all that there were.
        None where its context does not tell."""
        context = record.header.context
        if context is None:
            return None
        if context not in self._mentioned:
            self._mentioned[context] = self._mentioned_in(self._records.record(context))
        return self._mentioned[context]

    def _mentioned_in(self, context: Record) -> frozenset[str] | None:
        found: set[str] = set()
        for item in context.content.get("policies", ()):
            key = (item["name"], item["version"])
            if key not in self._texts:
                value = _put_value(self._records.record(item["version"]), item["name"])
                if value is None:
                    return None
                self._texts[key] = parse_policy(value["text"]).mentions
            found |= self._texts[key]
        return frozenset(found) if context.content else None

    def _compared(
        self,
        was: str,
        then: tuple[str, ...],
        determining: list[dict[str, Any]],
        failed_then: tuple[str, ...],
        verdict: Verdict,
        unknown: frozenset[str],
    ) -> tuple[str, str]:
        """The class of a record, and why."""
        if verdict.errors and verdict.answer != DEPENDS:
            policies = sorted({error.policy for error in verdict.errors})
            return FAILED, f"{self._shown(policies)} cannot be evaluated, which denies"
        if verdict.answer == DEPENDS:
            return UNDECIDED, f"it depends on {', '.join(verdict.on) or ', '.join(sorted(unknown))}, not recorded then"
        if (verdict.answer == YES) == (was == "allow"):
            return SAME, ""
        if verdict.answer == YES:
            fate = self._fates(determining) if then else ""
            if failed_then:
                fate = f"{self._shown(list(failed_then))} could not be evaluated then"
            return ALLOWED, f"allowed by {self._shown([item.policy for item in verdict.by])}" + (
                f"; {fate}" if fate else ""
            )
        forbids = sorted({item.policy for item in verdict.by if self._forbids(item)})
        if RULE_INACTIVE in {item.policy for item in verdict.by}:
            return DENIED, "the identity is not there or not active"
        if forbids:
            return DENIED, f"forbidden by {self._shown(forbids)}"
        return DENIED, f"no rule allows it; {self._fates(determining)}"

    def _forbids(self, item: Determining) -> bool:
        version = self._other.state.get(item.policy)
        return version is not None and version.policy is not None and version.policy.effect == "forbid"

    def _fates(self, determining: list[dict[str, Any]]) -> str:
        """What became of the rules that decided then."""
        fates = []
        for name, digest in sorted({(str(item["policy"]), str(item["digest"])) for item in determining}):
            version = self._other.state.get(name)
            if version is None:
                fate = "is not there"
            elif version.digest != digest:
                fate = "is another"
            elif not self._is_live(version.value):
                fate = "is not in its time"
            else:
                fate = "does not apply"
            fates.append(f"{self._shown([name])} {fate}")
        return ", ".join(fates)

    def _is_live(self, value: Mapping[str, Any]) -> bool:
        start, end = value.get("start"), value.get("end")
        at_ns = self._other.at_ns
        return (start is None or parse_moment(start) <= at_ns) and (end is None or at_ns < parse_moment(end))

    def _shown(self, names: list[str]) -> str:
        return ", ".join(named(name, self._names) for name in sorted(set(names)))


def _whom(header: Header) -> tuple[str, str]:
    return header.actor or "", header.system or LOG_SYSTEM


def _put_value(record: Record, name: str) -> dict[str, Any] | None:
    """The value that a change gave an object, or None where its body cannot be read."""
    for op in record.content.get("objects", ()):
        if op.get("name") == name and isinstance(op.get("value"), dict):
            return dict(op["value"])
    return None
