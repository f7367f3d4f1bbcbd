"""Time and the machine it comes from. The only place that reads a clock."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_UNKNOWN_BOUND_US = 16_000_000  # the kernel's "16 s" stands for: nobody disciplines this clock
_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
_TIME_ERROR = 5


class Clock(Protocol):
    """Wall time in nanoseconds since 1970 (may step), and monotonic nanoseconds (never steps within a boot)."""

    def now_ns(self) -> int: ...

    def monotonic_ns(self) -> int: ...


class SystemClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


@dataclass(frozen=True)
class ClockStatus:
    """What the kernel says of its clock. `bound_ns` is None where nothing bounds the error."""

    source: str
    synchronized: bool
    offset_ns: int
    bound_ns: int | None


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
        ("rest", ctypes.c_byte * 128),
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
    return ClockStatus("kernel", synchronized, offset_ns, timex.maxerror * 1000 if bounded else None)


def boot_id() -> str:
    """32 hex digits that name this boot of the machine; from the kernel, so that all processes agree."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
