"""Exports: each record with every field that it has, and what is missing of it said.

A line holds the index, the header as its bytes say (unknown fields too), and the body's content. `body_state` is
`present`, `erased`, `unreadable` (no key for it here) or `none` (the record never had one). Encoding the header
canonically gives the log entry's exact bytes again.
"""

from __future__ import annotations

from typing import Any

from affidavit import canonical
from affidavit.history.asof import Records
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.read import Record


def record_fields(record: Record) -> dict[str, Any]:
    """Every field of `record`, as values for JSON."""
    if isinstance(record.body, dict):
        body_state = "present"
    elif record.body is None:
        body_state = "none"
    else:
        body_state = "erased" if isinstance(record.body, Erased) else "unreadable"
    return {
        "index": record.index,
        "header": canonical.decode(record.raw),
        "body": record.body if isinstance(record.body, dict) else None,
        "body_state": body_state,
    }


class Bounds:
    """How wrong the time of a record can be, from the `clock` record that its header names."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._known: dict[int, int | None] = {}

    def __call__(self, header: Header) -> int | None:
        """The bound in nanoseconds; None where nothing bounds it."""
        clock = header.time.clock
        if clock is None:
            return None
        if clock not in self._known:
            bound = self._records.record(clock).content.get("bound_ns")
            self._known[clock] = int(bound) if isinstance(bound, str) and bound.isdigit() else None
        return self._known[clock]
