"""What differs between two looks at an upstream, line by line, and which record of ours says why.

A line is `{field, before, after}`, texts, and `record` where a record of ours explains it: a statement through the
gateway that names what changed, or a declared change whose reason or objects do. Naming is judged strictly: every
name of the line must stand in the text. So a line without `record` means that nothing of ours names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affidavit import canonical
from affidavit.capture.watch.enforced import Sections
from affidavit.limits import DRIFT_LINE_CHARS_MAX, DRIFT_LINES_BYTES_MAX

_WORD = re.compile(r"[^\W]+", re.UNICODE)
_WHOLE_SCHEMA = re.compile(r"\ball\s+tables\s+in\s+schema\b|\bowned\s+by\b", re.IGNORECASE)
_PUBLIC = re.compile(r"\b(?:to|from)\s+public\b", re.IGNORECASE)
_LISTED_BEYOND = "not listed: the digest of the section differs"
#: `{field, before, after}`, texts, and `record`, an index, where a record of ours explains it.
Line = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A record of ours that may explain a difference: its index, and the text in which it names things."""

    index: int
    text: str


def difference(before: Mapping[str, Any], sections: Sections, after: Mapping[str, Any], now: Sections) -> list[Line]:
    """The lines between two observed values; `sections` and `now` hold their entries, as far as they are known.

    A section that was not read before gives no line: nothing is known to have changed.
    """
    lines: list[Line] = []
    old, new = before.get("role"), after.get("role")
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        lines += _lines("role", _texts(old), _texts(new))
    digests = _digests(before), _digests(after)
    for name in sorted(now):
        if name not in sections:
            continue
        # Where both lists are cut, an entry may be in only one of them without having changed.
        whole = name not in digests[0] or (
            len(sections[name]) == digests[0][name][0] and len(now[name]) == digests[1][name][0]
        )
        known = sections[name] if whole else _up_to_the_cut(sections[name], now[name])
        now_known = now[name] if whole else _up_to_the_cut(now[name], sections[name])
        found = _lines(name, known, now_known)
        if not found and name in digests[0] and digests[0][name] != digests[1][name]:
            counts = f"{digests[0][name][0]:,} entries", f"{digests[1][name][0]:,} entries, {_LISTED_BEYOND}"
            found = [{"field": name, "before": counts[0], "after": counts[1]}]
        lines += found
    return lines


def explained(lines: Iterable[Line], told: Sequence[Told], role: str) -> list[Line]:
    """The lines, each with the newest record of `told` (newest first) that names all that it names, where there is
    one. `role` is the gateway's own, which a statement through the gateway need not name."""
    found = []
    for line in lines:
        record = next((one.index for one in told if _names(one.text, line["field"], role)), None)
        found.append(line if record is None else {**line, "record": record})
    return found


def bounded(lines: Sequence[Line]) -> list[Line]:
    """As many lines as fit a body; the last one says how many do not. Those that nothing explains come first."""
    ordered = sorted(lines, key=lambda line: "record" in line)
    kept: list[Line] = []
    size = 0
    for at, line in enumerate(ordered):
        size += len(canonical.encode(line)) + 1
        if size > DRIFT_LINES_BYTES_MAX:
            rest = ordered[at:]
            more: Line = {"field": "more", "before": "", "after": f"{len(rest):,} further differences"}
            if all("record" in one for one in rest):
                more["record"] = rest[0]["record"]
            return [*kept, more]
        kept.append(line)
    return kept


def _lines(section: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[Line]:
    return [
        {
            "field": f"{section} {name}"[:DRIFT_LINE_CHARS_MAX],
            "before": _shown(before.get(name))[:DRIFT_LINE_CHARS_MAX],
            "after": _shown(after.get(name))[:DRIFT_LINE_CHARS_MAX],
        }
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _shown(value: str | None) -> str:
    return "" if value is None else value or "present"


def _up_to_the_cut(entries: Mapping[str, str], other: Mapping[str, str]) -> Mapping[str, str]:
    last = min(max(entries, default=""), max(other, default=""))
    return {name: value for name, value in entries.items() if name <= last}


def _digests(observed: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    return {item["name"]: (item["count"], item["digest"]) for item in observed.get("sections", ())}


def _texts(value: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(name): item if isinstance(item, str) else canonical.encode(item).decode() for name, item in value.items()
    }


def _names(text: str, field: str, role: str) -> bool:
    """Whether `text` names everything that a line's field names: what changed, and for whom."""
    section, _, key = field.partition(" ")
    if not key:
        return False
    words = {word.lower() for word in _WORD.findall(text)}
    what, _, whom = key.partition(" to ")
    if section == "members":
        what, _, whom = key.partition(" in ")
    if section == "role_settings":
        what, whom = key.rpartition(" ")[2], key.partition(" in ")[0]
    if section in ("policies", "column_grants"):
        named = _WORD.findall(what)[1:]  # all but the schema
    elif section in ("settings", "role_settings"):
        named = [what.rpartition(".")[2]]
    else:
        named = _WORD.findall(what.rpartition(".")[2])
    if whom == "public" and not _PUBLIC.search(text):
        return False
    for_whom = bool(whom) and whom not in (role, "public", "all")
    people = {word.lower() for word in _WORD.findall(whom)} if for_whom or section == "members" else set()
    if section in ("grants", "privileges") and (people or section == "privileges") and _WHOLE_SCHEMA.search(text):
        return people <= words
    return {word.lower() for word in named if word not in ("schema", "database")} | people <= words
