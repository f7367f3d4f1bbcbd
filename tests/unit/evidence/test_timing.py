"""What stands around a record is found by bisection: compared with looking at everything."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledgercase import START_NS, Batch
from stampedlog import SECOND, START, Stage
from tsa import YEAR, Made

from affidavit.errors import InvalidInput
from affidavit.evidence.timing import Timing
from affidavit.history.shared import SharedRecords
from affidavit.timeproof.interval import Interval
from affidavit.timeproof.order import order
from affidavit.timeproof.stamps import Stamps
from affidavit.timeproof.token import Authority


@pytest.fixture(scope="module")
def made() -> Made:
    return Made(starts=START - YEAR, ends=START + 3 * YEAR)


def timing(stage: Stage, *, told: bool = True) -> Timing:
    records = SharedRecords(stage.ledger.reader())
    newest = (lambda: stage.ledger.anchor) if told else (lambda: None)
    return Timing(records, "log.example/clinic", Authority.of_pem(stage.made.pem, "it"), newest)


def fill(stage: Stage, count: int) -> None:
    state = stage.ledger.state_index
    for _ in range(count):
        batch = Batch(stage.stream, "b0" * 16, stage.next, (stage.case.context(state),))
        stage.next += len(stage.ledger.append(batch).receipts)


def test_a_long_history_gives_the_interval_that_all_its_stamps_give(tmp_path: Path, made: Made) -> None:
    stage, chance, truth = Stage(tmp_path, made), random.Random(5), []
    for _ in range(40):
        fill(stage, chance.randrange(30))
        stage.wait(chance.choice([1, 5]))
        stage.case.clock.advance(chance.randrange(1_200) * SECOND)
        stage.look()
        if chance.random() < 0.5:
            stage.anchor()
    looked = timing(stage)
    every = [looked.stamp_of(record.index) for record in looked.anchors()]
    assert len(every) > 10
    stamps = Stamps(one for one in every if one is not None)
    for index in range(stage.ledger.size):
        truth.append(stamps.proven(index).recorded)
        got = looked.proven(index).recorded
        assert truth[-1].earliest_ns == got.earliest_ns
        # The first anchor over it is found, give or take one interval of clock records: never a wrong one.
        assert (truth[-1].latest_ns is None) == (got.latest_ns is None)
        assert got.latest_ns is None or got.latest_ns >= (truth[-1].latest_ns or 0)
    same = sum(looked.proven(index).recorded == truth[index] for index in range(stage.ledger.size))
    assert same > stage.ledger.size * 0.9
    silent = timing(stage, told=False)
    for index in range(stage.ledger.size):  # a reader that is not told of the newest anchor knows less, nothing else
        got = silent.proven(index).recorded
        assert got.latest_ns is None or got.latest_ns >= (truth[index].latest_ns or 0)
        assert got.earliest_ns is None or got.earliest_ns <= (truth[index].earliest_ns or 0)


def test_an_untrusted_token_proves_nothing(tmp_path: Path, made: Made) -> None:
    stage = Stage(tmp_path, made)
    anchor = stage.anchor(by=Made("Somebody else", starts=START - YEAR, ends=START + YEAR))
    fill(stage, 3)
    assert Interval() == timing(stage).proven(anchor + 1).recorded
    good = stage.anchor()
    assert timing(stage).proven(anchor).not_after.index == good  # type: ignore[union-attr]


def test_claims_widen_where_the_clock_was_set(tmp_path: Path, made: Made) -> None:
    stage = Stage(tmp_path, made)
    fill(stage, 1)
    before = stage.ledger.size - 1
    stage.wait(30)
    fill(stage, 1)
    unsure = stage.ledger.size - 1
    stage.case.clock.wall_ns += 100 * SECOND
    stage.look()
    fill(stage, 1)
    looked, records = timing(stage), stage.ledger.reader()
    widths = [
        (claim.latest_ns or 0) - (claim.earliest_ns or 0)
        for claim in (looked.claimed(records.record(index)) for index in (before, unsure, unsure + 2))
    ]
    assert [100, 100, 0] == [width // SECOND for width in widths]


def test_one_clock_orders_what_nothing_bounds_until_it_is_set(tmp_path: Path, made: Made) -> None:
    from affidavit.clock import ClockStatus

    stage = Stage(tmp_path, made)
    stage.status = ClockStatus("kernel", False, 0, None)
    stage.wait(12)
    fill(stage, 1)
    a = stage.ledger.size - 1
    stage.wait(700)
    fill(stage, 1)
    b = stage.ledger.size - 1
    assert (("a", "one clock"), "interval") == ordered(stage, a, b)
    assert (("b", "one clock"), "interval") == ordered(stage, b, a)
    stage.wait(700)
    stage.case.clock.wall_ns += 3_600 * SECOND
    stage.wait(2)
    fill(stage, 1)
    assert (("unknown", ""), "ambiguous") == ordered(stage, a, stage.ledger.size - 1)
    assert (("a", "one clock"), "interval") == ordered(stage, a, b)


def ordered(stage: Stage, a: int, b: int) -> tuple[tuple[str, str], str]:
    looked = timing(stage)
    # Contexts of one state name nothing of each other's past.
    answer = order(looked.event(a), looked.event(b), looked.first_by_one_clock(a, b))
    return (answer.first, answer.by), answer.result


def test_two_clocks_are_ordered_by_their_bounds(tmp_path: Path, made: Made) -> None:
    stage = Stage(tmp_path, made)
    fill(stage, 1)
    a = stage.ledger.size - 1
    stage.wait(3)
    fill(stage, 1)
    assert (("a", "clocks"), "interval") == ordered(stage, a, stage.ledger.size - 1)


def test_what_happened_earlier_than_its_record_is_placed_where_its_source_says(tmp_path: Path, made: Made) -> None:
    stage = Stage(tmp_path, made)
    fill(stage, 1)
    a = stage.ledger.size - 1
    at = datetime.fromtimestamp(START_NS // SECOND - 3_600, UTC).strftime("%Y-%m-%dT%H:%M:%S") + ".000000000Z"
    imported = stage.add("review", {"occurred": {"at": at, "bound_ns": "5000000", "by": "an old log"}}, actor="u-1")
    event = timing(stage).event(imported)
    assert (Interval.around(START_NS // SECOND * SECOND - 3_600 * SECOND, 5_000_000), None) == (
        event.claimed, event.made_after,
    )  # fmt: skip
    assert (("b", "clocks"), "interval") == ordered(stage, a, imported)


def test_there_is_no_event_without_a_record(tmp_path: Path, made: Made) -> None:
    with pytest.raises(InvalidInput, match="no record 99"):
        timing(Stage(tmp_path, made)).event(99)
