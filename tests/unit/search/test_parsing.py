"""Reading a query: what it becomes, how it shows, and where it is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from affidavit.errors import InvalidInput
from affidavit.limits import QUERY_DEPTH_MAX
from affidavit.record.moment import format_moment, parse_moment
from affidavit.search.fields import FIELDS
from affidavit.search.language import All, Any, Not, Phrase, Prefix, Query, Range, Term, Within, Words
from affidavit.search.parsing import parse_query
from affidavit.search.showing import show
from affidavit.search.times import read_span

ANA = "u-00000000000000a1"
NOW_NS = parse_moment("2026-11-25T10:45:00.000000000Z")


def resolve(name: str) -> str:
    if name in ("ana", ANA):
        return ANA
    raise InvalidInput("who.unknown", f"Nobody has the handle {name!r}.")


def parsed(text: str) -> Query:
    return parse_query(text, resolve, NOW_NS)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", All(())),
        ("  ", All(())),
        ("kind:access,change", Words("kind", ("access", "change"))),
        ("kind:access,log.*", Any((Words("kind", ("access",)), Prefix("kind", "log.")))),
        ("a b OR c d", Any((All((Term("a"), Term("b"))), All((Term("c"), Term("d")))))),
        ("a AND b AND (c d)", All((Term("a"), Term("b"), All((Term("c"), Term("d")))))),
        ("a (b OR c)", All((Term("a"), Any((Term("b"), Term("c")))))),
        ("NOT a b", All((Not(Term("a")), Term("b")))),
        ("NOT NOT a", Not(Not(Term("a")))),
        ("-a", Not(Term("a"))),
        ("--a", Not(Phrase("-a"))),
        ("a - b", All((Term("a"), Phrase("-"), Term("b")))),
        ("-(a OR b)", Not(Any((Term("a"), Term("b"))))),
        ("or and not", All((Term("or"), Term("and"), Term("not")))),
        ('"OR"', Phrase("or")),
        ('"a ""b"" (c"', Phrase('a "b" (c')),
        ("f(x)", Phrase("f(x)")),
        ("(f(x))", Phrase("f(x)")),
        ("f(x", Phrase("f(x")),
        ('(kind:access "a b")', All((Words("kind", ("access",)), Phrase("a b")))),
        ("age>50 10:30 Foo:bar", All((Phrase("age>50"), Phrase("10:30"), Phrase("foo:bar")))),
        ("text:Drop reason:ward", All((Term("drop"), Term("ward", "reason")))),
        ("actor:ana", Words("actor", (ANA,))),
        ("object:grant/ana", Prefix("object", f"grant/{ANA}")),
        ("object:grant/ana*", Prefix("object", "grant/ana")),
        ("table:Patients", Words("table", ("patients",))),
        ("session:30,31", Words("session", (30, 31))),
        ("rows>1000", Range("rows", 1001, None)),
        ("rows:>=1000", Range("rows", 1000, None)),
        ("rows:5..9,12", Any((Words("rows", (12,)), Range("rows", 5, 9)))),
        ("bytes<=10MB", Range("bytes", None, 10_000_000)),
        ("duration:1h..", Range("duration", 3_600_000_000_000, None)),
        ("has:*", Prefix("has", "")),
        ("ref:*", Range("ref", None, None)),
        ("at<1970-01-01T00:00:01", Within(None, 999_999_999)),
    ],
)
def test_what_a_query_becomes(text: str, part: object) -> None:
    query = parsed(text)
    assert query.part == part
    assert parsed(show(query.part)).part == query.part


def test_the_query_of_the_handbook_is_read_and_shown() -> None:
    text = (
        'actor:ana system:orders-db action:write "drop table" decision:deny rows>1000 at:2026-11-22T14:17+01:00~5m '
        "table:patients column:ssn sqlstate:42501 policy:analysts-read state:4210 session:812 has:error NOT kind:log.read"
    )
    assert show(parsed(text).part) == (
        f'actor:{ANA} system:orders-db action:write "drop table" decision:deny rows:1001.. '
        "at:2026-11-22T13:12:00.000000000Z..2026-11-22T13:22:59.999999999Z table:patients column:ssn sqlstate:42501 "
        "policy:analysts-read state:4210 session:812 has:error NOT kind:log.read"
    )


@pytest.mark.parametrize(
    ("text", "first", "stop"),
    [
        ("index:10..20 index:15..", 15, 21),
        ("index:41", 41, 42),
        ("index:5,9", 5, 10),
        ("index>5 index<9 kind:access", 6, 9),
        ("index:5..9 OR index:20..30", 5, 31),
        ("index:5..9 OR index:20..", 5, None),
        ("index:5..9 OR kind:access", 0, None),
        ("NOT index:5..9", 0, None),
        ("session:5", 0, None),
        ("", 0, None),
    ],
)
def test_an_index_bounds_what_has_to_be_read(text: str, first: int, stop: int | None) -> None:
    query = parsed(text)
    assert (query.first, query.stop) == (first, stop)


DEEP = "(" * (QUERY_DEPTH_MAX + 1) + "a" + ")" * (QUERY_DEPTH_MAX + 1)


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("kind:access actor:nobody", "who.unknown", 19),
        ("actr:ana", "query.field", 1),
        ("a  http://b", "query.field", 4),
        ("row>5", "query.field", 1),
        ("a table>5", "query.compare", 3),
        ("kind:", "query.value", 6),
        ("kind: access", "query.value", 6),
        ("other:", "query.field", 1),
        ("Other:", "query.value", 1),
        ('kind:""', "query.value", 6),
        ("verb:a,", "query.value", 8),
        ("actor:an*", "query.value", 7),
        ('a "open', "query.term", 3),
        ('"a""b', "query.term", 1),
        ('"a"b', "query.term", 4),
        ('a"b"', "query.term", 2),
        ("at:yesterday", "query.time", 4),
        ("at:2026-13-01", "query.time", 4),
        ("at:2026-11-22T24", "query.time", 4),
        ("at:2026-02-30", "query.time", 4),
        ("at:2026-11-22T14:17~5", "query.time", 4),
        ("at:2026-11-23..2026-11-22", "query.time", 4),
        ("at:1960", "query.time", 4),
        ("at:2026-11-01:00", "query.time", 4),
        ("at:2026-11-22T14:17CET", "query.time", 4),
        ("at:2026-10-25T02:30Europe/Berlin", "query.time", 4),
        ("kind:acess", "query.word", 6),
        ("kind:logs.*", "query.word", 6),
        ("has:mistake", "query.word", 5),
        ("decision:allow,denied", "query.word", 16),
        ("-outcome:failed", "query.word", 10),
        ("index:x", "query.index", 7),
        ("index:10..5", "query.index", 7),
        ("session:1,abc", "query.index", 11),
        ("session:99999999999999999999", "query.index", 9),
        ("rows>many", "query.number", 6),
        ("rows<0", "query.number", 6),
        ("rows:1.5", "query.number", 6),
        ("duration>5", "query.number", 10),
        ("bytes:0.0001kB", "query.number", 7),
        ("bytes>9999999GB", "query.number", 7),
        ("a OR", "query.term", 5),
        ("OR a", "query.term", 1),
        ("a AND OR b", "query.term", 7),
        ("NOT", "query.term", 4),
        ("()", "query.term", 2),
        ("a (b", "query.group", 3),
        ("a b)", "query.group", 4),
        ("a ) b", "query.group", 3),
        ('("a"))', "query.group", 6),
        (DEEP, "query.depth", QUERY_DEPTH_MAX + 2),
        ("NOT " * 20 + "a", "query.depth", 4 * (QUERY_DEPTH_MAX + 1) + 1),
        ("a " * 100, "query.size", 129),
    ],
)
def test_a_query_is_refused_where_it_cannot_be_read(text: str, code: str, column: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        parsed(text)
    assert (refused.value.code, refused.value.message.split(":")[0]) == (code, f"Column {column}")


def test_a_query_that_is_too_long_is_not_read() -> None:
    with pytest.raises(InvalidInput) as refused:
        parsed("x" * 3_000)
    assert refused.value.code == "query.size"


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", "2026-01-01T00:00:00.000000000Z", "2026-12-31T23:59:59.999999999Z"),
        ("2024-02", "2024-02-01T00:00:00.000000000Z", "2024-02-29T23:59:59.999999999Z"),
        ("2026-11-22", "2026-11-22T00:00:00.000000000Z", "2026-11-22T23:59:59.999999999Z"),
        ("2026-11-22T14", "2026-11-22T14:00:00.000000000Z", "2026-11-22T14:59:59.999999999Z"),
        ("2026-11-22T14:1", "2026-11-22T14:10:00.000000000Z", "2026-11-22T14:19:59.999999999Z"),
        ("2026-11-22T14:17:0", "2026-11-22T14:17:00.000000000Z", "2026-11-22T14:17:09.999999999Z"),
        ("2026-11-22 14:17:03.2Z", "2026-11-22T14:17:03.200000000Z", "2026-11-22T14:17:03.299999999Z"),
        ("2026-11-22-01:00", "2026-11-22T01:00:00.000000000Z", "2026-11-23T00:59:59.999999999Z"),
        ("2026-11-22T14-01:00", "2026-11-22T15:00:00.000000000Z", "2026-11-22T15:59:59.999999999Z"),
        ("2026-07-01T12:00Europe/Berlin", "2026-07-01T10:00:00.000000000Z", "2026-07-01T10:00:59.999999999Z"),
        ("09:1", "2026-11-25T09:10:00.000000000Z", "2026-11-25T09:19:59.999999999Z"),
        ("23:30 Europe/Berlin", "2026-11-25T22:30:00.000000000Z", "2026-11-25T22:30:59.999999999Z"),
        ("2026-11-22..2026-11-23~1h", "2026-11-21T23:00:00.000000000Z", "2026-11-24T00:59:59.999999999Z"),
        ("..2026-11-22T14:17", None, "2026-11-22T14:17:59.999999999Z"),
        ("2026-11-22..", "2026-11-22T00:00:00.000000000Z", None),
        ("1970~1d", "1970-01-01T00:00:00.000000000Z", "1971-01-01T23:59:59.999999999Z"),
        ("9999~1d", "9998-12-31T00:00:00.000000000Z", "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_a_time_is_a_span(text: str, first: str | None, last: str | None) -> None:
    found = read_span(text, NOW_NS)
    assert tuple(None if end is None else format_moment(end) for end in found) == (first, last)


HOWTO = Path(__file__).parents[3] / "docs" / "howto" / "search.md"
EXAMPLES = re.findall(r"^    affidavit timeline (?:--.* )?'(.*)'$", HOWTO.read_text(encoding="utf-8"), re.MULTILINE)


def test_what_the_handbook_shows_can_be_asked() -> None:
    assert len(EXAMPLES) > 15
    for text in (*EXAMPLES, *(field.example for field in FIELDS.values())):
        part = parse_query(text, lambda name: ANA, NOW_NS).part
        assert parsed(show(part)).part == part
