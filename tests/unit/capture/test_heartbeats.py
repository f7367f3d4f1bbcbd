"""Sources that declare a heartbeat: ours are heard of in time, a silence is recorded once and once more when it ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledgercase import HandClock
from office import Office, office, opened

from affidavit.archive.open import open_archive
from affidavit.capture.heartbeats import Heartbeats
from affidavit.capture.producer import Producer
from affidavit.compose.site import Site
from affidavit.history.shared import SharedRecords
from affidavit.history.sources import SOURCE_KINDS
from affidavit.record.body import encode_body
from affidavit.record.draft import Draft
from affidavit.record.ids import uuid7
from affidavit.record.moment import NS
from affidavit.verify.duties import Duty
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify

COLLECTOR = {"source/lab": {"kind": "collector", "heartbeat_s": 60}}
OURS = {"source/admin": {"kind": "administration", "heartbeat_s": 10}}


class Watched:
    """A running log with its watcher, and a clock that stands where the test puts it."""

    def __init__(self, desk: Office) -> None:
        self.desk = desk
        self.clock = HandClock()
        self.records = SharedRecords(desk.ledger.reader())
        producer = Producer(desk.ledger, os.urandom(16).hex(), "b0" * 16)
        ours = {("administration", None): producer}
        self.heartbeats = Heartbeats(desk.live, self.records, ours, producer, self.clock, os.urandom)
        self.heartbeats.restore(desk.ledger.follow(self.heartbeats.noticed, SOURCE_KINDS))

    def step(self, seconds: float = 0) -> None:
        self.clock.advance(round(seconds * NS))
        asyncio.run(self.heartbeats.step())

    def beat(self, name: str = "lab") -> int:
        """A heartbeat of a source that is not ours."""
        at = self.desk.live_now()
        body = encode_body({"source": name, "heartbeat_s": 60}, os.urandom(16))
        answer = self.desk.append(Draft(kind="log.heartbeat", id=uuid7(at, os.urandom(10)), at=at, body=body))
        assert answer.refusal is None
        return answer.receipts[0].index

    def found(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of the records of `kind` that a heartbeat's source is in, each with its index."""
        records = map(self.records.record, range(self.records.size))
        return [
            {**one.content, "index": one.index}
            for one in records
            if one.header.kind == kind and "source" in one.content
        ]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        yield one


def judged(root: Path) -> Verdict:
    site = Site(root)
    return verify(open_archive(str(root)), [site.secrets.verifier], site.secrets.body_keys_by_id)


def test_our_own_source_is_heard_of_at_once_and_then_in_time(desk: Office) -> None:
    desk.apply(OURS)
    watched = Watched(desk)
    watched.step()
    watched.step(9.9)
    assert ["admin"] == [one["source"] for one in watched.found("log.heartbeat")]
    watched.step(0.2)
    assert 2 == len(watched.found("log.heartbeat"))
    for _ in range(5):
        watched.step(10)
    assert (7, []) == (len(watched.found("log.heartbeat")), watched.found("log.gap"))


def test_a_source_without_a_heartbeat_is_not_missed(desk: Office) -> None:
    desk.apply({"source/lab": {"kind": "collector"}, "source/admin": {"kind": "administration"}})
    watched = Watched(desk)
    watched.step(1_000_000)
    assert ([], []) == (watched.found("log.heartbeat"), watched.found("log.gap"))


def test_a_silence_is_recorded_once_and_its_end_once(desk: Office) -> None:
    declared = desk.apply(COLLECTOR)["change"]
    watched = Watched(desk)
    watched.step()
    first = watched.beat()
    watched.step(89)
    assert [] == watched.found("log.gap")
    for _ in range(3):
        watched.step(2)
    (gap,) = watched.found("log.gap")
    assert {
        "cause": "silence",
        "start": watched.records.header(first).log.at,
        "end": None,
        "streams": [],
        "source": "lab",
        "declared": declared,
        "heartbeat_s": 60,
        "tolerance_s": 30,
        "heard": first,
        "index": first + 1,
        "salt": gap["salt"],
    } == gap
    back = watched.beat()
    for _ in range(3):
        watched.step(2)
    _, end = watched.found("log.gap")
    assert (gap["index"], back, gap["start"]) == (end["gap"], end["heard"], end["start"])
    assert watched.records.header(back).log.at == end["end"]
    watched.step(91)
    assert [False, True, False] == ["gap" in one for one in watched.found("log.gap")]


def test_a_source_that_was_never_heard_of_is_silent_since_its_declaration(desk: Office) -> None:
    watched = Watched(desk)
    declared = desk.apply(COLLECTOR)["change"]
    watched.step()
    watched.step(91)
    (gap,) = watched.found("log.gap")
    assert (None, watched.records.header(declared).log.at) == (gap["heard"], gap["start"])


