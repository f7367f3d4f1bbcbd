"""A question as text that reads back as the same question: how a query was understood."""

from __future__ import annotations

import re

from affidavit.record.moment import format_moment
from affidavit.search.fields import FIELDS
from affidavit.search.language import All, Any, Node, Not, Phrase, Prefix, Range, Term, Within, Words
from affidavit.search.parsing import PLAIN

_SAFE = re.compile(r"[\w./@+*:-]+")


def show(node: Node) -> str:
    """`node` in the query language: people as ids, times in UTC to the nanosecond."""
    match node:
        case All(parts):
            return " ".join(f"({show(part)})" if isinstance(part, All | Any) else show(part) for part in parts)
        case Any(parts):
            return " OR ".join(f"({show(part)})" if isinstance(part, Any) else show(part) for part in parts)
        case Not(part):
            return f"NOT ({show(part)})" if isinstance(part, All | Any) else f"NOT {show(part)}"
        case Words(field, values):
            return f"{field}:{_value(','.join(f'{value}{_unit(field)}' for value in values))}"
        case Prefix(field, value):
            return f"{field}:{_value(f'{value}*')}"
        case Range(field, None, None):
            return f"{field}:*"
        case Range(field, low, high):
            ends = ("" if end is None else f"{end}{_unit(field)}" for end in (low, high))
            return f"{field}:{'..'.join(ends)}"
        case Within(first_ns, last_ns):
            return f"at:{'..'.join('' if end is None else format_moment(end) for end in (first_ns, last_ns))}"
        case Phrase(text, field) | Term(text, field):
            bare = isinstance(node, Term) and PLAIN.fullmatch(text)
            return f"{'' if field == 'text' else f'{field}:'}{text if bare else _quoted(text)}"


def _unit(field: str) -> str:
    return "ns" if FIELDS[field].unit == "duration" else ""


def _value(text: str) -> str:
    return text if all(_SAFE.fullmatch(part) for part in text.split(",")) else _quoted(text)


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
