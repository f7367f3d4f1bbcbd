"""What follows from changes, slowly and plainly: a reference for the rooms `state` and `history`.

Written from docs/spec/state.md alone; it imports nothing of Affidavit. A state is a dict of all its objects, made anew
for every change and kept for every index. Groups are found by walking all chains, settings layer by layer, the root by
the definition, and a decision by the engine over texts and entities that are put together for it from everything there
is. Nothing is remembered from one question to the next.

Two things are given instead of parsed: a policy is made here from parts (`Rule`), so its scope and the facts that it
reads are known; and moments have whole seconds.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cedarpy

T0_S = 1_767_225_600  # 2026-01-01T00:00:00Z
KINDS = ("credential", "grant", "group", "identity", "membership", "observed", "policy", "profile", "reported",
         "schema", "settings", "source", "system")  # fmt: skip
CHAIN_MAX = 16
#: Setting: its values from the emptiest to the fullest (none: a number of days), default, floor.
SETTINGS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "capture.statement": (("digest", "normalized", "full"), "full", "normalized"),
    "capture.parameters": (("off", "digest", "full"), "full", "off"),
    "capture.result": (("off", "count", "digest"), "digest", "count"),
    "guarantee.read": (("after", "before_answer", "before_action"), "before_answer", "after"),
    "guarantee.write": (("after", "before_answer", "before_action"), "before_action", "before_action"),
    "on_log_failure": (("allow_and_account", "refuse"), "refuse", "refuse"),
    "retention": ((), "P2190D", "P2190D"),
}
UNCONFIGURED = {"capture.statement": "full", "capture.parameters": "full", "capture.result": "digest"}


class Refused(Exception):
    """The change cannot be. `based`: because of a version that is not the one that was seen."""

    def __init__(self, why: str, based: bool = False) -> None:
        super().__init__(why)
        self.based = based


@dataclass(frozen=True)
class Held:
    """An object as the record `version` put it."""

    value: dict[str, Any]
    version: int
    salt: str

    @property
    def canonical(self) -> bytes:
        return json.dumps(self.value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.canonical).hexdigest()


@dataclass(frozen=True)
class Change:
    """One object of a change: a put, or a delete where `value` is None."""

    name: str
    based: int | None
    value: dict[str, Any] | None
    salt: str = ""

    def as_object(self) -> dict[str, Any]:
        """As it stands in a body."""
        if self.value is None:
            return {"op": "delete", "name": self.name, "based": self.based}
        return {"op": "put", "name": self.name, "based": self.based, "value": self.value, "salt": self.salt}


State = Mapping[str, Held]


@dataclass(frozen=True)
class Rule:
    """A policy, made from its parts. `who` and `what` are its scope: an operator, a type and an id, or empty."""

    effect: str
    who: tuple[str, str, str] | tuple[()]
    actions: tuple[str, ...]
    what: tuple[str, str, str] | tuple[()]
    when: str = ""
    reads: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        named = ", ".join(f'Action::"{action}"' for action in self.actions)
        actions = f"action in [{named}]" if named else "action"
        when = f" when {{ {self.when} }}" if self.when else ""
        who, what = _scope("principal", self.who), _scope("resource", self.what)
        return f"{self.effect}({who}, {actions}, {what}){when};"

    def can_match(self, actor: str, groups: set[str], system: str) -> bool:
        """Whether its scope leaves room for them."""
        return self._leaves(actor, groups) and self._holds(system)

    def _leaves(self, actor: str, groups: set[str]) -> bool:
        if not self.who or self.who[0] == "is":
            return True
        return self.who[2] == actor if self.who[1] == "Identity" else self.who[2] in groups

    def _holds(self, system: str) -> bool:
        if not self.what:
            return True
        how, kind, which = self.what
        if how == "is":
            return (kind in ("Log", "ObjectKind", "Object")) == (system == "log")
        if system == "log":
            return kind in ("Log", "ObjectKind", "Object")
        return kind in ("System", "Table") and which.partition("/")[0] == system


def _scope(variable: str, scope: tuple[str, str, str] | tuple[()]) -> str:
    if not scope:
        return variable
    how, kind, which = scope
    match how:
        case "is":
            return f"{variable} is {kind}"
        case "is in":
            return f'{variable} is Table in {kind}::"{which}"'
        case _:
            return f'{variable} {how} {kind}::"{which}"'


# -- changes -----------------------------------------------------------------------------------------------------------


def changed(state: State, changes: Sequence[Change], index: int) -> dict[str, Held]:
    """The state after the record `index` made these changes. Raises `Refused`."""
    for change in changes:
        held = state.get(change.name)
        if (None if held is None else held.version) != change.based:
            raise Refused(change.name, based=True)
    after = dict(state)
    for change in changes:
        after.pop(change.name, None)
    for change in changes:
        if change.value is not None:
            after[change.name] = Held(change.value, index, change.salt)
    _check(after)
    return after


def _check(state: State) -> None:
    """What must hold between all objects, whichever of them were changed."""
    handles: set[str] = set()
    logins: set[tuple[str, str]] = set()
    for name, held in state.items():
        for needed in _names(name, held.value):
            if needed not in state:
                raise Refused(f"{name} names {needed}")
        if name.startswith("profile/"):
            if held.value["handle"] in handles:
                raise Refused(f"{name} has the handle of another")
            handles.add(held.value["handle"])
            own = {(login["issuer"], login["subject"]) for login in held.value.get("logins", ())}
            if own & logins:
                raise Refused(f"{name} has the login of another")
            logins |= own
    for group in _of_kind(state, "group"):
        if any(len(chain) > CHAIN_MAX for chain in _chains(state, f"group:{group}", (group,))):
            raise Refused(f"{group} is in too long a chain")


def _names(name: str, value: Mapping[str, Any]) -> list[str]:
    """The objects that an object names."""
    kind, *parts = name.split("/")
    match kind:
        case "membership":
            return [_principal(parts[0]), f"group/{parts[1]}"]
        case "grant":
            return [_principal(parts[0])]
        case "profile":
            return [f"identity/{parts[0]}"]
        case "credential":
            return [f"identity/{value['identity']}"]
        case "reported":
            return [f"identity/{parts[0]}", f"source/{parts[1]}"]
        case "settings" if len(parts) == 2:
            return [f"{'identity' if parts[0] == 'user' else parts[0]}/{parts[1]}"]
    return []


def _principal(principal: str) -> str:
    return f"group/{principal[6:]}" if principal.startswith("group:") else f"identity/{principal}"


def _chains(state: State, principal: str, chain: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every chain of groups that begins at a principal, each of its beginnings too. Raises `Refused` for a cycle."""
    yield chain
    for name in state:
        if name.startswith(f"membership/{principal}/"):
            group = name.split("/")[2]
            if group in chain:
                raise Refused(f"{group} holds itself")
            yield from _chains(state, f"group:{group}", (*chain, group))


