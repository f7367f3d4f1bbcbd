"""Slips: changes that could apply, and that nobody can have meant. Refused when written, not when read.

A verifier accepts them, because whether one is a slip depends on the moment, and logs hold what earlier rules let in.

* A grant for a system that nobody declared: it would allow nothing, and look as if it did.
* A grant beside one with the same principal, actions and resource, whose interval overlaps: whoever takes one away
  would believe the access gone while the other goes on. Change the end of the one that stands. An ordinary grant and a
  break-glass one may stand side by side: the second is there to be reviewed.
* An end that has come already, and a start more than a year ahead, which is a slip of the pen. A start in the past is
  taken: it says nothing about the past, since decisions rest on what stood in the log then.
* A setting below the floor: it would be raised, and whoever wrote it would not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from affidavit.errors import InvalidInput
from affidavit.limits import GRANT_SECONDS_MAX
from affidavit.record.moment import NS, parse_moment
from affidavit.state.change import Op, Put
from affidavit.state.fold import State
from affidavit.state.objects import has_ended
from affidavit.state.settings import floor_of, lower


def check_slips(before: State, after: State, ops: Sequence[Op], at_ns: int) -> None:
    """Raise `InvalidInput` naming the object, where a put of `ops` is a slip at `at_ns`."""
    for op in ops:
        if not isinstance(op, Put):
            continue
        kind = op.name.partition("/")[0]
        if kind == "grant":
            _check_system(after, op)
            _check_interval(op, at_ns)
            _check_overlap(after, op)
        elif kind == "credential":
            _check_interval(op, at_ns)
        elif kind == "settings" and op.name != "settings/floor":
            _check_floor(before, after, op)


def _check_system(after: State, op: Put) -> None:
    system = str(op.value["resource"]["id"]).partition("/")[0]
    if after.get(f"system/{system}") is None:
        raise InvalidInput(
            "apply.system",
            f"{op.name} is for system/{system}, which is not declared.",
            "See `affidavit state at now system/` for all, or declare it beside the grant.",
        )


def _check_interval(op: Put, at_ns: int) -> None:
    if has_ended(op.value, at_ns):
        raise InvalidInput(
            "apply.ended",
            f"{op.name} ended at {op.value['end']}: it would allow nothing.",
            "Take it out, or give it a later end.",
        )
    start = op.value.get("start")
    if start is not None and parse_moment(start) > at_ns + GRANT_SECONDS_MAX * NS:
        raise InvalidInput(
            "apply.ahead",
            f"{op.name} starts at {start}, more than {GRANT_SECONDS_MAX // 86_400} days from now.",
            "Look at the year.",
        )


def _check_overlap(after: State, op: Put) -> None:
    for name in after.names(f"{op.name.rpartition('/')[0]}/"):
        other = after.get(name)
        if name != op.name and other is not None and _same(op.value, other.value) and _overlap(op.value, other.value):
            until = "without an end" if other.value["end"] is None else f"until {other.value['end']}"
            raise InvalidInput(
                "apply.overlap",
                f"{op.name} overlaps {name}, which gives the same {until}.",
                "Change the interval of the one that stands, so that who takes it away takes all of it away.",
            )


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one.get(member) == other.get(member) for member in ("actions", "resource", "break_glass"))


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether some moment lies in both: each holds its start and not its end. Text order is time order."""
    return _before(one["start"], other["end"]) and _before(other["start"], one["end"])


def _before(start: str | None, end: str | None) -> bool:
    return start is None or end is None or start < end


def _check_floor(before: State, after: State, op: Put) -> None:
    held = before.get(op.name)
    stood = {} if held is None else {item["name"]: item["value"] for item in held.value["values"]}
    for item in op.value["values"]:
        floor = floor_of(after, item["name"])
        if floor is not None and stood.get(item["name"]) != item["value"] and lower(item["name"], item["value"], floor):
            raise InvalidInput(
                "apply.floor",
                f"{op.name}: {item['name']} cannot be {item['value']}, below the floor {floor}.",
                "Choose a fuller value; the floor itself stands in settings/floor.",
            )
