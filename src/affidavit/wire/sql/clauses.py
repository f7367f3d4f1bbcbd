"""What single words do in a query: the clauses that the rewriting leaves out, shortens or marks as an effect.

Each function looks around the word the walk stands on and returns True if it took it. Words that are ordinary names
in other places (FIRST, ROWS, KEY, SHARE, …) are taken only where the grammar leaves no other reading.
"""

from __future__ import annotations

from affidavit.wire.sql.rewrite import Clause, Rewriter
from affidavit.wire.sql.terms import Term, Unreadable

_SAMPLING = frozenset({"bernoulli", "system"})
_STATEMENT_STARTS = frozenset({"", "(", ")", "then", "do"})


def rewrite(terms: tuple[Term, ...], catalogue_first: bool) -> Rewriter:
    """Rewrite one query (SELECT, VALUES, TABLE, WITH, INSERT, UPDATE, DELETE, MERGE). Raises `Unreadable`.

    `catalogue_first` says whether an unqualified name is looked up in pg_catalog before all else.
    """
    rewriter = Rewriter(terms, catalogue_first, CLAUSES)
    rewriter.run()
    return rewriter


def _select(r: Rewriter) -> bool:
    r.raw("SELECT")
    if r.peek(0).text == "all" and r.peek(0).kind == "word":
        r.skip()
    return True


def _table(r: Rewriter) -> bool:
    r.raw("SELECT * FROM")
    return True


def _values(r: Rewriter) -> bool:
    if r.peek().text != "(":
        return False
    r.raw("VALUES")
    r.fold(rows=True)
    return True


def _with(r: Rewriter) -> bool:
    if r.closed(r.at) and r.next_words("ordinality"):
        r.skip(2)
        r.named = True  # what follows is an alias
    elif r.next_words("recursive"):
        r.raw("WITH RECURSIVE", 2)
    else:
        r.raw("WITH")
    return True


def _as(r: Rewriter) -> bool:
    if r.top() == "cast":
        r.skip()
        r.type()
        return True
    ahead = 1
    ahead += r.peek(ahead).text == "not"
    ahead += r.peek(ahead).text == "materialized" and r.peek(ahead + 1).text == "("
    if r.peek(ahead).text == "(" and r.peek(ahead).kind == "punct":
        if ahead == 1 and r.windows_at == len(r.stack):
            r.raw("AS")
            r.open("window")
        elif ahead > 1 or r.is_common_table(r.at):
            r.raw("AS", ahead)
        else:
            r.skip()
            r.column_list()
    elif ahead == 1 and r.peek().kind in ("word", "quoted"):
        inserts_here = _is_insert_target(r)
        r.raw("AS")
        r.label(columns_follow=not inserts_here)
    else:
        raise Unreadable("AS here")
    return True


def _is_insert_target(r: Rewriter) -> bool:
    """Whether the AS here follows `INSERT INTO name`: the list after the alias holds the columns that are stored."""
    start = r.at - 1
    while r.before(start) == ".":
        start -= 2
    return r.before(start) == "into" and r.before(start, 2) == "insert"


def _distinct_or_all(r: Rewriter) -> bool:
    if r.top() == "call" and r.previous() == "(":
        r.skip()
    else:
        r.raw(r.terms[r.at].text.upper())
    return True


def _order(r: Rewriter) -> bool:
    if not r.next_words("by"):
        return False
    if r.top() == "call":
        r.raw(",", 2)
    else:
        r.raw("ORDER BY", 2)
    return True


def _ascending(r: Rewriter) -> bool:
    if r.top() == "call":
        r.skip()
    else:
        r.raw(r.terms[r.at].text.upper())
    return True


def _using(r: Rewriter) -> bool:
    if r.peek().kind == "op":
        r.skip(2)
    elif r.peek().text == "operator":
        raise Unreadable("USING OPERATOR")
    else:
        r.raw("USING")
    return True


def _group(r: Rewriter) -> bool:
    if not r.next_words("by"):
        return False
    r.raw("GROUP BY", 2)
    if r.peek(0).kind == "word" and r.peek(0).text in ("all", "distinct"):
        r.skip()
    if r.peek(0).kind == "word" and r.peek(0).text in ("rollup", "cube") and r.peek().text == "(":
        r.skip()
    return True


