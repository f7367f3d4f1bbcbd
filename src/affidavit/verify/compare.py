"""Whether a recorded authorization is what deciding again gives, and in what it differs."""

from __future__ import annotations

from typing import Any

#: Compared member by member. `engine` is not: another version of it is a remark, its answers are compared.
_MEMBERS = ("rules", "decision", "requests", "facts", "determining", "errors")


def difference(said: Any, again: dict[str, Any]) -> str:
    """The members in which a recorded authorization differs from the one made again; empty where they agree."""
    if not isinstance(said, dict):
        return "everything: the record holds no authorization"
    parted = [name for name in _MEMBERS if said.get(name) != again.get(name)]
    return ", ".join(f"{name} ({_short(said.get(name))}, now {_short(again.get(name))})" for name in parted)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}…"
