"""The sentence that a record begins with: what a lawyer could read aloud, built from the record's fields alone.

`headline` is its short form, for a line of the timeline. Both are pure; who an identity id is comes in as a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affidavit.evidence.drifts import explaining, unexplained
from affidavit.evidence.gaps import gap_words
from affidavit.evidence.wording import count_words, list_words, moment_words
from affidavit.record.body import Erased, Unreadable
from affidavit.record.header import Header
from affidavit.record.kinds import STATE_KINDS
from affidavit.record.read import Record

Names = Callable[[str], str]

_ACCESS_KINDS = frozenset({"access", "access.intent"})
_STATEMENT_CHARS = 200
_DONE = {"give": "gave", "take": "took", "add": "added", "change": "changed", "delete": "deleted"}
_WISHED = {verb: f"to {verb}" for verb in _DONE}
_TRANSACTION_ENDS = {
    "ok": "committed a transaction",
    "none": "had a transaction rolled back",
    "unknown": "had a transaction whose end is not known",
}
_SESSION_ENDS = {
    "client": "the client ended it",
    "server": "Affidavit stopped",
    "revoked": "the permission was revoked",
    "protocol": "the client broke the protocol",
    "upstream": "the database ended it",
    "log": "the log could not write",
}


@dataclass(frozen=True)
class Headline:
    """A line of the timeline in parts: who, what they did, what became of it, and the text below it (or empty)."""

    who: str
    what: str
    verdict: str
    below: str


def headline(record: Record, names: Names) -> Headline:
    """The short form of the sentence."""
    header = record.header
    who = _who(record, names)
    below = ""
    if header.kind in _ACCESS_KINDS:
        below = one_line(_part(record.content, "action").get("statement", ""))
    elif header.kind in STATE_KINDS or header.kind == "proposal":
        ops = record.content.get("objects", ())
        below = one_line(objects_words(ops, names, most=8)) if len(ops) > 1 else ""
    elif header.kind == "presented":
        below = one_line(" ".join(map(str, record.content.get("text", ()))))
    if isinstance(record.body, Erased):
        below = f"erased by record {record.body.by}"
    return Headline(who, what_words(record, names), verdict_words(record), below)


def sentence(record: Record, names: Names, bound_ns: int | None) -> str:
    """The record in one sentence: when and how sure, who, what, what became of it, and by which rule."""
    who = _who(record, names)
    what = what_words(record, names)
    said = f"At {moment_words(record.header.time.at, bound_ns)}, {f'{who} {what}' if who else what}"
    because = because_words(record.content, names)
    if because and record.header.decision == "deny" and record.header.kind == "proposal" and not record.header.outcome:
        because = f"which nobody may do alone: {because}"
    if because:
        said += f", {because}"
    if isinstance(record.body, Erased):
        said += f" (its body was erased by record {record.body.by})"
    elif isinstance(record.body, Unreadable):
        said += " (its body cannot be read without its key)"
    return said + "."


def verdict_words(record: Record) -> str:
    """Decision and outcome in words that do not need colour: `allowed, ok`, `denied`, or empty."""
    header = record.header
    if header.kind == "proposal" and header.outcome is None:
        return "waits for approval"
    if header.kind in ("session.close", "transaction"):
        return ""
    decision = {"allow": "allowed", "deny": "denied"}.get(header.decision or "", "")
    outcome = {"ok": "ok", "error": "error", "none": "did not run", "unknown": "outcome unknown"}.get(
        header.outcome or "", ""
    )
    if header.decision == "deny" and header.outcome == "none":
        outcome = ""
    return ", ".join(filter(None, (decision, outcome)))


def because_words(content: Mapping[str, Any], names: Names) -> str:
    """`allowed by grant/ana/g-1`, `denied because no rule allows it`, or empty where nothing was decided."""
    authorization = _part(content, "authorization")
    decision = authorization.get("decision")
    rules = sorted({named(str(item.get("policy")), names) for item in _mappings(authorization.get("determining"))})
    errors = authorization.get("errors")
    if decision == "allow":
        return f"allowed by {list_words(rules)}" if rules else "allowed"
    if decision != "deny":
        return ""
    if errors:
        return "denied because a rule could not be evaluated"
    return f"denied by {list_words(rules)}" if rules else "denied because no rule allows it"


def what_words(record: Record, names: Names) -> str:
    """What happened, as a predicate of the actor: `read 12 rows from public.patients on clinic`."""
    header, content = record.header, record.content
    if header.kind in _ACCESS_KINDS:
        return _access_words(record)
    if header.kind in STATE_KINDS or header.kind == "proposal":
        return _erased_change_words(header) if isinstance(record.body, Erased) else _change_words(record, names)
    if header.kind == "review":
        return f"reviewed record {header.ref} (“{one_line(str(content.get('note', '')))}”)"
    system = f" on {header.system}" if header.system else ""
    if header.kind == "session.open":
        failure = _part(content, "failure")
        if header.decision == "deny":
            why = f" ({failure['reason']})" if failure.get("reason") else ""
            return f"was refused a session{system}{why}"
        return f"opened a session{system}{_from_words(content)}"
    if header.kind == "session.close":
        reason = _SESSION_ENDS.get(str(content.get("reason")), str(content.get("reason", "")))
        return f"ended session {header.session}{system}" + (f": {reason}" if reason else "")
    if header.kind == "access.outcome":
        return f"had the answer to record {header.ref}: {_result_words(_part(content, 'result')) or header.outcome}"
    if header.kind == "transaction":
        return f"{_TRANSACTION_ENDS.get(str(header.outcome), 'ended a transaction')}{system}"
    if header.kind == "context":
        return f"has a new context{system}"
    if header.kind == "presented":
        return f"was shown a {content.get('how', 'text')}{system}"
    if header.kind == "approval":
        verb = "approved" if header.decision == "allow" else "tried to approve"
        return f"{verb} proposal {header.ref}{_reason_words(content)}"
    return _log_words(record)


def objects_words(ops: Sequence[Any], names: Names, most: int = 3) -> str:
    """What a change does to its objects, briefly: `+ grant/ana/g-1`, `- policy/observe-all`."""
    said = []
    for op in _mappings(ops):
        sign = "-" if op.get("op") == "delete" else "+" if op.get("based") is None else "~"
        said.append(f"{sign} {named(str(op.get('name')), names)}")
    return list_words(said, most)


def changes_words(ops: Sequence[Any], names: Names, verbs: Mapping[str, str] = _DONE) -> str:
    """What a change does, in words: `gave ana read on clinic until …`, `added a and b; deleted c`."""
    found = _mappings(ops)
    if len(found) == 1 and str(found[0].get("name")).startswith("grant/"):
        return _grant_words(found[0], names, verbs)
    grouped: dict[str, list[str]] = {}
    for op in found:
        verb = "delete" if op.get("op") == "delete" else "add" if op.get("based") is None else "change"
        grouped.setdefault(verb, []).append(named(str(op.get("name")), names))
    return "; ".join(f"{verbs[verb]} {list_words(items)}" for verb, items in grouped.items())


def _grant_words(op: Mapping[str, Any], names: Names, verbs: Mapping[str, str]) -> str:
    whom = names(str(op["name"]).split("/")[1])
    value = _part(op, "value")
    if op.get("op") == "delete" or not value:
        return f"{verbs['take']} {named(str(op['name']), names)} away"
    actions, resource = list_words([str(item) for item in value.get("actions", ())]), _part(value, "resource")
    end = f"until {value['end'][:10]} {value['end'][11:19]} UTC" if value.get("end") else "without an end"
    how = " as break-glass" if value.get("break_glass") is True else ""
    return f"{verbs['give']} {whom} {actions} on {resource.get('id')} {end}{how}"


def named(name: str, names: Names) -> str:
    """An object's name with the handles that people know instead of identity ids."""
    return "/".join(names(part) if part.startswith("u-") else part for part in name.split("/"))


