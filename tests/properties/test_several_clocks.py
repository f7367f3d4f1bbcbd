"""One log, several machines: each with a boot and `clock` records of its own, one without any. What a record claims
follows from the notes of its own machine alone, and clocks order two records of two machines only where that is true.
"""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

import pytest
from ledgercase import BOOT, Batch
from stampedlog import SECOND, START, Stage
from tsa import YEAR, Made

from affidavit.evidence import timing as module
from affidavit.evidence.timing import Timing
from affidavit.history.shared import SharedRecords
from affidavit.record.moment import parse_moment
from affidavit.timeproof.claim import ClockNote, claimed
from affidavit.timeproof.interval import Interval
from affidavit.timeproof.order import order

BOUND_NS = 3_000_000


class Producer:
    """Somebody's machine: its clock is off by `off_ns` from the log's, which is right."""

    def __init__(self, stage: Stage, boot: str, off_ns: int) -> None:
        self.stage, self.boot, self.off_ns = stage, boot, off_ns
        self.stream, self.next = stage.case.stream(), 0

    def append(self, kind: str, **fields: object) -> int:
        stage, clock = self.stage, self.stage.case.clock
        clock.wall_ns += self.off_ns
        draft = stage.case.context(stage.ledger.state_index) if kind == "context" else stage.case.draft(kind, **fields)
        clock.wall_ns -= self.off_ns
        answer = stage.ledger.append(Batch(self.stream, self.boot, self.next, (draft,)))
        assert answer.refusal is None, answer.refusal
        self.next += 1
        return int(answer.receipts[0].index)

    def note(self, reason: str) -> int:
        clock = self.stage.case.clock
        content = {
            "source": "chrony", "synchronized": True, "boot": self.boot, "reason": reason, "anchor": None,
            "bound_ns": str(abs(self.off_ns) + BOUND_NS), "growth_ppb": 500_000,
            "wall_ns": str(clock.wall_ns + self.off_ns), "monotonic_ns": str(clock.passed_ns + int(self.boot[:2], 16)),
        }  # fmt: skip
        return self.append("clock", body=self.stage.case.body(**content))


def looked(stage: Stage) -> Timing:
    return Timing(SharedRecords(stage.ledger.reader()), "log.example/clinic")


@pytest.mark.parametrize("seed", range(4))
def test_each_machine_is_judged_by_its_own_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(module, "CLOCKLESS_MAX", 8)  # so that one machine's records hide the others' from a look
    chance = random.Random(seed)
    stage = Stage(tmp_path, Made(starts=START - YEAR, ends=START + YEAR))
    others = [Producer(stage, boot * 16, chance.randrange(-(10**9), 10**9)) for boot in ("c1", "d2")]
    silent, true_ns = Producer(stage, "e3" * 16, 7 * SECOND), {}
    own = Producer(stage, BOOT, 0)
    for one in others:
        one.note("start")
    for _ in range(30):
        one = chance.choice([*others, own, silent])
        for _ in range(chance.choice([1, 2, 12])):
            stage.case.clock.advance(chance.randrange(3) * SECOND)
            at_ns = stage.case.clock.wall_ns
            true_ns[one.append("context")] = at_ns
        if one in others and chance.random() < 0.5:
            one.off_ns += chance.choice([0, 0, 5 * 10**6, -5 * SECOND, 90 * SECOND])
            true_ns[one.append("context")] = stage.case.clock.wall_ns
            one.note("interval")
        stage.look()
    timing, reader = looked(stage), stage.ledger.reader()
    records = [reader.record(index) for index in range(stage.ledger.size)]
    unsure = 0
    noted = [one for one in records if one.header.kind == "clock"]
    for record in records:
        clock = record.header.time.clock
        after = [one.index for one in noted if one.header.time.clock == clock]
        following = min((at for at in after if at > record.index), default=None)
        notes = [None if at is None else ClockNote.of(records[at].content) for at in (clock, following)]
        if record.header.kind == "clock":
            continue  # it names the note before it, and is the one that follows
        wanted = claimed(parse_moment(record.header.time.at), *notes)
        got = timing.claimed(record)
        unsure += got != wanted
        assert got in (wanted, Interval()), record.index
        if record.index in true_ns and clock is not None:
            assert (
                got == Interval()
                or (got.earliest_ns or 0) - 10**5 <= true_ns[record.index] <= (got.latest_ns or 0) + 10**5
            )
    assert unsure == 0  # all of it is near enough to be looked for
    assert all(timing.claimed(records[at]) == Interval() for at in true_ns if records[at].header.time.clock is None)
    events = {at: timing.event(at) for at in sorted(true_ns)[:: max(1, len(true_ns) // 25)]}
    for a, b in combinations(events, 2):
        answer = order(events[a], events[b], timing.first_by_one_clock(a, b))
        assert answer.result != "proven"
        if answer.first != "unknown":
            assert (answer.first == "a") == (true_ns[a] < true_ns[b]), (a, b, answer)
    stage.ledger.close("done")


def test_what_was_not_found_counts_as_unbounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine's records stand between a record and the note that says that its clock was set."""
    for name, value in (("CLOCKLESS_MAX", 4), ("CLOCK_NOTES_SOUGHT_MAX", 8)):
        monkeypatch.setattr(module, name, value)
    stage = Stage(tmp_path, Made(starts=START - YEAR, ends=START + YEAR))
    far, near = Producer(stage, "c1" * 16, 0), Producer(stage, "d2" * 16, 0)
    far.note("start"), near.note("start")
    told = far.append("context")
    for _ in range(3):
        near.note("interval")
        for _ in range(9):
            near.append("context")
    far.off_ns = 60 * SECOND
    far.note("step")
    for _ in range(9):
        near.append("context")
    assert Interval() == looked(stage).claimed(stage.ledger.reader().record(told))
    monkeypatch.setattr(module, "CLOCK_NOTES_SOUGHT_MAX", 64)
    claim = looked(stage).claimed(stage.ledger.reader().record(told))
    assert (claim.latest_ns or 0) - (claim.earliest_ns or 0) > 60 * SECOND
    stage.ledger.close("done")


def test_a_producers_note_that_is_none_bounds_nothing_and_stops_nobody(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Made(starts=START - YEAR, ends=START + YEAR))
    far = Producer(stage, "c1" * 16, 0)
    far.append("clock", body=stage.case.body(boot=far.boot, monotonic_ns="soon", reason="start"))
    told = far.append("context")
    timing = looked(stage)
    assert Interval() == timing.claimed(stage.ledger.reader().record(told)) == timing.event(told).claimed
    assert "unknown" == timing.first_by_one_clock(told, told - 1)
    stage.ledger.close("done")
