"""For what share of a period a setting had which value for somebody on a system, from the changes of the log alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from affidavit.errors import InvalidInput
from affidavit.history.asof import Period, Records, changes_before
from affidavit.limits import STATE_CHANGES_MAX
from affidavit.record.moment import parse_moment
from affidavit.state.hidden import ErasedContent, bearing_on_settings
from affidavit.state.settings import resolve
from affidavit.state.view import StateView

#: Only these kinds of objects bear on what a setting resolves to.
_BEARING = ("settings/", "reported/", "membership/", "group/", "identity/")
_PARTS = 1_000_000_000  # of a share: so that it is written exactly, to nine decimals


def shares(
    records: Records,
    state_at: Callable[[int], StateView],
    name: str,
    who: tuple[str, str],
    period: Period,
) -> dict[str, Any]:
    """The `intervals` in which the setting `name` had one value for `who` (identity, system); `values` are the sums.

    `period` is two positions, each with its moment. A change holds from the moment that the sequencer sealed it. While
    there was no such identity, or no value, `value` is null. Raises `InvalidInput` for a period without length,
    `ErasedContent` where the value rests on what was erased.
    """
    (first, begins), (last, ends) = period
    length_ns = length_of(begins, ends)
    changes = changes_before(records, last, first)
    if len(changes) > STATE_CHANGES_MAX:
        raise InvalidInput("share.changes", f"{len(changes):,} changes lie in this period.", "Take a shorter one.")
    found: list[dict[str, Any]] = [{"from": begins, **_value(state_at(first), name, who)}]
    for at in changes:
        ops = records.record(at).content.get("objects", ())
        if ops and not any(str(op["name"]).startswith(_BEARING) for op in ops):
            continue
        value = _value(state_at(at + 1), name, who)
        if any(found[-1][part] != held for part, held in value.items()):
            moment = max(records.header(at).log.at, begins)
            found.append({"from": moment, **value, "change": at})
    stops = [*(one["from"] for one in found[1:]), ends]
    intervals = []
    for one, stop in zip(found, stops, strict=True):
        ns = parse_moment(stop) - parse_moment(one["from"])
        if ns:  # what was replaced in the moment that it came was never in force
            intervals.append({"change": None, **one, "to": stop, "ns": str(ns), "share": share_of(ns, length_ns)})
    sums: dict[str | None, int] = {}
    for one in intervals:
        sums[one["value"]] = sums.get(one["value"], 0) + int(one["ns"])
    return {
        "setting": name,
        "from": begins,
        "to": ends,
        "ns": str(length_ns),
        "intervals": intervals,
        "values": [
            {"value": value, "ns": str(ns), "share": share_of(ns, length_ns)}
            for value, ns in sorted(sums.items(), key=lambda item: (-item[1], item[0] or ""))
        ],
    }


def _value(state: StateView, name: str, who: tuple[str, str]) -> dict[str, Any]:
    identity, system = who
    nothing = {"value": None, "scope": None, "version": None}
    if state.get(f"identity/{identity}") is None:
        return nothing
    hidden = tuple(bearing_on_settings(state.hidden, identity, system, [one for one, _ in state.groups_of(identity)]))
    if hidden:
        raise ErasedContent(hidden)
    found = next((one for one in resolve(state, identity, system)[0] if one.name == name), None)
    return nothing if found is None else {"value": found.value, "scope": found.scope, "version": found.version}


def length_of(begins: str, ends: str) -> int:
    """The nanoseconds between two moments. Raises `InvalidInput` where there are none."""
    length_ns = parse_moment(ends) - parse_moment(begins)
    if length_ns <= 0:
        raise InvalidInput("share.period", "The period has no length.", "Give a later --to.")
    return length_ns


def share_of(ns: int, of_ns: int) -> str:
    """As a decimal from 0 to 1, cut to nine places."""
    parts = ns * _PARTS // of_ns
    return f"{parts // _PARTS}.{parts % _PARTS:09}"
