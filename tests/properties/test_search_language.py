"""The query language: a question shows as text that reads back as itself, and finds the same however it is written."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from searchlog import Paper, question

from affidavit.errors import InvalidInput
from affidavit.limits import INTEGER_MAX, QUERY_CHARS_MAX
from affidavit.record.moment import format_moment, parse_moment
from affidavit.record.read import Record
from affidavit.search.fields import FIELDS, Field
from affidavit.search.language import All, Any, Node, Not, Phrase, Prefix, Query, Range, Term, Within, Words
from affidavit.search.matching import Match, match, matches_header
from affidavit.search.parsing import PLAIN, parse_query
from affidavit.search.showing import show

SEEDS = st.integers(0, 2**32)
LAST_NS = parse_moment("9999-12-31T23:59:59.999999999Z")
ENDS = st.none() | st.integers(0, INTEGER_MAX)
TEXTS = (
    st.text(
        st.sampled_from('abORANDNOT "()*-:<>=,.~ßİ\n7') | st.characters(exclude_categories=["Cs"]),
        min_size=1,
        max_size=8,
    )
    .map(str.casefold)
    .filter(lambda text: text.casefold() == text and text != "")
)
VALUES = TEXTS.filter(lambda text: "," not in text and not text.endswith("*"))


def parsed(text: str) -> Query:
    return parse_query(text, lambda name: name, 0)


def asked_of(field: Field) -> st.SearchStrategy[Node]:
    """Questions that a term about `field` can become."""
    name = field.name
    if field.kind == "text":
        plain = TEXTS.filter(lambda text: PLAIN.fullmatch(text) is not None)
        return plain.map(lambda text: Term(text, name)) | TEXTS.map(lambda text: Phrase(text, name))
    if field.kind == "time":
        times = st.none() | st.integers(0, LAST_NS)
        return st.tuples(times, times).map(lambda ends: Within(*in_order(ends)))
    if field.kind in ("index", "number"):
        numbers = st.lists(st.integers(0, INTEGER_MAX), min_size=1, max_size=3, unique=True)
        ranges = st.tuples(ENDS, ENDS).map(lambda ends: Range(name, *in_order(ends)))
        return ranges | numbers.map(lambda found: Words(name, tuple(found)))
    if field.closed is not None:
        closed = st.sampled_from(sorted(field.closed))
        words = st.lists(closed, min_size=1, max_size=3, unique=True).map(lambda found: Words(name, tuple(found)))
        return words | st.tuples(closed, st.integers(0, 3)).map(lambda one: Prefix(name, one[0][: one[1]]))
    beginnings = st.just("") if field.people == "whole" else VALUES.map(field.normal) | st.just("")
    prefixes = beginnings.map(lambda text: Prefix(name, text))
    if field.open_end:
        return prefixes
    several = st.lists(VALUES, min_size=1, max_size=3, unique=True)
    return prefixes | several.map(lambda found: Words(name, tuple(found)))


def in_order(ends: tuple[int | None, int | None]) -> tuple[int | None, int | None]:
    low, high = ends
    return (high, low) if low is not None and high is not None and high < low else ends


LEAVES = st.one_of([asked_of(field) for field in FIELDS.values()])
NODES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Any(tuple(parts))),
    ),
    max_leaves=8,
)


@given(NODES)
@settings(max_examples=300, deadline=None)
def test_a_question_reads_back_from_how_it_shows(node: Node) -> None:
    text = show(node)
    assume(len(text) <= QUERY_CHARS_MAX)
    assert parsed(text).part == node, text


@given(
    st.lists(
        st.sampled_from([*'ab-()"*,:<>~ ', "OR", "AND ", "NOT ", "kind:access", "rows", "at:2026", "..", '""']),
        max_size=14,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_at_one_of_its_columns(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        query = parsed(text)
    except InvalidInput as refused:
        column = int(refused.message.removeprefix("Column ").partition(":")[0])
        assert 1 <= column <= len(text) + 1
        return
    again = parsed(show(query.part))
    assert (again.part, again.first, again.stop) == (query.part, query.first, query.stop)


def answers(paper: Paper, node: Node) -> list[Match | None]:
    return [match(Query("", node), record, paper.bound_of) for record in paper.records]


def written_otherwise(random: Random, node: Node) -> Node:
    """A question that means the same: parts in another order, and De Morgan's rules."""
    match node:
        case Not(part):
            return Not(written_otherwise(random, part))
        case All(parts) | Any(parts) if parts:
            same = [written_otherwise(random, part) for part in parts]
            random.shuffle(same)
            if random.random() < 0.5:
                return type(node)(tuple(same))
            other = Any if isinstance(node, All) else All
            return Not(other(tuple(Not(part) for part in same)))
        case _:
            return Not(Not(node)) if random.random() < 0.3 else node


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_the_way_in_which_it_is_written_changes_no_answer(seed: int) -> None:
    paper, random = Paper(seed), Random(seed + 1)
    paper.grow(30)
    for _ in range(5):
        node = question(random, 3)
        other = written_otherwise(random, node)
        assert answers(paper, node) == answers(paper, other), (node, other)


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_a_header_rules_out_only_what_no_body_can_mend(seed: int) -> None:
    paper, random = Paper(seed), Random(seed + 1)
    paper.grow(30)
    for _ in range(5):
        query = Query("", question(random, 3))
        for record, other in zip(paper.records, random.sample(paper.records, 30), strict=True):
            with_other_body = Record(record.index, record.raw, record.header, other.body)
            possible = matches_header(query, record.index, record.header, paper.bound_of)
            assert possible or match(query, with_other_body, paper.bound_of) is None, query.part
            if only_headers(query.part):
                assert possible is (match(query, record, paper.bound_of) is not None), query.part


