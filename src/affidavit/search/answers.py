"""Answers to queries: records of the log, newest first, each read from it and judged before it is shown.

The index only says where to look. What it does not reach is looked at record by record, so an answer is what a scan of
the log would give, also while records are appended and while the index is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from affidavit.limits import SCAN_RECORDS_MAX
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.read import Record
from affidavit.search.blinding import Blinding
from affidavit.search.language import Query
from affidavit.search.matching import BoundOf, Match, match, matches_header
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

    def candidates(self, plan: Plan, first: int, before: int) -> Iterator[Candidate]:
        """The records from `first` up to `before` that may match, newest first: none that matches is left out."""


@dataclass(frozen=True)
class Page:
    """Records that match, newest first, each with how surely. `next`: the `before` to go on with, None at the end."""

    found: tuple[tuple[Record, Match], ...]
    next: int | None


class Answers:
    """Answers about one log. Safe to use from any thread."""

    def __init__(self, records: Records, index: Callable[[], Candidates], bound_of: BoundOf) -> None:
        """`index` is called with the first question: to open one takes loading what it is made with."""
        self._records = records
        self._opened = index
        self._index: Candidates | None = None
        self._bound_of = bound_of
        #: How many records the index named that do not match, although it tells that exactly.
        self.refused = 0

    def newest(self, query: Query, limit: int, before: int) -> Page:
        """Up to `limit` records below the index `before` that match, which is at most the size of the log.

        Fewer, and where to go on, once as many were looked at as one request may.
        """
        index = self._index = self._index or self._opened()
        plan, exact = plan_of(query.part, index.blinding)
        found: list[tuple[Record, Match]] = []
        stop = before if query.stop is None else min(before, query.stop)
        for looked, candidate in enumerate(index.candidates(plan, query.first, stop), 1):
            judged = self._judged(query, candidate, exact)
            if judged is not None:
                found.append(judged)
            if len(found) >= limit or looked >= SCAN_RECORDS_MAX:
                at = candidate.index
                return Page(tuple(found), at if at > query.first else None)
        return Page(tuple(found), None)

    def _judged(self, query: Query, candidate: Candidate, exact: bool) -> tuple[Record, Match] | None:
        at = candidate.index
        if not candidate.found and not matches_header(query, at, self._records.header(at), self._bound_of):
            return None
        record = self._records.record(at)
        judged = match(query, record, self._bound_of)
        if judged is not None:
            return record, judged
        if candidate.found and exact and not isinstance(record.body, Erased):  # that may have happened meanwhile
            self.refused += 1
        return None
