"""The pace of the search index's follower: it rests while somebody appends, and only then."""

from __future__ import annotations

from affidavit.search.follower import Pace


class Clock:
    """Time that passes as the test says."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.size = 5
        self.waited: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waited.append(round(seconds, 6))
        self.now_s += seconds


def test_it_rests_three_times_as_long_as_it_works_while_the_log_grows() -> None:
    clock = Clock()
    pace = Pace(lambda: clock.size, clock.wait, lambda: clock.now_s)
    for worked_s, grows in ((0.01, True), (0.015, False), (0.03, False), (0.04, True), (0.02, False)):
        clock.now_s += worked_s
        clock.size += grows
        pace.keep()
    # 0.01 s is too little to look; 0.025 s with the growth before; then a quiet log; then a growing one; then quiet.
    assert [0.075, 0.12] == clock.waited
