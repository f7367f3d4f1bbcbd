"""Clocks that step, run backwards, stand still and come back, through the real ledger with a clock of the test's own:
what a record claims, within its bound, is true, and no order that clocks give is wrong.

The clock's status says truly how wrong it is at that moment. What happens within the second between two looks, and is
undone within it, nobody sees: that is left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from ledgercase import BOOT, Batch
from stampedlog import SECOND, START, Stage
from tsa import YEAR, Made

from affidavit.clock import ClockStatus
from affidavit.evidence.timing import Timing
from affidavit.history.shared import SharedRecords
from affidavit.timeproof.order import order

BOUND_NS = 4_000_000
LOOK_NS = 100_000  # readings take a microsecond each, and a look a few of them
MADE = Made(starts=START - YEAR, ends=START + YEAR)


class Machine:
    """A log on a machine whose clock is set, stopped and turned back, while true time goes on."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage(folder, MADE)
        self.clock = self.stage.case.clock
        self.zero_ns = self.clock.wall_ns - self.clock.passed_ns  # the clock was right at the start
        self.true_ns: dict[int, int] = {}

    def now_ns(self) -> int:
        return self.clock.passed_ns + self.zero_ns

    def say(self) -> None:
        """The time source knows how wrong the clock is now."""
        wrong_ns = abs(self.clock.wall_ns - self.now_ns())
        self.stage.status = ClockStatus("kernel", True, 0, BOUND_NS + wrong_ns)

    def record(self) -> None:
        stage = self.stage
        batch = Batch(stage.stream, BOOT, stage.next, (stage.case.context(stage.ledger.state_index),))
        at_ns = self.now_ns()
        (receipt,) = stage.ledger.append(batch).receipts
        stage.next += 1
        self.true_ns[receipt.index] = at_ns

    def look(self) -> None:
        self.say()
        self.stage.look()

    def run(self, seconds: int, rate: float = 1) -> None:
        """Time passes; the clock goes on at `rate`: 0 stands still, -1 runs backwards."""
        for _ in range(seconds):
            self.clock.passed_ns += SECOND
            self.clock.wall_ns += int(rate * SECOND)
            self.record()
            self.look()

    def set(self, by_ms: int) -> None:
        self.clock.wall_ns += by_ms * 1_000_000
        self.record()
        self.look()

    def end(self) -> None:
        """A last record of the clock says where it stands."""
        self.clock.advance(700 * SECOND)
        self.look()

    def kill(self, by_ms: int) -> None:
        """The clock is set, and the process is killed before it has looked. Not while a clock that strays is noted at
        growing distances: then how far it was away meanwhile dies with the process (docs/howto/time.md)."""
        watch = self.stage.ledger._watch
        if self.clock.passed_ns - watch._noted.monotonic_ns < watch._wait_ns:
            return
        self.clock.wall_ns += by_ms * 1_000_000
        self.record()
        self.stage.ledger._process_lock.release()
        self.say()
        self.stage.ledger = self.stage.open()
        self.stage.stream, self.stage.next = self.stage.case.stream(), 0


millis = st.integers(-20_000, 20_000) | st.sampled_from([9, -9, 11, -11])
steps = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 8)),
    st.tuples(st.just("run"), st.integers(1, 8), st.sampled_from([0.0, -1.0, 0.5, 1.02])),
    st.tuples(st.just("set"), millis),
    st.tuples(st.just("kill"), millis),
)


@contextmanager
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="affidavit-clock-") as folder:
        made = Machine(Path(folder))
        try:
            yield made
        finally:
            made.stage.ledger.close("done")


@settings(
    max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(st.lists(steps, min_size=1, max_size=8))
@example([("run", 3), ("kill", 5_000)])  # nobody looked between the step and the kill
@example([("set", 9)])  # too little for a step
@example([("run", 2), ("set", -9), ("set", 4), ("run", 2)])
@example([("set", 20_000), ("set", 5_000), ("set", -5_000), ("run", 8)])  # away and back between two records
@example([("run", 4, -1.0), ("run", 4, 1.0), ("set", 8_000), ("kill", -3)])
def test_what_a_record_claims_is_true_whatever_the_clock_does(history: list[tuple[object, ...]]) -> None:
    with machine() as made:
        made.run(1)
        for name, *how in history:
            getattr(made, str(name))(*how)
        made.end()
        ledger = made.stage.ledger
        timing = Timing(SharedRecords(ledger.reader()), "log.example/clinic")
        records = ledger.reader()
        for index, true_ns in made.true_ns.items():
            claim = timing.claimed(records.record(index))
            assert claim.earliest_ns is not None and claim.latest_ns is not None
            assert claim.earliest_ns - LOOK_NS <= true_ns <= claim.latest_ns + LOOK_NS, (index, claim, true_ns)
        for a, b in combinations(made.true_ns, 2):
            answer = order(timing.event(a), timing.event(b), timing.first_by_one_clock(a, b))
            assert answer.result != "proven"  # contexts of one state name nothing of each other's past
            if answer.first != "unknown":
                assert (answer.first == "a") == (made.true_ns[a] < made.true_ns[b]), (a, b, answer)


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_clock_that_stands_still_or_runs_backwards_orders_nothing_wrongly(tmp_path: Path, rate: float) -> None:
    made = Machine(tmp_path)
    made.run(3)
    made.run(6, rate)
    made.run(3)
    made.end()
    timing = Timing(SharedRecords(made.stage.ledger.reader()), "log.example/clinic")
    answers = [
        order(timing.event(a), timing.event(b), timing.first_by_one_clock(a, b))
        for a, b in combinations(made.true_ns, 2)
    ]
    assert {"a", "unknown"} == {answer.first for answer in answers}  # the records stand in their true order
    made.stage.ledger.close("done")
