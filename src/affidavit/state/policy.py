"""One Cedar policy a text: parsed, validated, its scope and the facts that it mentions.

A policy is refused when it is put, never when it is needed: a syntax error (with its line and column), a template,
several policies in one text, what does not validate against the built-in schema, a fact that does not exist (Cedar
itself would take `context has typo` for false, and the policy would quietly never match), and nesting that the engine
could not take. The engine's parser recurses: about 10 KiB of stack for each open bracket, and overflowing it ends the
process, so brackets are counted before it sees the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cedarpy

from affidavit.errors import InvalidInput
from affidavit.limits import BRACKETS_DEPTH_MAX, POLICY_TEXT_BYTES_MAX
from affidavit.state.facts import FACTS
from affidavit.state.schema import SCHEMA

LOG_SYSTEM: Final = "log"
ADMINISTRATORS: Final = "administrators"  # the group that the genesis makes
_LOG_TYPES: Final = frozenset({"Log", "ObjectKind", "Object"})
_SYSTEM_TYPES: Final = frozenset({"System", "Table"})
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n\r]*|[A-Za-z_][A-Za-z0-9_]*|[0-9]+|\s+|.', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ACTION_SUFFIX = re.compile(r' (?:in context )?for Action::"[a-z]+"$')
_UNKNOWN_VARIABLE = re.compile(r"invalid variable in the policy scope: (\w+)")
_ERRORS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Scope:
    """The head of a policy for principal or resource. Empty texts: not restricted in that respect."""

    is_type: str = ""
    entity_type: str = ""
    entity_id: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that passed every check. `est` is its Cedar JSON form; `mentions` the names of facts that it reads;
    `groups` and `identities` those that it names, in its scope or its conditions."""

    text: str
    est: str
    effect: str
    principal: Scope
    resource: Scope
    mentions: frozenset[str]
    groups: frozenset[str]
    identities: frozenset[str]

    def can_match(self, actor: str, groups: frozenset[str], system: str) -> bool:
        """Whether its scope leaves room for this actor, held by these groups, on this system (or `log`)."""
        return self._can_match_principal(actor, groups) and self._can_match_resource(system)

    def _can_match_principal(self, actor: str, groups: frozenset[str]) -> bool:
        scope = self.principal
        if scope.is_type not in ("", "Identity"):
            return False
        if scope.entity_type == "Identity":
            return scope.entity_id == actor
        if scope.entity_type == "Group":
            return scope.entity_id in groups
        return scope.entity_type == ""

    def _can_match_resource(self, system: str) -> bool:
        scope = self.resource
        types = _LOG_TYPES if system == LOG_SYSTEM else _SYSTEM_TYPES
        if scope.is_type and scope.is_type not in types:
            return False
        if not scope.entity_type:
            return True
        if scope.entity_type == "System":
            return system != LOG_SYSTEM and scope.entity_id == system
        if scope.entity_type == "Table":
            return system != LOG_SYSTEM and scope.entity_id.startswith(f"{system}/")
        return scope.entity_type in types


def check_engine_text(text: str, what: str, openers: str = "([{", closers: str = ")]}") -> None:
    """Raise `InvalidInput` for a text that the engine's parser may not see: too long, brackets that nest too deep
    (texts and comments do not count), control characters (where a comment ends must not be a matter of opinion)."""
    if len(text.encode()) > POLICY_TEXT_BYTES_MAX:
        raise InvalidInput("state.policy", f"{what} is longer than {POLICY_TEXT_BYTES_MAX} bytes.", "Split it.")
    control = _CONTROL.search(text)
    if control:
        raise InvalidInput(
            "state.policy",
            f"{what} holds the control character {control[0]!r} at position {control.start()}.",
            "Write only line feeds and tabs; end lines with a line feed.",
        )
    depth = 0
    for token in _TOKEN.findall(text):
        if token in openers:
            depth += 1
            if depth > BRACKETS_DEPTH_MAX:
                raise InvalidInput(
                    "state.policy", f"{what}: brackets nest deeper than {BRACKETS_DEPTH_MAX}.", "Split it."
                )
        elif token in closers:
            depth = max(0, depth - 1)


def parse_policy(text: str, what: str = "The policy") -> Policy:
    """The one policy that `text` holds. `what` names it in messages. Raises `InvalidInput` with code `state.policy`."""
    check_engine_text(text, what)
    tree = _parse_one(text, what)
    est = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    try:
        cedarpy.PolicySet.from_json_str(policy_set_json({"policy": est}))
    except ValueError:
        raise _refused(
            what,
            "it nests too deep for the engine. Write long chains of `||` as `[…].contains(…)`, or as several policies",
        ) from None
    mentions = _mentions(tree, what)
    _validate(text, what)
    return Policy(
        text=text,
        est=est,
        effect=tree["effect"],
        principal=_scope(tree["principal"]),
        resource=_scope(tree["resource"]),
        mentions=mentions,
        groups=frozenset(_entities(tree, "Group")),
        identities=frozenset(_entities(tree, "Identity")),
    )


def mentions(text: str) -> frozenset[str]:
    """Names of the facts that the policy in `text` may read; all of them where it uses `context` as a whole."""
    return parse_policy(text).mentions