def one_line(text: str) -> str:
    """Whitespace folded, control characters shown, cut to what one line of a screen holds."""
    folded = " ".join(str(text).split())
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in folded)
    return shown if len(shown) <= _STATEMENT_CHARS else shown[: _STATEMENT_CHARS - 1] + "…"


def _access_words(record: Record) -> str:
    header, content = record.header, record.content
    action, result = _part(content, "action"), _part(content, "result")
    tables = sorted({f"{t.get('schema')}.{t.get('name')}" for t in _mappings(action.get("tables"))})
    verb = str(action.get("verb") or header.action)
    on = f" on {header.system}"
    if header.decision == "deny":
        return f"was refused {verb}{f' of {list_words(tables)}' if tables else ''}{on}"
    if header.kind == "access.intent":
        return f"was let run {verb}{f' of {list_words(tables)}' if tables else ''}{on}"
    rows = result.get("rows")
    if header.action == "read" and header.outcome == "ok" and isinstance(rows, int):
        return f"read {count_words(rows, 'row')}{f' from {list_words(tables)}' if tables else ''}{on}"
    said = f"ran {verb}{f' of {list_words(tables)}' if tables else ''}{on}"
    outcome = _result_words(result)
    return f"{said} ({outcome})" if outcome else said


def _result_words(result: Mapping[str, Any]) -> str:
    if result.get("outcome") == "error":
        return f"error {result.get('sqlstate', '')}".rstrip()
    if result.get("outcome") in ("none", "unknown"):
        return {"none": "did not run", "unknown": "outcome unknown"}[result["outcome"]]
    rows = result.get("rows")
    return count_words(rows, "row") if isinstance(rows, int) else ""


