"""What a header repeats from its body must agree with it (duty 13; docs/spec/record.md, Bodies)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from affidavit.record.header import Header
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
    "anchor": ("method", "authority", "checkpoint", "imprint", "token", "time"),
    "log.gap": ("cause", "start", "streams"),
    "log.heartbeat": ("source",),
    "log.open": ("reason", "origin", "key"),
}
#: Causes of gaps that may last: a second record says the end.
_WITHOUT_END = frozenset({"silence", "past_gateway"})
_ENDS = {"committed": "ok", "rolled_back": "none", "unknown": "unknown"}


def check_agreement(line: Line, notes: Notebook) -> None:
    """Compare a line's header with its body, where the body could be read."""
    if line.content is not None:
        for code, message in disagreements(line.index, line.header, line.content):
            notes.fail(Duty.CONTENT, code, line.where, message, line.index)


def disagreements(index: int, header: Header, content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Code and message of each thing in which the header and the body of the record at `index` disagree."""
    for name in _NEEDS.get(header.kind, ()):
        if content.get(name) is None:
            yield "content.needs", f"The body of {header.kind} {index} lacks {name!r}."
    if header.kind == "log.gap" and content.get("end") is None and content.get("cause") not in _WITHOUT_END:
        yield "content.needs", f"The body of log.gap {index} lacks 'end'."
    for field, said in _repeated(header, content):
        got = getattr(header, field)
        if got != said:
            yield (
                "content.disagrees",
                f"The header of record {index} says {field} {got!r}, its body {str(said)[:80]!r}.",
            )


def _repeated(header: Header, content: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Fields of the header that the body repeats, with what it says."""
    for field, path in _ALWAYS:
        if content.get(path[0]) is not None and (header.kind != "context" or path[0] != "actor"):
            yield field, _at(content, path)
    match header.kind:
        case "context":
            yield "actor", content.get("actor")
            yield "system", content.get("system")
        case "transaction":
            yield "outcome", _ENDS.get(str(content.get("end")))
        case "approval":
            yield "ref", content.get("proposal")
        case _:
            pass


def _at(content: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        content = content.get(name) if isinstance(content, dict) else None
    return content
