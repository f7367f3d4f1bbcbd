"""What must hold for every text: spans, masking, the cache, and effects that no wrapping hides."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from affidavit.wire.sql.lexer import positions_in_text, shape, skeleton, statement_spans, tokens
from affidavit.wire.sql.masking import mask_credentials, mask_literals
from affidavit.wire.sql.understand import Understanding, understand

MARK = "zqzq"  # stands inside every literal that is generated, and nowhere else

WORDS = """select SELECT from where and or not in is null as with recursive insert into update set delete merge using on
    values table order by group having limit offset fetch for share union all distinct case when then else end cast
    between like escape over partition filter within window rows range lateral only join left returning conflict do
    nothing begin commit rollback create drop alter role user password grant copy to stdout stdin program explain
    analyze show reset declare cursor prepare execute call a b t u x evil pg_sleep lower count date interval timestamp
    int text numeric array row exists any ( ) [ ] , ; . :: := => * + - / % < > = <> || @> ~ -> ->> # ! $1 $2 1 2.5 1e5
    'a' 'b''c' E'\\'' $$x$$ $q$y$q$ "A" "b""c" U&"d" U&'e' B'01' -- /* */ ' " $$ \\ \x00 é 😀"""
PIECES = st.sampled_from(WORDS.split())
TEXTS = st.lists(st.tuples(PIECES, st.sampled_from(["", " ", "\n"])), max_size=30).map(
    lambda parts: "".join(a + b for a, b in parts)
)
LITERALS = st.one_of(
    st.text("ab' \n;-/*\\$\"", max_size=6).map(lambda s: "'" + (MARK + s).replace("'", "''") + "'"),
    st.text('ab \n;-/*"', max_size=6).map(lambda s: "E'" + MARK + s + "\\''"),
    st.text("ab' \n;-/*\\\"", max_size=6).map(lambda s: f"$t${MARK}{s}$t$"),
    st.text("ab ;-", max_size=6).map(lambda s: f"U&'{MARK}{s}'"),
    st.text("ab ;", max_size=6).map(lambda s: f"'{MARK}' -- it's\n '{s}{MARK}'"),
)
SHAPES = st.sampled_from(
    [
        "SELECT {} FROM t WHERE a = {}",
        "SELECT a FROM t WHERE a IN ({}, {}); DELETE FROM t WHERE b = {}",
        "INSERT INTO t (a, b) VALUES ({}, {})",
        "UPDATE t SET a = {} WHERE b = {} /* c */",
        "SELECT date {}, x::text || {} FROM t ORDER BY {} -- d",
        "SET app.x = {}; SELECT {}",
        "ALTER ROLE bob PASSWORD {}; SELECT {}",
        "garbage {} {}",
        "DO {}",
        "COPY t FROM {}",
        "SELECT {} {}",
    ]
)


@given(st.one_of(TEXTS, st.text(max_size=80)))
def test_the_spans_of_the_tokens_are_the_text(text: str) -> None:
    found = tokens(text)
    assert text == "".join(text[t.start : t.end] for t in found)
    assert all(t.start < t.end for t in found)


@given(st.one_of(TEXTS, st.text(max_size=80)))
def test_both_ways_of_cutting_find_the_same_literals(text: str) -> None:
    _, found, accepted = skeleton(text)
    kinds = ("string", "number", "dollar")
    slow = [(t.kind, t.start, t.end) for t in tokens(text) if t.kind in kinds]
    if "\x00" in text:
        return  # refused as a whole
    assert accepted == all(t.kind != "bad" for t in tokens(text))
    assert slow == [entry for entry in found if entry[0] in kinds]


@given(TEXTS)
def test_statements_lie_where_the_slow_way_finds_them(text: str) -> None:
    bones, found, accepted = skeleton(text)
    if not accepted:
        return
    edges = positions_in_text(bones, found, [edge for span in statement_spans(bones) for edge in span])
    assert tuple(zip(edges[::2], edges[1::2], strict=True)) == shape(text).statements
    assert [text[s:e] for s, e in shape(text).statements] == [s.text for s in understand(text)]


@given(SHAPES, st.lists(LITERALS, min_size=3, max_size=3))
def test_no_literal_reaches_the_normalised_form(pattern: str, literals: list[str]) -> None:
    text = pattern.format(*literals)
    assert MARK not in shape(text).normalized
    for statement in understand(text):
        assert MARK not in statement.normalized + statement.why + statement.verb + statement.setting
        assert MARK not in repr((statement.tables, statement.columns, statement.functions))


@given(SHAPES, st.lists(LITERALS, min_size=3, max_size=3))
def test_a_masked_text_holds_no_literal(pattern: str, literals: list[str]) -> None:
    assert MARK not in mask_literals(pattern.format(*literals))
    masked, changed = mask_credentials(f"ALTER ROLE bob PASSWORD {literals[0]}")
    assert (True, False) == (changed, MARK in masked)