def test_a_restart_neither_repeats_a_silence_nor_forgets_it(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.apply({**COLLECTOR, **OURS})
        root, watched = desk.root, Watched(desk)
        first = watched.beat()
        watched.step()
        watched.step(91)
        (gap,) = watched.found("log.gap")
    for _ in range(2):
        with opened(root) as desk:
            watched = Watched(desk)
            watched.step()
            watched.step(200)
            assert [gap] == watched.found("log.gap")
    with opened(root) as desk:
        watched = Watched(desk)
        back = watched.beat()
        watched.step()
        assert [(None, first), (gap["index"], back)] == [
            (one.get("gap"), one["heard"]) for one in watched.found("log.gap")
        ]
    with opened(root) as desk:
        watched = Watched(desk)
        watched.step()
        watched.step(89)
        assert 2 == len(watched.found("log.gap"))  # a start gives it its whole time again
        watched.step(2)
        assert (back, None) == (watched.found("log.gap")[2]["heard"], watched.found("log.gap")[2]["end"])
    verdict = judged(root)
    assert verdict.holds, [finding for check in verdict.checks for finding in check.findings]
    assert "silent" not in verdict.checks[Duty.COUNTERS - 1].detail


def test_a_new_declaration_is_a_new_expectation(desk: Office) -> None:
    desk.apply(COLLECTOR)
    watched = Watched(desk)
    watched.beat()
    watched.step()
    watched.step(91)
    assert 1 == len(watched.found("log.gap"))
    desk.apply({"source/lab": {"kind": "collector", "heartbeat_s": 600}})
    watched.step()
    watched.step(899)
    assert 1 == len(watched.found("log.gap"))
    watched.step(2)
    assert [60, 600] == [one["heartbeat_s"] for one in watched.found("log.gap")]
    desk.apply({"source/lab": None})
    watched.step(10_000)
    assert 2 == len(watched.found("log.gap"))


def test_after_a_restart_only_the_present_declaration_counts(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.apply({**COLLECTOR, "source/old": {"kind": "collector", "heartbeat_s": 600_000}})
        root, watched = desk.root, Watched(desk)
        watched.step()
        watched.step(91)
        declared = desk.apply({"source/lab": {"kind": "collector", "heartbeat_s": 61}})["change"]
    with opened(root) as desk:
        watched = Watched(desk)
        watched.step()
        watched.step(92)
        assert [60, 61] == [one["heartbeat_s"] for one in watched.found("log.gap")]
        assert declared == watched.found("log.gap")[1]["declared"]
    assert judged(root).holds


def test_a_heartbeat_that_overtakes_the_gap_ends_it(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.apply(COLLECTOR)
    watched = Watched(desk)
    first = watched.beat()
    watched.step()
    watched.clock.advance(91 * NS)
    record = watched.heartbeats._record
    overtaking: list[int] = []

    async def late(*arguments: Any) -> None:
        overtaking.append(await asyncio.to_thread(watched.beat))
        await record(*arguments)

    monkeypatch.setattr(watched.heartbeats, "_record", late)
    watched.step()
    monkeypatch.undo()
    watched.step()
    begin, end = watched.found("log.gap")
    assert (first, overtaking[0], begin["index"]) == (begin["heard"], end["heard"], end["gap"])
    assert judged(desk.root).holds


def test_a_heartbeat_must_say_whose_it_is(desk: Office) -> None:
    at = desk.live_now()
    answer = desk.append(Draft(kind="log.heartbeat", id=uuid7(at, os.urandom(10)), at=at))
    assert answer.refusal is not None
    assert "needs body" in answer.refusal.message


def test_ready_names_the_silent_and_the_gaps(desk: Office) -> None:
    def check(name: str) -> tuple[bool, str]:
        checks = {one["check"]: (one["holds"], one["detail"]) for one in desk.admin.get("/v1/ready")["checks"]}
        return checks[name]

    assert (True, "No source declares a heartbeat, so none can be missed.") == check("sources")
    old = {"source/old": {"kind": "collector", "heartbeat_s": 600_000}}
    desk.apply(COLLECTOR | old)
    watched = Watched(desk)
    assert (False, "Not heard of yet: lab and old.") == check("sources")
    watched.beat()
    watched.beat("old")
    assert (True, "2 sources declared, none silent.") == check("sources")
    watched.step()
    watched.step(91)
    holds, said = check("sources")
    assert (False, True) == (holds, said.startswith("Silent: lab since "))
    assert (True, "No gap in the last 7 days.") == check("gaps")
    watched.beat()
    watched.step()
    assert check("sources")[0] is True
    watched.step(91)
    assert check("sources")[0] is False
    desk.apply({"source/lab": {"kind": "collector", "heartbeat_s": 61}})  # a new declaration, a new expectation
    assert (False, "Not heard of yet: lab.") == check("sources")


def test_a_hole_in_a_counter_is_seen_from_end_to_end(tmp_path: Path) -> None:
    from affidavit.record.draft import Batch

    with office(tmp_path) as desk:
        root, stream = desk.root, os.urandom(16).hex()
        at = desk.live_now()
        drafts = [
            Draft(
                kind="log.read",
                id=uuid7(at, os.urandom(10)),
                at=at,
                actor="u-00000000000000aa",
                body=encode_body({}, os.urandom(16)),
            )
            for _ in range(2)
        ]
        assert desk.ledger.append(Batch(stream, "b0" * 16, 0, (drafts[0],))).refusal is None
        assert desk.ledger.append(Batch(stream, "b0" * 16, 4, (drafts[1],))).refusal is None
        (gap,) = desk.admin.get("/v1/records", query="kind:log.gap")["records"]
        assert f"records 1 to 3 of the source {stream[:8]} never arrived" in gap["sentence"]
        checks = {one["check"]: one for one in desk.admin.get("/v1/ready")["checks"]}
        assert f"1 gap in the last 7 days: 1 by counter; the last is record {gap['index']}." == checks["gaps"]["detail"]
    assert judged(root).holds
