"""One term of a query: what a field's value, as people type it, asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from affidavit.errors import InvalidInput
from affidavit.limits import INTEGER_MAX
from affidavit.search.fields import FIELDS, Field
from affidavit.search.language import Node, Prefix, Range, Within, Words
from affidavit.search.quantities import read_number
from affidavit.search.times import read_span, read_time

#: Gives the identity id for a handle (or an id as it is). Raises `InvalidInput` where nobody has it.
Resolve = Callable[[str], str]

#: Fields that have an order.
ORDERED: Final = tuple(field.name for field in FIELDS.values() if field.kind in ("index", "number", "time"))


def ask(field: Field, item: str, resolve: Resolve, now_ns: int) -> Node:
    """What one alternative behind `field:` asks for. Raises `InvalidInput`."""
    if not item:
        raise InvalidInput("query.value", f"An alternative of {field.name!r} is missing.", "Give a value, or no comma.")
    if field.kind == "word":
        return _word(field, item, resolve)
    if field.kind == "time":
        return Within(*read_span(item, now_ns))
    if item == "*":
        return Range(field.name, None, None)
    low, dots, high = item.partition("..")
    if not dots:
        return Words(field.name, (_number(field, item),))
    first, last = _number(field, low) if low else None, _number(field, high) if high else None
    if first is not None and last is not None and last < first:
        raise InvalidInput(
            "query.index", f"{field.name}:{item[:40]} ends before it begins.", "Write the smaller number first."
        )
    return Range(field.name, first, last)


def compare(field: Field, comparison: str, value: str, now_ns: int) -> Node:
    """What `field > value` and its like ask for. Raises `InvalidInput`."""
    if field.kind == "time":
        first_ns, last_ns = read_time(value, now_ns)
        return {
            ">": Within(last_ns + 1, None),
            ">=": Within(first_ns, None),
            "<": Within(None, first_ns - 1),
            "<=": Within(None, last_ns),
        }[comparison]
    number = _number(field, value)
    low, high = {
        ">": (number + 1, None),
        ">=": (number, None),
        "<": (None, number - 1),
        "<=": (None, number),
    }[comparison]
    if high == -1:
        raise InvalidInput("query.number", f"Nothing is below 0 in {field.name!r}.", f"Write {field.name}:0.")
    return Range(field.name, low, high)


def _number(field: Field, text: str) -> int:
    if field.kind == "number":
        return read_number(text, field.unit)
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(INTEGER_MAX)) or int(text) > INTEGER_MAX:
        raise InvalidInput(
            "query.index",
            f"{field.name}:{text[:40]} asks for a position in the log, which is a number.",
            f"Write {field.name}:41 or {field.name}:40..50.",
        )
    return int(text)


def _word(field: Field, item: str, resolve: Resolve) -> Words | Prefix:
    starred = item.endswith("*")
    value = item[:-1] if starred else item
    if field.people == "whole" and value:
        if starred:
            raise InvalidInput("query.value", "People are named whole: ids have no order.", f"Write {field.name}:ana.")
        value = resolve(value)
    elif field.people == "part":
        value = _with_ids(value, starred, resolve)
    value = field.normal(value)
    closed = field.closed
    if closed is not None and not any(one.startswith(value) if starred else one == value for one in closed):
        raise InvalidInput(
            "query.word",
            f"No record has the {field.name} {item[:40]!r}.",
            f"Values are {', '.join(sorted(closed))}.",
        )
    return Prefix(field.name, value) if starred or field.open_end else Words(field.name, (value,))


def _with_ids(name: str, starred: bool, resolve: Resolve) -> str:
    """An object's name with identity ids in the place of handles. Its first part is its kind, and nobody's handle; the
    last part of a beginning is not whole."""
    kind, *parts = name.split("/")
    whole = len(parts) - starred
    return "/".join([kind, *(_resolved(part, resolve) if at < whole else part for at, part in enumerate(parts))])


def _resolved(part: str, resolve: Resolve) -> str:
    try:
        return resolve(part)
    except InvalidInput:
        return part  # the part of an object's name need not be a person
