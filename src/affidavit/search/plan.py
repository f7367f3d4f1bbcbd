"""What the index is asked for a query: a superset of what matches, in terms, without a word of the query left in it.

Theory. For each part of a query two sets of records can be named by terms: one that holds all that match (`most`) and
one that holds only such (`least`). They are the same where the terms tell exactly. A negation turns them round: the
records that may match *not p* are those that are not in the least of *p*. What a field of a body says may be unknown,
and then neither the part nor its negation matches; so the least of such a negation is left empty.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Every:
    """All records."""


@dataclass(frozen=True)
class Nothing:
    """No record."""


@dataclass(frozen=True)
class Having:
    """Records with one of these terms, of which there is at least one."""

    terms: tuple[str, ...]


@dataclass(frozen=True)
class During:
    """Records whose time may lie between these seconds since 1970, both included; None where that end is open."""

    from_s: int | None
    to_s: int | None


@dataclass(frozen=True)
class Both:
    """Records in each part. There are at least two, none of them `Every` or `Nothing`."""

    parts: tuple[Plan, ...]


@dataclass(frozen=True)
class Either:
    """Records in one of the parts. There are at least two, none of them `Every` or `Nothing`."""

    parts: tuple[Plan, ...]


@dataclass(frozen=True)
class Without:
    """Records that are not in `part`, which is neither `Every` nor `Nothing`."""

    part: Plan


@dataclass(frozen=True)
class Candidate:
    """A record that may match. `found`: the index names it; else it lies where the index does not reach."""

    index: int
    found: bool


Plan = Every | Nothing | Having | During | Both | Either | Without
EVERY, NOTHING = Every(), Nothing()


def both(parts: list[Plan]) -> Plan:
    """The records in each part."""
    if NOTHING in parts:
        return NOTHING
    left = tuple(dict.fromkeys(part for part in parts if part != EVERY))
    return left[0] if len(left) == 1 else Both(left) if left else EVERY


def either(parts: list[Plan]) -> Plan:
    """The records in one of the parts."""
    if EVERY in parts:
        return EVERY
    left = tuple(dict.fromkeys(part for part in parts if part != NOTHING))
    return left[0] if len(left) == 1 else Either(left) if left else NOTHING


def without(part: Plan) -> Plan:
    """The records that are not in `part`."""
    if isinstance(part, Without):
        return part.part
    return NOTHING if part == EVERY else EVERY if part == NOTHING else Without(part)
