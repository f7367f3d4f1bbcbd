"""A small world for the tests of the state room: three people, salts that repeat, and short forms for objects."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from affidavit.record.moment import parse_moment
from affidavit.state.change import Delete, Op, Put
from affidavit.state.fold import State

ANN = "u-00000000000000a1"
BEN = "u-00000000000000b2"
CLEO = "u-00000000000000c3"
NOON = parse_moment("2026-11-22T12:00:00.000000000Z")
PEOPLE = {ANN: "ann", BEN: "ben", CLEO: "cleo"}


def salt(number: int = 0) -> str:
    """The salt whose 16 bytes all are `number`."""
    return base64.urlsafe_b64encode(bytes([number] * 16)).rstrip(b"=").decode()


def moment(clock: str) -> str:
    """A moment of one day: `12:00`."""
    return f"2026-11-22T{clock}:00.000000000Z"


def human(status: str = "active", **attributes: str) -> dict[str, Any]:
    pairs = [{"name": name, "value": value} for name, value in sorted(attributes.items())]
    return {"kind": "human", "status": status, "attributes": pairs}


def settings(**values: str) -> dict[str, Any]:
    """Settings by name, with `__` for the dot."""
    pairs = [{"name": name.replace("__", "."), "value": value} for name, value in values.items()]
    return {"values": sorted(pairs, key=lambda pair: pair["name"])}


def grant(actions: str, resource: str, start: str | None = None, end: str | None = None) -> dict[str, Any]:
    kind = "Table" if "/" in resource else "System"
    return {
        "actions": sorted(actions.split()),
        "resource": {"type": kind, "id": resource},
        "start": None if start is None else moment(start),
        "end": None if end is None else moment(end),
        "reason": "",
        "ticket": "",
    }


GROUP: dict[str, Any] = {"description": ""}
SYSTEM: dict[str, Any] = {"kind": "postgresql", "description": "", "key_columns": []}


def policy(text: str) -> dict[str, Any]:
    return {"text": text}


def ops_of(state: State, objects: Mapping[str, dict[str, Any] | None], number: int = 0) -> tuple[Op, ...]:
    """Puts (and deletes, for None) based on what the state holds now."""
    ops: list[Op] = []
    for name, value in objects.items():
        held = state.get(name)
        based = None if held is None else held.version
        ops.append(Delete(name, based) if value is None else Put(name, based, value, salt(number)))  # type: ignore[arg-type]
    return tuple(ops)


def put(state: State, objects: Mapping[str, dict[str, Any] | None], index: int | None = None) -> State:
    """Apply to `state` and give it back."""
    state.apply(ops_of(state, objects), state.index if index is None else index)
    return state


def world(objects: Mapping[str, dict[str, Any] | None] | None = None) -> State:
    """Ann, Ben and Cleo with profiles at record 2, the system clinic at 3, then `objects` at 4."""
    people = {f"identity/{who}": human() for who in PEOPLE}
    profiles = {f"profile/{who}": {"handle": handle, "name": "", "mail": ""} for who, handle in PEOPLE.items()}
    state = put(State(), {**people, **profiles}, 2)
    put(state, {"system/clinic": SYSTEM}, 3)
    return put(state, objects, 4) if objects else state
