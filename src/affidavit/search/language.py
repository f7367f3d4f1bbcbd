"""The query language: its questions as values.

A question is a tree. `All`, `Any` and `Not` join questions; the leaves ask one field of `search/fields.py` each. What a
leaf holds is normal already: words as `Field.normal` gives them, people as identity ids, times in nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class All:
    """Every part holds. Without parts: everything, which is what the empty query asks for."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Any:
    """At least one part holds. It has two or more."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold; where that is not known, neither does this."""

    part: Node


@dataclass(frozen=True)
class Words:
    """One of the field's values is one of `values`: texts of a `word` field, else numbers."""

    field: str
    values: tuple[str | int, ...]


@dataclass(frozen=True)
class Prefix:
    """One of the field's values begins with `value`. An empty one asks whether there is any value."""

    field: str
    value: str


@dataclass(frozen=True)
class Range:
    """One of the field's values lies from `low` to `high`, both included; None is an open end."""

    field: str
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Within:
    """It happened from `first_ns` to `last_ns` (since 1970, both included); None is an open end."""

    first_ns: int | None
    last_ns: int | None


@dataclass(frozen=True)
class Phrase:
    """One of the texts of `field` contains `text` (case-folded)."""

    text: str
    field: str = "text"


@dataclass(frozen=True)
class Term:
    """As `Phrase`, for what needs no quotes."""

    text: str
    field: str = "text"


Node: TypeAlias = All | Any | Not | Words | Prefix | Range | Within | Phrase | Term


@dataclass(frozen=True)
class Query:
    """A parsed query. Only records from the index `first` up to, not with, `stop` can match (None: up to the end)."""

    text: str
    part: Node
    first: int = 0
    stop: int | None = None