def _of_kind(state: State, kind: str) -> list[str]:
    return sorted(name.partition("/")[2] for name in state if name.startswith(f"{kind}/"))


def root(state: State) -> str:
    """The root of the state map by its definition, 64 hex digits."""
    leaves = {}
    for name, held in state.items():
        kind, _, rest = name.partition("/")
        owner = f"{kind}/{rest.split('/')[0]}" if kind in ("grant", "membership", "reported") else kind
        path = _sha(owner.encode())[:16] + _sha(name.encode())[:16]
        salt = base64.urlsafe_b64decode(held.salt + "==")
        leaves["".join(f"{byte:08b}" for byte in path)] = _sha(b"\x00" + path + _sha(salt + held.canonical))
    return _subtree(leaves, 0).hex()


def _subtree(leaves: Mapping[str, bytes], depth: int) -> bytes:
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return next(iter(leaves.values()))
    sides = [{path: leaf for path, leaf in leaves.items() if path[depth] == bit} for bit in "01"]
    return _sha(b"\x01" + _subtree(sides[0], depth + 1) + _subtree(sides[1], depth + 1))


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# -- questions ---------------------------------------------------------------------------------------------------------


def groups(state: State, principal: str) -> list[tuple[str, tuple[str, ...]]]:
    """The groups that hold a principal, each with the shortest chain to it; of equals the first."""
    found: dict[str, tuple[str, ...]] = {}
    for chain in _chains(state, principal):
        if chain:
            *via, group = chain
            found[group] = min(tuple(via), found.get(group, tuple(via)), key=lambda way: (len(way), way))
    return sorted(found.items())


