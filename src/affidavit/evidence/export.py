"""Exports: each record with every field that it has, and what is missing of it said.

A line holds the index, the header as its bytes say (unknown fields too), and the body's content. `body_state` is
`present`, `erased` (then `erased_by` is the record that erased it), `unreadable` (no key for it here) or `none` (the
record never had one). Encoding the header canonically gives the log entry's exact bytes again.
"""

from __future__ import annotations

from typing import Any

from affidavit import canonical
from affidavit.errors import InvalidInput
from affidavit.history.asof import Records
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.moment import parse_moment
from affidavit.record.read import Record
from affidavit.timeproof.claim import ClockNote


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
        **({"erased_by": record.body.by} if isinstance(record.body, Erased) else {}),
    }


class Bounds:
    """How wrong the time of a record can be, from the `clock` record that its header names."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._known: dict[int, ClockNote | None] = {}

    def __call__(self, header: Header) -> int | None:
        """The bound in nanoseconds, grown since the clock record; None where nothing bounds it."""
        clock = header.time.clock
        if clock is None:
            return None
        if clock not in self._known:
            try:
                self._known[clock] = ClockNote.of(self._records.record(clock).content)
            except InvalidInput:
                self._known[clock] = None
        note = self._known[clock]
        return None if note is None else note.bound_at(parse_moment(header.time.at))
