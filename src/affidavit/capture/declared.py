"""Declared objects: from what people write (handles, short forms) to the objects and versions of a change.

People name people by handle; objects name them by generated id. `identity/HANDLE` declares the identity and its
profile together. Members that an identity's declaration leaves out keep their value; every other object is declared
whole. null deletes. Times are written with their zone. A value may carry `based: INDEX` (or null): the version that its
author saw; another one is a `Conflict`. What already is as declared is left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from affidavit.errors import Conflict, InvalidInput
from affidavit.limits import CHANGE_OBJECTS_MAX
from affidavit.record.moment import zoned_moment
from affidavit.state.change import Delete, Op, Put
from affidavit.state.fold import State, Version
from affidavit.state.objects import check_object, complete_object

GROUP_PREFIX = "group:"
_PROFILE_MEMBERS = frozenset({"handle", "name", "mail", "logins"})
_IDENTITY_MEMBERS = frozenset({"kind", "status", "attributes", "handle", "name", "mail", "logins"})
_SHOWN_CHARS = 300
_PLAIN_KINDS = frozenset({"group", "policy", "schema", "system", "source"})
_IDENTITY = re.compile(r"\bu-[0-9a-f]{16}\b")
_ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """What one object would change from and to; None where it is absent. `shown` names it as people do."""

    name: str
    shown: str
    based: int | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True)
class Plan:
    """The ops of a change, and the same as differences for people. Empty where everything is as declared."""

    ops: tuple[Op, ...]
    differences: tuple[Difference, ...]


@dataclass
class Names:
    """Ids for handles that do not exist yet: the same id for the same handle however often a plan is made again."""

    new_id: Callable[[], str]
    made: dict[str, str] = field(default_factory=dict)

    def of_new(self, handle: str) -> str:
        if handle not in self.made:
            self.made[handle] = self.new_id()
        return self.made[handle]


def plan(
    state: State,
    declared: Mapping[str, Any],
    names: Names,
    new_salt: Callable[[], str],
    seen: Mapping[str, int | None],
    prunable: Collection[str] = (),
) -> Plan:
    """What it takes to make `state` as `declared`, and to delete what of `prunable` is not declared.

    `seen` holds the versions of object names (as in state) that the author based this on. Raises `InvalidInput`
    naming the object and what to write, `Conflict` where a version in `seen` or a `based` is not the current one.
    """
    if not declared:
        raise InvalidInput("apply.empty", "Nothing is declared.", "Write a mapping from object name to value.")
    people = {name.split("/", 1)[1] for name in declared if name.startswith("identity/")}
    wanted: dict[str, dict[str, Any] | None] = {}
    based: dict[str, int | None] = dict(seen)
    for name, raw in declared.items():
        value = dict(raw) if isinstance(raw, dict) else raw
        version = value.pop("based", _ABSENT) if isinstance(value, dict) else _ABSENT
        for full, content in _expand(state, name, value, names, people).items():
            if full in wanted:
                raise InvalidInput("apply.twice", f"{name} is declared twice.", "Keep one of the two.")
            wanted[full] = content
            if version is not _ABSENT:
                based[full] = _version(name, version)
    for full in sorted(prunable):
        wanted.setdefault(full, None)
    planned = _compare(state, wanted, based, new_salt, {made: handle for handle, made in names.made.items()})
    if len(planned.ops) > CHANGE_OBJECTS_MAX:
        raise InvalidInput(
            "apply.size",
            f"{len(planned.ops)} objects differ, more than the {CHANGE_OBJECTS_MAX} of one change.",
            "Split the declaration.",
        )
    return planned


@contextmanager
def naming_people(state: State, names: Names) -> Iterator[None]:
    """What is refused inside names people by handle, as its author does, and not by the ids of the state."""
    try:
        yield
    except (InvalidInput, Conflict) as error:
        made = {identity: handle for handle, identity in names.made.items()}
        error.message = _IDENTITY.sub(
            lambda match: made.get(match[0]) or state.handle_of(match[0]) or match[0], error.message
        )
        raise


def resource_of(text: str) -> dict[str, str]:
    """`clinic` is a System, `clinic/public.patients` a Table of it."""
    return {"type": "Table" if "/" in text else "System", "id": text}


def _compare(
    state: State,
    wanted: Mapping[str, dict[str, Any] | None],
    based: Mapping[str, int | None],
    new_salt: Callable[[], str],
    made: Mapping[str, str],
) -> Plan:
    ops: list[Op] = []
    differences: list[Difference] = []
    for name, value in wanted.items():
        current = state.get(name)
        version = None if current is None else current.version
        if name in based and based[name] != version:
            raise _stale(name, based[name], current, state.index)
        after = None if value is None else check_object(name, complete_object(name, value))
        erased = current is not None and current.erased
        before = None if current is None or erased else current.value
        if after == before and not erased:
            if after is None and not name.startswith("profile/"):
                raise InvalidInput("apply.unknown", f"There is no {name} to delete.", "Leave it out.")
            continue
        if after is not None:
            ops.append(Put(name, version, after, new_salt()))
        elif version is not None:
            ops.append(Delete(name, version))
        differences.append(Difference(name, shown(state, name, made), version, before, after))
    return Plan(tuple(ops), tuple(differences))


def _stale(name: str, based: int | None, current: Version | None, index: int) -> Conflict:
    was = "did not exist" if based is None else f"was at version {based}"
    if current is None:
        now, hint = "does not exist any more", "Take it out of the file, or declare it anew with `based: null`."
    else:
        now = f"is at version {current.version} now: {_brief(current)}"
        hint = f"See `affidavit show {current.version}`, then declare it on its present version."
    return Conflict("state.stale", f"{name} {was} when this was written, and {now}.", hint, state=index)


def _brief(current: Version) -> str:
    if current.erased:
        return f"what it says was erased by record {current.erased_by}"
    text = json.dumps(current.value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def _expand(state: State, name: str, value: Any, names: Names, people: set[str]) -> dict[str, dict[str, Any] | None]:
    """The objects in state that one declared object stands for."""
    kind, _, rest = name.partition("/")
    parts = rest.split("/")
    if kind in ("policy", "schema") and isinstance(value, str):
        value = {"text": value}
    if value is not None and not isinstance(value, dict):
        raise InvalidInput("apply.value", f"The value of {name} must be a mapping, or null to delete it.")

    def who(handle: str) -> str:
        return _principal(state, handle, names, people, name)

    if kind == "identity":
        return _identity(state, rest, value, names)
    if kind == "membership" and len(parts) == 2:
        return {f"membership/{who(parts[0])}/{parts[1]}": value}
    if kind == "grant" and len(parts) == 2:
        return {f"grant/{who(parts[0])}/{parts[1]}": None if value is None else _grant(name, value)}
    if kind == "reported" and len(parts) == 2:
        return {f"reported/{who(parts[0])}/{parts[1]}": None if value is None else _settings(value)}
    if kind == "settings":
        full = f"settings/user/{who(parts[1])}" if parts[0] == "user" and len(parts) == 2 else name
        return {full: None if value is None else _settings(value)}
    if kind == "credential":
        if value is not None and isinstance(value.get("identity"), str):
            value = {**value, "identity": who(value["identity"])}
        return {name: None if value is None else _timed(name, value)}
    if kind == "system" and value is not None and "configuration" in value:
        value = {**value, "configuration": _pairs(value["configuration"])}
    if kind in _PLAIN_KINDS:
        return {name: value}
    raise InvalidInput(
        "apply.object",
        f"{name} is no object that can be declared.",
        "Objects are identity/HANDLE, group/NAME, membership/HANDLE/GROUP, policy/NAME, schema/NAME, "
        "grant/HANDLE/ID, settings/…, reported/HANDLE/SOURCE, system/ID, source/NAME and credential/NAME.",
    )


def _identity(
    state: State, handle: str, value: dict[str, Any] | None, names: Names
) -> dict[str, dict[str, Any] | None]:
    known = state.identity_of_handle(handle) or (handle if state.get(f"identity/{handle}") is not None else None)
    if value is None:
        if known is None:
            raise _unknown(handle, f"identity/{handle}")
        return {f"identity/{known}": None, f"profile/{known}": None}
    for member in value:
        if member not in _IDENTITY_MEMBERS:
            raise InvalidInput(
                "apply.member",
                f"identity/{handle} has an unknown member {member!r}.",
                f"Members are {', '.join(sorted(_IDENTITY_MEMBERS))}.",
            )
    identity = known or names.of_new(handle)
    old, profile = (_value(state, f"{kind}/{identity}") for kind in ("identity", "profile"))
    wanted: dict[str, dict[str, Any] | None] = {
        f"identity/{identity}": {
            "kind": value.get("kind", old.get("kind", "human")),
            "status": value.get("status", old.get("status", "active")),
            "attributes": _pairs(value["attributes"]) if "attributes" in value else old.get("attributes", []),
        },
    }
    held = state.get(f"profile/{identity}")
    if held is not None and held.erased and not _PROFILE_MEMBERS & value.keys():
        return wanted  # a person who was forgotten gets no name again unless one is given
    return wanted | {
        f"profile/{identity}": {
            "handle": value.get("handle", profile.get("handle", handle)),
            "name": value.get("name", profile.get("name", handle)),
            "mail": value.get("mail", profile.get("mail", "")),
            "logins": value.get("logins", profile.get("logins")),
        },
    }


def _principal(state: State, handle: str, names: Names, people: set[str], where: str) -> str:
    """The principal that a handle (or an id, or `group:NAME`) names; people declared beside it count."""
    if handle.startswith(GROUP_PREFIX) or state.get(f"identity/{handle}") is not None:
        return handle
    known = state.identity_of_handle(handle)
    if known is not None:
        return known
    if handle in people:
        return names.of_new(handle)
    raise _unknown(handle, where)


def _unknown(handle: str, where: str) -> InvalidInput:
    return InvalidInput(
        "who.unknown",
        f"{where}: nobody has the handle {handle!r}.",
        f"Declare identity/{handle} first or beside it.",
    )


def _timed(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """The value with its times as records have them."""
    timed = dict(value)
    for member in ("start", "end"):
        if isinstance(timed.get(member), str):
            try:
                timed[member] = zoned_moment(timed[member])
            except InvalidInput as error:
                error.message = f"{member} of {name}: {error.message}"
                raise
    return timed


def _grant(name: str, value: dict[str, Any]) -> dict[str, Any]:
    grant = _timed(name, value)
    if isinstance(grant.get("resource"), str):
        grant["resource"] = resource_of(grant["resource"])
    if isinstance(grant.get("actions"), list) and all(isinstance(a, str) for a in grant["actions"]):
        grant["actions"] = sorted(set(grant["actions"]))
    return grant


def _settings(value: dict[str, Any]) -> dict[str, Any]:
    return value if isinstance(value.get("values"), list) else {"values": _pairs(value)}


def _pairs(value: Any) -> Any:
    """A mapping as the sorted list of name and value that state keeps; anything else as it is, to be refused there."""
    if not isinstance(value, dict):
        return value
    return [{"name": name, "value": value[name]} for name in sorted(value, key=str)]


def _value(state: State, name: str) -> dict[str, Any]:
    version = state.get(name)
    return {} if version is None or version.erased else version.value


def _version(name: str, version: Any) -> int | None:
    if version is None or (isinstance(version, int) and not isinstance(version, bool)):
        return version
    raise InvalidInput("apply.based", f"based of {name} must be the index of a record, or null.")


def shown(state: State, name: str, made: Mapping[str, str]) -> str:
    """An object's name with handles for identity ids, also those of people who are `made` just now."""
    return "/".join(
        made.get(part) or state.handle_of(part) or part if part.startswith("u-") else part for part in name.split("/")
    )
