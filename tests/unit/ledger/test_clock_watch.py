"""When a `clock` record is due, and that what it says can be computed from the clock that the test moved."""

from dataclasses import replace
from typing import Any

import pytest
from ledgercase import BOOT, HandClock

from affidavit.clock import ClockStatus
from affidavit.ledger.clockwatch import ClockWatch
from affidavit.ledger.own import Host
from affidavit.limits import CLOCK_INTERVAL_S

SECOND = 1_000_000_000
SYNCED = ClockStatus("kernel", True, 0, 4_000_000, settings={"status": 0, "leap": "none"})


class Watched:
    """A watch over a clock and a time source that the test moves."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.status = SYNCED
        self.watch = ClockWatch(Host(self.clock, BOOT, bytes, lambda: self.status))

    def after(self, wall_ns: int, monotonic_ns: int = SECOND) -> dict[str, Any] | None:
        """The body that is due once both times have moved."""
        self.clock.wall_ns += wall_ns
        self.clock.passed_ns += monotonic_ns
        own = self.watch.due(None)
        return None if own is None else dict(own.content)

    def run(self, seconds: int, wall_ns: int = SECOND) -> list[dict[str, Any]]:
        """What a run of looks, one each second, gives."""
        return [body for body in (self.after(wall_ns) for _ in range(seconds)) if body is not None]


def test_a_clock_that_runs_well_is_noted_every_ten_minutes() -> None:
    bodies = Watched().run(1_800)
    assert ["interval"] * 3 == [body["reason"] for body in bodies]
    assert CLOCK_INTERVAL_S == (int(bodies[1]["monotonic_ns"]) - int(bodies[0]["monotonic_ns"])) // SECOND
    walls, monotonics = ([int(body[name]) for body in bodies] for name in ("wall_ns", "monotonic_ns"))
    assert walls[2] - walls[0] == monotonics[2] - monotonics[0]


@pytest.mark.parametrize("step_ns", [3_600 * SECOND, -3_600 * SECOND, 11_000_000, -11_000_000, -2 * SECOND])
def test_a_step_is_noted_at_the_next_look_with_its_size(step_ns: int) -> None:
    watched = Watched()
    watched.run(5)
    body = watched.after(SECOND + step_ns)
    assert body is not None
    assert ("step", str(step_ns)) == (body["reason"], body["step_ns"])
    assert SECOND + step_ns == int(body["elapsed"]["wall_ns"]) - 1_000  # as each reading takes
    assert [] == watched.run(120)


def test_what_is_below_the_noise_of_reading_is_no_step() -> None:
    assert [] == [body for _ in range(5) if (body := Watched().after(SECOND + 9_000_000))]


def test_small_steps_that_add_up_are_a_drift() -> None:
    watched = Watched()
    bodies = watched.run(12, SECOND + 2_000_000)  # each below the threshold
    assert [("drift", "12000000")] * 2 == [(body["reason"], body["step_ns"]) for body in bodies]
    assert len(watched.run(3_600, SECOND + 2_000_000)) < 15


def test_two_steps_apart_are_two_steps() -> None:
    watched = Watched()
    bodies = [watched.after(SECOND + 77 * SECOND), *watched.run(30), watched.after(SECOND - 77 * SECOND)]
    assert [("step", str(77 * SECOND)), ("step", str(-77 * SECOND))] == [
        (body["reason"], body["step_ns"]) for body in bodies if body is not None
    ]


@pytest.mark.parametrize(
    ("wall_ns", "ppm"), [(0, -1_000_000), (-SECOND, -2_000_000), (SECOND // 2, -500_000), (3 * SECOND, 2_000_000)]
)
def test_a_clock_that_stands_still_or_runs_backwards_drifts_and_does_not_fill_the_log(wall_ns: int, ppm: int) -> None:
    watched = Watched()
    bodies = watched.run(3_600, wall_ns)
    assert ["step", *["drift"] * (len(bodies) - 1)] == [body["reason"] for body in bodies]
    assert 10 < len(bodies) < 20
    for body in bodies[1:]:
        wall, monotonic = (int(body["elapsed"][name]) for name in ("wall_ns", "monotonic_ns"))
        assert abs(ppm - (wall - monotonic) * 1_000_000 / monotonic) < 10  # each reading takes a microsecond here
        assert int(body["step_ns"]) == wall - monotonic
    assert watched.run(1_300)[0]["reason"] == "drift"  # what it lost since the last record
    assert ["interval"] == [body["reason"] for body in watched.run(600)]


def test_the_offsets_of_all_records_add_up() -> None:
    watched = Watched()
    bodies = [dict(watched.watch.start(None).content)]
    for wall_ns in (SECOND, 0, 0, 0, 5 * SECOND, -SECOND, SECOND, 90 * SECOND):
        bodies += watched.run(7, wall_ns)
    offsets = [int(body["wall_ns"]) - int(body["monotonic_ns"]) for body in bodies]
    for before, after, body in zip(offsets, offsets[1:], bodies[1:], strict=False):
        assert after - before == int(body.get("step_ns", "0"))


def changed(before: ClockStatus, after: ClockStatus) -> tuple[str, list[str]] | None:
    watched = Watched()
    watched.status = before
    watched.watch.start(None)
    watched.run(20)
    watched.status = after
    body = watched.after(SECOND)
    return None if body is None else (body["reason"], body["changed"])


@pytest.mark.parametrize(
    ("after", "names"),
    [
        (ClockStatus("kernel", False, 0, None, settings=SYNCED.settings), ["kernel.synchronized"]),
        (replace(SYNCED, settings={"status": 0, "leap": "insert"}), ["kernel.leap"]),
        (replace(SYNCED, settings={"status": 0x80, "leap": "none"}), ["kernel.status"]),
        (replace(SYNCED, frequency_ppb=30_000), ["kernel.frequency"]),
        (replace(SYNCED, others=(ClockStatus("chrony", True, 0, 5_000_000),)), ["chrony"]),
    ],
)
def test_a_change_of_time_settings_is_noted(after: ClockStatus, names: list[str]) -> None:
    assert ("settings", names) == changed(SYNCED, after)


def test_a_switch_of_the_time_source_is_noted() -> None:
    one, other = (ClockStatus("chrony", True, 0, 1_000, settings={"reference": text}) for text in ("0a", "0b"))
    assert ("settings", ["chrony.reference"]) == changed(one, other)


def test_following_a_source_is_no_change_of_settings() -> None:
    assert changed(SYNCED, replace(SYNCED, frequency_ppb=9_000, offset_ns=77, bound_ns=5_000_000)) is None
    chrony = ClockStatus("chrony", True, 0, 1_000)
    assert changed(replace(SYNCED, others=(chrony,)), replace(chrony, others=(SYNCED,))) is None  # only the best one


def test_losing_synchronisation_is_noted_at_once_and_flapping_settings_wait() -> None:
    watched = Watched()
    watched.watch.start(None)
    watched.status = replace(SYNCED, settings={"leap": "insert"})
    assert watched.after(SECOND) is None
    watched.status = ClockStatus("kernel", False, 0, None)
    body = watched.after(SECOND)
    assert body is not None
    assert ("settings", False, None) == (body["reason"], body["synchronized"], body["bound_ns"])


def test_a_record_names_the_newest_anchor() -> None:
    watched = Watched()
    assert watched.watch.start(None).content["anchor"] is None
    assert 17 == watched.watch.start(17).content["anchor"]