@given(TEXTS)
def test_a_normalised_text_is_stable(text: str) -> None:
    once = shape(text)
    if once.parsed:
        spaced = " ".join(text[t.start : t.end] for t in tokens(text) if t.kind not in ("space", "comment"))
        assert shape(spaced).normalized == shape(spaced + " -- more\n").normalized


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(TEXTS, st.tuples(SHAPES, st.lists(LITERALS, min_size=3, max_size=3)).map(lambda p: p[0].format(*p[1]))), max_size=6))  # fmt: skip
def test_the_cache_changes_nothing(texts: list[str]) -> None:
    understanding = Understanding(3)
    for text in texts + texts:
        assert understand(text) == understanding.understand(text)


@settings(max_examples=500, deadline=None)
@given(st.one_of(TEXTS, st.text(max_size=60)))
def test_nothing_raises_and_what_is_not_understood_is_a_write(text: str) -> None:
    for statement in understand(text):
        assert "the reader failed" not in statement.why
        if not statement.parsed:
            assert ("UNPARSED", "write", False) == (statement.verb, statement.action, statement.read_only)
        assert statement.read_only != bool(statement.why)
    mask_credentials(text)


# Expressions and queries around an effect: each pattern is valid SQL around a valid inside.
EXPRESSIONS = [
    "({})", "- {}", "NOT {}", "{} + 1", "1 - {}", "{} = 2", "a @> {}", "{}::text", "CAST({} AS numeric(3,2))",
    "coalesce(a, {})", "lower({})", "CASE WHEN {} THEN 1 ELSE 2 END", "CASE a WHEN 1 THEN {} END", "ARRAY[{}]",
    "ROW({}, 1)", "a[{}]", "a[1:{}]", "a IN (1, {})", "a BETWEEN 1 AND {}", "a LIKE ({}) ESCAPE '!'",
    "a LIKE 'b' ESCAPE ({})", "{} AT TIME ZONE 'utc'", "a AT TIME ZONE {}", "{} IS NOT NULL", "a IS DISTINCT FROM {}",
    "extract(day FROM {})", "substring(a FROM {})", "trim(BOTH {} FROM a)", "position({} IN a)", "(SELECT {})",
    "EXISTS (SELECT {})", "a = ANY (ARRAY(SELECT {}))", "sum({}) OVER (ORDER BY a)", "sum(a) OVER (ORDER BY {} ROWS 1 PRECEDING)",
    "count(*) FILTER (WHERE {})", "array_agg(a ORDER BY {} DESC)", "{} COLLATE \"C\"", "a OPERATOR(pg_catalog.+) {}",
    "concat(VARIADIC ARRAY[{}])", "make_date(year => {})", "DATE '2020-01-01' + {}", "INTERVAL '1' DAY * {}",
    "(ROW({})).f1", "({}) ISNULL",
]  # fmt: skip
QUERIES = [
    "SELECT {}", "SELECT {} AS x", "SELECT DISTINCT ON (a) {} FROM t", "SELECT a FROM t WHERE {}", "SELECT a FROM t ORDER BY {} NULLS LAST",
    "SELECT a FROM t GROUP BY {}", "SELECT a FROM t HAVING {}",
    "VALUES (1, {})", "SELECT 1 FROM t JOIN u ON {}", "SELECT 1 FROM t, LATERAL (SELECT {}) x(y)", "WITH x(y) AS (SELECT {}) SELECT 1",
    "SELECT 1 UNION ALL SELECT {}", "SELECT 1 FROM generate_series(1, {}) AS g(n)", "SELECT 1 FROM (VALUES ({})) v(w)",
    "SELECT sum(a) OVER w FROM t WINDOW w AS (PARTITION BY {})", "SELECT 1 FROM t a, unnest(ARRAY[{}]) WITH ORDINALITY u(v, i)",
]  # fmt: skip
ONLY_SIMPLE = ["SELECT a FROM t LIMIT {}", "SELECT a FROM t OFFSET {} ROWS"]  # the parser reads little there
CALLS = [
    "pg_sleep(1)",
    "evil()",
    "s.evil(a, 1)",
    '"Evil" (1)',
    "pg_catalog.nextval('s')",
    "over(1)",
    "first(a)",
    "(t.pg_sleep)",
]


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(QUERIES + ONLY_SIMPLE), st.lists(st.sampled_from(EXPRESSIONS), max_size=3), st.sampled_from(CALLS)
)
def test_no_wrapping_hides_an_effect(query: str, around: list[str], call: str) -> None:
    inside = call
    for expression in around:
        inside = expression.format(inside)
    statements = understand(query.format(inside))
    assert [False] == [s.read_only for s in statements]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(QUERIES), st.lists(st.sampled_from(EXPRESSIONS), max_size=2))
def test_the_same_wrapping_without_an_effect_is_a_read(query: str, around: list[str]) -> None:
    inside = "b"
    for expression in around:
        inside = f"({expression.format(inside)})"
    statements = understand(query.format(inside))
    assert [(True, "")] == [(s.read_only, s.why) for s in statements]
