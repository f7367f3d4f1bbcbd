"""Names that SQL gives another meaning: what they mean afterwards cannot be seen in the protocol.

A prepared statement can be made by PREPARE and dropped by DEALLOCATE, a portal made by DECLARE and dropped by CLOSE or
by going back to a savepoint. Whatever is forgotten here counts as unknown from then on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from affidavit.capture.gateway.planning import Plan
from affidavit.capture.gateway.unit import Portal, Prepared
from affidavit.wire.sql.understand import Statement

_STATEMENTS = frozenset({"DEALLOCATE", "DISCARD", "PREPARE"})
_PORTALS = frozenset({"DECLARE", "CLOSE", "DISCARD"})
_NAMED = re.compile(r'\s*(?:DEALLOCATE(?:\s+PREPARE)?|PREPARE)\s+(?!ALL\b|PREPARE\b)("(?:[^"]|"")+"|[a-z_]\w*)', re.I)


def forget(statement: Statement, statements: dict[bytes, Prepared], portals: dict[bytes, Portal]) -> None:
    """Drop the names that `statement` may give another meaning."""
    if not statement.parsed and statement.verb != "EXECUTE":  # an unknown one was a query, or it had no name
        statements.clear()
        portals.clear()
    if statement.verb in _PORTALS or statement.transaction == "rollback_to":
        portals.clear()
    if statement.verb not in _STATEMENTS:
        return
    found = _NAMED.match(statement.text)
    if found is None:
        statements.clear()
        return
    name = found[1]
    meant = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
    statements.pop(meant.encode(), None)


def fetches_portal(plans: Sequence[Plan], portals: Mapping[bytes, Portal]) -> bool:
    """Whether a FETCH or MOVE may name a portal that was bound in the protocol. An escaped name counts as one."""
    texts = [plan.statement.text.lower() for plan in plans if plan.statement.verb in ("FETCH", "MOVE")]
    names = [name.decode("utf-8", "backslashreplace").lower().replace('"', '""') for name in portals if name]
    return bool(names) and any("u&" in text or any(name in text for name in names) for text in texts)
