"""A session told: what applied at each action, what changed meanwhile, what was shown, how it ended.

Settings, groups and grants are those of the context that each action was decided under, so they are told once for each
context. All of it is read from records; only the words of a denial are made again, as this version words them, because
what is recorded of them is the decision.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from affidavit.capture.gateway.wording import denial_words
from affidavit.evidence.explain import bearing
from affidavit.evidence.sentence import Names, because_words, changes_words, named, what_words
from affidavit.evidence.session import Session
from affidavit.evidence.statehistory import approvals_of
from affidavit.history.asof import Records
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.read import Record

_ACTIONS = frozenset({"session.open", "access", "access.intent"})


def story(records: Records, found: Session, names: Names, bound_of: Callable[[Header], int | None]) -> dict[str, Any]:
    """`actions`, `contexts`, `changes`, `presented` and `ended` of a session, as values for JSON."""
    inside = [records.record(at) for at in found.records]
    outcomes = {record.header.ref: record for record in inside if record.header.kind == "access.outcome"}
    asked = [record for record in inside if record.header.kind in _ACTIONS]
    contexts: dict[str, dict[str, Any]] = {}
    for record in asked:
        at = record.header.context
        if at is not None and str(at) not in contexts:
            contexts[str(at)] = _context(records.record(at), names)
    actions = [_action(record, outcomes.get(record.index), contexts, names, bound_of) for record in asked]
    presented = [
        {**_when(record, bound_of), "how": record.content.get("how"), "text": list(record.content.get("text", ()))}
        for record in inside
        if record.header.kind == "presented"
    ]
    denials = [
        {"index": one["index"], "at": one["at"], "bound_ns": one["bound_ns"], "how": "error", "text": one["shown"]}
        for one in actions
        if one["shown"]
    ]
    return {
        "actions": actions,
        "contexts": contexts,
        "changes": _changes([records.record(at) for at in found.meanwhile], asked, contexts, names, bound_of),
        "presented": sorted(presented + denials, key=lambda item: item["index"]),
        "ended": _ended(found, inside[-1], bound_of),
    }


def _when(record: Record, bound_of: Callable[[Header], int | None]) -> dict[str, Any]:
    return {"index": record.index, "at": record.header.time.at, "bound_ns": bound_of(record.header)}


def _action(
    record: Record,
    outcome: Record | None,
    contexts: dict[str, dict[str, Any]],
    names: Names,
    bound_of: Callable[[Header], int | None],
) -> dict[str, Any]:
    """One action: who allowed or denied it, under which context and state; `counted` are the grants live at it."""
    header = record.header
    authorization = record.content.get("authorization") or {}
    determining = sorted({(str(one["policy"]), str(one["digest"])) for one in authorization.get("determining", ())})
    context = contexts.get(str(header.context))
    shown: list[str] = []
    if header.kind == "access" and header.decision == "deny" and not isinstance(record.body, Erased):
        errs = bool(authorization.get("errors"))
        shown = list(denial_words(record.index, [name for name, _ in determining], errs=errs))
    return {
        **_when(record, bound_of),
        "kind": header.kind,
        "what": what_words(record, names),
        "decision": header.decision,
        "outcome": header.outcome if outcome is None else outcome.header.outcome,
        "completed": None if outcome is None else outcome.index,
        "because": because_words(record.content, names),
        "rules": [{"name": name, "shown": named(name, names), "digest": digest} for name, digest in determining],
        "errors": list(authorization.get("errors", ())),
        "counted": [] if context is None else _counted(context, header.time.at),
        "context": header.context,
        "state": header.decided,
        "shown": shown,
        "erased_by": _erased_by(record),
    }


def _erased_by(record: Record) -> int | None:
    """The record that erased the body of this one; None where it is here."""
    return record.body.by if isinstance(record.body, Erased) else None


def _counted(context: dict[str, Any], at: str) -> list[str]:
    return [
        grant["name"]
        for grant in context["grants"]
        if (grant["start"] is None or grant["start"] <= at) and (grant["end"] is None or at < grant["end"])
    ]


def _context(record: Record, names: Names) -> dict[str, Any]:
    """What a context record says, with names as people know them; all empty where it cannot be read."""
    said = record.content
    return {
        "readable": bool(said),
        "erased_by": _erased_by(record),
        "settings": list(said.get("settings", ())),
        "configured": said.get("configured"),
        "groups": list(said.get("groups", ())),
        "grants": [{**grant, "shown": named(str(grant["name"]), names)} for grant in said.get("grants", ())],
        "policies": [one["name"] for one in said.get("policies", ())],
    }


def _changes(
    changes: list[Record],
    asked: list[Record],
    contexts: dict[str, dict[str, Any]],
    names: Names,
    bound_of: Callable[[Header], int | None],
) -> list[dict[str, Any]]:
    """The changes meanwhile. `effective` is the first action that was decided under it; `bears` whether it touches what
    this person may do here, or how that is recorded, or may do so, where it was erased."""
    groups = sorted({item["group"] for context in contexts.values() for item in context["groups"]})
    actor = next((one.header.actor for one in asked if one.header.actor), "") or ""
    bears = bearing(actor, asked[0].header.system or "", groups)
    # The newest state that any action up to here was decided under: it never falls, so bisection finds the first.
    newest = list(accumulate((one.header.decided or 0 for one in asked), max))
    told = []
    for record in changes:
        content, first = record.content, bisect.bisect_right(newest, record.index)
        objects = [str(op["name"]) for op in content.get("objects", ())]
        erased = isinstance(record.body, Erased)
        did = record.header.kind == "change" and not erased
        told.append(
            {
                **_when(record, bound_of),
                "kind": record.header.kind,
                "what": changes_words(content.get("objects", ()), names) if did else what_words(record, names),
                "who": names(record.header.actor) if record.header.kind == "change" and record.header.actor else None,
                "reason": str(content.get("reason") or ""),
                "ticket": str(content.get("ticket") or ""),
                "approvals": approvals_of(content, names),
                "objects": objects,
                "bears": erased or any(map(bears, objects)),
                "erased_by": _erased_by(record),
                "effective": asked[first].index if first < len(asked) else None,
            }
        )
    return told


def _ended(found: Session, last: Record, bound_of: Callable[[Header], int | None]) -> dict[str, Any]:
    """How it ended: with a record, or `open` (or with the writer: then a gap record before the next start says so)."""
    if found.closed is None:
        return {"index": None, "at": None, "bound_ns": None, "how": "open" if found.whole else "not reached"}
    return {**_when(last, bound_of), "how": str(last.content.get("reason") or "unknown")}