def policy_set_json(policies: Mapping[str, str]) -> str:
    """The Cedar JSON of a policy set, from policy id to `Policy.est`. Ids are ours, so answers name them."""
    inner = ",".join(f"{json.dumps(name)}:{est}" for name, est in policies.items())
    return f'{{"templates":{{}},"templateLinks":[],"staticPolicies":{{{inner}}}}}'


def observe_all() -> dict[str, str]:
    """The value of `policy/observe-all`: anybody may do anything on connected systems, nothing on the log."""
    return {
        "text": "// Nothing is restricted yet: everything on connected systems is allowed, and recorded.\n"
        "permit(principal, action, resource)\n"
        "when { resource is System || resource is Table };\n"
    }


def administrators() -> dict[str, str]:
    """The value of `policy/administrators`: the group administrators may change every object of the state."""
    return {
        "text": "// The group administrators changes identities, permissions and configuration.\n"
        'permit(\n  principal in Group::"administrators",\n'
        '  action in [Action::"admin", Action::"define", Action::"grant"],\n'
        '  resource in Log::"log"\n);\n'
    }


def _refused(what: str, why: str) -> InvalidInput:
    return InvalidInput("state.policy", f"{what} is refused: {why}.")


def _parse_one(text: str, what: str) -> dict[str, Any]:
    try:
        tree = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise _refused(what, f"{error}{_place(text, str(error))}") from None
    except RecursionError:
        raise _refused(what, "it nests too deep. Split it in several policies") from None
    if tree["templates"]:
        raise _refused(what, "it is a template. Write the principal and the resource instead of `?…`")
    if len(tree["staticPolicies"]) != 1:
        raise _refused(what, f"it holds {len(tree['staticPolicies'])} policies. Write exactly one in each object")
    (policy,) = tree["staticPolicies"].values()
    return dict(policy)


def _place(text: str, message: str) -> str:
    """Where the parser stopped: the engine does not say, so look for the shortest prefix that it does not wait on."""
    unknown = _UNKNOWN_VARIABLE.search(message)
    if unknown is not None:
        return _line_and_column(text, next((t.start() for t in _TOKEN.finditer(text) if t[0] == unknown[1]), 0))
    if not message.startswith("unexpected token"):
        return ""
    ends = [match.end() for match in _TOKEN.finditer(text)]
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if _is_viable(text[: ends[middle]]):
            low = middle + 1
        else:
            high = middle
    start = ends[low - 1] if low else 0
    return _line_and_column(text, start)


def _line_and_column(text: str, start: int) -> str:
    line = text.count("\n", 0, start) + 1
    return f" at line {line}, column {start - (text.rfind(chr(10), 0, start) + 1) + 1}"


def _is_viable(prefix: str) -> bool:
    try:
        cedarpy.policies_to_json_str(prefix)
    except ValueError as error:
        return not str(error).startswith("unexpected token")
    return True


def _validate(text: str, what: str) -> None:
    result = cedarpy.validate_policies(text, SCHEMA)
    if result.validation_passed:
        return
    messages = set()
    for error in result.errors:
        message = error.error.removeprefix("for policy `policy0`, ")
        messages.add(_ACTION_SUFFIX.sub("", message))
    shown = sorted(messages)[:_ERRORS_SHOWN]
    hint = ""
    if any("optional attribute" in message for message in shown):
        hint = ". Facts may be absent: write `context has NAME && context.NAME == …`"
    raise _refused(what, f"{'; '.join(shown)}{hint}")


def _scope(head: dict[str, Any]) -> Scope:
    inner = head.get("in", head) if head["op"] == "is" else head
    entity = inner.get("entity", {})
    return Scope(head.get("entity_type", ""), entity.get("type", ""), entity.get("id", ""))


def _entities(node: Any, kind: str) -> Iterator[str]:
    """Ids of the entities of a type that stand anywhere in a policy."""
    if isinstance(node, list):
        for item in node:
            yield from _entities(item, kind)
    elif isinstance(node, dict):
        if node.get("type") == kind and isinstance(node.get("id"), str):
            yield node["id"]
        for item in node.values():
            yield from _entities(item, kind)


def _mentions(tree: dict[str, Any], what: str) -> frozenset[str]:
    """Walk the conditions. `context.NAME` and `context has NAME` mention NAME; any other use mentions every fact."""
    found: set[str] = set()
    waiting: list[Any] = [condition["body"] for condition in tree["conditions"]]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
            continue
        if not isinstance(node, dict):
            continue
        if node.get("Var") == "context":
            found |= FACTS.keys()
        if "unknown" in node:
            raise _refused(what, "`unknown` has no value when a decision is made")
        for operator in (".", "has"):
            inner = node.get(operator)
            if isinstance(inner, dict) and inner.get("left") == {"Var": "context"}:
                found.add(inner["attr"])
                break
        else:
            waiting += node.values()
    for name in sorted(found - FACTS.keys()):
        raise _refused(what, f"there is no fact `context.{name}`. Known: {', '.join(sorted(FACTS))}")
    return frozenset(found)
