"""How objects became what they are: each version with who, why and by whose approval; what differs between two moments.

Everything rests on records: each entry names the one that did it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from affidavit.errors import InvalidInput
from affidavit.evidence.sentence import Names, named
from affidavit.history.asof import Records, changes_before
from affidavit.history.shelves import OPEN, Row
from affidavit.history.view import HIDDEN, hidden_of, value_of
from affidavit.limits import STATE_CHANGES_MAX
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.read import Record
from affidavit.state.hidden import ErasedValue, decode_hidden
from affidavit.state.map import path_of
from affidavit.state.view import StateView

Value = dict[str, Any]


def difference(before: Value | None, after: Value | None) -> list[dict[str, Any]]:
    """The members that differ between two values of an object: `{member, before, after}`, null where one lacks it.

    Lists of named members (settings, attributes) are compared name by name. Nothing, where one of the two was erased.
    """
    if isinstance(before, ErasedValue) or isinstance(after, ErasedValue):
        return []
    old, new = _flat(before), _flat(after)
    return [
        {"member": name, "before": old.get(name), "after": new.get(name)}
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) or (name in old) != (name in new)
    ]


def versions_of(
    name: str, rows: Iterable[Row], records: Records, names: Names, bound_of: Callable[[Header], int | None]
) -> list[dict[str, Any]]:
    """Every version of the object `name`, the oldest first, from its rows; its deletions and lapses stand between. Of
    one that was erased (change `erased`) only the record is known, and that which erased it, `erased_by`."""
    found: list[dict[str, Any]] = []
    before: Value | None = None
    stopped: int | None = None
    for row in rows:
        if stopped is not None and stopped != row.start:
            found.append(_event(name, stopped, before, None, records, names, bound_of))
            before = None
        value = ErasedValue(hidden_of(row)) if row.key == HIDDEN else value_of(row)
        found.append(_event(name, row.start, before, value, records, names, bound_of))
        before, stopped = value, None if row.stop == OPEN else row.stop
    if stopped is not None:
        found.append(_event(name, stopped, before, None, records, names, bound_of))
    return found


def differences(
    records: Records, before: StateView, after: StateView, prefix: str, names: Names, say: Callable[[Record], str]
) -> dict[str, Any]:
    """What the records between two states did to objects whose name begins with `prefix`, as values for JSON.

    `objects`: each with `before` and `after` (null where it was not there), and the records that touched it. One that
    was put again as it was, or changed and changed back, is there with the change `none`. `erased`: the changes between
    whose bodies were erased; which objects they touched is known only of those that were there before or after.
    """
    changes = changes_before(records, after.index, before.index)
    if len(changes) > STATE_CHANGES_MAX:
        raise InvalidInput(
            "state.changes",
            f"{len(changes):,} changes lie between these two, above {STATE_CHANGES_MAX:,}.",
            "Take two moments that are closer.",
        )
    touched: dict[str, list[int]] = {}
    did: dict[int, str] = {}
    erased: list[dict[str, Any]] = []
    for at in changes:
        record = records.record(at)
        acted_on = [str(op["name"]) for op in record.content.get("objects", ())]
        if isinstance(record.body, Erased):
            erased.append({"index": at, "by": record.body.by})
            acted_on = _names_at({op.path for op in decode_hidden(record.body.left)}, (before, after), prefix)
        for name in acted_on:
            if name.startswith(prefix):
                touched.setdefault(name, []).append(at)
                did[at] = did.get(at) or say(record)
    objects = []
    for name, indexes in sorted(touched.items()):
        old, new = before.get(name), after.get(name)
        was, is_ = None if old is None else old.value, None if new is None else new.value
        objects.append(
            {
                "name": name,
                "shown": named(name, names),
                "change": _change(was, is_),
                "before": _known(was),
                "after": _known(is_),
                "difference": difference(was, is_),
                "records": indexes,
            }
        )
    told = [{"index": at, "sentence": said} for at, said in sorted(did.items())]
    return {"objects": objects, "records": told, "erased": erased}


def _names_at(paths: Collection[bytes], states: Iterable[StateView], prefix: str) -> list[str]:
    """The names of objects that lie at one of these paths in one of these states."""
    return sorted({name for state in states for name in state.names(prefix) if path_of(name) in paths})


def approvals_of(content: Mapping[str, Any], names: Names) -> list[dict[str, Any]]:
    """The approvals that a change names: proved ones with their record, and names that the requester only typed."""
    proved = [
        {"by": names(str(item.get("approver"))), "identity": item.get("approver"), "record": item.get("approval")}
        for item in content.get("approvals") or ()
        if isinstance(item, dict)
    ]
    claimed = [{"by": str(name), "identity": None, "record": None} for name in content.get("claimed") or ()]
    return [{**item, "proved": True} for item in proved] + [{**item, "proved": False} for item in claimed]


def _event(
    name: str,
    index: int,
    before: Value | None,
    after: Value | None,
    records: Records,
    names: Names,
    bound_of: Callable[[Header], int | None],
) -> dict[str, Any]:
    record = records.record(index)
    header, content = record.header, record.content
    return {
        "index": index,
        "kind": header.kind,
        "change": _change(before, after) if header.kind != "lapse" else "lapsed",
        "at": header.time.at,
        "bound_ns": bound_of(header),
        "who": None if header.actor is None or header.kind in ("lapse", "drift") else names(header.actor),
        "actor": header.actor,
        "reason": str(content.get("reason") or ""),
        "ticket": str(content.get("ticket") or (_known(after) or {}).get("ticket") or ""),
        "approvals": approvals_of(content, names),
        "proposal": header.ref if header.kind == "change" else None,
        "file_access": bool((content.get("via") or {}).get("file_access")),
        "erased_by": record.body.by if isinstance(record.body, Erased) else None,
        "value": _known(after),
        "difference": difference(before, after),
        "object": name,
    }


def _change(before: Value | None, after: Value | None) -> str:
    if isinstance(after, ErasedValue):
        return "erased"
    if before is None:
        return "none" if after is None else "added"
    return "removed" if after is None else "none" if before == after else "changed"


def _known(value: Value | None) -> Value | None:
    return None if isinstance(value, ErasedValue) else value


def _flat(value: Value | None) -> dict[str, Any]:
    """A value's members; of a list of named members each by its name: `values.capture.result`."""
    found: dict[str, Any] = {}
    for member, held in (value or {}).items():
        named_ = isinstance(held, list) and held and all(isinstance(i, dict) and "name" in i for i in held)
        if named_:
            found |= {f"{member}.{item['name']}": item.get("value", item) for item in held}
        elif held != []:
            found[member] = held
    return found
