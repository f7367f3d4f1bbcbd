"""What a policy comes to where some facts are not known: its condition at least, and at most.

A condition is made of comparisons joined by `&&`, `||`, `!` and `if`. A comparison that reads a fact which is not known
may be true or false. With true in its place wherever that makes the whole condition easier to meet, and false where
that does, the condition is met *at most*; the other way around *at least*: whatever the facts are, the true answer lies
between the two. So with permits at least and forbids at most, what the engine allows is allowed for all values of the
facts; with permits at most and forbids at least, what it denies is denied for all. The engine decides both: nothing is
evaluated here.

One thing could be hidden by putting a constant in: an error while evaluating, which denies. A policy that reads an
unknown fact and could fail to evaluate therefore forbids, in the case that must hold for all values.
"""

from __future__ import annotations

import json
from typing import Any, Final

from affidavit.state.policy import Policy

_ARITHMETIC: Final = ("+", "-", "*", "neg")
# What the schema gives every identity, and what is checked before it is read: these cannot fail.
_SAFE: Final = ({"Var": "context"}, {"Var": "principal"})


class Bounds:
    """The bounds of policies where `unknown` facts are not known. Keeps each that was asked for."""

    def __init__(self, unknown: frozenset[str]) -> None:
        self.unknown = unknown
        self._kept: dict[tuple[str, bool], str] = {}

    def widest(self, policy: Policy) -> str:
        """The policy's Cedar JSON as it allows the most: what is denied even so is denied whatever the facts are."""
        return self._of(policy, widest=True)

    def narrowest(self, policy: Policy) -> str:
        """The policy's Cedar JSON as it allows the least: what is allowed even so is allowed whatever the facts are."""
        return self._of(policy, widest=False)

    def _of(self, policy: Policy, *, widest: bool) -> str:
        if self.unknown.isdisjoint(policy.mentions):
            return policy.est
        key = (policy.est, widest)
        bound = self._kept.get(key)
        if bound is None:
            bound = self._kept[key] = json.dumps(self._bounded(json.loads(policy.est), widest=widest))
        return bound

    def _bounded(self, tree: dict[str, Any], *, widest: bool) -> dict[str, Any]:
        if not widest and any(_may_fail(condition["body"]) for condition in tree["conditions"]):
            return {**tree, "effect": "forbid", "conditions": []}
        up = (tree["effect"] == "permit") == widest
        conditions = [
            {**item, "body": self._bound(item["body"], up == (item["kind"] == "when"))} for item in tree["conditions"]
        ]
        return {**tree, "conditions": conditions}

    def _bound(self, node: Any, up: bool) -> Any:
        """A condition that is met wherever `node` may be (`up`), or only where `node` must be."""
        if not self._reads_unknown(node):
            return node
        ((operator, parts),) = node.items()
        if operator in ("&&", "||"):
            return {operator: {side: self._bound(parts[side], up) for side in ("left", "right")}}
        if operator == "!":
            return {"!": {"arg": self._bound(parts["arg"], not up)}}
        if operator == "if-then-else":
            # Either the test may (must) hold and the first branch with it, or not, and the second.
            holds = _join("&&", self._bound(parts["if"], up), self._bound(parts["then"], up))
            fails = _join("&&", {"!": {"arg": self._bound(parts["if"], not up)}}, self._bound(parts["else"], up))
            return _join("||", holds, fails)
        return {"Value": up}

    def _reads_unknown(self, node: Any) -> bool:
        if isinstance(node, list):
            return any(map(self._reads_unknown, node))
        if not isinstance(node, dict):
            return False
        if node.get("Var") == "context":
            return True
        for operator in (".", "has"):
            inner = node.get(operator)
            if isinstance(inner, dict) and inner.get("left") == {"Var": "context"}:
                return inner["attr"] in self.unknown
        return any(map(self._reads_unknown, node.values()))


def _join(operator: str, left: Any, right: Any) -> dict[str, Any]:
    return {operator: {"left": left, "right": right}}


def _may_fail(node: Any) -> bool:
    """Whether a condition that passed validation could still fail to evaluate: by an overflow, or by an entity that is
    not there."""
    if isinstance(node, list):
        return any(map(_may_fail, node))
    if not isinstance(node, dict):
        return False
    for operator, parts in node.items():
        if operator in _ARITHMETIC:
            return True
        if operator in (".", "getTag") and isinstance(parts, dict) and parts.get("left") not in _SAFE:
            return True
    return any(map(_may_fail, node.values()))
