"""What kernel, chrony and ClockBound say, byte for byte, and which of them is believed."""

import struct
from pathlib import Path

import pytest

from affidavit.clock import ClockStatus, SystemClock, kernel_clock_status, look_at
from affidavit.timekeeping.chrony import REPLY_BYTES, Chrony, read_tracking, tracking_request
from affidavit.timekeeping.clockbound import ClockBound, read_segment
from affidavit.timekeeping.sources import choose, clock_sources

NS = 1_000_000_000
ZERO = b"\0" * 4


def chrony_float(value: float) -> bytes:
    """Chrony's 32-bit float: exponent in 7 bits, coefficient in 25 bits (candm.h)."""
    if value == 0:
        return ZERO
    exponent = 0
    while abs(value) < 2**22:
        value, exponent = value * 2, exponent - 1
    return struct.pack(">I", ((exponent + 25) & 0x7F) << 25 | (round(value) & 0x1FFFFFF))


def reply(
    sequence: int = 7, reference: int = 0x0A000001, leap: int = 0, correction: float = -0.0005, delay: float = 0.002,
    dispersion: float = 0.001, skew: float = 0.5,
) -> bytes:  # fmt: skip
    head = struct.pack(">BBBBHHHHHHIII", 6, 2, 0, 0, 33, 5, 0, 0, 0, 0, sequence, 0, 0)
    numbers = (correction, 0, 0, -12.5, 0.25, skew, delay, dispersion, 64)
    return (
        head
        + struct.pack(">I16sHHHHIII", reference, b"\x0a\0\0\1", 1, 0, 3, leap, 0, 1_795_357_023, 0)
        + b"".join(map(chrony_float, numbers))
    )


def test_chrony_root_distance_is_the_bound() -> None:
    said = read_tracking(reply(), 7)
    assert said is not None
    assert ("chrony", True) == (said.source, said.synchronized)
    assert said.bound_ns is not None
    assert abs(said.bound_ns - 2_500_000) < 100  # 0.5 ms + 1 ms + 2 ms / 2
    assert abs(said.offset_ns + 500_000) < 100
    assert (-12_500, 1_750) == (said.frequency_ppb, said.growth_ppb)
    assert {"reference": "0a000001", "local": False, "stratum": 3, "leap": "none"} == said.settings


@pytest.mark.parametrize("changed", [{"leap": 3}, {"reference": 0x7F7F0101}, {"reference": 0}])
def test_a_chrony_that_follows_nothing_but_itself_bounds_nothing(changed: dict[str, int]) -> None:
    said = read_tracking(reply(**changed), 7)
    assert said is not None
    assert (False, None) == (said.synchronized, said.bound_ns)


def test_what_is_no_answer_to_the_question_is_none() -> None:
    whole = reply()
    assert REPLY_BYTES == len(whole) == len(tracking_request(7))
    assert read_tracking(whole, 8) is None
    for wrong in (b"", whole[:-1], whole + b"\0", b"\5" + whole[1:], whole[:8] + b"\0\1" + whole[10:]):
        assert read_tracking(wrong, 7) is None


def test_nobody_on_the_port_is_no_chrony() -> None:
    assert Chrony(SystemClock().monotonic_ns, bytes, port=9).status() is None


def segment(version: int = 2, generation: int = 4, status: int = 1, as_of_s: int = 100, void_s: int = 1_100) -> bytes:
    head = struct.pack("=IIIHH", 0x414D5A4E, 0x43420200, 80, version, generation)
    times = struct.pack("=5q", as_of_s, 0, void_s, 0, 150_000)
    if version == 1:
        return head + times + struct.pack("=IIiI", 1_000, 0, status, 0)
    return head + times + struct.pack("=QIiB7x", 3, 1_000, status, 1)


@pytest.mark.parametrize("version", [1, 2])
def test_the_bound_of_clockbound_grows_until_it_is_void(version: int) -> None:
    at_once, later = (read_segment(segment(version), at * NS) for at in (100, 110))
    assert at_once is not None and later is not None
    assert (True, 150_000) == (at_once.synchronized, at_once.bound_ns)
    assert (True, 160_000, 1_000) == (later.synchronized, later.bound_ns, later.growth_ppb)
    for at_s in (99, 1_101):  # written before this boot; past the moment that it is good until
        said = read_segment(segment(version), at_s * NS)
        assert said is not None
        assert (False, None, "void") == (said.synchronized, said.bound_ns, said.settings["status"])


@pytest.mark.parametrize(("status", "synchronized", "bounded"), [(0, 0, 0), (1, 1, 1), (2, 0, 1), (3, 0, 0), (9, 0, 0)])
def test_each_status_of_clockbound(status: int, synchronized: int, bounded: int) -> None:
    said = read_segment(segment(status=status), 100 * NS)
    assert said is not None
    assert (bool(synchronized), bool(bounded)) == (said.synchronized, said.bound_ns is not None)


def test_a_segment_is_read_only_between_two_writes(tmp_path: Path) -> None:
    path = tmp_path / "shm0"
    clockbound = ClockBound(lambda: 100 * NS, (path,))
    assert clockbound.status() is None
    for wrong in (b"", b"AMZNCB", segment(version=3), segment(generation=5), segment(generation=0), segment()[:40]):
        path.write_bytes(wrong)
        assert clockbound.status() is None
    path.write_bytes(segment())
    said = clockbound.status()
    assert said is not None and 150_000 == said.bound_ns


def test_the_smallest_proven_bound_is_chosen_and_all_are_noted() -> None:
    kernel, chrony = ClockStatus("kernel", True, 0, 4_000_000), ClockStatus("chrony", True, 0, 300_000)
    chosen = choose([kernel, chrony])
    assert ("chrony", 300_000, (kernel,)) == (chosen.source, chosen.bound_ns, chosen.others)
    unbounded = [ClockStatus("kernel", False, 0, None), ClockStatus("chrony", False, 0, None)]
    assert ("kernel", None) == (choose(unbounded).source, choose(unbounded).bound_ns)
    assert ["chrony", "kernel"] == [one.source for one in chosen.all]


def test_this_machine_has_a_kernel_that_answers() -> None:
    said = kernel_clock_status()
    assert "kernel" == said.source
    assert {"status", "leap", "tai_s", "tick_us"} == said.settings.keys()
    assert 9_000 <= said.settings["tick_us"] <= 11_000  # 10,000 µs at 100 Hz, the kernel's unit here
    assert said.bound_ns is None or said.synchronized
    assert "kernel" in [one.source for one in clock_sources(bytes)().all]


def test_monotonic_time_goes_on_while_the_machine_sleeps() -> None:
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])  # in CLOCK_BOOTTIME
    assert abs(SystemClock().monotonic_ns() / NS - uptime_s) < 1


class Interrupted:
    """A clock whose reader is interrupted for a second between the first two reads."""

    def __init__(self) -> None:
        self.passed_ns, self.pauses = 0, [NS]

    def monotonic_ns(self) -> int:
        self.passed_ns += 1_000
        return self.passed_ns

    def now_ns(self) -> int:
        wall_ns = 5 * NS + self.passed_ns
        self.passed_ns += self.pauses.pop() if self.pauses else 1_000
        return wall_ns


def test_a_reader_that_is_interrupted_sees_no_step() -> None:
    assert abs(look_at(Interrupted()).offset_ns - 5 * NS) < 10_000
