"""The facts that an access had, as far as its record shows them, for deciding it under rules that ask for others.

A record holds the facts that some policy read at the time, exactly as they were decided on. Others can often be told
from the rest of its body: what was touched, who the client was; and, where the statement stands there in full, by
reading that again. What cannot be told is not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from affidavit.errors import InvalidInput
from affidavit.limits import COLUMNS_MAX
from affidavit.record.read import Record
from affidavit.state.change import decode_ops
from affidavit.state.changing import OF_ONE_KIND, told_by
from affidavit.state.facts import CHANGE_FACTS, SESSION_FACTS, STATEMENT_FACTS, Fact
from affidavit.wire.sql.understand import Understanding

_CHANGES: Final = frozenset({"change", "proposal", "approval"})
_ACCESSES: Final = frozenset({"access", "access.intent"})
_UNKNOWN_SCHEMA: Final = ("?",)


class KnownFacts:
    """Tells facts of records. `record_at` gives the record that opened a session."""

    def __init__(self, record_at: Callable[[int], Record]) -> None:
        self._record_at = record_at
        self._understanding = Understanding()
        self._databases: dict[int, str | None] = {}

    def tell(self, record: Record, names: frozenset[str]) -> tuple[dict[str, Fact], frozenset[str]]:
        """Of `names`, the facts that the record had; and those of which it shows neither a value nor that they were
        absent. A name in neither was absent."""
        found: dict[str, Fact] = {}
        unknown: set[str] = set()
        for name in names:
            known, value = self._one(record, name)
            if not known:
                unknown.add(name)
            elif value is not None:
                found[name] = value
        return found, frozenset(unknown)

    def _one(self, record: Record, name: str) -> tuple[bool, Fact | None]:
        """Whether it is known, and its value, None where it was absent."""
        kind = record.header.kind
        if name in SESSION_FACTS and (kind in _ACCESSES or kind == "session.open"):
            return self._of_session(record, name)
        if name in STATEMENT_FACTS and kind in _ACCESSES:
            return self._of_statement(_part(record.content, "action"), name)
        if name in CHANGE_FACTS and kind in _CHANGES:
            return self._of_change(record, name)
        # A login has no statement, an access changes nothing, and a change comes from no client of a gateway.
        return name not in CHANGE_FACTS or kind in _ACCESSES or kind == "session.open", None

    def _of_change(self, record: Record, name: str) -> tuple[bool, Fact | None]:
        approving = record.header.kind == "approval"
        if name == "approving":
            return True, True if approving else None
        if name == "approvals":
            approvals = [] if approving else record.content.get("approvals")
            return isinstance(approvals, list), len(approvals or ())
        holder = self._record_at(record.header.ref) if approving and record.header.ref is not None else record
        try:
            ops = decode_ops(holder.content.get("objects"))
        except InvalidInput:
            return False, None
        told = told_by(ops, record.header.actor or "")
        return name in told or name in OF_ONE_KIND, told.get(name)

    def _of_session(self, record: Record, name: str) -> tuple[bool, Fact | None]:
        client = _part(record.content, "client")
        if name == "database":
            return self._database(record)
        if name == "tls":
            return "tls" in client, client.get("tls") is not None
        if name == "application":
            return isinstance(client.get("application"), str), client.get("application")
        host, colon, _ = str(client.get("address", "")).rpartition(":")
        return bool(colon), host.partition("%")[0] or None

    def _database(self, record: Record) -> tuple[bool, Fact | None]:
        session = record.index if record.header.kind == "session.open" else record.header.session
        if session is None:
            return False, None
        if session not in self._databases:
            opened = record if session == record.index else self._record_at(session)
            name = _part(opened.content, "upstream").get("database")
            self._databases[session] = name if isinstance(name, str) else None
        return self._databases[session] is not None, self._databases[session]

    def _of_statement(self, action: Mapping[str, Any], name: str) -> tuple[bool, Fact | None]:
        if name in ("verb", "parsed"):
            return name in action, action.get(name)
        if name == "tables":
            tables = action.get("tables")
            if not isinstance(tables, list):
                return False, None
            return True, tuple(sorted({f"{item.get('schema')}.{item.get('name')}" for item in tables}))
        if name == "columns":
            columns = action.get("columns")
            if not isinstance(columns, list) or (not columns and action.get("truncated")):
                return False, None
            return True, tuple(map(str, columns))
        if action.get("parsed") is False:
            return True, () if name == "functions" else False
        return self._read_again(action, name)

    def _read_again(self, action: Mapping[str, Any], name: str) -> tuple[bool, Fact | None]:
        """What the statement says when it is read again; nothing where that is not certainly the same text."""
        text = action.get("statement")
        whole = action.get("form") == "full" and not action.get("truncated") and not action.get("masked")
        if not whole or not isinstance(text, str):
            return False, None
        found = self._understanding.understand(text, _UNKNOWN_SCHEMA)
        if len(found) != 1 or (found[0].verb, found[0].parsed) != (action.get("verb"), action.get("parsed")):
            return False, None
        if name == "read_only":
            return True, found[0].read_only
        return len(found[0].functions) <= COLUMNS_MAX, found[0].functions


def _part(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}
