"""When a record happened, in sentences: examples worked out by hand, on a real log whose clock the test holds.

The clock starts at 2026-11-22 14:17:03 UTC with a bound of 4 ms that grows by half a millisecond a second; an
authority's token is of a whole second, and accurate to half of one.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ledgercase import Batch
from stampedlog import SECOND, START, Stage
from tsa import YEAR, Made

from affidavit.clock import ClockStatus
from affidavit.evidence.timing import Timing
from affidavit.evidence.when import when_view
from affidavit.history.shared import SharedRecords
from affidavit.timeproof.stamps import Stamp, cosigned_at
from affidavit.timeproof.token import Authority


@pytest.fixture(scope="module")
def made() -> Made:
    return Made("Example", starts=START - YEAR, ends=START + YEAR)


@pytest.fixture
def stage(tmp_path: Path, made: Made) -> Stage:
    one = Stage(tmp_path, made)
    one.case.clock.advance(SECOND - one.case.clock.wall_ns % SECOND)  # 14:17:04
    return one


def fact(stage: Stage, boot: str = "b0" * 16) -> int:
    """A record that names nothing."""
    batch = Batch(stage.stream, boot, stage.next, (stage.case.context(stage.ledger.state_index),))
    stage.next += 1
    return stage.ledger.append(batch).receipts[0].index


def when(stage: Stage, index: int, *witnessed: Stamp) -> dict[str, Any]:
    records = SharedRecords(stage.ledger.reader())
    authority = Authority.of_pem(stage.made.pem, "it")
    timing = Timing(records, "log.example/clinic", authority, lambda: stage.ledger.anchor, lambda: witnessed)
    return when_view(timing, records.record(index))


def test_a_claim_alone(stage: Stage) -> None:
    view = when(stage, fact(stage))
    assert ("claim", "unproven") == (view["rests_on"], view["agreement"])
    assert [
        "Its clock said 2026-11-22 14:17:04.000 UTC ± 4.5 ms (by clock record 5).",
        "Nobody outside the log proves when it was recorded.",
        "It happened between 2026-11-22 14:17:03.995 and 14:17:04.005 UTC if its clock was as good as it said; nothing "
        "outside proves that.",
    ] == view["sentences"]
    assert ("clock", 5) == (view["claimed"]["by"], view["claimed"]["clock"])
    assert view["happened"] == {name: view["claimed"][name] for name in ("earliest", "latest")}


def test_a_claim_between_two_tokens(stage: Stage) -> None:
    first = stage.anchor()  # 14:17:04, so made between 03.5 and 05.5
    stage.case.clock.advance(60 * SECOND)
    told = fact(stage)
    stage.case.clock.advance(60 * SECOND)
    second = stage.anchor()  # 14:19:04
    view = when(stage, told)
    assert ("claim and proof", "agree") == (view["rests_on"], view["agreement"])
    assert [
        "Its clock said 2026-11-22 14:18:04.000 UTC ± 35 ms (by clock record 5).",
        f"Recorded not before 2026-11-22 14:17:03.500 UTC: the token of Example in record {first} was there already.",
        f"Recorded not after 2026-11-22 14:19:05.500 UTC: the token of Example in record {second} covers the first "
        f"{second} records.",
        "Claim and proof agree: it happened between 2026-11-22 14:18:03.965 and 14:18:04.035 UTC, if its clock was as good "
        "as it said.",
    ] == view["sentences"]
    # A record that names nothing may tell of something that was long before it: the proof is of its recording.
    assert (None, "2026-11-22T14:19:05.500000000Z") == (view["proven"]["earliest"], view["proven"]["latest"])


def test_what_a_record_names_was_there_before_it(stage: Stage) -> None:
    first = stage.anchor()
    session, context = stage.case.session(stage.ledger, stage.stream, stage.next)
    stage.next += 2
    draft = stage.case.access(session, context, stage.ledger.state_index)
    told = stage.ledger.append(Batch(stage.stream, "b0" * 16, stage.next, (draft,))).receipts[0].index
    view = when(stage, told)
    assert first < context == view["proven"]["made_after"]
    assert (
        f"Made not before 2026-11-22 14:17:03.500 UTC: it names record {context}, which was there already."
        in view["sentences"]
    )


def test_a_clock_that_claims_what_a_token_excludes(stage: Stage) -> None:
    told = fact(stage)
    index = stage.anchor(at=START - timedelta(hours=1))  # 13:17:03
    view = when(stage, told)
    assert ("proof", "contradict") == (view["rests_on"], view["agreement"])
    assert [
        f"Recorded not after 2026-11-22 13:17:04.500 UTC: the token of Example in record {index} covers the first {index} "
        "records.",
        "Claim and proof contradict each other: its clock was wrong by more than its bound, or who stamped was. By proof "
        "alone it happened not after 2026-11-22 13:17:04.500 UTC.",
    ] == view["sentences"][1:]


def test_a_clock_that_nothing_bounds(stage: Stage) -> None:
    stage.status = ClockStatus("kernel", False, 0, None)
    stage.wait(1)  # 14:17:05, and losing synchronisation is noted
    told = fact(stage)
    stage.anchor()
    view = when(stage, told)
    assert ("proof", "unbounded", None) == (view["rests_on"], view["agreement"], view["claimed"]["bound_ns"])
    assert (
        "Its clock said 2026-11-22 14:17:05.000 UTC; nothing bounds how wrong it was (by clock record "
        in (view["sentences"][0])
    )
    assert view["sentences"][-1] == (
        "By proof alone it happened not after 2026-11-22 14:17:06.500 UTC; its claim has no bound that could be compared."
    )


def test_a_machine_that_noted_no_clock(stage: Stage) -> None:
    view = when(stage, fact(stage, "c1" * 16))
    assert "nothing" == view["rests_on"]
    assert [
        "Its clock said 2026-11-22 14:17:04.000 UTC; no clock record tells how wrong that clock was.",
        "Nobody outside the log proves when it was recorded.",
        "Nothing bounds or proves when it happened.",
    ] == view["sentences"]


def test_a_clock_that_was_set_soon_after(stage: Stage) -> None:
    told = fact(stage)
    stage.case.clock.wall_ns += 100 * SECOND
    stage.look()
    view = when(stage, told)
    assert view["sentences"][0] == (
        "Its clock said 2026-11-22 14:17:04.000 UTC ± 4.5 ms (by clock record 5); it was found set soon after, so that is "
        "between 2026-11-22 14:15:23.996 and 14:17:04.005 UTC."
    )


def test_what_a_source_tells_of_earlier(stage: Stage) -> None:
    occurred = {"at": "2026-11-22T09:00:00.000000000Z", "bound_ns": "5000000", "by": "an old log"}
    told = stage.add("review", {"occurred": occurred}, actor="u-1")
    view = when(stage, told)
    assert ("source", "an old log", None) == tuple(view["claimed"][name] for name in ("by", "source", "clock"))
    assert "Its source (an old log) says 2026-11-22 09:00:00.000 UTC ± 5 ms." == view["sentences"][0]
    vague = stage.add("review", {"occurred": {"at": occurred["at"]}}, actor="u-1")
    assert (
        "Its source says 2026-11-22 09:00:00.000 UTC, and not how wrong that can be."
        == (when(stage, vague)["sentences"][0])
    )


def test_a_witness_proves_not_after_and_stamps_that_contradict_prove_nothing(stage: Stage) -> None:
    first = stage.anchor(at=START + timedelta(hours=1))  # an authority that is an hour ahead: 15:17:03
    told = fact(stage)
    stamp = Stamp("witness.example/w", told + 1, cosigned_at(int((START + timedelta(minutes=1)).timestamp())))
    before = when(stage, 2, stamp)  # of the genesis
    assert (
        f"Recorded not after 2026-11-22 14:18:05.000 UTC: the cosignature of witness.example/w covers the first {told + 1} "
        in (before["sentences"][1])
    )
    assert ("claim and proof", "agree") == (before["rests_on"], before["agreement"])
    assert [
        f"Stamps contradict each other: the token of Example in record {first} says not before 2026-11-22 15:17:02.500 "
        "UTC, the cosignature of witness.example/w says not after 2026-11-22 14:18:05.000 UTC. One of them is wrong, so "
        "neither counts.",
        "It happened between 2026-11-22 14:17:03.995 and 14:17:04.005 UTC if its clock was as good as it said; nothing "
        "outside proves that.",
    ] == when(stage, told, stamp)["sentences"][1:]
