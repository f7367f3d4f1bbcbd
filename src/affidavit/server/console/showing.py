"""How values look on a page: numbers and moments. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from affidavit.evidence.wording import UNBOUNDED, bound_words, moment_words


def number(value: int) -> str:
    """With commas between thousands."""
    return f"{value:,}"


def as_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON that people read."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def clock_words(bound_ns: int | None) -> str:
    """How wrong a clock can be."""
    return UNBOUNDED if bound_ns is None else bound_words(bound_ns)


@dataclass(frozen=True)
class Moment:
    """A moment for a `time` element: for machines, the clock and the date in UTC, and all of it in words."""

    machine: str
    clock: str
    date: str
    words: str


def moment_parts(at: str, bound_ns: int | None = None) -> Moment:
    """The moment `at`, as headers have it, with its bound in the words."""
    return Moment(at, at[11:23], at[:10], moment_words(at, bound_ns))
