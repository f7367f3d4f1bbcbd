"""Which of two events came first: what the log proves, what the clocks say, and where nobody can know.

Two orders are told apart. The order of *recording* is the position in the log, always known. The order of the *events*
follows from the first of these that applies:

1. *reference*: a record names another by its position (its session, its context, the state that it was decided under).
   It was made after that one was sealed, and every event comes before its own record is sealed.
2. *session*: both were observed in one session, which is recorded as it goes.
3. *stamps*: a time-stamp or a witness proves that one was recorded before the other was made.
4. *clocks*: the moments that the records claim, each with its bound, do not touch.
5. *one clock*: both moments were read off one clock that nobody set in between. Then it need not be right.

1 to 3 are proven, as far as the log's writer is trusted to have written down what it saw; 4 and 5 also trust clocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from affidavit.timeproof.interval import Interval

First = Literal["a", "b", "unknown"]
By = Literal["reference", "session", "stamps", "clocks", "one clock", ""]
Result = Literal["proven", "interval", "ambiguous"]


@dataclass(frozen=True)
class Event:
    """One event as its record tells it.

    `claimed` is when it happened by its own clock. `proven` is when it happened by stamps alone: not before the record
    `made_after` was sealed, not after its own was. `made_after` is the index of the newest record that this one was
    certainly made after, None where it names none or tells of something earlier than itself. `session` is None outside
    one.
    """

    index: int
    claimed: Interval
    proven: Interval
    made_after: int | None = None
    session: int | None = None


@dataclass(frozen=True)
class Order:
    """The answer. `first` is which event happened first; `recorded_first` which record stands first.

    `disputed`: clocks say the opposite of what is proven, so one of the clocks was wrong by more than its bound.
    """

    recorded_first: First
    first: First
    by: By
    result: Result
    disputed: bool = False


def order(a: Event, b: Event, one_clock: First = "unknown") -> Order:
    """The order of two events. `one_clock` is which was read first off a clock that was not set in between."""
    if a.index == b.index:
        return Order("unknown", "unknown", "", "ambiguous")
    recorded: First = "a" if a.index < b.index else "b"
    by_clocks = _first(a.claimed, b.claimed)
    first, by = _proven(a, b, recorded)
    if first != "unknown":
        return Order(recorded, first, by, "proven", disputed=by_clocks not in (first, "unknown"))
    if by_clocks != "unknown":
        return Order(recorded, by_clocks, "clocks", "interval", disputed=one_clock not in (by_clocks, "unknown"))
    if one_clock != "unknown":
        return Order(recorded, one_clock, "one clock", "interval")
    return Order(recorded, "unknown", "", "ambiguous")


def _proven(a: Event, b: Event, recorded: First) -> tuple[First, By]:
    if b.made_after is not None and b.made_after >= a.index:
        return "a", "reference"
    if a.made_after is not None and a.made_after >= b.index:
        return "b", "reference"
    if a.session is not None and a.session == b.session:
        return recorded, "session"
    return _first(a.proven, b.proven), "stamps"


def _first(a: Interval, b: Interval) -> First:
    if a.surely_before(b):
        return "a"
    return "b" if b.surely_before(a) else "unknown"
