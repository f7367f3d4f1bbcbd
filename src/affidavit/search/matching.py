"""Whether a record is what a query asks for: the predicate that every answer rests on.

A question is answered by how far it holds and, beside that, how far its negation does: certainly, possibly or not at
all. Two sides, because they are not each other's opposite. What a body does not say holds on neither. Where a record's
clock was unsure by more than the edge of the time that is asked for, both are possible. `All` takes the weaker of what
speaks for it and the stronger of what speaks against it, `Any` the other way round, `Not` changes sides; so a query may
be rewritten by De Morgan's rules, or its parts put in another order, and finds the same.

A record whose clock nothing bounds is judged by its own claim, and never more than possibly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from affidavit.record.header import Header
from affidavit.record.moment import parse_moment
from affidavit.record.read import Record
from affidavit.search.fields import FIELDS, Values
from affidavit.search.language import All, Any, Node, Not, Phrase, Prefix, Query, Range, Term, Within, Words

Match = Literal["certainly", "possibly"]
#: How wrong the time in a header can be, in nanoseconds; None where nothing bounds it.
BoundOf = Callable[[Header], int | None]
#: How far a question holds, and how far its negation does.
_Degrees = tuple[int, int]

_NO, _POSSIBLY, _CERTAINLY = 0, 1, 2
_HOLDS: _Degrees = (_CERTAINLY, _NO)
_FAILS: _Degrees = (_NO, _CERTAINLY)
_SAYS_NOTHING: _Degrees = (_NO, _NO)
_UNREAD: _Degrees = (_CERTAINLY, _CERTAINLY)  # as much as a body that nobody looked into could bring


class Readable(Protocol):
    """Reads records of one log by index."""

    def record(self, index: int) -> Record:
        """The record at `index`, its body checked against its header."""

    def header(self, index: int) -> Header:
        """The header of the record at `index`, without its body."""


def look(records: Readable, query: Query, index: int, bound_of: BoundOf) -> tuple[Record, Match] | None:
    """The record at `index` and how surely it is what `query` asks for; None where it is not. Its body is read only
    where its header leaves that open."""
    if not matches_header(query, index, records.header(index), bound_of):
        return None
    record = records.record(index)
    how = match(query, record, bound_of)
    return None if how is None else (record, how)


def match(query: Query, record: Record, bound_of: BoundOf) -> Match | None:
    """How surely `record` is what `query` asks for; None where it is not."""
    degree = _Judge(record, bound_of, unread=False).degree(query.part, True)
    return "certainly" if degree == _CERTAINLY else "possibly" if degree == _POSSIBLY else None


def matches_header(query: Query, index: int, header: Header, bound_of: BoundOf) -> bool:
    """False where index and header alone rule a record out, whatever its body says."""
    return _Judge(Record(index, b"", header, None), bound_of, unread=True).degree(query.part, True) > _NO


class _Judge:
    """Judges one record; where `unread`, by its header, as if its body could say anything."""

    def __init__(self, record: Record, bound_of: BoundOf, unread: bool) -> None:
        self._record = record
        self._bound_of = bound_of
        self._unread = unread

    def degree(self, node: Node, affirmed: bool) -> int:
        """How far `node` holds, or where not `affirmed` its negation. Looks at no more parts than it takes."""
        match node:
            case All(parts):
                return self._weakest(parts, True) if affirmed else self._strongest(parts, False)
            case Any(parts):
                return self._strongest(parts, True) if affirmed else self._weakest(parts, False)
            case Not(part):
                return self.degree(part, not affirmed)
            case Within():
                degrees = _within(node, self._record.header, self._bound_of)
            case _:
                degrees = self._asked(node)
        return degrees[0] if affirmed else degrees[1]

    def _weakest(self, parts: tuple[Node, ...], affirmed: bool) -> int:
        found = _CERTAINLY
        for part in parts:
            found = min(found, self.degree(part, affirmed))
            if found == _NO:
                break
        return found

    def _strongest(self, parts: tuple[Node, ...], affirmed: bool) -> int:
        found = _NO
        for part in parts:
            found = max(found, self.degree(part, affirmed))
            if found == _CERTAINLY:
                break
        return found

    def _asked(self, node: Words | Prefix | Range | Phrase | Term) -> _Degrees:
        field = FIELDS[node.field]
        if self._unread and not field.in_header:
            return _UNREAD
        values = field.values(self._record)
        if not values:
            return _FAILS if field.in_header else _SAYS_NOTHING
        return _HOLDS if _holds(node, values) else _FAILS


def _holds(node: Words | Prefix | Range | Phrase | Term, values: Values) -> bool:
    match node:
        case Words():
            return any(value in node.values for value in values)
        case Prefix():
            return any(str(value).startswith(node.value) for value in values)
        case Range(_, low, high):
            numbers = (value for value in values if isinstance(value, int))
            return any((low is None or low <= n) and (high is None or n <= high) for n in numbers)
        case Phrase() | Term():
            return any(node.text in str(value) for value in values)


def _within(node: Within, header: Header, bound_of: BoundOf) -> _Degrees:
    first_ns, last_ns = node.first_ns, node.last_ns
    if first_ns is None and last_ns is None:
        return _HOLDS
    at_ns, bound_ns = parse_moment(header.time.at), bound_of(header)
    error_ns = bound_ns or 0
    earliest_ns, latest_ns = at_ns - error_ns, at_ns + error_ns
    begins = first_ns is None or first_ns <= earliest_ns
    ends = last_ns is None or latest_ns <= last_ns
    if begins and ends:
        return _HOLDS if bound_ns is not None else (_POSSIBLY, _NO)
    apart = (first_ns is not None and latest_ns < first_ns) or (last_ns is not None and last_ns < earliest_ns)
    if apart:
        return _FAILS if bound_ns is not None else (_NO, _POSSIBLY)
    return _POSSIBLY, _POSSIBLY
