"""What chronyd says of the clock, by its command protocol (candm.h, version 6) over UDP on the loopback.

Chrony's own bound is the root distance: |offset still to be corrected| + root dispersion + root delay / 2 (RFC 5905,
appendix A.5.5.2). Where its reference is its own clock (`local stratum`), it proves nothing.
"""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from affidavit.clock import ClockStatus
from affidavit.limits import CLOCK_ASK_AGAIN_S, CLOCK_ASK_TIMEOUT_S

PORT = 323
_VERSION, _REQUEST, _REPLY = 6, 1, 2
_TRACKING_REQUEST, _TRACKING_REPLY = 33, 5
_REQUEST_HEAD = struct.Struct(">BBBBHHIII")
_REPLY_HEAD = struct.Struct(">BBBBHHHHHHIII")
# Reference id; address, its family, padding; stratum, leap; time of the last update; nine numbers.
_TRACKING = struct.Struct(">I16sHHHHIII9I")
REPLY_BYTES = _REPLY_HEAD.size + _TRACKING.size
_LOCAL_REFERENCE = 0x7F7F0101
_LEAP = {0: "none", 1: "insert", 2: "delete", 3: "unsynchronised"}
_NS = 1_000_000_000
_DRIFT_PPM = 1.0  # chrony's `maxclockerror`: how far a clock's rate may wander unseen, at its default


@dataclass(frozen=True)
class _Tracking:
    reference: int
    stratum: int
    leap: str
    correction_s: float
    frequency_ppm: float
    residual_ppm: float
    skew_ppm: float
    root_delay_s: float
    root_dispersion_s: float


class Chrony:
    """Asks the chronyd on `port` of this machine. Where it stays silent it is left alone for a minute."""

    def __init__(self, monotonic_ns: Callable[[], int], randomness: Callable[[int], bytes], port: int = PORT) -> None:
        self._monotonic_ns = monotonic_ns
        self._randomness = randomness
        self._port = port
        self._not_before_ns = 0

    def status(self) -> ClockStatus | None:
        """What it says now; None where none answers."""
        if self._monotonic_ns() < self._not_before_ns:
            return None
        sequence = int.from_bytes(self._randomness(4), "big")
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(CLOCK_ASK_TIMEOUT_S)
                asking.connect(("127.0.0.1", self._port))
                asking.send(tracking_request(sequence))
                answer = asking.recv(REPLY_BYTES + 1)
        except TimeoutError:
            self._not_before_ns = self._monotonic_ns() + int(CLOCK_ASK_AGAIN_S * _NS)
            return None
        except OSError:
            return None  # nobody listens, which is known at once
        return read_tracking(answer, sequence)


def tracking_request(sequence: int) -> bytes:
    """The question, as long as its answer is: chronyd answers no shorter one, so that it amplifies nothing."""
    head = _REQUEST_HEAD.pack(_VERSION, _REQUEST, 0, 0, _TRACKING_REQUEST, 0, sequence, 0, 0)
    return head.ljust(REPLY_BYTES, b"\0")


def read_tracking(answer: bytes, sequence: int) -> ClockStatus | None:
    """The status in an answer to the request numbered `sequence`; None for anything else."""
    if len(answer) != REPLY_BYTES:
        return None
    version, kind, _, _, command, reply, status, _, _, _, answered, _, _ = _REPLY_HEAD.unpack_from(answer)
    wanted = (_VERSION, _REPLY, _TRACKING_REQUEST, _TRACKING_REPLY, 0, sequence)
    if (version, kind, command, reply, status, answered) != wanted:
        return None
    fields = _TRACKING.unpack_from(answer, _REPLY_HEAD.size)
    correction, _, _, frequency, residual, skew, delay, dispersion, _ = map(_number, fields[9:])
    leap = _LEAP.get(fields[5], "unsynchronised")
    tracking = _Tracking(fields[0], fields[4], leap, correction, frequency, residual, skew, delay, dispersion)
    return _status(tracking)


def _status(said: _Tracking) -> ClockStatus:
    synchronized = said.leap != "unsynchronised" and said.reference not in (0, _LOCAL_REFERENCE)
    distance_s = abs(said.correction_s) + said.root_dispersion_s + said.root_delay_s / 2
    growth_ppm = _DRIFT_PPM + said.skew_ppm + abs(said.residual_ppm)
    return ClockStatus(
        "chrony",
        synchronized,
        round(said.correction_s * _NS),
        math.ceil(distance_s * _NS) if synchronized else None,
        growth_ppb=math.ceil(growth_ppm * 1000),
        frequency_ppb=round(said.frequency_ppm * 1000),
        settings={
            "reference": f"{said.reference:08x}",
            "local": said.reference == _LOCAL_REFERENCE,
            "stratum": said.stratum,
            "leap": said.leap,
        },
    )


def _number(raw: int) -> float:
    """Chrony's 32-bit float: 7 bits of exponent, 25 bits of coefficient, both signed."""
    exponent, coefficient = raw >> 25, raw & 0x1FFFFFF
    if exponent >= 1 << 6:
        exponent -= 1 << 7
    if coefficient >= 1 << 24:
        coefficient -= 1 << 25
    return math.ldexp(coefficient, exponent - 25)
