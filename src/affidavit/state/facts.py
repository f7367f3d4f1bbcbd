"""The facts that a policy may ask for in Cedar's `context`: their names, their types, and how each is given to Cedar.

A fact stands in the record as text, integer, true, false, or a list of texts, exactly as it was decided on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from affidavit.errors import InvalidInput
from affidavit.limits import FACT_CHARS_MAX, FACT_LIST_MAX, INTEGER_MAX

Fact = str | int | bool | tuple[str, ...]


@dataclass(frozen=True)
class FactType:
    """A type of fact: its name in Cedar, and the function that checks a value and gives Cedar's JSON for it."""

    cedar: str
    to_cedar: Callable[[Fact], Any]


def _text(value: Fact) -> Any:
    if not isinstance(value, str) or len(value) > FACT_CHARS_MAX:
        raise ValueError(f"text of at most {FACT_CHARS_MAX} characters")
    return value


def _boolean(value: Fact) -> Any:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _count(value: Fact) -> Any:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= INTEGER_MAX:
        raise ValueError("a count from 0")
    return value


def _texts(value: Fact) -> Any:
    if not isinstance(value, tuple) or len(value) > FACT_LIST_MAX:
        raise ValueError(f"a tuple of at most {FACT_LIST_MAX} texts")
    return [_text(item) for item in value]


def _address(value: Fact) -> Any:
    try:
        address = ipaddress.ip_address(value) if isinstance(value, str) and "%" not in value else None
    except ValueError:
        address = None
    if address is None:
        raise ValueError("an IP address without port or zone; leave the fact out for a local socket")
    # An IPv4 address that arrives mapped into IPv6 must not slip past a rule written for IPv4. Cedar refuses the
    # dotted spelling inside IPv6, and Python's short form changed between versions: the long form did not.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return {"__extn": {"fn": "ip", "arg": (mapped or address).exploded}}


_TEXT = FactType("String", _text)
_BOOLEAN = FactType("Bool", _boolean)
_COUNT = FactType("Long", _count)
_TEXTS = FactType("Set<String>", _texts)
_ADDRESS = FactType("ipaddr", _address)

#: What a session knows from its login on: all that a login is decided on.
SESSION_FACTS: Final[Mapping[str, FactType]] = {
    "application": _TEXT,
    "client_address": _ADDRESS,
    "database": _TEXT,
    "tls": _BOOLEAN,
}
#: What a statement adds to that.
STATEMENT_FACTS: Final[Mapping[str, FactType]] = {
    "columns": _TEXTS,
    "functions": _TEXTS,
    "parsed": _BOOLEAN,
    "read_only": _BOOLEAN,
    "tables": _TEXTS,
    "verb": _TEXT,
}
#: What a change of the log's state is decided on.
CHANGE_FACTS: Final[Mapping[str, FactType]] = {
    "approvals": _COUNT,
    "approving": _BOOLEAN,
    "break_glass": _BOOLEAN,
    "kinds": _TEXTS,
    "lowers_capture": _BOOLEAN,
    "op": _TEXT,
    "own": _BOOLEAN,
    "sources": _TEXTS,
}
FACTS: Final[Mapping[str, FactType]] = {**SESSION_FACTS, **STATEMENT_FACTS, **CHANGE_FACTS}


def cedar_context(facts: tuple[tuple[str, Fact], ...]) -> dict[str, Any]:
    """Cedar's `context` for these facts. Raises `InvalidInput` for an unknown name or a value of another type."""
    context = {}
    for name, value in facts:
        kind = FACTS.get(name)
        if kind is None:
            raise InvalidInput("state.fact", f"There is no fact `{name}`.", f"Known: {', '.join(sorted(FACTS))}.")
        try:
            context[name] = kind.to_cedar(value)
        except ValueError as error:
            raise InvalidInput("state.fact", f"The fact `{name}` must be {error}, not {value!r:.80}.") from None
    return context
