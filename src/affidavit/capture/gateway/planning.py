"""From the text of a query to what has to be decided and recorded: one plan a statement.

Unqualified names are resolved with the relations that the upstream's search path showed at session start. Once the
session changes its search path, they resolve to the schema `?`, which no rule about a table names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from affidavit.limits import COLUMNS_MAX, PREPARED_MAX, SQL_SHAPE_CHARS_MAX, TABLES_MAX
from affidavit.state.deciding import Request
from affidavit.wire.sql.understand import KeyUse, Statement, TableUse, Understanding, not_understood

UNKNOWN_SCHEMA = "?"
_STRINGS = b"standard_conforming_strings"
_ENCODING = "client_encoding"
_TO_UTF8 = re.compile(
    r"\A\s*SET\s+(?:(?:SESSION\s+)?client_encoding\s*(?:=|\bTO\b)|NAMES\b)\s*'?(?:UTF-?8|UNICODE)'?\s*;?\s*\Z", re.I
)
# A role can be part of the path ("$user"), and ALL names the path too.
_MOVES_NAMES = frozenset({"search_path", "role", "session_authorization", "all"})
_MOVING_WORDS = ("search_path", "schema", "role", "authorization", "reset", "discard")
_OVER_THE_WHOLE_SYSTEM = frozenset({"write", "define", "grant", "admin"})
_FACT_ITEMS_MAX = 64


@dataclass(frozen=True)
class Plan:
    """One statement: its requests, and the parts of its facts and body that do not depend on parameters."""

    statement: Statement
    text_bytes: int
    action: str
    read: bool
    requests: tuple[Request, ...]
    facts: Mapping[str, str | bool | tuple[str, ...]]
    tags: tuple[str, ...]
    described: Mapping[str, Any]
    keys: tuple[KeyUse, ...]


class Planner:
    """Plans statements for one session."""

    def __init__(
        self,
        system: str,
        understanding: Understanding,
        schema_of: Mapping[str, str],
        default_schema: str,
        session_facts: Mapping[str, str | bool],
    ) -> None:
        self._system = system
        self._session_facts = session_facts
        self._understanding = understanding
        self._schema_of: Mapping[str, str] = schema_of
        self._default = default_schema
        self._moved = False
        self._utf8 = True
        self._plain_backslashes = True
        self._texts: dict[bytes, tuple[Plan, ...]] = {}
        self._shapes: dict[tuple[Any, ...], Plan] = {}

    def search_path_changed(self) -> None:
        """From here on an unqualified name may mean anything."""
        self._moved = True
        self._schema_of, self._default = {}, UNKNOWN_SCHEMA
        self._texts.clear()
        self._shapes.clear()

    def strings_changed(self) -> None:
        """From here on a backslash in a plain string may escape: what holds one cannot be read with certainty."""
        if self._plain_backslashes:
            self._plain_backslashes = False
            self._texts.clear()

    def encoding_changed(self) -> None:
        """From here on the server may read other characters than we do: only plain ASCII can be read with certainty."""
        if self._utf8:
            self._utf8 = False
            self._texts.clear()

    def changed_by(self, statement: Statement) -> None:
        """What a statement that is about to run changes for how those behind it are to be read."""
        setting = statement.setting
        text = statement.text.lower()
        unread = not statement.parsed and any(word in text for word in _MOVING_WORDS)
        if setting in _MOVES_NAMES or statement.verb == "DISCARD" or "set_config" in text or unread:
            self.search_path_changed()
        if setting == "standard_conforming_strings":
            self.strings_changed()
        names_encoding = setting == "client_encoding" or _ENCODING in text
        if names_encoding and not _TO_UTF8.search(statement.text):
            self.encoding_changed()

    def again(self, plans: tuple[Plan, ...]) -> tuple[Plan, ...]:
        """Plans made earlier, with names as they resolve now: the server too looks them up again."""
        return tuple(self._one(plan.statement) for plan in plans) if self._moved else plans

    def plan(self, text: bytes) -> tuple[Plan, ...]:
        """The plans of a query text, one a statement; none for an empty query."""
        found = self._texts.get(text)
        if found is None:
            statements = self._statements(text)
            if any(s.setting in _MOVES_NAMES or "set_config" in s.text.lower() for s in statements[:-1]):
                self.search_path_changed()  # what stands behind it in the same text is read under it
            found = tuple(self._one(statement) for statement in statements)
            if len(self._texts) >= PREPARED_MAX:
                self._texts.clear()
            if len(text) <= SQL_SHAPE_CHARS_MAX:
                self._texts[text] = found
        return found

    def _statements(self, text: bytes) -> tuple[Statement, ...]:
        try:
            decoded = text.decode()
        except UnicodeDecodeError:
            # Another client encoding, or rubbish: nothing that was labelled from it could be relied on.
            decoded = text.decode("utf-8", "backslashreplace")
            # Whether it names a credential is asked of the bytes that are text; our own escapes would look like some.
            judged = not_understood(text.decode("utf-8", "replace"), "the text is not UTF-8")
            return (replace(judged, text=decoded),)
        if not self._utf8 and not text.isascii():
            return (not_understood(decoded, "the client's encoding is not UTF-8"),)
        if b"\\" in text and (not self._plain_backslashes or _STRINGS in text.lower()):
            return (not_understood(decoded, "a backslash may escape: standard_conforming_strings is not on"),)
        return self._understanding.understand(decoded, (UNKNOWN_SCHEMA,))

    def _one(self, statement: Statement) -> Plan:
        shape = (
            statement.verb, statement.action, statement.read_only, statement.tables, statement.columns,
            statement.functions, statement.parsed, statement.transaction,
        )  # fmt: skip
        known = self._shapes.get(shape)
        if known is None:
            known = self._new(statement)
            if len(self._shapes) >= PREPARED_MAX:
                self._shapes.clear()
            self._shapes[shape] = known
        keys = tuple(replace(k, schema=self._schema(k.schema, k.table)) for k in statement.keys)
        return replace(known, statement=statement, text_bytes=len(statement.text.encode()), keys=keys)

    def _schema(self, schema: str, table: str) -> str:
        return self._schema_of.get(table, self._default) if schema == UNKNOWN_SCHEMA else schema

    def _new(self, statement: Statement) -> Plan:
        uses = tuple(replace(t, schema=self._schema(t.schema, t.name)) for t in statement.tables[:TABLES_MAX])
        # A fact that had to be cut could hide what a policy asks for: then it counts as the most sensitive.
        whole = max(len(uses), len(statement.columns), len(statement.functions)) <= _FACT_ITEMS_MAX
        action = statement.action if statement.parsed and whole else "admin"
        names = tuple(sorted({f"{t.schema}.{t.name}" for t in uses}))
        columns = tuple(self._column(c) for c in statement.columns[:COLUMNS_MAX])
        facts: dict[str, str | bool | tuple[str, ...]] = {
            **self._session_facts,
            "verb": statement.verb,
            "tables": names[:_FACT_ITEMS_MAX],
            "columns": columns[:_FACT_ITEMS_MAX],
            "functions": statement.functions[:_FACT_ITEMS_MAX],
            "parsed": statement.parsed,
            "read_only": statement.read_only,
        }
        described: dict[str, Any] = {
            "class": action,
            "verb": statement.verb,
            "tables": [{"schema": t.schema, "name": t.name, "action": t.action} for t in uses],
            "columns": list(columns),
            "parsed": statement.parsed,
        }
        if len(statement.tables) > TABLES_MAX or len(statement.columns) > COLUMNS_MAX:
            described["overflow"] = True
        if not statement.read_only and statement.why:
            described["why"] = statement.why[:200]
        return Plan(
            statement=statement,
            text_bytes=0,
            action=action,
            read=statement.read_only and statement.parsed,
            requests=self._requests(statement, uses, action),
            facts=facts,
            tags=tuple(f"{self._system}|table|{name}" for name in names),
            described=described,
            keys=(),
        )

    def _requests(self, statement: Statement, uses: tuple[TableUse, ...], action: str) -> tuple[Request, ...]:
        requests = {Request(t.action, "Table", f"{self._system}/{t.schema}.{t.name}") for t in uses}
        covered = any(t.action == action for t in uses)
        if not requests or (action in _OVER_THE_WHOLE_SYSTEM and not covered) or len(statement.tables) > TABLES_MAX:
            # Effects that no table accounts for (a function, a role, a setting) are asked for on the whole system.
            requests.add(Request(action, "System", self._system))
        return tuple(sorted(requests, key=lambda r: (r.action, r.type, r.id)))

    def _column(self, column: str) -> str:
        schema, _, rest = column.partition(".")
        if schema != UNKNOWN_SCHEMA or "." not in rest:
            return column
        return f"{self._schema(schema, rest.partition('.')[0])}.{rest}"


def unknown_statement(name: str, system: str, session_facts: Mapping[str, str | bool]) -> Plan:
    """The plan for running something that was prepared or declared where we could not see its text."""
    text = f"-- prepared outside of the protocol: {name[:200]}"
    statement = Statement(
        text=text, normalized=text, verb="EXECUTE", action="write", read_only=False, why="its text is not known",
        tables=(), columns=(), functions=(), transaction="", keys=(), credential=False, parsed=False, setting="",
    )  # fmt: skip
    return Planner(system, Understanding(1), {}, UNKNOWN_SCHEMA, session_facts)._one(statement)
