"""Time and the machine it comes from. The only place that reads a clock.

Monotonic time is CLOCK_BOOTTIME, which goes on while the machine sleeps, as wall time does: against CLOCK_MONOTONIC
each sleep would look like a step. Both are slewed by the same corrections as wall time, so the difference between wall
and monotonic time changes only where somebody sets the clock.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from affidavit.limits import CLOCK_GROWTH_PPB, CLOCK_READ_NS, CLOCK_READS_MAX

_UNKNOWN_BOUND_US = 16_000_000  # the kernel's "16 s" stands for: nobody disciplines this clock
_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
# What somebody sets (adjtimex(2)): PLL, PPSFREQ, PPSTIME, FLL, INS, DEL, UNSYNC, FREQHOLD. The other bits are readings
# of a pulse signal, and which unit the offset has.
_STA_SET = 0x00FF
_TIME_ERROR = 5
_LEAP = {0: "none", 1: "insert", 2: "delete", 3: "in progress", 4: "occurred"}
_PPM_SCALED_PPB = 65_536 / 1000  # timex.freq is in ppm with a 16-bit fraction
_BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Wall time in nanoseconds since 1970 (may step), and monotonic nanoseconds (never steps within a boot)."""

    def now_ns(self) -> int: ...

    def monotonic_ns(self) -> int: ...


class SystemClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.clock_gettime_ns(_BOOT_TIME)


@dataclass(frozen=True)
class Look:
    """Wall and monotonic time of one instant, in nanoseconds; apart by no more than `CLOCK_READ_NS` where possible."""

    wall_ns: int
    monotonic_ns: int

    @property
    def offset_ns(self) -> int:
        """Wall minus monotonic time: it changes only where the clock is set."""
        return self.wall_ns - self.monotonic_ns


def look_at(clock: Clock) -> Look:
    """Both times of `clock`, read so that being interrupted in between does not look like a step."""
    before_ns = clock.monotonic_ns()
    for _ in range(CLOCK_READS_MAX):
        wall_ns, after_ns = clock.now_ns(), clock.monotonic_ns()
        if after_ns - before_ns <= CLOCK_READ_NS:
            break
        before_ns = after_ns
    return Look(wall_ns, after_ns)


@dataclass(frozen=True)
class ClockStatus:
    """What a source says of the machine's clock at this moment.

    `source`: `kernel`, `chrony`, `clockbound`, or `none`. `bound_ns` is None where nothing bounds the error; from this
    moment on it grows by `growth_ppb` nanoseconds a second. `frequency_ppb` is the correction of the clock's rate.
    `settings` are the settings of time that the source knows, as values for JSON: where one changes, somebody set it
    or the source of time was switched. `others` is what the sources that were not chosen say.
    """

    source: str
    synchronized: bool
    offset_ns: int
    bound_ns: int | None
    growth_ppb: int = CLOCK_GROWTH_PPB
    frequency_ppb: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[ClockStatus, ...] = ()

    @property
    def all(self) -> tuple[ClockStatus, ...]:
        """This and the others, by the name of their source."""
        return tuple(sorted((self, *self.others), key=lambda one: one.source))


class _Timex(ctypes.Structure):
    # struct timex of adjtimex(2) on 64-bit Linux
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_s", ctypes.c_long),
        ("time_us", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("pps", ctypes.c_long * 8),  # eight fields of a pulse signal, one of them an int with its padding
        ("tai", ctypes.c_int),
        ("rest", ctypes.c_byte * 64),
    )


def kernel_clock_status() -> ClockStatus:
    """Ask adjtimex(2), without changing anything. Where it cannot be asked, the clock counts as unbounded."""
    try:
        timex = _Timex()
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return ClockStatus("none", synchronized=False, offset_ns=0, bound_ns=None)
    if state < 0:
        return ClockStatus("none", synchronized=False, offset_ns=0, bound_ns=None)
    synchronized = state != _TIME_ERROR and not timex.status & _STA_UNSYNC
    offset_ns = timex.offset if timex.status & _STA_NANO else timex.offset * 1000
    bounded = synchronized and timex.maxerror < _UNKNOWN_BOUND_US
    return ClockStatus(
        "kernel",
        synchronized,
        offset_ns,
        timex.maxerror * 1000 if bounded else None,
        frequency_ppb=round(timex.freq / _PPM_SCALED_PPB),
        settings={
            "status": timex.status & _STA_SET,
            "leap": _LEAP.get(state, "none"),
            "tai_s": timex.tai,
            "tick_us": timex.tick,
        },
    )


def boot_id() -> str:
    """32 hex digits that name this boot of the machine; from the kernel, so that all processes agree."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")


def monotonic_coarse_ns() -> int:
    """CLOCK_MONOTONIC_COARSE, the clock in which ClockBound writes its moments. It stops while the machine sleeps."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_MONOTONIC_COARSE", time.CLOCK_MONOTONIC))