def direct_groups(state: State, principal: str) -> list[str]:
    return sorted(name.split("/")[2] for name in state if name.startswith(f"membership/{principal}/"))


def members(state: State, group: str) -> list[str]:
    return sorted(
        name.split("/")[1] for name in state if name.startswith("membership/") and name.split("/")[2] == group
    )


def credentials(state: State, identity: str) -> list[str]:
    return sorted(n for n, held in state.items() if n.startswith("credential/") and held.value["identity"] == identity)


def handles(state: State) -> dict[str, str]:
    """Handle by identity."""
    return {identity: state[f"profile/{identity}"].value["handle"] for identity in _of_kind(state, "profile")}


def logins(state: State) -> dict[tuple[str, str], str]:
    """Identity by issuer and subject."""
    return {
        (login["issuer"], login["subject"]): identity
        for identity in _of_kind(state, "profile")
        for login in state[f"profile/{identity}"].value.get("logins", ())
    }


def ending(state: State) -> list[str]:
    """The grants and credentials that have an end."""
    return sorted(
        name for name, held in state.items() if name.startswith(("grant/", "credential/")) and held.value.get("end")
    )


def settings(state: State, actor: str, system: str) -> tuple[list[dict[str, Any]], bool]:
    """What applies to them, and whether the actor has settings of its own."""
    configured = f"settings/user/{actor}" in state
    own_groups = [group for group, _ in groups(state, actor)]
    speaking = {*SETTINGS, *(name for held in _all_values(state) for name in held if name.startswith("app."))}
    resolved = []
    for name in sorted(speaking):
        found = _from_layers(state, name, actor, own_groups, system)
        if name in SETTINGS:
            if not configured and name in UNCONFIGURED:
                found = {"value": UNCONFIGURED[name], "scope": "unconfigured"}
            found = found or {"value": SETTINGS[name][1], "scope": "default"}
            found = _raised(state, name, found)
        if found is not None:
            resolved.append({"name": name, **found})
    return resolved, configured


def _all_values(state: State) -> list[dict[str, str]]:
    return [_values(held) for name, held in state.items() if name.startswith(("settings/", "reported/"))]


def _values(held: Held | None) -> dict[str, str]:
    return {} if held is None else {item["name"]: item["value"] for item in held.value["values"]}


def _from_layers(state: State, name: str, actor: str, own_groups: Sequence[str], system: str) -> dict[str, Any] | None:
    def one(scope: str, which: str) -> dict[str, Any] | None:
        held = state.get(which)
        value = _values(held).get(name)
        return None if held is None or value is None else {"value": value, "scope": scope, "version": held.version}

    sources = [which.split("/")[2] for which in sorted(state) if which.startswith(f"reported/{actor}/")]
    for found in (*(one(f"reported:{source}", f"reported/{actor}/{source}") for source in sources),
                  one("user", f"settings/user/{actor}")):  # fmt: skip
        if found is not None:
            return found
    said = [found for group in own_groups if (found := one(f"group:{group}", f"settings/group/{group}")) is not None]
    if said and name in SETTINGS:
        return max(said, key=lambda found: fullness(name, found["value"]))  # the first of equals
    if said:
        return said[0]
    return one("system", f"settings/system/{system}") or one("organisation", "settings/organisation")


def _raised(state: State, name: str, found: dict[str, Any]) -> dict[str, Any]:
    floor = state.get("settings/floor")
    said = _values(floor).get(name)
    value = SETTINGS[name][2] if said is None else said
    if fullness(name, found["value"]) >= fullness(name, value):
        return found
    raised: dict[str, Any] = {"value": value, "scope": "floor"}
    return raised if said is None or floor is None else {**raised, "version": floor.version}


