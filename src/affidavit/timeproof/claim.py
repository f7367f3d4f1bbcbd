"""What a machine claims about time: its `clock` records, and what follows from them for the moments that name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affidavit.errors import InvalidInput
from affidavit.limits import CLOCK_STEP_NS
from affidavit.record.moment import NS
from affidavit.timeproof.interval import Interval

_STRAYS = frozenset({"step", "drift"})


@dataclass(frozen=True, slots=True)
class ClockNote:
    """A `clock` record's body, as far as it is about time. Records of version 0.1.0 have no `wall_ns`.

    `bound_ns` is None where nothing bounds the error; it grows by `growth_ppb` nanoseconds a second. `step_ns` is by
    how much the clock was found to be set since the note before it; `least_ns` and `most_ns` are how far it was away
    meanwhile, where it came back.
    """

    boot: str
    reason: str
    bound_ns: int | None
    growth_ppb: int
    monotonic_ns: int
    wall_ns: int | None
    step_ns: int | None
    anchor: int | None
    least_ns: int = 0
    most_ns: int = 0

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> ClockNote:
        """The note in a body. Raises `InvalidInput` where a member is not what the specification says."""
        monotonic_ns = _integer(content, "monotonic_ns")
        growth_ppb, anchor = content.get("growth_ppb", 0), content.get("anchor")
        fits = isinstance(growth_ppb, int) and growth_ppb >= 0 and isinstance(anchor, int | None)
        if monotonic_ns is None or not isinstance(content.get("boot"), str) or not fits:
            raise _wrong("monotonic_ns, boot, growth_ppb or anchor")
        bound_ns = _integer(content, "bound_ns")
        if bound_ns is not None and bound_ns < 0:
            raise _wrong("bound_ns")
        strayed = content.get("strayed", {})
        if not isinstance(strayed, dict):
            raise _wrong("strayed")
        return cls(
            boot=content["boot"],
            reason=str(content.get("reason")),
            bound_ns=bound_ns,
            growth_ppb=growth_ppb,
            monotonic_ns=monotonic_ns,
            wall_ns=_integer(content, "wall_ns"),
            step_ns=_integer(content, "step_ns"),
            anchor=anchor,
            least_ns=_integer(strayed, "least_ns") or 0,
            most_ns=_integer(strayed, "most_ns") or 0,
        )

    @property
    def strays(self) -> bool:
        """Whether it says that the clock was set, or runs at a rate that no synchronised clock has."""
        return self.reason in _STRAYS

    def bound_at(self, at_ns: int) -> int | None:
        """The bound for a moment that names this note: it has grown since, by the machine's own clock."""
        if self.bound_ns is None or self.wall_ns is None:
            return self.bound_ns
        return self.bound_ns + -(-max(at_ns - self.wall_ns, 0) * self.growth_ppb // NS)


def claimed(at_ns: int, note: ClockNote | None, following: ClockNote | None) -> Interval:
    """What the moment `at_ns` that names `note` claims, where `following` is the next note of that boot.

    Where the clock turns out to have been set in between, nobody knows whether that was before or after: the claim
    holds both. The bound grows with what the clock would have said had nobody set it.
    """
    if note is None:
        return Interval()
    least_ns, most_ns = _set_by(note, following)
    first_ns, last_ns = at_ns - most_ns, at_ns - least_ns  # a moment read after a set is too late by that much
    before_ns, after_ns = note.bound_at(first_ns), note.bound_at(last_ns)
    if before_ns is None or after_ns is None:
        return Interval()
    return Interval(first_ns - before_ns, last_ns + after_ns)


def _set_by(note: ClockNote, following: ClockNote | None) -> tuple[int, int]:
    """By how much the clock may have been set since `note` for a moment before `following`: at least, at most.

    Wall and monotonic time tell it whatever the reason of `following` is: after a kill nobody saw the last second.
    """
    if following is None:
        return 0, 0
    found = [0, following.step_ns or 0, following.least_ns, following.most_ns]
    if following.wall_ns is not None and note.wall_ns is not None:
        found.append((following.wall_ns - following.monotonic_ns) - (note.wall_ns - note.monotonic_ns))
    return min(found), max(found)


def unexplained_ns(before: ClockNote, after: ClockNote) -> int | None:
    """By how much wall and monotonic time parted between two notes of one boot, that no note explains; None where it
    cannot be told. Up to `CLOCK_STEP_NS` is what reading two clocks may differ by.

    While no ledger ran nobody watched, so for a `start` it cannot be told either.
    """
    if before.wall_ns is None or after.wall_ns is None or after.reason == "start":
        return None
    parted_ns = (after.wall_ns - after.monotonic_ns) - (before.wall_ns - before.monotonic_ns)
    rest_ns = parted_ns - (after.step_ns or 0)
    return 0 if abs(rest_ns) <= CLOCK_STEP_NS else rest_ns


def _integer(content: Mapping[str, Any], name: str) -> int | None:
    """A nanosecond count, which stands as text."""
    value = content.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.removeprefix("-").isdecimal() or len(value) > 20:
        raise _wrong(name)
    return int(value)


def _wrong(name: str) -> InvalidInput:
    return InvalidInput("clock.body", f"The body of a clock record has no {name} as the specification says.")
