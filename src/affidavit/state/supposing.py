"""Deciding where not all facts are known: yes, no, or that it depends on facts, by the same engine and rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from affidavit.state.bounds import Bounds
from affidavit.state.deciding import Authorization, Decider, DecisionError, Determining, PolicySets, Request
from affidavit.state.facts import Fact
from affidavit.state.policy import Policy
from affidavit.state.view import StateView

YES: Final = "yes"
NO: Final = "no"
DEPENDS: Final = "depends"
_NONE: Final = DecisionError(0, "", "")


@dataclass(frozen=True)
class Verdict:
    """What is decided whatever the unknown facts are, or on which of them it depends.

    `by`: what allows, or denies; where it depends, what may allow. `against`: what may forbid then. `on`: names of the
    facts, sorted, only where it depends. `errors`: what could not be evaluated.
    """

    answer: str
    by: tuple[Determining, ...]
    against: tuple[Determining, ...] = ()
    on: tuple[str, ...] = ()
    errors: tuple[DecisionError, ...] = ()


class Supposer:
    """Decides for one context where some facts are not known: those that `bounds` are made for.

    `bounds` and `sets` may be shared among contexts. `state` must stay as it is. Raises `Conflict` as `Decider` does.
    """

    def __init__(
        self, context: Mapping[str, Any], state: StateView, bounds: Bounds, sets: PolicySets | None = None
    ) -> None:
        policies = {item["name"]: policy for item, policy in _policies(context, state)}
        self._unknown = {name: sorted(policy.mentions & bounds.unknown) for name, policy in policies.items()}
        uncertain = any(self._unknown.values())
        self._most = Decider(context, state, sets=sets, form=bounds.widest)
        # Most people may not do most things, which the widest bound shows alone: the other is made when it is needed.
        self._least_of = partial(Decider, context, state, sets=sets, form=bounds.narrowest) if uncertain else None
        self._least: Decider | None = None

    def decide(self, requests: tuple[Request, ...], facts: Mapping[str, Fact], at_ns: int) -> Verdict:
        """The verdict on all of `requests` together. `facts` are those that are known. Raises as `Decider.decide`."""
        most = self._most.decide(requests, facts, at_ns)
        if self._least_of is None:
            return _certain(most)
        # An error is certain only where the policy that errs reads nothing unknown.
        if not most.allowed and not all(self._unknown.get(error.policy) for error in most.errors or (_NONE,)):
            return _certain(most)
        self._least = self._least or self._least_of()
        least = self._least.decide(requests, facts, at_ns)
        if least.allowed:
            return _certain(least)
        permits = most.determining if most.allowed else ()
        against = () if least.errors else tuple(item for item in least.determining if item not in permits)
        uncertain = {item.policy for item in (*permits, *against)} or self._unknown.keys()
        on = sorted({fact for name in uncertain for fact in self._unknown.get(name, ())})
        return Verdict(DEPENDS, permits, against, tuple(on), tuple({*most.errors, *least.errors}))


def policies_of(context: Mapping[str, Any], state: StateView) -> list[Policy]:
    """The policies of a context, parsed."""
    return [policy for _, policy in _policies(context, state)]


def _policies(context: Mapping[str, Any], state: StateView) -> Iterator[tuple[Mapping[str, Any], Policy]]:
    for item in context["policies"]:
        version = state.get(item["name"])
        if version is not None and version.policy is not None:
            yield item, version.policy


def _certain(decided: Authorization) -> Verdict:
    return Verdict(YES if decided.allowed else NO, decided.determining, errors=decided.errors)