def fullness(name: str, value: str) -> tuple[int, int]:
    """Greater is fuller."""
    if name == "retention":
        return 0, int(value[1:-1])
    if value.startswith("rows:"):
        return 9, int(value[5:])
    return SETTINGS[name][0].index(value), 0


def context(state: State, rules: Mapping[str, Rule], actor: str, system: str) -> dict[str, Any]:
    """The context of an actor on a system. `rules`: what each policy's text was made from."""
    resolved, configured = settings(state, actor, system)
    held = [group for group, _ in groups(state, actor)]
    principals = [actor, *(f"group:{group}" for group in held)]
    grants = [
        {**_named(state, name), "start": state[name].value["start"], "end": state[name].value["end"]}
        for name in sorted(state)
        if name.startswith("grant/")
        and name.split("/")[1] in principals
        and state[name].value["resource"]["id"].partition("/")[0] == system
    ]
    return {
        "rules": 1,
        "actor": actor,
        "system": system,
        "identity": _brief(state, f"identity/{actor}"),
        "groups": [{"group": group, "via": list(via)} for group, via in groups(state, actor)],
        "grants": grants,
        "policies": [_named(state, name) for name in _matching(state, rules, actor, held, system)],
        "schemas": [_named(state, f"schema/{name}") for name in _of_kind(state, "schema")],
        "settings": resolved,
        "configured": configured,
        "declared": _brief(state, f"system/{system}"),
        "observed": [_named(state, name) for name in sorted(state) if name.startswith(f"observed/{system}/")],
    }


def _matching(state: State, rules: Mapping[str, Rule], actor: str, held: Sequence[str], system: str) -> list[str]:
    return [
        f"policy/{name}"
        for name in _of_kind(state, "policy")
        if rules[state[f"policy/{name}"].value["text"]].can_match(actor, set(held), system)
    ]


def _brief(state: State, name: str) -> dict[str, Any] | None:
    return {"version": state[name].version, "digest": state[name].digest} if name in state else None


def _named(state: State, name: str) -> dict[str, Any]:
    return {"name": name, "version": state[name].version, "digest": state[name].digest}


# -- decisions ---------------------------------------------------------------------------------------------------------

Request = tuple[str, str, str]  # action, type, id
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Decided:
    """A decision, with what determined it and what erred, each with the number of its request."""

    decision: str
    facts: tuple[tuple[str, Any], ...]
    determining: tuple[tuple[int, str, str], ...]
    errors: tuple[tuple[int, str], ...]


def decide(
    state: State,
    rules: Mapping[str, Rule],
    actor: str,
    system: str,
    questions: Sequence[Sequence[Request]],
    facts: Facts,
    at_s: int,
) -> list[Decided]:
    """The decision on each question, of one or more requests that must all be allowed, at the moment `at_s`: by all
    policies of the state and all grants that are live then."""
    held = [group for group, _ in groups(state, actor)]
    read = {fact for name in _matching(state, rules, actor, held, system) for fact in rules[_text(state, name)].reads}
    shown = tuple(sorted((name, value) for name, value in facts.items() if name in read))
    identity = state.get(f"identity/{actor}")
    if identity is None or identity.value["status"] != "active":
        return [
            Decided("deny", shown, tuple((at, "state.inactive", "") for at in range(len(requests))), ())
            for requests in questions
        ]
    texts = {name: _text(state, name) for name in sorted(state) if name.startswith("policy/")}
    texts |= {name: _permit(name, state[name].value) for name in sorted(state) if _lives(state, name, at_s)}
    requests = [request for question in questions for request in question]
    asked = [
        {
            "principal": {"type": "Identity", "id": actor},
            "action": {"type": "Action", "id": action},
            "resource": {"type": kind, "id": which},
            "context": {name: list(value) if isinstance(value, tuple) else value for name, value in shown},
        }
        for action, kind, which in requests
    ]
    answers = iter(
        cedarpy.is_authorized_batch(asked, "\n".join(texts.values()), _entities(state, actor, held, requests))
    )
    return [
        _decided(state, shown, list(texts), list(itertools.islice(answers, len(question)))) for question in questions
    ]


