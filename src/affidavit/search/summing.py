"""How many records a query finds, by the values of a field, and over time: read from the log, record by record.

What is possibly meant (`search/matching.py`) is counted beside what certainly is, never among it. A record stands in
the step of time that its own clock claims.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from affidavit.errors import InvalidInput
from affidavit.limits import FACET_VALUES_MAX, HISTOGRAM_STEPS_MAX, READ_TOLD_EVERY
from affidavit.record.header import Header
from affidavit.record.moment import NS, parse_moment
from affidavit.record.read import Record
from affidavit.search.fields import FIELDS
from affidavit.search.language import Query
from affidavit.search.matching import BoundOf, Readable, look
from affidavit.search.quantities import read_number

_COUNTED = ("word", "number", "index")


@dataclass
class Count:
    """How many records."""

    certainly: int = 0
    possibly: int = 0

    def as_dict(self) -> dict[str, int]:
        return {"certainly": self.certainly, "possibly": self.possibly}


@dataclass
class Sum:
    """What was found so far. `values`: by value of the facet; `unsaid`: of records that say nothing in it; `steps`: by
    where a step of time begins, in nanoseconds since 1970."""

    all: Count = field(default_factory=Count)
    values: dict[str | int, Count] = field(default_factory=dict)
    unsaid: Count = field(default_factory=Count)
    steps: dict[int, Count] = field(default_factory=dict)


class Summing:
    """One question. `facet`: a field to count by, or ""; `step_ns`: the width of a step of time, or 0.

    Raises `InvalidInput` for a facet that cannot be counted by.
    """

    def __init__(self, query: Query, bound_of: BoundOf, facet: str = "", step_ns: int = 0) -> None:
        self._query, self._bound_of, self._step_ns = query, bound_of, step_ns
        self._facet = None
        if facet:
            self._facet = FIELDS.get(facet)
            if self._facet is None or self._facet.kind not in _COUNTED:
                known = ", ".join(name for name, one in FIELDS.items() if one.kind in _COUNTED)
                raise InvalidInput("query.facet", f"Nothing can be counted by {facet[:40]!r}.", f"Fields are {known}.")
        self.sum = Sum()

    def read(self, records: Readable, size: int) -> Iterator[int]:
        """Count the records before `size`; gives how many were looked at, now and then.

        Raises `InvalidInput` where there are too many values, or steps of time, to be told.
        """
        stop = size if self._query.stop is None else min(size, self._query.stop)
        for at, index in enumerate(range(self._query.first, stop)):
            if at % READ_TOLD_EVERY == 0:
                yield at
            found = look(records, self._query, index, self._bound_of)
            if found is not None:
                record, how = found
                self._take(record, how == "certainly")

    def _take(self, record: Record, certainly: bool) -> None:
        counts = [self.sum.all]
        if self._facet is not None:
            values = dict.fromkeys(self._facet.values(record))
            counts += [self.sum.values.setdefault(value, Count()) for value in values] or [self.sum.unsaid]
            if len(self.sum.values) > FACET_VALUES_MAX:
                raise InvalidInput(
                    "query.facet",
                    f"{self._facet.name} has more than {FACET_VALUES_MAX:,} values there.",
                    "Ask for less at once, or count by a field with fewer.",
                )
        if self._step_ns:
            counts.append(self._step_of(record.header))
        for count in counts:
            if certainly:
                count.certainly += 1
            else:
                count.possibly += 1

    def _step_of(self, header: Header) -> Count:
        begins = parse_moment(header.time.at) // self._step_ns * self._step_ns
        steps = self.sum.steps
        if begins not in steps:
            steps[begins] = Count()
            if max(steps) - min(steps) >= HISTOGRAM_STEPS_MAX * self._step_ns:
                raise InvalidInput(
                    "query.step",
                    f"What matches lies more than {HISTOGRAM_STEPS_MAX:,} such steps apart.",
                    "Take a wider step, or ask for a shorter time with at:FROM..TO.",
                )
        return steps[begins]


def read_step(text: str) -> int:
    """The width of a step of time in nanoseconds: `30s`, `15m`, `1h`, `1d`. Raises `InvalidInput`."""
    step_ns = read_number(text, "duration")
    if step_ns < NS:
        raise InvalidInput(
            "query.step", f"{text[:40]!r} is too short a step of time.", "Write 1s or more: 15m, 1h, 1d."
        )
    return step_ns


def whole(steps: dict[int, Count], step_ns: int) -> Iterator[tuple[int, Count]]:
    """Each step from the first to the last, those without a record too."""
    if steps:
        for begins in range(min(steps), max(steps) + 1, step_ns):
            yield begins, steps.get(begins) or Count()


def most_first(values: dict[str | int, Count], most: int) -> list[tuple[Any, Count]]:
    """The values that most records have, at most so many; of equals the first in order."""
    return sorted(values.items(), key=lambda item: (-item[1].certainly - item[1].possibly, str(item[0])))[:most]
