"""From a query to what the index is asked: `plan.py` says what a plan promises.

Each part of a query is true of some records, false of others, and unknown of the rest, whose body cannot be read or
does not speak of it. For either, the index names a set that holds all such records and one that holds only such.
"""

from __future__ import annotations

from dataclasses import dataclass

from affidavit.limits import SEARCH_BITS_MAX, SEARCH_RUNS_ASKED_MAX
from affidavit.record.moment import NS
from affidavit.search.blinding import BEGINNINGS, RUN_CHARS, Blinding
from affidavit.search.fields import FIELDS
from affidavit.search.language import All, Any, Node, Not, Phrase, Prefix, Range, Term, Within, Words
from affidavit.search.plan import EVERY, NOTHING, During, Having, Plan, both, either, without


@dataclass(frozen=True)
class _Set:
    """`most` holds all of the records that are meant, `least` only such."""

    most: Plan
    least: Plan


@dataclass(frozen=True)
class _Part:
    """Of which records a part is true, and of which false."""

    true: _Set
    false: _Set


def plan_of(node: Node, blinding: Blinding) -> tuple[Plan, bool]:
    """What the index is asked, and whether it tells exactly: then each record that it names matches."""
    true = _part(node, blinding).true
    return true.most, true.most == true.least


def _part(node: Node, blinding: Blinding) -> _Part:
    match node:
        case Not(inner):
            part = _part(inner, blinding)
            return _Part(part.false, part.true)
        case All(nodes):
            parts = [_part(inner, blinding) for inner in nodes]
            return _Part(_every([part.true for part in parts]), _any([part.false for part in parts]))
        case Any(nodes):
            parts = [_part(inner, blinding) for inner in nodes]
            return _Part(_any([part.true for part in parts]), _every([part.false for part in parts]))
        case Words(field, values):
            if FIELDS[field].kind == "index" and field == "index":
                return _superset(EVERY)
            return _exact(field, Having(tuple(blinding.word(field, value) for value in values)), blinding)
        case Prefix(field, value):
            having = Having((blinding.beginning(field, value),))
            return _exact(field, having, blinding) if len(value) in BEGINNINGS else _superset(having)
        case Range(field, low, high):
            return _superset(EVERY if field == "index" else _range(field, low, high, blinding))
        case Within(first_ns, last_ns):
            ends = (None if end is None else max(0, end // NS) for end in (first_ns, last_ns))
            return _superset(EVERY if first_ns is None and last_ns is None else During(*ends))
        case Phrase(text) | Term(text):
            return _superset(both([Having((term,)) for term in _runs(text, blinding)]))


def _every(sets: list[_Set]) -> _Set:
    return _Set(both([one.most for one in sets]), both([one.least for one in sets]))


def _any(sets: list[_Set]) -> _Set:
    return _Set(either([one.most for one in sets]), either([one.least for one in sets]))


def _superset(most: Plan) -> _Part:
    """Some of `most`; of which ones it is false, the index does not know."""
    return _Part(_Set(most, NOTHING), _Set(EVERY, NOTHING))


def _exact(field: str, having: Plan, blinding: Blinding) -> _Part:
    known = EVERY if FIELDS[field].in_header else Having((blinding.beginning(field, ""),))
    false = both([known, without(having)])
    return _Part(_Set(having, having), _Set(false, false))


def _range(field: str, low: int | None, high: int | None, blinding: Blinding) -> Plan:
    least = 0 if low is None else max(0, low).bit_length()
    most = SEARCH_BITS_MAX if high is None else max(0, high).bit_length()
    bits = tuple(blinding.bits(field, count) for count in range(least, min(most, SEARCH_BITS_MAX) + 1))
    return Having(bits) if bits else NOTHING


def _runs(text: str, blinding: Blinding) -> list[str]:
    """The terms for runs of `text` that cover it from its beginning, as many as are asked."""
    last = len(text) - RUN_CHARS
    starts = range(last + 1) if last < SEARCH_RUNS_ASKED_MAX else [*range(0, last, RUN_CHARS), last]
    return [term for at in starts[:SEARCH_RUNS_ASKED_MAX] for term in blinding.text(text[at : at + RUN_CHARS])]