def only_headers(node: Node) -> bool:
    match node:
        case All(parts) | Any(parts):
            return all(map(only_headers, parts))
        case Not(part):
            return only_headers(part)
        case Within():
            return True
        case _:
            return FIELDS[node.field].in_header


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_an_unsure_clock_is_as_sure_as_all_its_true_times_allow(seed: int) -> None:
    """Whatever the true time was: what is certain holds then, and what holds at one of them is at least possible."""
    paper, random = Paper(seed), Random(seed + 1)
    paper.grow(20)
    seen = set()
    for _ in range(5):
        query = Query("", question(random, 3))
        for record in paper.records:
            bound_ns = paper.bound_of(record.header)
            if bound_ns is None:
                continue
            said = match(query, record, paper.bound_of)
            seen.add(said)
            for at_ns in true_times(random, record, bound_ns, query.part):
                then = match(query, with_time(record, at_ns), lambda header: 0)
                assert then == said or said == "possibly", (query.part, record.header.time, at_ns)
    assert seen


def true_times(random: Random, record: Record, bound_ns: int, node: Node) -> Iterator[int]:
    """Moments at which it may have happened: the first, the last, the edges of what is asked for, and some between."""
    at_ns = parse_moment(record.header.time.at)
    edges = [edge + step for edge in edges_of(node) for step in (-1, 0, 1)]
    between = [random.randint(at_ns - bound_ns, at_ns + bound_ns) for _ in range(3)]
    return (at for at in (at_ns - bound_ns, at_ns + bound_ns, *edges, *between) if abs(at - at_ns) <= bound_ns)


def edges_of(node: Node) -> Iterator[int]:
    match node:
        case All(parts) | Any(parts):
            for part in parts:
                yield from edges_of(part)
        case Not(part):
            yield from edges_of(part)
        case Within(first_ns, last_ns):
            yield from (edge for edge in (first_ns, last_ns) if edge is not None)


def with_time(record: Record, at_ns: int) -> Record:
    time = msgspec.structs.replace(record.header.time, at=format_moment(at_ns))
    return Record(record.index, record.raw, msgspec.structs.replace(record.header, time=time), record.body)


@pytest.mark.parametrize(
    "text", ["index:5..9 OR index:20", "index>3 (index:..7 OR kind:access)", "-index:4 index:..12"]
)
def test_what_lies_outside_the_bounds_of_a_query_does_not_match(text: str) -> None:
    paper, query = Paper(7), parsed(text)
    paper.grow(30)
    found = [record.index for record in paper.records if match(query, record, paper.bound_of)]
    assert found
    assert [at for at in found if at < query.first or (query.stop is not None and at >= query.stop)] == []
