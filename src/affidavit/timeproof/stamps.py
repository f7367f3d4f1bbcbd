"""Stamps: somebody outside says that a checkpoint existed at a moment. What follows for each record of the log.

A stamp over a checkpoint of `size` records proves of each record below `size` that it was recorded not after the
stamp's time. A token that stands in the log itself, as the `anchor` record at `index`, proves besides that everything
from `index` on was recorded not before the token's time: nobody has a token before it is made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from affidavit.limits import TOKEN_SECOND_NS
from affidavit.record.moment import NS
from affidavit.timeproof.interval import Interval


@dataclass(frozen=True, slots=True)
class Stamp:
    """A verified stamp by `by` over the first `size` records, made at some moment within `made`.

    `index` is that of the `anchor` record that holds it, None for a witness's cosignature, which stands outside.
    """

    by: str
    size: int
    made: Interval
    index: int | None = None


def cosigned_at(time_s: int) -> Interval:
    """When a witness cosigned that says so in whole seconds: how good its clock is it does not say, which counts as a
    second, as a token's accuracy that is not stated."""
    return Interval(time_s * NS - TOKEN_SECOND_NS, time_s * NS + 2 * TOKEN_SECOND_NS)


@dataclass(frozen=True, slots=True)
class Proven:
    """When a record was recorded, and by which stamps that is proven: the one before it and the one over it."""

    recorded: Interval
    not_before: Stamp | None
    not_after: Stamp | None


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two stamps that cannot both be right: the later one covers the record that holds the earlier one."""

    earlier: Stamp
    later: Stamp


class Stamps:
    """All stamps of a log, so that each record's interval is found by bisection."""

    def __init__(self, stamps: Iterable[Stamp]) -> None:
        self.all = sorted(stamps, key=lambda stamp: (stamp.size, stamp.index or 0))
        self._after = _smallest_from_the_end(self.all)
        self._sizes = [stamp.size for stamp in self.all]
        held = sorted((one for one in self.all if one.index is not None), key=_index)
        self._before = _largest_so_far(held)
        self._indexes = [_index(stamp) for stamp in held]

    def proven(self, index: int) -> Proven:
        """When the record at `index` was recorded, as far as stamps prove it.

        Where stamps contradict each other (`contradictions`), no interval is left: then neither end is proven.
        """
        at = bisect_right(self._sizes, index)
        after = self._after[at] if at < len(self._after) else None
        count = bisect_right(self._indexes, index)
        before = self._before[count - 1] if count else None
        earliest_ns = None if before is None else before.made.earliest_ns
        latest_ns = None if after is None else after.made.latest_ns
        if earliest_ns is not None and latest_ns is not None and earliest_ns > latest_ns:
            return Proven(Interval(), before, after)
        return Proven(Interval(earliest_ns, latest_ns), before, after)

    def contradictions(self) -> list[Contradiction]:
        """Of each stamp that an earlier one contradicts, the worst of those. One of the two authorities is wrong."""
        found = []
        for later in self.all:
            count = bisect_right(self._indexes, later.size - 1)
            earlier = self._before[count - 1] if count else None
            if earlier is not None and earlier is not later and later.made.surely_before(earlier.made):
                found.append(Contradiction(earlier, later))
        return found


def _index(stamp: Stamp) -> int:
    return stamp.index or 0


def _smallest_from_the_end(stamps: list[Stamp]) -> list[Stamp | None]:
    """For each position the stamp from there on that was made earliest, as far as its latest moment is known."""
    found: list[Stamp | None] = [None] * len(stamps)
    best: Stamp | None = None
    for at in range(len(stamps) - 1, -1, -1):
        one = stamps[at]
        if one.made.latest_ns is not None and (
            best is None or best.made.latest_ns is None or one.made.latest_ns <= best.made.latest_ns
        ):
            best = one
        found[at] = best
    return found


def _largest_so_far(stamps: list[Stamp]) -> list[Stamp | None]:
    """For each position the stamp up to there that was made last, as far as its earliest moment is known."""
    found: list[Stamp | None] = []
    best: Stamp | None = None
    for one in stamps:
        if one.made.earliest_ns is not None and (
            best is None or best.made.earliest_ns is None or one.made.earliest_ns >= best.made.earliest_ns
        ):
            best = one
        found.append(best)
    return found
