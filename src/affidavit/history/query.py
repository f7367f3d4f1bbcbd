"""The timeline's query: `field:value` terms and quoted text, as a predicate over records.

A term is `field:value`, `-field:value` (not), or text that the statement or the reason must contain. Terms are joined
by *and*; a value may list alternatives with commas. A value with spaces stands in double quotes. Fields are those of
the header and the main ones of bodies, see docs/reference/cli.md. What a body says can only be asked where the body
can be read: a record without one never matches such a term, negated or not.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from affidavit.errors import InvalidInput
from affidavit.limits import INTEGER_MAX, QUERY_CHARS_MAX, QUERY_TERMS_MAX
from affidavit.record.header import Header
from affidavit.record.kinds import ACTIONS, BASES, DECISIONS, GUARANTEES, KINDS, OUTCOMES
from affidavit.record.read import Record

#: Gives the identity id for a handle (or an id as it is). Raises `InvalidInput` where nobody has it.
Resolve = Callable[[str], str]
_HeaderTest = Callable[[Header], bool]
_BodyTest = Callable[[Record], bool]
_TERM = re.compile(r'(-?)(?:([a-z_.]+):)?(?:"([^"]*)"|([^\s"]+))(?=\s|$)')
_TIME = re.compile(
    r"(\d{4}(-((0[1-9]|1[0-2])(-((0[1-9]|[12]\d|3[01])(T(([01]\d|2[0-3])(:([0-5]\d?(:[0-9.]*Z?)?)?)?)?)?)?)?)?)?)?"
)
_WITH_PORT = re.compile(r"\[?(.+?)\]?:\d+")
_RANGE = re.compile(r"(\d*)\.\.(\d*)")
_WORD_FIELDS = ("kind", "system", "action", "decision", "outcome", "basis", "guarantee")
#: Fields with few values. Another one is a slip, and "no record matches" would be a wrong answer to it.
_VALUES_OF: dict[str, Collection[str]] = {
    "kind": KINDS,
    "action": ACTIONS,
    "decision": DECISIONS,
    "outcome": OUTCOMES,
    "basis": BASES,
    "guarantee": GUARANTEES,
}
_INDEX_FIELDS = ("session", "context", "ref")
_BODY_FIELDS = ("table", "verb", "sqlstate", "application", "client", "object", "ticket")
FIELDS = ("actor", *_WORD_FIELDS, *_INDEX_FIELDS, *_BODY_FIELDS, "text", "at", "index")


@dataclass(frozen=True)
class Query:
    """A parsed query. `first` and `stop` bound the indexes that can match (`stop` None: up to the end)."""

    text: str
    first: int
    stop: int | None
    header_tests: tuple[_HeaderTest, ...]
    body_tests: tuple[_BodyTest, ...]

    def matches_header(self, header: Header) -> bool:
        """False where the header alone rules the record out."""
        return all(test(header) for test in self.header_tests)

    def matches(self, record: Record) -> bool:
        """True where every term holds for `record`."""
        if not self.first <= record.index or (self.stop is not None and record.index >= self.stop):
            return False
        return self.matches_header(record.header) and all(test(record) for test in self.body_tests)


def parse_query(text: str, resolve: Resolve) -> Query:
    """The query that `text` asks. Raises `InvalidInput` naming the term and what to write instead."""
    if len(text) > QUERY_CHARS_MAX:
        raise InvalidInput("query.size", f"A query has at most {QUERY_CHARS_MAX} characters.")
    first, stop = 0, None
    header_tests: list[_HeaderTest] = []
    body_tests: list[_BodyTest] = []
    for negated, field, value in _terms(text):
        if field == "index":
            if negated:
                raise InvalidInput("query.index", "index: cannot be negated; give the range that is wanted.")
            low, high = _index_range(value)
            first = max(first, low)
            stop = high if stop is None else stop if high is None else min(stop, high)
        elif field in _BODY_FIELDS or field == "text":
            body_tests.append(_body_test(field, value, negated, resolve))
        else:
            header_tests.append(_header_test(field, value, negated, resolve))
    return Query(text, first, stop, tuple(header_tests), tuple(body_tests))


def _terms(text: str) -> list[tuple[bool, str, str]]:
    found: list[tuple[bool, str, str]] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _TERM.match(text, at)
        if match is None:
            raise InvalidInput(
                "query.term",
                f"The query cannot be read from {text[at : at + 40]!r} on.",
                'Close each quote: field:"a b".',
            )
        field, value = match[2] or "text", match[3] if match[3] is not None else match[4]
        if field not in FIELDS:
            nearest = difflib.get_close_matches(field, FIELDS, n=1, cutoff=0.0)[0]
            raise InvalidInput(
                "query.field",
                f"There is no field {field!r} to ask for.",
                f"The nearest is {nearest!r}; text with a colon stands in quotes.",
            )
        if not value or (match[2] is None and match[3] is None and value.endswith(":")):
            raise InvalidInput("query.value", f"The term {match[0]!r} asks for nothing.", "Give a value.")
        found.append((bool(match[1]), field, value))
        if len(found) > QUERY_TERMS_MAX:
            raise InvalidInput("query.size", f"A query has at most {QUERY_TERMS_MAX} terms.")
        at = match.end()
    return found


def _header_test(field: str, value: str, negated: bool, resolve: Resolve) -> _HeaderTest:
    if field == "at":
        within = _time_test(value)
        return lambda header: within(header.time.at) != negated
    wanted: frozenset[Any]
    if field == "actor":
        wanted = frozenset(resolve(name) for name in value.split(","))
    elif field in _INDEX_FIELDS:
        wanted = frozenset(_index(item, field) for item in value.split(","))
    else:
        wanted = frozenset(_known(field, item) for item in value.split(","))
    return lambda header: (getattr(header, field) in wanted) != negated


def _known(field: str, value: str) -> str:
    """`value`, where `field` can have it. Raises `InvalidInput` naming what it can have."""
    values = _VALUES_OF.get(field)
    if values is not None and value not in values:
        raise InvalidInput(
            "query.word", f"No record has the {field} {value!r}.", f"Values are {', '.join(sorted(values))}."
        )
    return value


def _time_test(value: str) -> Callable[[str], bool]:
    if ".." not in value:
        prefix = _time_prefix(value)
        return lambda at: at.startswith(prefix)
    low, _, high = value.partition("..")
    start, end = _time_prefix(low), _time_prefix(high)
    return lambda at: at >= start and (not end or at[: len(end)] <= end)


def _time_prefix(text: str) -> str:
    prefix = text.strip().replace(" ", "T")
    if not _TIME.fullmatch(prefix):
        raise InvalidInput(
            "query.time", f"{text!r} is no time or start of one.", "Write at:2026-11-22T14:17 or at:FROM..TO, in UTC."
        )
    return prefix


def _index_range(value: str) -> tuple[int, int | None]:
    """The first index and the one after the last of `A..B` (both may be left out) or of one number."""
    match = _RANGE.fullmatch(value)
    if match is None:
        one = _index(value, "index")
        return one, one + 1
    first, stop = int(match[1] or 0), int(match[2]) + 1 if match[2] else None
    if stop is not None and stop <= first:
        raise InvalidInput("query.index", f"index:{value} ends before it begins.", "Write the smaller number first.")
    return first, stop


def _index(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > INTEGER_MAX:
        raise InvalidInput("query.index", f"{field}:{text} asks for a record's index, which is a number.")
    return int(text)


def _body_test(field: str, value: str, negated: bool, resolve: Resolve) -> _BodyTest:
    if field == "text":
        folded = value.casefold()
        return lambda record: _some(_texts(record), lambda text: folded in text.casefold(), negated)
    if field == "object":
        wanted = "/".join(_resolved(part, resolve) for part in value.split("/"))
        return lambda record: _some(_object_names(record), lambda name: name.startswith(wanted), negated)
    alternatives = frozenset(item.casefold() for item in value.split(","))
    values = _VALUES[field]

    def test(record: Record) -> bool:
        found = values(record)
        return bool(found) and (not alternatives.isdisjoint(item.casefold() for item in found)) != negated

    return test


def _some(items: list[str], holds: Callable[[str], bool], negated: bool) -> bool:
    return bool(items) and any(map(holds, items)) != negated


def _resolved(part: str, resolve: Resolve) -> str:
    try:
        return resolve(part)
    except InvalidInput:
        return part  # the part of an object's name need not be a person


def _texts(record: Record) -> list[str]:
    content = record.content
    candidates = (_part(content, "action").get("statement"), content.get("reason"))
    return [text for text in candidates if isinstance(text, str)]


def _object_names(record: Record) -> list[str]:
    objects = record.content.get("objects")
    return [str(op.get("name")) for op in objects if isinstance(op, dict)] if isinstance(objects, list) else []


def _tables(record: Record) -> list[str]:
    tables = _part(record.content, "action").get("tables")
    found: list[str] = []
    for table in tables if isinstance(tables, list) else ():
        if isinstance(table, dict):
            found += (f"{table.get('schema')}.{table.get('name')}", str(table.get("name")))
    return found


def _leaf(part: str, name: str) -> Callable[[Record], list[str]]:
    def values(record: Record) -> list[str]:
        value = _part(record.content, part).get(name)
        return [value] if isinstance(value, str) else []

    return values


def _addresses(record: Record) -> list[str]:
    """The client's address with its port, as it is recorded, and without, as people know it."""
    found = _leaf("client", "address")(record)
    return [*found, *(match[1] for item in found if (match := _WITH_PORT.fullmatch(item)))]


def _ticket(record: Record) -> list[str]:
    value = record.content.get("ticket") or _part(record.content, "purpose").get("ticket")
    return [value] if isinstance(value, str) else []


_VALUES: dict[str, Callable[[Record], list[str]]] = {
    "table": _tables,
    "verb": _leaf("action", "verb"),
    "sqlstate": _leaf("result", "sqlstate"),
    "application": _leaf("client", "application"),
    "client": _addresses,
    "ticket": _ticket,
}


def _part(content: dict[str, Any], name: str) -> dict[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}
