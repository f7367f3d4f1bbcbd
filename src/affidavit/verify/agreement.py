"""What a header repeats from its body must agree with it (duty 13; docs/spec/record.md, Bodies)."""

from __future__ import annotations

from typing import Any

from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.line import Line

#: By kind, members of the body that the header repeats: header field, path in the body.
_ALWAYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("actor", ("actor", "id")),
    ("action", ("action", "class")),
    ("decision", ("authorization", "decision")),
    ("outcome", ("result", "outcome")),
)
#: Parts without which a body of this kind says nothing.
_NEEDS: dict[str, tuple[str, ...]] = {
    "access": ("actor", "client", "action", "authorization", "result"),
    "access.intent": ("actor", "client", "action", "authorization"),
    "access.outcome": ("result",),
    "change": ("objects", "reason", "via"),
    "proposal": ("objects", "reason", "via", "authorization"),
    "approval": ("proposal", "via", "authorization"),
    "lapse": ("objects", "expired"),
    "drift": ("objects",),
    "context": ("rules", "actor", "system"),
    "session.open": ("client",),
    "transaction": ("transaction", "end", "accesses"),
    "clock": ("source", "boot"),
    "log.gap": ("cause", "start", "streams"),
    "log.heartbeat": ("source",),
    "log.open": ("reason", "origin", "key"),
}
_ENDS = {"committed": "ok", "rolled_back": "none", "unknown": "unknown"}


def check_agreement(line: Line, notes: Notebook) -> None:
    """Compare a line's header with its body, where the body could be read."""
    content, header = line.content, line.header
    if content is None:
        return
    for name in _NEEDS.get(header.kind, ()):
        if content.get(name) is None:
            _fail(line, notes, "content.needs", f"The body of {header.kind} {line.index} lacks {name!r}.")
    for field, path in _ALWAYS:
        if content.get(path[0]) is not None and (header.kind != "context" or path[0] != "actor"):
            _compare(line, notes, field, _at(content, path))
    match header.kind:
        case "context":
            _compare(line, notes, "actor", content.get("actor"))
            _compare(line, notes, "system", content.get("system"))
        case "transaction":
            _compare(line, notes, "outcome", _ENDS.get(str(content.get("end"))))
        case "log.gap" if content.get("end") is None and content.get("cause") != "silence":
            _fail(line, notes, "content.needs", f"The body of log.gap {line.index} lacks 'end'.")
        case "approval":
            _compare(line, notes, "ref", content.get("proposal"))
        case _:
            pass


def _at(content: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _compare(line: Line, notes: Notebook, field: str, said: Any) -> None:
    got = getattr(line.header, field)
    if got != said:
        message = f"The header of record {line.index} says {field} {got!r}, its body {str(said)[:80]!r}."
        _fail(line, notes, "content.disagrees", message)


def _fail(line: Line, notes: Notebook, code: str, message: str) -> None:
    notes.fail(Duty.CONTENT, code, line.where, message, line.index)
