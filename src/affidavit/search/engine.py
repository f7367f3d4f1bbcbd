"""What tantivy is told and asked: the only module beside `volume.py` that knows it.

An index has four columns: where the record stands, the seconds that its time may lie between, and its terms. Nothing is
stored in it, and nothing in it is ever deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import tantivy

from affidavit.search.entry import Entry
from affidavit.search.plan import Both, During, Either, Every, Having, Nothing, Plan, Without

_INDEX, _FROM, _TO, _TERMS = "index", "from", "to", "terms"


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name in (_INDEX, _FROM, _TO):
        builder.add_unsigned_field(name, fast=True)
    builder.add_unsigned_field(_TERMS, indexed=True)
    return builder.build()


SCHEMA = _schema()


@dataclass(frozen=True)
class Span:
    """The records from `first` up to `stop`, whose times lie from the second `from_s` to `to_s`. `raw`: the bytes of
    the last one's header."""

    first: int
    stop: int
    from_s: int = 0
    to_s: int = 0
    raw: bytes = b""

    def with_entry(self, entry: Entry) -> Span:
        """With the record that follows."""
        from_s, to_s = entry.from_s, entry.to_s
        if self.stop > self.first:
            from_s, to_s = min(from_s, self.from_s), max(to_s, self.to_s)
        return replace(self, stop=entry.index + 1, from_s=from_s, to_s=to_s, raw=entry.raw)


class View:
    """The index of some records that follow each other, as it was at one moment: what changes afterwards changes no
    answer about them."""

    def __init__(self, span: Span, index: tantivy.Index | None) -> None:
        self.span = span
        self.index = index

    def may_hold(self, plan: Plan) -> bool:
        """False where no record lies in the time that `plan` asks for."""
        if isinstance(plan, Both):
            return all(map(self.may_hold, plan.parts))
        if not isinstance(plan, During):
            return not isinstance(plan, Nothing)
        late = plan.from_s is not None and self.span.to_s < plan.from_s
        return not late and not (plan.to_s is not None and plan.to_s < self.span.from_s)

    def newest(self, plan: Plan, before: int, most: int) -> list[int]:
        """The indexes of up to `most` records in `plan` below `before`, newest first. Raises whatever tantivy finds
        wrong where files were altered under it."""
        if self.index is None or before <= self.span.first:
            return []
        query = _both([_query(plan), _range(_INDEX, None, before - 1)])
        found = self.index.searcher().search(query, limit=most, count=False, order_by_field=_INDEX)
        return [at for at, _ in found.hits]


class Recent:
    """The newest records from `first` on, in memory: what is written to disk each time makes the disk wait."""

    def __init__(self, first: int) -> None:
        index = tantivy.Index(SCHEMA)
        index.config_reader("manual")
        self.view = View(Span(first, first), index)

    def add(self, entries: Iterable[Entry], heap_bytes: int) -> None:
        """Add the records that follow, at least one."""
        view = self.view
        if view.index is not None:
            self.view = View(write(view.index, view.span, entries, heap_bytes), view.index)


def write(index: tantivy.Index, span: Span, entries: Iterable[Entry], heap_bytes: int) -> Span:
    """Add records to the index of `span`; the span then. When it returns, no thread of tantivy's is at work."""
    writer = index.writer(heap_bytes, num_threads=1)
    for entry in entries:
        writer.add_json(entry.line)
        span = span.with_entry(entry)
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    return span


def _query(plan: Plan) -> tantivy.Query:
    match plan:
        case Every():
            return tantivy.Query.all_query()
        case Nothing():
            return tantivy.Query.empty_query()
        case Having((term,)):
            return tantivy.Query.term_query(SCHEMA, _TERMS, int(term), "basic")
        case Having(terms):
            return tantivy.Query.term_set_query(SCHEMA, _TERMS, [int(term) for term in terms])
        case During(from_s, to_s):
            ends = [] if to_s is None else [_range(_FROM, None, to_s)]
            return _both([*ends, *([] if from_s is None else [_range(_TO, from_s, None)])])
        case Both(parts):
            return _both([_query(part) for part in parts])
        case Either(parts):
            return tantivy.Query.boolean_query([(tantivy.Occur.Should, _query(part)) for part in parts])
        case Without(part):
            every = (tantivy.Occur.Must, tantivy.Query.all_query())
            return tantivy.Query.boolean_query([every, (tantivy.Occur.MustNot, _query(part))])


def _both(queries: list[tantivy.Query]) -> tantivy.Query:
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, query) for query in queries])


def _range(field: str, low: int | None, high: int | None) -> tantivy.Query:
    return tantivy.Query.range_query(SCHEMA, field, tantivy.FieldType.Unsigned, low, high)