def _grouping(r: Rewriter) -> bool:
    if not r.next_words("sets"):
        return False
    r.skip(2)
    return True


def _partition(r: Rewriter) -> bool:
    if not r.next_words("by"):
        return False
    r.raw("PARTITION BY", 2)
    return True


def _nulls(r: Rewriter) -> bool:
    if not (r.next_words("first") or r.next_words("last")):
        return False
    r.skip(2)
    return True


def _limit(r: Rewriter) -> bool:
    r.raw("LIMIT")
    if r.peek(0).text == "all" and r.peek(0).kind == "word":
        r.raw("NULL")
        r.operand = True
    return True


def _offset(r: Rewriter) -> bool:
    r.raw("OFFSET")
    return True


def _fetch(r: Rewriter) -> bool:
    if not (r.next_words("first") or r.next_words("next")):
        raise Unreadable("FETCH here")
    r.skip(2)
    if not (r.peek(0).kind == "word" and r.peek(0).text in ("row", "rows")):
        r.emit("LIMIT")
    return True


def _row(r: Rewriter) -> bool:
    following = r.peek()
    if r.terms[r.at].text == "row" and following.text == "(" and r.previous() != ".":
        r.skip()  # ROW (1, 2) and (1, 2) are the same to us
    elif r.next_words("only"):
        r.skip(2)
    elif r.next_words("with", "ties"):
        r.skip(3)
    elif r.terms[r.at].text != "row" and r.top() == "window" and r.previous() not in ("by", ","):
        r.frame()
    elif r.operand and (following.kind == "end" or following.text in (")", "fetch", "for", "limit")):
        r.skip()  # OFFSET 5 ROWS
    else:
        return False
    return True


def _range(r: Rewriter) -> bool:
    if r.top() != "window" or r.previous() in ("by", ","):
        return False
    r.frame()
    return True


def _for(r: Rewriter) -> bool:
    if r.top() == "special":
        r.raw(",")
        return True
    words = [r.peek(n).text for n in range(1, 4)]
    for strength in (["update"], ["share"], ["no", "key", "update"], ["key", "share"]):
        if words[: len(strength)] == strength:
            break
    else:
        raise Unreadable("FOR here")
    r.mark(f"row locks: FOR {' '.join(strength).upper()}")
    r.skip(1 + len(strength))
    if r.peek(0).text == "of":
        r.skip(2)
        while r.peek(0).text in (".", ","):
            r.skip(2)
    if r.peek(0).text == "nowait":
        r.skip()
    elif r.peek(0).text == "skip" and r.next_words("locked"):
        r.skip(2)
    return True


def _from(r: Rewriter) -> bool:
    if r.next_words("rows", "from"):
        raise Unreadable("ROWS FROM")
    if r.top() != "special":
        r.raw("FROM")
    elif r.previous() == "(" or r.previous() in ("both", "leading", "trailing"):
        r.skip()
    else:
        r.raw(",")
    return True


def _trim_side(r: Rewriter) -> bool:
    if r.top() != "special":
        raise Unreadable("BOTH, LEADING or TRAILING here")
    r.skip()
    return True


def _comma_in_form(r: Rewriter) -> bool:
    """PLACING in overlay(), IN in position(). Elsewhere IN may stand before a list of values."""
    if r.top() == "special" and r.form() in ("overlay", "position"):
        r.raw(",")
        return True
    if r.terms[r.at].text == "in" and r.peek().text == "(":
        r.raw("IN")
        r.fold(rows=False)
        return True
    return False


def _similar(r: Rewriter) -> bool:
    if r.top() == "special":
        r.raw(",")
    elif r.next_words("to"):
        r.raw("LIKE", 2)
    else:
        raise Unreadable("SIMILAR here")
    return True


def _ilike(r: Rewriter) -> bool:
    if r.peek().text == "(" and not r.operand and r.previous() != "not":
        return False
    r.raw("LIKE")
    return True


def _escape(r: Rewriter) -> bool:
    if not r.operand or r.previous() in (".", ","):
        return False
    r.raw("," if r.top() == "special" else "||")
    return True