def _change_words(record: Record, names: Names) -> str:
    header, content = record.header, record.content
    ops = content.get("objects", ())
    if header.kind == "lapse":
        return f"what had expired lapsed: {objects_words(ops, names)}"
    if header.kind == "drift":
        return _drift_words(record, names)
    if header.kind == "proposal":
        verb = "was not allowed" if header.outcome == "none" else "proposed"
        said = f"{verb} {changes_words(ops, names, _WISHED)}{_reason_words(content)}"
    else:
        said = f"{changes_words(ops, names)}{_reason_words(content)}"
    approvers = [names(str(item.get("approver"))) for item in _mappings(content.get("approvals"))]
    if approvers:
        said += f", approved by {list_words(approvers)}"
    if content.get("claimed"):
        said += f", approval by {list_words([str(name) for name in content['claimed']])} only claimed"
    return said


def _drift_words(record: Record, names: Names) -> str:
    content = record.content
    ops = content.get("objects", ())
    said = f"{record.header.system} was found to enforce something else than before: {objects_words(ops, names)}"
    by, outside = explaining(content), unexplained(content)
    if by:
        said += f"; {list_words([f'record {index}' for index in by], most=5)} {'says' if len(by) == 1 else 'say'} why"
    if outside:
        said += f"; no record of ours explains {list_words(outside, most=5)}"
    return said


def _erased_change_words(header: Header) -> str:
    """A change or proposal of which only the header is left."""
    if header.kind == "proposal":
        return "was not allowed a change" if header.outcome == "none" else "proposed a change"
    return {"lapse": "what had expired lapsed", "drift": f"{header.system} was found to enforce something else"}.get(
        header.kind, "made a change"
    )


def _log_words(record: Record) -> str:
    kind, content = record.header.kind, record.content
    if kind == "log.open":
        return "the log began" if content.get("reason") == "genesis" else "the log was opened for writing"
    if kind == "log.close":
        return "the log was closed in order"
    if kind == "log.gap":
        return gap_words(content)
    if kind == "log.heartbeat":
        return f"the source {one_line(content.get('source', 'of an unknown name'))} was heard of"
    if kind == "log.key":
        verb = "was not allowed to rotate" if record.header.decision == "deny" else "rotated"
        return f"{verb} the log's key{_reason_words(content)}"
    if kind == "erase":
        what = _part(content, "record").get("kind", "record")
        verb = "was not allowed to erase" if record.header.decision == "deny" else "erased"
        return f"{verb} the body of record {record.header.ref}, of the kind {what}{_reason_words(content)}"
    if kind == "log.read":
        return _reading_words(content)
    if kind == "clock":
        state = "synchronised" if content.get("synchronized") else "not synchronised"
        return f"the clock was {state}"
    return kind.replace(".", " ")


def _reading_words(content: Mapping[str, Any]) -> str:
    query = one_line(str(content.get("query", "")))
    what = f"for “{query}”" if query else "for everything"
    certainly, maybe = content.get("certainly"), content.get("possibly")
    found = count_words(certainly, "record") if isinstance(certainly, int) else "records"
    possibly = f" and possibly {maybe:,} more" if isinstance(maybe, int) and maybe else ""
    match content.get("asked"):
        case "search":
            return f"searched the log {what} and was shown {found}{possibly}"
        case "count":
            return f"counted what the log holds {what}: {found}{possibly}"
        case "record":
            return f"looked at record {content.get('index')}"
        case "follow":
            first = content.get("first")
            return f"followed the log {what} from {'then' if first is None else f'record {first}'} on"
        case _:
            return f"exported from the log {what}"


def _who(record: Record, names: Names) -> str:
    actor = record.header.actor
    if record.header.kind in ("lapse", "drift"):
        return ""
    if actor is not None:
        return names(actor)
    # A login that failed before anybody was known: what the client typed is a claim, and said to be one.
    claimed = _part(record.content, "actor").get("name")
    return (
        f"somebody who gave the name {claimed!r}"
        if claimed
        else ("somebody" if record.header.kind == "session.open" else "")
    )


def _from_words(content: Mapping[str, Any]) -> str:
    client = _part(content, "client")
    parts = [f" from {client['address']}"] if client.get("address") else []
    if client.get("application"):
        parts.append(f" with an application that calls itself {client['application']!r}")
    return "".join(parts)


def _reason_words(content: Mapping[str, Any]) -> str:
    reason = content.get("reason")
    return f" (“{one_line(reason)}”)" if isinstance(reason, str) and reason else ""


def _part(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def _mappings(items: Any) -> list[Mapping[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list | tuple) else []
