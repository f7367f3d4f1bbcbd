"""Statements that are no queries: what their first words say, by a small grammar of our own.

Where a statement counts as free of effects (BEGIN, SAVEPOINT, SHOW, …), the whole of it is matched; everything else
is a write, a definition, a grant or administration, and there the head decides: a wrong rest fails on the server.
Tables that a definition only refers to (INHERITS, LIKE, REFERENCES, PARTITION OF) are not listed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from affidavit.wire.sql import credentials
from affidavit.wire.sql.definitions import read_definition, read_grant
from affidavit.wire.sql.keywords import words
from affidavit.wire.sql.names import Cursor, read_names
from affidavit.wire.sql.reading import ALWAYS, BY_CONTENT, IF_NAMED, Names, Reading, unparsed
from affidavit.wire.sql.statement import TableUse
from affidavit.wire.sql.terms import Term, Unreadable

_QUERY_HEADS = frozenset({"select", "with", "values", "table", "insert", "update", "delete", "merge", "("})
_MODE_WORDS = words(
    """
    work transaction isolation level serializable repeatable read committed uncommitted write only not
    deferrable , and no chain
    """
)
_CURSOR_WORDS = frozenset({"binary", "insensitive", "asensitive", "no", "scroll"})
_EXPLAINED = frozenset({"execute", "declare", "create", "refresh"})
_ROLE_SETTINGS = {"role": "SET ROLE", "session_authorization": "SET SESSION AUTHORIZATION"}
# Heads whose verb is their first word and which need no look at the rest: (action, reason).
_PLAIN: dict[str, tuple[str, str]] = {
    "call": ("write", "a procedure runs"),
    "checkpoint": ("admin", "CHECKPOINT"),
    "cluster": ("admin", "CLUSTER"),
    "close": ("session", "closes a cursor"),
    "deallocate": ("session", "forgets a prepared statement"),
    "discard": ("session", "DISCARD resets the session"),
    "do": ("write", "a block of code runs"),
    "execute": ("write", "runs a statement that is not in this text"),
    "fetch": ("session", "runs a query that is not in this text"),
    "listen": ("session", "LISTEN"),
    "load": ("admin", "LOAD"),
    "move": ("session", "runs a query that is not in this text"),
    "notify": ("write", "NOTIFY"),
    "reindex": ("admin", "REINDEX"),
    "unlisten": ("session", "UNLISTEN"),
    "vacuum": ("admin", "VACUUM"),
    "analyze": ("admin", "ANALYZE"),
    "analyse": ("admin", "ANALYZE"),
}
_RUN_UNKNOWN = frozenset({"call", "do", "execute", "fetch", "move"})


def read_statement(terms: tuple[Term, ...], names: Names) -> Reading:
    """The reading of one statement; `UNPARSED` for whatever is not understood. Never raises."""
    try:
        return credentials.with_rule(_read(terms, names), terms)
    except Unreadable as e:
        return unparsed(str(e))
    except Exception as e:  # a gate that trips closes: the text came from outside and chose the way here
        return unparsed(f"the reader failed: {type(e).__name__}")


def _read(terms: tuple[Term, ...], names: Names) -> Reading:
    head = terms[0].text if terms else ""
    if head in _QUERY_HEADS:
        return _read_query(terms, names)
    reader = _READERS.get(head)
    if reader is not None:
        return reader(Cursor(terms, 1), names)
    if head in _PLAIN:
        return _plain(Cursor(terms, 1), head, names)
    raise Unreadable(f"a statement that begins with {head.upper()[:20]}" if terms[0].kind == "word" else "no statement")


def _plain(c: Cursor, head: str, names: Names) -> Reading:
    action, why = _PLAIN[head]
    verb = "ANALYZE" if head == "analyse" else head.upper()
    functions: tuple[str, ...] = ()
    tables: tuple[TableUse, ...] = ()
    if head == "call":
        parts = c.dotted()
        functions = (".".join(parts),)
    elif head in ("cluster", "reindex", "vacuum", "analyze", "analyse"):
        tables = _maintained(c, names)
    credential = IF_NAMED if head in ("call", "do", "execute", "notify") else BY_CONTENT
    return Reading(
        verb, action, why=why, functions=functions, tables=tables, credential=credential,
        runs_unknown=head in _RUN_UNKNOWN,
    )  # fmt: skip


def _maintained(c: Cursor, names: Names) -> tuple[TableUse, ...]:
    while c.word() in ("(", "full", "freeze", "verbose", "analyze", "analyse", "concurrently", "table"):
        if c.word() == "(":
            c.pass_group()
        else:
            c.skip()
    if c.done() or c.word() in ("index", "schema", "database", "system"):
        return ()
    return tuple(sorted({TableUse(*names.table(*n), "write") for n in read_names(c)}))


# Transactions.


def _begin(c: Cursor, names: Names) -> Reading:
    if c.before() == "start" and not c.take("transaction"):
        raise Unreadable("START here")
    _only_modes(c)
    return Reading("BEGIN", "session", read_only=True, transaction="begin")


def _commit(c: Cursor, names: Names) -> Reading:
    if c.take("prepared"):
        return Reading("COMMIT PREPARED", "session", why="COMMIT makes changes last", transaction="commit")
    _only_modes(c)
    return Reading("COMMIT", "session", why="COMMIT makes changes last", transaction="commit")


def _rollback(c: Cursor, names: Names) -> Reading:
    if c.take("prepared"):
        return Reading("ROLLBACK PREPARED", "session", why="a prepared transaction ends", transaction="rollback")
    while c.word() in ("work", "transaction"):
        c.skip()
    if c.take("to"):
        c.take("savepoint")
        c.dotted()
        c.end()
        return Reading("ROLLBACK TO", "session", read_only=True, transaction="rollback_to")
    _only_modes(c)
    return Reading("ROLLBACK", "session", read_only=True, transaction="rollback")


def _savepoint(c: Cursor, names: Names) -> Reading:
    c.dotted()
    c.end()
    return Reading("SAVEPOINT", "session", read_only=True, transaction="savepoint")


def _release(c: Cursor, names: Names) -> Reading:
    c.take("savepoint")
    c.dotted()
    c.end()
    return Reading("RELEASE", "session", read_only=True, transaction="release")


def _only_modes(c: Cursor) -> None:
    while not c.done():
        if c.word() not in _MODE_WORDS:
            raise Unreadable("a transaction mode here")
        c.skip()


# Prepared statements, cursors, plans.


def _prepare(c: Cursor, names: Names) -> Reading:
    if c.word() == "transaction" and c.kind(1) == "literal":
        return Reading("PREPARE TRANSACTION", "session", why="the transaction will last", transaction="prepare")
    c.dotted()
    c.pass_group()
    if not c.take("as"):
        raise Unreadable("PREPARE here")
    inner = _query(c, names)
    return replace(inner, verb="PREPARE", action="session", read_only=False, why="a statement is kept for EXECUTE")


def _declare(c: Cursor, names: Names) -> Reading:
    c.dotted()
    while c.word() in _CURSOR_WORDS:
        c.skip()
    if not c.take("cursor"):
        raise Unreadable("DECLARE here")
    if c.take("with") or c.take("without"):
        c.need("hold")
    c.need("for")
    inner = _query(c, names)
    return replace(inner, verb="DECLARE")


def _explain(c: Cursor, names: Names) -> Reading:
    runs = False
    if c.word() == "(" and c.word(1) not in _QUERY_HEADS:
        inside = c.group()
        # `ANALYZE false` would do nothing; it is not worth the risk to look at the value.
        runs = any(t.text in ("analyze", "analyse", '"analyze') for t in inside)
    else:
        while c.word() in ("analyze", "analyse", "verbose"):
            runs = runs or c.word() != "verbose"
            c.skip()
    if c.word() not in _QUERY_HEADS and c.word() not in _EXPLAINED:
        raise Unreadable("EXPLAIN here")
    inner = _read(c.rest(), names)
    if runs:
        return replace(inner, verb="EXPLAIN")
    tables = tuple(sorted({TableUse(t.schema, t.name, "read") for t in inner.tables}))
    if inner.runs_unknown:
        # The planner computes what it takes for constant, and asks functions for estimates.
        return replace(inner, verb="EXPLAIN", action="write", read_only=False, tables=tables)
    return replace(inner, verb="EXPLAIN", action="read", read_only=True, why="", tables=tables)


def _read_query(terms: tuple[Term, ...], names: Names) -> Reading:
    from affidavit.wire.sql.query import read_query  # noqa: PLC0415  the parser, a fifth of a second to load

    return read_query(terms, names)


def _query(c: Cursor, names: Names) -> Reading:
    if c.word() not in _QUERY_HEADS:
        raise Unreadable("a query is expected")
    return _read_query(c.rest(), names)


# COPY.


def _copy(c: Cursor, names: Names) -> Reading:
    c.take("binary")
    if c.word() == "(":
        inner = _read_query(c.group(), names)
        c.need("to")
        return _copy_to(c, inner)
    schema, name = names.table(*c.table())
    columns = [t.name for t in c.group() if t.kind in ("word", "quoted")] if c.word() == "(" else ["*"]
    used = tuple(sorted({f"{schema}.{name}.{column}" for column in columns}))
    if c.take("from"):
        place = _copy_place(c, "stdin")
        tables = (TableUse(schema, name, "write"),)
        if not place:
            return Reading("COPY FROM", "write", why="COPY FROM writes", tables=tables, columns=used)
        return Reading("COPY FROM", "admin", why=place, tables=tables, columns=used, credential=IF_NAMED)
    c.need("to")
    return _copy_to(c, Reading("COPY TO", "read", True, tables=(TableUse(schema, name, "read"),), columns=used))


def _copy_to(c: Cursor, inner: Reading) -> Reading:
    place = _copy_place(c, "stdout")
    if not place:
        return replace(inner, verb="COPY TO")
    return replace(inner, verb="COPY TO", action="admin", read_only=False, why=place, credential=IF_NAMED)


def _copy_place(c: Cursor, client: str) -> str:
    """Empty where the data goes to or comes from the client, else what it is instead."""
    place = c.word()
    if place in ("stdin", "stdout"):  # the server takes either word in either direction
        c.skip()
        return ""
    if place == "program":
        return "COPY runs a program on the server"
    if c.kind() == "literal":
        return "COPY uses a file of the server"
    raise Unreadable(f"COPY without {client.upper()}")


# Settings.


def _show(c: Cursor, names: Names) -> Reading:
    setting = _setting(c)
    c.end()
    return Reading("SHOW", "session", read_only=True, setting=setting)


def _set(c: Cursor, names: Names) -> Reading:
    reset = c.before() == "reset"
    verb = "RESET" if reset else "SET"
    if not reset and c.word() in ("session", "local") and c.word(1) not in ("=", "to", "authorization"):
        c.skip()
    if c.word() == "session" and c.word(1) == "authorization":
        return Reading(f"{verb} SESSION AUTHORIZATION", "admin", why="another user", setting="session_authorization")
    if c.word() == "role" and c.word(1) not in ("=", "to"):
        return Reading(f"{verb} ROLE", "admin", why="another role", setting="role")
    if c.word() in ("transaction", "characteristics", "constraints"):
        return Reading(f"{verb} {c.word().upper()}", "session", why=f"{verb} changes the session")
    setting = _setting(c)
    assigns = c.word() in ("to", "=") or (c.word() == "from" and c.word(1) == "current")
    if not reset and not assigns and setting not in ("timezone", "names", "schema", "catalog", "xmloption"):
        raise Unreadable("SET here")
    setting = {"names": "client_encoding", "schema": "search_path"}.get(setting, setting)
    if setting in _ROLE_SETTINGS or setting == "all":
        action = "admin" if setting in _ROLE_SETTINGS else "session"
        return Reading(_ROLE_SETTINGS.get(setting, verb), action, why=f"{verb} {setting}", setting=setting)
    rule = ALWAYS if credentials.names_credential(setting) else IF_NAMED
    return Reading(verb, "session", why=f"{verb} changes the session", setting=setting, credential=rule)


def _setting(c: Cursor) -> str:
    for several, name in (
        (("time", "zone"), "timezone"),
        (("transaction", "isolation", "level"), "transaction_isolation"),
        (("session", "authorization"), "session_authorization"),
        (("xml", "option"), "xmloption"),
    ):
        if all(c.word(n) == word for n, word in enumerate(several)):
            c.skip(len(several))
            return name
    return ".".join(c.dotted()).lower()


def _constant(verb: str, action: str, why: str, *needed: str) -> Callable[[Cursor, Names], Reading]:
    def read(c: Cursor, names: Names) -> Reading:
        for word in needed:
            c.need(word)
        return Reading(verb, action, why=why)

    return read


def _truncate(c: Cursor, names: Names) -> Reading:
    c.take("table")
    tables = tuple(sorted({TableUse(*names.table(*n), "write") for n in read_names(c)}))
    return Reading("TRUNCATE", "write", why="TRUNCATE writes", tables=tables)


def _lock(c: Cursor, names: Names) -> Reading:
    c.take("table")
    tables = tuple(sorted({TableUse(*names.table(*n), "write") for n in read_names(c)}))
    return Reading("LOCK", "write", why="LOCK holds others up", tables=tables)


def _refresh(c: Cursor, names: Names) -> Reading:
    c.need("materialized")
    c.need("view")
    c.take("concurrently")
    tables = (TableUse(*names.table(*c.table()), "write"),)
    return Reading("REFRESH MATERIALIZED VIEW", "write", why="REFRESH writes", tables=tables, runs_unknown=True)


def _define(c: Cursor, names: Names) -> Reading:
    return read_definition(c, names, _query)


_READERS: dict[str, Callable[[Cursor, Names], Reading]] = {
    "begin": _begin, "start": _begin, "commit": _commit, "end": _commit, "rollback": _rollback, "abort": _rollback,
    "savepoint": _savepoint, "release": _release, "prepare": _prepare, "declare": _declare, "explain": _explain,
    "copy": _copy, "show": _show, "set": _set, "reset": _set, "truncate": _truncate, "lock": _lock,
    "refresh": _refresh, "create": _define, "alter": _define, "drop": _define, "comment": _define,
    "grant": read_grant, "revoke": read_grant,
    "security": _constant("SECURITY LABEL", "define", "SECURITY LABEL", "label"),
    "import": _constant("IMPORT FOREIGN SCHEMA", "define", "IMPORT FOREIGN SCHEMA", "foreign", "schema"),
    "reassign": _constant("REASSIGN OWNED", "admin", "REASSIGN OWNED", "owned"),
}  # fmt: skip
