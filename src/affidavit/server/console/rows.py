"""Records as rows of a page: who, what, what became of it, each with a word and a sign beside its colour. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from affidavit.record.kinds import STATE_KINDS

Tone = Literal["allow", "deny", "change", "unsure", "plain"]
_CHANGES = STATE_KINDS | {"proposal", "approval"}
_SIGNS: Mapping[Tone, str] = {"allow": "✓", "deny": "✕", "change": "◆", "unsure": "◌", "plain": ""}


@dataclass(frozen=True)
class Tag:
    """A word with its colour and its sign."""

    tone: Tone
    word: str

    @property
    def sign(self) -> str:
        """What stands for the colour where it is not seen."""
        return _SIGNS[self.tone]


@dataclass(frozen=True)
class Row:
    """One record in a list. `band`: how the row as a whole stands out (`change`, `gap`, `denied`, or not)."""

    index: int
    at: str
    bound_ns: int | None
    who: str
    where: str
    what: str
    below: str
    statement: bool
    tag: Tag
    outcome: str
    band: str
    possibly: bool
    erased_by: int | None


def row(view: Mapping[str, Any]) -> Row:
    """The row of a record, as the API shows it."""
    header, head = view["header"], view["headline"]
    kind = header["kind"]
    tag = tag_of(header)
    _, _, outcome = head["verdict"].partition(", ")
    session = header.get("session")
    where = [header.get("system", ""), "" if session is None else f"session {session}"]
    return Row(
        view["index"],
        header["time"]["at"],
        view["bound_ns"],
        head["who"],
        ", ".join(filter(None, where)),
        head["what"],
        head["below"] if view["body_state"] != "erased" else "",
        kind in ("access", "access.intent"),
        tag,
        outcome,
        "gap" if kind == "log.gap" else "change" if kind in _CHANGES else "denied" if tag.tone == "deny" else "",
        view.get("match") == "possibly",
        view.get("erased_by"),
    )


def tag_of(header: Mapping[str, Any]) -> Tag:
    """What a record is, or what was decided in it."""
    kind, decision = header["kind"], header.get("decision")
    if kind == "log.gap":
        return Tag("unsure", "gap")
    if decision == "deny":
        return Tag("deny", "denied")
    if kind in _CHANGES:
        return Tag("change", kind)
    if decision == "allow":
        return Tag("allow", "allowed")
    return Tag("plain", kind.replace(".", " "))
