"""Intervals of time in nanoseconds since 1970, both ends included; an end that nothing bounds is None."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from affidavit.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Interval:
    """Something lies between `earliest_ns` and `latest_ns`. Raises `InvalidInput` where the ends are swapped."""

    earliest_ns: int | None = None
    latest_ns: int | None = None

    def __post_init__(self) -> None:
        if self.earliest_ns is not None and self.latest_ns is not None and self.earliest_ns > self.latest_ns:
            raise InvalidInput("time.interval", "An interval ends before it begins.")

    @classmethod
    def around(cls, at_ns: int, bound_ns: int | None) -> Interval:
        """`at_ns` give or take `bound_ns`; everything where nothing bounds it."""
        return cls() if bound_ns is None else cls(at_ns - bound_ns, at_ns + bound_ns)

    def surely_before(self, other: Interval) -> bool:
        """Whether whatever lies in this one is earlier than whatever lies in the other."""
        return self.latest_ns is not None and other.earliest_ns is not None and self.latest_ns < other.earliest_ns

    def meets(self, other: Interval) -> bool:
        """Whether one moment can lie in both."""
        return not self.surely_before(other) and not other.surely_before(self)

    def both(self, other: Interval) -> Interval | None:
        """What lies in both; None where nothing can."""
        if not self.meets(other):
            return None
        return Interval(latest((self.earliest_ns, other.earliest_ns)), earliest((self.latest_ns, other.latest_ns)))

    def from_here_on(self) -> Interval:
        """Whatever happens after something in this one: not before its beginning."""
        return Interval(self.earliest_ns, None)

    def up_to_here(self) -> Interval:
        """Whatever happened before something in this one: not after its end."""
        return Interval(None, self.latest_ns)


def earliest(moments: Iterable[int | None]) -> int | None:
    """The smallest of what is known; None where nothing is."""
    return min((at for at in moments if at is not None), default=None)


def latest(moments: Iterable[int | None]) -> int | None:
    """The largest of what is known; None where nothing is."""
    return max((at for at in moments if at is not None), default=None)