def _is(r: Rewriter) -> bool:
    negated = r.peek().text == "not" and r.peek().kind == "word"
    what = r.peek(2 if negated else 1)
    if what.kind == "word" and what.text == "distinct" and r.peek(3 if negated else 2).text == "from":
        r.raw("=" if negated else "<>", 4 if negated else 3)
    elif what.kind == "word" and what.text in ("null", "true", "false", "unknown", "document", "normalized", "json"):
        r.emit("IS NOT" if negated else "IS")
        r.emit("NULL", operand=True)
        r.skip(3 if negated else 2)
        if what.text == "json" and r.peek(0).text in ("value", "array", "object", "scalar"):
            r.skip()
    else:
        raise Unreadable("IS here")
    return True


def _null_test(r: Rewriter) -> bool:
    if not r.operand:
        return False
    r.emit("IS NULL" if r.terms[r.at].text == "isnull" else "IS NOT NULL", operand=True)
    r.skip()
    return True


def _between(r: Rewriter) -> bool:
    r.raw("BETWEEN")
    if r.peek(0).kind == "word" and r.peek(0).text in ("symmetric", "asymmetric"):
        r.skip()
    return True


def _at(r: Rewriter) -> bool:
    if not (r.operand and r.next_words("time", "zone")):
        return False
    r.raw("||", 3)
    return True


def _overlaps(r: Rewriter) -> bool:
    if not r.operand:
        return False
    r.raw("||")
    return True


def _collate(r: Rewriter) -> bool:
    r.skip(2)
    while r.peek(0).text == "." and r.peek(0).kind == "punct":
        r.skip(2)
    return True


def _operator(r: Rewriter) -> bool:
    if r.peek().text != "(":
        return False
    end = r.after_group(r.at + 1)
    inside = r.terms[r.at + 2 : end - 1]
    schema = [t.text for t in inside[:-1] if t.text != "."]
    if not inside or inside[-1].kind != "op" or len(schema) > 1:
        raise Unreadable("OPERATOR here")
    if schema != ["pg_catalog"]:
        r.mark("operator outside of pg_catalog")
    text = inside[-1].text
    r.at = end - 1
    r.operator(text)
    return True


def _nothing_said(r: Rewriter) -> bool:
    r.skip()
    return True


def _sample(r: Rewriter) -> bool:
    if r.peek().text not in _SAMPLING or r.peek(2).text != "(":
        raise Unreadable("a sampling method that is not built in")
    r.raw("TABLESAMPLE BERNOULLI", 2)
    return True


def _repeatable(r: Rewriter) -> bool:
    if r.peek().text == "(":
        raise Unreadable("REPEATABLE")
    return False


def _over(r: Rewriter) -> bool:
    if not r.closed(r.at) or r.peek().kind == "end":
        return False
    if r.peek().text == "(" and r.peek().kind == "punct":
        r.raw("OVER")
        r.open("window")
    elif r.peek().is_name:
        r.raw("OVER")
    else:
        return False
    return True


def _filter(r: Rewriter) -> bool:
    if not r.closed(r.at) or r.peek().text != "(" or r.peek(2).text != "where":
        return False
    r.raw("FILTER")
    return True


def _within(r: Rewriter) -> bool:
    if not r.next_words("group"):
        return False
    r.raw("WITHIN GROUP", 2)
    return True


def _window(r: Rewriter) -> bool:
    r.raw("WINDOW")
    r.windows_at = len(r.stack)
    return True


def _interval(r: Rewriter) -> bool:
    at = r.at
    r.skip()
    r.type_modifiers()
    if r.peek(0).kind != "literal":
        r.at = at
        return False
    r.emit(f"'{r.peek(0).text}'", operand=True)
    r.skip()
    r.units()
    return True


def _typed_string(r: Rewriter) -> bool:
    """`timestamp with time zone '…'`, `double precision '…'`: several words before a string."""
    at = r.at
    r.type()
    if r.peek(0).kind == "literal":
        return True
    r.at = at
    return False


def _cast(r: Rewriter) -> bool:
    if r.peek().text != "(":
        return False
    r.emit('"f"')
    r.skip()
    r.open("cast")
    return True


def _case(r: Rewriter) -> bool:
    r.cases += 1
    r.raw("CASE")
    return True


def _end(r: Rewriter) -> bool:
    r.cases -= 1
    r.emit("END", operand=True)
    r.skip()
    return True


