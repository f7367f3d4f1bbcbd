"""For what share of a period objects stood as they are: policies, the floor, settings, groups, a system's declaration.

What configures a control is a handful of objects. Each has its intervals, from the records that put and took it.
Together they stood only while every one of them said what it says at the end of the period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from affidavit.errors import InvalidInput
from affidavit.evidence.shares import length_of, share_of
from affidavit.history.asof import Period, Records
from affidavit.history.shelves import OPEN, Row
from affidavit.history.view import HIDDEN, hidden_of, version_of
from affidavit.record.moment import parse_moment
from affidavit.state.hidden import ErasedContent

_Step = tuple[str, int | None, str | None]  # from which moment, by which record, with which digest


def standing(
    names: Sequence[str], rows_of: Callable[[str], Iterable[Row]], records: Records, period: Period
) -> dict[str, Any]:
    """`objects`: the `intervals` of each in the period, `as_at_end` and its share; `together`: the share in which all
    were as they are at the end. An object that was not there has no `version` and no `digest`; where it is absent at
    the end, it was as at the end while it was absent.

    A change holds from the moment that the sequencer sealed it. Raises `InvalidInput` for a period without length,
    `ErasedContent` where what an object said in it was erased.
    """
    (first, begins), (last, ends) = period
    length_ns = length_of(begins, ends)
    objects, spans = [], []
    for name in names:
        steps = _steps(name, rows_of(name), records, (first, begins), last)
        stops = [*(at for at, _, _ in steps[1:]), ends]
        digest = steps[-1][2]
        intervals = []
        stood: list[tuple[int, int]] = []
        for (at, index, held), stop in zip(steps, stops, strict=True):
            start_ns, stop_ns = parse_moment(at), parse_moment(stop)
            part = {"from": at, "to": stop, "version": index, "digest": held, "as_at_end": held == digest}
            intervals.append({**part, "ns": str(stop_ns - start_ns), "share": share_of(stop_ns - start_ns, length_ns)})
            if held == digest:
                stood.append((start_ns, stop_ns))
        spans.append(stood)
        ns = sum(stop - start for start, stop in stood)
        summed = {"ns": str(ns), "share": share_of(ns, length_ns)}
        objects.append({"name": name, "intervals": intervals, "absent": digest is None, "as_at_end": summed})
    together_ns = _common(spans)
    return {
        "from": begins,
        "to": ends,
        "ns": str(length_ns),
        "objects": objects,
        "together": {"ns": str(together_ns), "share": share_of(together_ns, length_ns)},
    }


def _steps(name: str, rows: Iterable[Row], records: Records, start: tuple[int, str], last: int) -> list[_Step]:
    """From which moment the object was what, by which record: the first step is the beginning of the period."""
    first, begins = start
    events: dict[int, str | None] = {}
    for row in rows:
        hidden = hidden_of(row) if row.key == HIDDEN else None
        if hidden is not None and row.start < last and (row.stop == OPEN or row.stop >= first):
            raise ErasedContent([hidden])
        # Where a version follows at once, its record is the one that ends the version before.
        events[row.start] = "" if hidden is not None else version_of(name, row).digest
        if row.stop != OPEN:
            events[row.stop] = None
    if not any(index < last for index in events):
        raise InvalidInput(
            "share.object", f"There was no object {name[:80]!r} by then.", "See `affidavit state at now` for names."
        )
    steps: list[_Step] = [(begins, None, None)]
    for index, digest in sorted(events.items()):
        at, held = steps[-1][0], steps[-1][2]
        if index >= last or digest == held:
            continue  # put again as it was, it stood all the time
        at = begins if index < first else max(records.header(index).log.at, at)
        steps = [step for step in steps if step[0] < at]
        steps.append((at, None if digest is None else index, digest))
    return steps


def _common(spans: Sequence[Sequence[tuple[int, int]]]) -> int:
    """How long all of these stood at once, in nanoseconds."""
    edges = sorted({edge for stood in spans for span in stood for edge in span})
    return sum(
        stop - start
        for start, stop in pairwise(edges)
        if all(any(a <= start and stop <= b for a, b in stood) for stood in spans)
    )
