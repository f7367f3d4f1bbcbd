"""Answers to queries: records of the log, newest first, each read from it and judged before it is shown.

The index only says where to look. What it does not reach is looked at record by record, so an answer is what a scan of
the log would give, also while records are appended and while the index is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from affidavit.limits import SCAN_RECORDS_MAX
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.read import Record
from affidavit.search.blinding import Blinding
from affidavit.search.language import Query
from affidavit.search.matching import BoundOf, Match, look, match
from affidavit.search.plan import Candidate, Plan
from affidavit.search.planning import plan_of


class Records(Protocol):
    """Reads records of one log by index, from any thread. `size` is the count of records that can be read now."""

    @property
    def size(self) -> int: ...

    def record(self, index: int) -> Record:
        """The record at `index`, its body checked against its header."""

    def header(self, index: int) -> Header:
        """The header of the record at `index`, without its body."""


class Candidates(Protocol):
    """Where to look: `search/index.py`."""

    @property
    def blinding(self) -> Blinding: ...

    @property
    def held(self) -> int:
        """How many records it holds."""

    def candidates(self, plan: Plan, first: int, before: int) -> Iterator[Candidate]:
        """The records from `first` up to `before` that may match, newest first: none that matches is left out."""


@dataclass(frozen=True)
class Page:
    """Records that match, newest first, each with how surely. `next`: the `before` to go on with, None at the end."""

    found: tuple[tuple[Record, Match], ...]
    next: int | None


class Answers:
    """Answers about one log. Safe to use from any thread."""

    def __init__(self, records: Records, index: Candidates, bound_of: BoundOf) -> None:
        self._records = records
        self._index = index
        self._bound_of = bound_of
        #: How many records the index named that do not match, although it tells that exactly.
        self.refused = 0

    @property
    def held(self) -> int:
        """How many records the index holds, as far as it was needed or is followed."""
        return self._index.held

    def newest(self, query: Query, limit: int, before: int) -> Page:
        """Up to `limit` records below the index `before` that match, which is at most the size of the log.

        Fewer, and where to go on, once as many were looked at as one request may.
        """
        plan, exact = plan_of(query.part, self._index.blinding)
        found: list[tuple[Record, Match]] = []
        stop = before if query.stop is None else min(before, query.stop)
        for looked, candidate in enumerate(self._index.candidates(plan, query.first, stop), 1):
            judged = self._judged(query, candidate, exact)
            if judged is not None:
                found.append(judged)
            if len(found) >= limit or looked >= SCAN_RECORDS_MAX:
                at = candidate.index
                return Page(tuple(found), at if at > query.first else None)
        return Page(tuple(found), None)

    def _judged(self, query: Query, candidate: Candidate, exact: bool) -> tuple[Record, Match] | None:
        if not candidate.found:
            return look(self._records, query, candidate.index, self._bound_of)
        record = self._records.record(candidate.index)
        judged = match(query, record, self._bound_of)
        if judged is not None:
            return record, judged
        if exact and not isinstance(record.body, Erased):  # that may have happened meanwhile
            self.refused += 1
        return None
