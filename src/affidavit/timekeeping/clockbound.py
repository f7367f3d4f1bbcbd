"""What the ClockBound daemon says of the clock: its shared memory segment, versions 1 and 2 (its docs/PROTOCOL.md).

The segment is a file that the daemon maps. A generation number says whether it was being written: it is odd during a
write, and another one after it. Its moments are in CLOCK_MONOTONIC_COARSE.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from affidavit.clock import ClockStatus
from affidavit.limits import CLOCK_READS_MAX

PATHS = (Path("/var/run/clockbound/shm0"), Path("/var/run/clockbound/shm"))
SEGMENT_BYTES = 80
_NS = 1_000_000_000
# Native byte order. The daemon writes two 32-bit words, the document shows the bytes in their order: both are taken.
_MAGICS = (struct.pack("=II", 0x414D5A4E, 0x43420200), bytes.fromhex("414d5a4e43420200"))
_HEAD = struct.Struct("=8sIHH")
_TIMES = struct.Struct("=5q")  # as of, void after (seconds and nanoseconds each), bound
_TAIL = {1: struct.Struct("=IIi"), 2: struct.Struct("=QIi")}
_STATUS = {1: "synchronised", 2: "free running", 3: "disrupted"}


class ClockBound:
    """Reads the segment at the first of `paths` that there is."""

    def __init__(self, coarse_ns: Callable[[], int], paths: tuple[Path, ...] = PATHS) -> None:
        self._coarse_ns = coarse_ns
        self._paths = paths

    def status(self) -> ClockStatus | None:
        """What it says now; None where no daemon wrote a segment that can be read."""
        for path in self._paths:
            try:
                segment = _read_settled(path)
            except OSError:
                continue
            found = None if segment is None else read_segment(segment, self._coarse_ns())
            if found is not None:
                return found
        return None


def read_segment(segment: bytes, coarse_ns: int) -> ClockStatus | None:
    """The status in a segment, at the monotonic moment `coarse_ns`; None for what is no segment."""
    if len(segment) < _HEAD.size + _TIMES.size + 16:
        return None
    magic, _, version, generation = _HEAD.unpack_from(segment)
    tail = _TAIL.get(version)
    if magic not in _MAGICS or tail is None or generation == 0:
        return None
    as_of_s, as_of_rest, void_s, void_rest, bound_ns = _TIMES.unpack_from(segment, _HEAD.size)
    fields = tail.unpack_from(segment, _HEAD.size + _TIMES.size)
    growth_ppb, said = (fields[0] if version == 1 else fields[1]), _STATUS.get(fields[-1], "unknown")
    age_ns = coarse_ns - (as_of_s * _NS + as_of_rest)
    # Written before this boot, or too long ago to be trusted: then nothing is bounded.
    valid = age_ns >= 0 and coarse_ns <= void_s * _NS + void_rest and bound_ns >= 0
    bounded = valid and said in ("synchronised", "free running")
    return ClockStatus(
        "clockbound",
        valid and said == "synchronised",
        0,
        bound_ns + -(-age_ns * growth_ppb // _NS) if bounded else None,
        growth_ppb=growth_ppb,
        settings={"status": said if valid else "void", "disruptions": str(fields[0]) if version == 2 else "0"},
    )


def _read_settled(path: Path) -> bytes | None:
    """The segment as it is between two writes, or None where the writer never lets go of it."""
    with path.open("rb", buffering=0) as file:
        for _ in range(CLOCK_READS_MAX):
            file.seek(0)
            first = file.read(SEGMENT_BYTES)
            file.seek(0)
            second = file.read(SEGMENT_BYTES)
            if len(first) >= _HEAD.size and first == second and not _HEAD.unpack_from(first)[3] & 1:
                return first
    return None