def _decided(
    state: State, shown: tuple[tuple[str, Any], ...], names: Sequence[str], answers: Sequence[cedarpy.AuthzResult]
) -> Decided:
    """One decision from the engine's answers, which number the texts that they were given."""
    numbered = {f"policy{number}": name for number, name in enumerate(names)}
    decision, determining, errors = "allow", [], []
    for at, answer in enumerate(answers):
        allowed = answer.decision is cedarpy.Decision.Allow
        failed = sorted(numbered[text.split("`")[1]] for text in answer.diagnostics.errors)
        errors += [(at, name) for name in failed]
        if not allowed or failed:
            decision = "deny"
        if not (allowed and failed):
            reasons = sorted(numbered[reason] for reason in answer.diagnostics.reasons)
            determining += [(at, name, state[name].digest) for name in reasons]
    return Decided(decision, shown, tuple(determining), tuple(errors))


def _text(state: State, name: str) -> str:
    return str(state[name].value["text"])


def _lives(state: State, name: str, at_s: int) -> bool:
    if not name.startswith("grant/"):
        return False
    start, end = (state[name].value[member] for member in ("start", "end"))
    return (start is None or start <= moment(at_s)) and (end is None or moment(at_s) < end)


def moment(at_s: int) -> str:
    """A moment of the first minute, as values have it; texts of moments sort as the moments do."""
    return f"2026-01-01T00:00:{at_s:02d}.000000000Z"


def _permit(name: str, value: Mapping[str, Any]) -> str:
    principal = name.split("/")[1]
    whom = f'Group::"{principal[6:]}"' if principal.startswith("group:") else f'Identity::"{principal}"'
    actions = ", ".join(f'Action::"{action}"' for action in value["actions"])
    resource = f'{value["resource"]["type"]}::"{value["resource"]["id"]}"'
    return f"permit(principal in {whom}, action in [{actions}], resource in {resource});"


def _entities(state: State, actor: str, held: Sequence[str], requests: Sequence[Request]) -> list[dict[str, Any]]:
    """The actor with its groups, and every system, kind, table and object."""
    value = state[f"identity/{actor}"].value
    entities = [_entity("Identity", actor, [("Group", group) for group in held])]
    entities[0]["attrs"] = {"kind": value["kind"]}
    entities[0]["tags"] = {item["name"]: item["value"] for item in value["attributes"]}
    above = {group: direct_groups(state, f"group:{group}") for group in held}
    entities += [_entity("Group", group, [("Group", name) for name in above[group]]) for group in held]
    entities += [_entity("Log", "log", []), *(_entity("ObjectKind", kind, [("Log", "log")]) for kind in KINDS)]
    named = {(kind, which) for _, kind, which in requests}
    systems = {which.partition("/")[0] for kind, which in named if kind in ("System", "Table")}
    entities += [_entity("System", system, []) for system in sorted(systems)]
    for kind, which in sorted(named):
        if kind == "Table":
            entities.append(_entity(kind, which, [("System", which.partition("/")[0])]))
        elif kind == "Object":
            entities.append(_entity(kind, which, [("ObjectKind", which.partition("/")[0])]))
    return entities


def _entity(kind: str, which: str, parents: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {"uid": {"type": kind, "id": which}, "attrs": {}, "parents": [{"type": t, "id": i} for t, i in parents]}


def could(
    state: State,
    rules: Mapping[str, Rule],
    system: str,
    request: Request,
    known: Facts,
    domains: Mapping[str, Sequence[Any]],
    at_s: int,
) -> dict[str, set[str]]:
    """For each identity the decisions that there are, over all that the facts of `domains` may be; those in `known` are
    what they are. None in a domain: the request comes without that fact."""
    open_facts = [name for name in sorted(domains) if name not in known]
    found: dict[str, set[str]] = {}
    for identity in _of_kind(state, "identity"):
        found[identity] = set()
        for values in itertools.product(*(domains[name] for name in open_facts)):
            facts = {name: value for name, value in zip(open_facts, values, strict=True) if value is not None}
            (decided,) = decide(state, rules, identity, system, [[request]], {**facts, **known}, at_s)
            found[identity].add(decided.decision)
    return found