def _into(r: Rewriter) -> bool:
    r.mark("SELECT INTO creates a table")
    r.raw("INTO")
    while r.peek(0).kind == "word" and r.peek(0).text in ("temporary", "temp", "unlogged", "local", "global"):
        r.skip()
    if r.peek(0).kind == "word" and r.peek(0).text == "table":
        r.skip()
    return True


def _insert(r: Rewriter) -> bool:
    if r.previous() == "then":
        r.raw("INSERT")
    elif r.previous() in _STATEMENT_STARTS and r.next_words("into"):
        r.raw("INSERT INTO", 2)
    else:
        return False
    return r.wrote("INSERT")


def _update(r: Rewriter) -> bool:
    if r.previous() not in _STATEMENT_STARTS:
        return False
    r.raw("UPDATE")
    return r.wrote("UPDATE")


def _delete(r: Rewriter) -> bool:
    if r.previous() == "then":
        r.raw("DELETE")
    elif r.previous() in _STATEMENT_STARTS and r.next_words("from"):
        r.raw("DELETE FROM", 2)
    else:
        return False
    return r.wrote("DELETE")


def _merge(r: Rewriter) -> bool:
    if r.previous() not in _STATEMENT_STARTS or not r.next_words("into"):
        return False
    r.raw("MERGE INTO", 2)
    return r.wrote("MERGE")


def _on(r: Rewriter) -> bool:
    if r.next_words("conflict", "on", "constraint"):
        r.raw("ON CONFLICT ON CONSTRAINT", 4)
    elif r.next_words("conflict") and (r.peek(2).text in ("(", "do")):
        r.raw("ON CONFLICT", 2)
    else:
        r.raw("ON")
    return True


def _do(r: Rewriter) -> bool:
    if r.next_words("nothing"):
        r.raw("DO NOTHING", 2)
    else:
        r.raw("DO")
    return True


def _matched(r: Rewriter) -> bool:
    if r.previous() not in ("when", "not"):
        return False
    if r.next_words("by", "source"):
        r.raw("MATCHED BY SOURCE", 3)
    elif r.next_words("by", "target"):
        r.raw("MATCHED BY TARGET", 3)
    else:
        r.raw("MATCHED")
    return True


def _default(r: Rewriter) -> bool:
    if r.next_words("values"):
        r.raw("DEFAULT VALUES", 2)
    else:
        r.emit("NULL", operand=True)
        r.skip()
    return True


def _overriding(r: Rewriter) -> bool:
    if not (r.next_words("system", "value") or r.next_words("user", "value")):
        return False
    r.skip(3)
    return True


def _current(r: Rewriter) -> bool:
    if not (r.previous() == "where" and r.next_words("of")):
        return False
    r.emit("NULL", operand=True)
    r.skip(3)
    return True


CLAUSES: dict[str, Clause] = {
    "select": _select, "table": _table, "values": _values, "with": _with, "as": _as,
    "distinct": _distinct_or_all, "all": _distinct_or_all, "order": _order, "asc": _ascending, "desc": _ascending,
    "using": _using, "group": _group, "grouping": _grouping, "partition": _partition, "nulls": _nulls,
    "limit": _limit, "offset": _offset, "fetch": _fetch, "row": _row, "rows": _row, "range": _range,
    "groups": _range, "for": _for, "from": _from, "both": _trim_side, "leading": _trim_side,
    "trailing": _trim_side, "placing": _comma_in_form, "in": _comma_in_form, "similar": _similar, "ilike": _ilike,
    "escape": _escape, "is": _is, "isnull": _null_test, "notnull": _null_test, "between": _between, "at": _at,
    "overlaps": _overlaps, "collate": _collate, "operator": _operator, "only": _nothing_said,
    "variadic": _nothing_said, "tablesample": _sample, "repeatable": _repeatable, "over": _over, "filter": _filter,
    "within": _within, "window": _window, "interval": _interval, "timestamp": _typed_string, "time": _typed_string,
    "double": _typed_string, "character": _typed_string, "bit": _typed_string, "national": _typed_string,
    "cast": _cast, "case": _case, "end": _end, "into": _into, "insert": _insert, "update": _update,
    "delete": _delete, "merge": _merge, "on": _on, "do": _do, "matched": _matched, "default": _default,
    "overriding": _overriding, "current": _current,
}  # fmt: skip
