"""The lexer cuts a text where PostgreSQL's scanner cuts it."""

from __future__ import annotations

import pytest

from affidavit.limits import STATEMENT_PARSE_BYTES_MAX
from affidavit.wire.sql.lexer import Literal, shape, tokens


def kinds(text: str) -> list[tuple[str, str]]:
    return [(t.kind, text[t.start : t.end]) for t in tokens(text) if t.kind != "space"]


NUMBERS = "1 1.5 .5 1. 1e5 1.5E-3 0x1F 0o17 0b11 1_000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a'", [("string", "'a'")]),
        ("'a''b'", [("string", "'a''b'")]),
        ("'a' 'b'", [("string", "'a'"), ("string", "'b'")]),
        ("'a'\n'b'", [("string", "'a'\n'b'")]),
        ("'a' \t-- it's\n  -- more\n 'b'", [("string", "'a' \t-- it's\n  -- more\n 'b'")]),
        ("'a' /* x */\n'b'", [("string", "'a'"), ("comment", "/* x */"), ("string", "'b'")]),
        ("'a\\'", [("string", "'a\\'")]),
        ("E'a\\'b'", [("string", "E'a\\'b'")]),
        ("e'a\\\\' 'b'", [("string", "e'a\\\\'"), ("string", "'b'")]),
        ("E'a'\n'\\''", [("string", "E'a'\n'\\''")]),
        ("abcE'x'", [("word", "abcE"), ("string", "'x'")]),
        ("B'01' x'1F' N'n'", [("string", "B'01'"), ("string", "x'1F'"), ("string", "N'n'")]),
        ("U&'\\0061'", [("string", "U&'\\0061'")]),
        ("u & 'x'", [("word", "u"), ("op", "&"), ("string", "'x'")]),
        ('U&"d\\0061t"', [("unicode", 'U&"d\\0061t"')]),
        ("$$it's$$", [("dollar", "$$it's$$")]),
        ("$a$ $b$ $$ $a$", [("dollar", "$a$ $b$ $$ $a$")]),
        ("$é1$x$é1$", [("dollar", "$é1$x$é1$")]),
        ("a$b$c", [("word", "a$b$c")]),
        ("$1 $22", [("parameter", "$1"), ("parameter", "$22")]),
        ("$1$a$x$a$", [("parameter", "$1"), ("dollar", "$a$x$a$")]),
        (NUMBERS, [("number", n) for n in NUMBERS.split()]),
        ("1..10", [("number", "1"), ("punct", ".."), ("number", "10")]),
        ("t.1", [("word", "t"), ("number", ".1")]),
        ('"a""b" "c;"', [("quoted", '"a""b"'), ("quoted", '"c;"')]),
        ("/* a /* b */ c */ d", [("comment", "/* a /* b */ c */"), ("word", "d")]),
        ("/*/* */*/x", [("comment", "/*/* */*/"), ("word", "x")]),
        ("a--b\nc", [("word", "a"), ("comment", "--b"), ("word", "c")]),
        ("a-- ;\rb", [("word", "a"), ("comment", "-- ;"), ("word", "b")]),
        ("a=-1", [("word", "a"), ("op", "="), ("op", "-"), ("number", "1")]),
        ("a@-1", [("word", "a"), ("op", "@-"), ("number", "1")]),
        ("a+--b", [("word", "a"), ("op", "+"), ("comment", "--b")]),
        ("a*/*b*/c", [("word", "a"), ("op", "*"), ("comment", "/*b*/"), ("word", "c")]),
        ("a::b:=c=>d", [("word", "a"), ("punct", "::"), ("word", "b"), ("punct", ":="), ("word", "c"), ("op", "=>"), ("word", "d")]),
        ("a->>'b' #>> '{}'", [("word", "a"), ("op", "->>"), ("string", "'b'"), ("op", "#>>"), ("string", "'{}'")]),
        ("größe = '😀'", [("word", "größe"), ("op", "="), ("string", "'😀'")]),
        ("a\u00a0b", [("word", "a\u00a0b")]),
        ("a\x0bb", [("word", "a"), ("word", "b")]),
        ("'abc", [("bad", "'abc")]),
        ("E'abc\\'", [("bad", "E'abc\\'")]),
        ("a $x$ b", [("word", "a"), ("bad", "$x$ b")]),
        ('a "b', [("word", "a"), ("bad", '"b')]),
        ("/* a /* b */", [("bad", "/* a /* b */")]),
        ("123abc x", [("bad", "123abc x")]),
        ("$1a", [("bad", "$1a")]),
        ("0x", [("bad", "0x")]),
        ("1e", [("bad", "1e")]),
        ("a \x00 b", [("word", "a"), ("bad", "\x00 b")]),
    ],
)  # fmt: skip
def test_tokens(text: str, expected: list[tuple[str, str]]) -> None:
    assert expected == kinds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT  a\n FROM t WHERE b = 'x' -- secret", "SELECT a FROM t WHERE b = ?"),
        ("SELECT/* secret */1", "SELECT ?"),
        ("SELECT $1, 2", "SELECT $1, ?"),
        ("SELECT \"a  b\", E'\\'', $q$x$q$", 'SELECT "a  b", ?, ?'),
        ("SELECT 'a'\n'b'", "SELECT ?"),
        ("SELECT 1; SELECT 2", "SELECT ?; SELECT ?"),
        ("SELECT a, 'secret", "SELECT a, ?"),
        ("SELECT a /* secret", "SELECT a ?"),
        ('SELECT a, "secret', "SELECT a, ?"),
        ("SELECT 12secret", "SELECT ?"),
        ("a\x00secret", "?"),
        ("", ""),
    ],
)
def test_normalised(text: str, expected: str) -> None:
    assert expected == shape(text).normalized


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  ;; -- x\n ; /* y */", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        (" SELECT 1 ; SELECT ';' ;", ["SELECT 1", "SELECT ';'"]),
        ("SELECT (1; 2); SELECT 3", ["SELECT (1; 2)", "SELECT 3"]),
        ("SELECT 'x;y' ; SELECT $$;$$, \";\"", ["SELECT 'x;y'", "SELECT $$;$$, \";\""]),
        ("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3", ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"]),
        ("CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a THEN 1 END; END; SELECT 3",
         ["CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a THEN 1 END; END", "SELECT 3"]),
        ("CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; DROP TABLE x", ["CREATE FUNCTION f() BEGIN ATOMIC SELECT 1", "DROP TABLE x"]),
        ("CREATE FUNCTION f() BEGIN ATOMIC;" * 2, ["CREATE FUNCTION f() BEGIN ATOMIC"] * 2),
        ("BEGIN; SELECT 1; END", ["BEGIN", "SELECT 1", "END"]),
        ("SELECT 'unterminated ; x", ["SELECT 'unterminated ; x"]),
    ],
)  # fmt: skip
def test_statements(text: str, expected: list[str]) -> None:
    assert expected == [text[start:end] for start, end in shape(text).statements]


def test_literals_lie_where_they_say() -> None:
    text = "SELECT 1, 'a' FROM t WHERE x = $$b$$"
    expected = (
        Literal("number", 7, 8, "1"),
        Literal("string", 10, 13, "'a'"),
        Literal("dollar", 31, 36, "$$b$$"),
    )
    assert expected == shape(text).literals


def test_what_the_scanner_refuses_is_not_parsed() -> None:
    assert [False, False, True] == [shape(t).parsed for t in ("'x", "SELECT \x00", "SELECT 1")]


def test_a_text_beyond_the_limit_is_not_looked_at() -> None:
    text = "SELECT '" + "x" * STATEMENT_PARSE_BYTES_MAX + "'"
    assert ("?", False) == (shape(text).normalized, shape(text).parsed)
    assert not shape("SELECT '" + "é" * (STATEMENT_PARSE_BYTES_MAX // 2) + "'").parsed
