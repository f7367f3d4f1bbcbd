"""CREATE, ALTER, DROP, COMMENT, GRANT and REVOKE: the kind of object, the tables that are meant."""

from __future__ import annotations

from collections.abc import Callable

from affidavit.wire.sql.keywords import words
from affidavit.wire.sql.names import Cursor, read_names
from affidavit.wire.sql.reading import ALWAYS, BY_CONTENT, IF_NAMED, Names, Reading
from affidavit.wire.sql.statement import TableUse
from affidavit.wire.sql.terms import Unreadable

_MODIFIERS = words(
    """
    or replace global local temp temporary unlogged unique recursive constraint trusted procedural
    """
)
# The kinds of objects, longer ones first where one begins another; with the action and how credentials are told.
_KINDS: tuple[tuple[str, str, str], ...] = (
    ("access method", "admin", BY_CONTENT),
    ("aggregate", "define", BY_CONTENT),
    ("cast", "define", BY_CONTENT),
    ("collation", "define", BY_CONTENT),
    ("column", "define", BY_CONTENT),
    ("constraint", "define", BY_CONTENT),
    ("conversion", "define", BY_CONTENT),
    ("database", "admin", IF_NAMED),
    ("default privileges", "grant", BY_CONTENT),
    ("domain", "define", BY_CONTENT),
    ("event trigger", "admin", BY_CONTENT),
    ("extension", "admin", IF_NAMED),
    ("foreign data wrapper", "admin", ALWAYS),
    ("foreign table", "define", IF_NAMED),
    ("function", "define", IF_NAMED),
    ("group", "admin", IF_NAMED),
    ("index", "define", BY_CONTENT),
    ("language", "admin", BY_CONTENT),
    ("large object", "define", BY_CONTENT),
    ("materialized view", "define", BY_CONTENT),
    ("operator class", "define", BY_CONTENT),
    ("operator family", "define", BY_CONTENT),
    ("operator", "define", BY_CONTENT),
    ("owned", "admin", BY_CONTENT),
    ("policy", "grant", BY_CONTENT),
    ("procedure", "define", IF_NAMED),
    ("publication", "admin", BY_CONTENT),
    ("role", "admin", IF_NAMED),
    ("routine", "define", BY_CONTENT),
    ("rule", "define", BY_CONTENT),
    ("schema", "define", BY_CONTENT),
    ("sequence", "define", BY_CONTENT),
    ("server", "admin", ALWAYS),
    ("statistics", "define", BY_CONTENT),
    ("subscription", "admin", ALWAYS),
    ("system", "admin", ALWAYS),
    ("table", "define", BY_CONTENT),
    ("tablespace", "admin", BY_CONTENT),
    ("text search configuration", "define", BY_CONTENT),
    ("text search dictionary", "define", BY_CONTENT),
    ("text search parser", "define", BY_CONTENT),
    ("text search template", "define", BY_CONTENT),
    ("transform", "define", BY_CONTENT),
    ("trigger", "define", BY_CONTENT),
    ("type", "define", BY_CONTENT),
    ("user mapping", "admin", ALWAYS),
    ("user", "admin", IF_NAMED),
    ("view", "define", BY_CONTENT),
)
_NAMED_TABLES = frozenset({"table", "foreign table", "view", "materialized view"})
_ON_TABLES = frozenset({"index", "trigger", "rule", "policy"})
_QUERY_DEFINED = frozenset({"table", "view", "materialized view"})
_TAILS = (
    ("with", "data"),
    ("with", "no", "data"),
    ("with", "check", "option"),
    ("with", "cascaded", "check", "option"),
    ("with", "local", "check", "option"),
)
_QUERY_WORDS = frozenset({"select", "with", "values", "table", "("})
_NO_TABLES = words(
    """
    all database domain foreign function language large parameter procedure routine schema sequence tablespace
    type
    """
)

ReadQuery = Callable[[Cursor, Names], Reading]


def read_definition(c: Cursor, names: Names, read_query: ReadQuery) -> Reading:
    """CREATE, ALTER, DROP or COMMENT ON, after its first word. Raises `Unreadable`."""
    head = c.before()
    if head == "comment":
        c.need("on")
    while head == "create" and c.word() in _MODIFIERS:
        c.skip()
    kind, action, credential = _kind(c)
    verb = f"{'COMMENT ON' if head == 'comment' else head.upper()} {kind.upper()}"
    tables = set(_tables(c, head, kind, names))
    columns: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    unknown = head != "comment"
    if head == "create" and kind in _QUERY_DEFINED and c.find("as"):
        c.skip()
        if kind == "table" and c.word() == "execute":
            verb = "CREATE TABLE AS"
        elif c.word() in _QUERY_WORDS:
            inner = read_query(c.without_tail(*_TAILS), names)
            verb = "CREATE TABLE AS" if kind == "table" else verb
            tables.update(inner.tables)
            columns, functions = inner.columns, inner.functions
            unknown = inner.runs_unknown
        elif kind != "table":
            raise Unreadable("a view without a query")
    return Reading(
        verb, action, why=f"{verb} defines" if action == "define" else verb, tables=tuple(sorted(tables)),
        columns=columns, functions=functions, credential=credential, runs_unknown=unknown,
    )  # fmt: skip


def read_grant(c: Cursor, names: Names) -> Reading:
    """GRANT or REVOKE, after its first word."""
    verb = c.before().upper()
    tables: set[TableUse] = set()
    if c.find("on", "to", "from") and c.take("on"):
        named = c.take("table")
        if named or c.word() not in _NO_TABLES or c.word(1) in (",", "to", "from", "."):
            tables = {TableUse(*names.table(*n), "grant") for n in read_names(c)}
    return Reading(verb, "grant", why=f"{verb} changes permissions", tables=tuple(sorted(tables)))


def _kind(c: Cursor) -> tuple[str, str, str]:
    for entry in _KINDS:
        if c.take(*entry[0].split()):
            return entry
    raise Unreadable("a kind of object that is not known")


def _tables(c: Cursor, head: str, kind: str, names: Names) -> list[TableUse]:
    action = "grant" if kind == "policy" else "define"
    if kind in _NAMED_TABLES:
        _pass_condition(c)
        if c.word() == "all" and c.word(1) == "in":  # ALTER TABLE ALL IN TABLESPACE
            return []
        found = read_names(c) if head == "drop" else [c.table()]
        return [TableUse(*names.table(*n), action) for n in found]
    if kind == "column":
        parts = c.dotted()
        if len(parts) < 2:
            raise Unreadable("a column without its table")
        return [TableUse(*names.table(parts[-3] if len(parts) > 2 else "", parts[-2]), action)]
    if kind == "rule" and head == "create":
        c.find("to")
        c.take("to")
        return [TableUse(*names.table(*c.table()), action)]
    if kind in _ON_TABLES and not (kind == "index" and head != "create") and c.find("on"):
        c.take("on")
        return [TableUse(*names.table(*c.table()), action)]
    return []


def _pass_condition(c: Cursor) -> None:
    if c.take("if"):
        c.take("not")
        c.need("exists")
