"""All sources that say something of the machine's clock, and the choice between them: the smallest proven bound.

Each knows less than it seems. The kernel repeats what the program said that last disciplined it, and lets that age; a
chronyd knows its distance to its reference; ClockBound is chronyd's word with a date of expiry. So all are noted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from affidavit.clock import ClockStatus, SystemClock, kernel_clock_status, monotonic_coarse_ns
from affidavit.timekeeping.chrony import Chrony
from affidavit.timekeeping.clockbound import ClockBound


def clock_sources(randomness: Callable[[int], bytes]) -> Callable[[], ClockStatus]:
    """What asks every source of this machine: kernel, chrony, ClockBound. For one thread at a time."""
    chrony = Chrony(SystemClock().monotonic_ns, randomness)
    clockbound = ClockBound(monotonic_coarse_ns)

    def status() -> ClockStatus:
        found = (kernel_clock_status(), chrony.status(), clockbound.status())
        return choose([one for one in found if one is not None])

    return status


def choose(statuses: Sequence[ClockStatus]) -> ClockStatus:
    """The one with the smallest bound, the rest as its `others`; where none is bounded, the first."""
    bounded = [one for one in statuses if one.bound_ns is not None]
    best = min(bounded, key=lambda one: one.bound_ns or 0) if bounded else statuses[0]
    return replace(best, others=tuple(one for one in statuses if one is not best))
