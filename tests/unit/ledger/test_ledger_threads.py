"""The ledger with its threads, on a disk in memory: order of events, bounds, and how it ends."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import pytest
from ledgercase import BOOT, FIRST_STATE, Case, code, indexes
from simdisk import SimDisk

from affidavit.errors import Unavailable
from affidavit.ledger import intake
from affidavit.ledger import ledger as ledger_module
from affidavit.ledger.ledger import Ledger
from affidavit.record.draft import Answer, Batch
from affidavit.record.kinds import STATE_KINDS
from affidavit.record.read import Record

ROOT = Path("/data")


@pytest.fixture
def case() -> Case:
    case = Case(SimDisk(), ROOT)
    case.create()
    return case


def test_many_producers_at_once(case: Case) -> None:
    ledger = case.recover()
    ledger.start()
    batches = [[Batch(stream, BOOT, n, (case.opening(),)) for n in range(20)] for stream in map(_name, range(8))]
    found: list[list[Answer]] = [[] for _ in batches]

    def produce(number: int) -> None:
        found[number] += [ledger.append(batch) for batch in batches[number]]

    threads = [threading.Thread(target=produce, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    all_indexes = sorted(index for answers in found for answer in answers for index in indexes(answer))
    assert list(range(6, 166)) == all_indexes
    assert all(indexes(a) < indexes(b) for answers in found for a, b in pairwise(answers))
    ledger.close("done")
    assert 167 == ledger.published.size
    assert 167 == ledger.size


def test_what_a_start_found_is_published_at_once(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is killed again and again within a second of its start would else never publish."""
    monkeypatch.setattr(ledger_module, "PUBLISH_INTERVAL_S", 3_600.0)
    ledger = case.recover()
    assert ledger.published.size < ledger.size
    ledger.start()
    with ledger._changed:
        assert ledger._changed.wait_for(lambda: ledger.published.size == ledger.size, 10)
    ledger.close("done")


def test_followers_see_a_change_before_its_producer_hears_of_it(case: Case) -> None:
    ledger = case.recover()
    seen: list[str] = []

    def follower(records: list[Record]) -> None:
        seen.extend(f"follow {record.index} {record.header.kind} {record.content['reason']}" for record in records)

    assert 6 == ledger.follow(follower, STATE_KINDS)  # type: ignore[arg-type]
    drafts = (case.opening(), case.change(FIRST_STATE))
    ledger.submit(Batch(case.stream(), BOOT, 0, drafts), lambda answer: seen.append(f"done {indexes(answer)}"))
    assert 1 == ledger.step()
    assert ["follow 7 change because", "done [6, 7]"] == seen


def test_a_follower_that_fails_ends_the_ledger(case: Case) -> None:
    ledger = case.recover()

    def follower(_: object) -> None:
        raise RuntimeError("cannot")

    ledger.follow(follower, frozenset({"context"}))
    assert "unavailable" == code(ledger.append(Batch(case.stream(), BOOT, 0, (case.context(),))))
    assert "unavailable" == code(ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),))))
    assert ledger.failure is not None and "cannot" in str(ledger.failure)


def test_a_producer_whose_callback_fails_keeps_nobody_from_an_answer(case: Case) -> None:
    ledger = case.recover()
    answers: list[Answer] = []

    def fails(_: Answer) -> None:
        raise RuntimeError("mine")

    ledger.submit(Batch(case.stream(), BOOT, 0, (case.opening(),)), fails)
    ledger.submit(Batch(case.stream(), BOOT, 0, (case.opening(),)), answers.append)
    ledger.step()
    assert [[7]] == [indexes(answer) for answer in answers]
    assert ledger.failure is None


def test_too_much_that_waits_is_refused_not_blocked(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "QUEUE_RECORDS_MAX", 3)
    ledger = case.recover()
    answers: list[str] = []
    for _ in range(5):
        batch = Batch(case.stream(), BOOT, 0, (case.opening(),))
        ledger.submit(batch, lambda answer: answers.append(code(answer)))
    assert [] == answers
    ledger.step()
    assert ["", "", "", "full", "full"] == answers
    ledger.submit(Batch(case.stream(), BOOT, 0, (case.opening(),)), lambda answer: answers.append(code(answer)))
    ledger.step()
    assert "" == answers[-1]


def test_what_is_not_published_is_bounded(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "UNPUBLISHED_BYTES_MAX", 20_000)
    ledger = case.recover()
    for _ in range(30):
        ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(), case.context(), case.context(), case.context())))
        assert ledger.size - ledger.published.size < 60
    assert ledger.published.size > 60


def test_with_threads_the_writer_waits_for_the_publisher(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "UNPUBLISHED_BYTES_MAX", 20_000)
    monkeypatch.setattr(ledger_module, "PUBLISH_INTERVAL_S", 30.0)
    ledger = case.recover()
    ledger.start()
    for _ in range(30):
        ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(), case.context(), case.context(), case.context())))
    assert ledger.published.size > 60
    ledger.close("")


def test_after_close_everything_is_refused(case: Case) -> None:
    ledger = case.recover()
    ledger.start()
    ledger.close("done")
    assert "unavailable" == code(ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),))))
    ledger.flush()
    ledger.close("again")
    assert "log.close" == case.recover().reader().record(6).header.kind


def test_what_was_queued_before_close_is_still_answered(case: Case) -> None:
    ledger = case.recover()
    answers: list[Answer] = []
    ledger.submit(Batch(case.stream(), BOOT, 0, (case.opening(),)), answers.append)
    ledger.close("done")
    assert [[6]] == [indexes(answer) for answer in answers]


def test_flush_waits_for_what_was_submitted(case: Case) -> None:
    ledger = case.recover()
    ledger.start()
    answers: list[Answer] = []
    ledger.submit(Batch(case.stream(), BOOT, 0, (case.opening(),)), answers.append)
    ledger.flush()
    assert 1 == len(answers)
    ledger.close("")


def test_a_publication_that_fails_ends_the_ledger(case: Case) -> None:
    ledger = case.recover()
    ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),)))
    assert isinstance(case.disk, SimDisk)
    case.disk.fail_at = case.disk.steps + 1
    with pytest.raises(Unavailable):
        ledger.publish_now()
    assert "unavailable" == code(ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),))))


def test_open_starts_the_threads(case: Case) -> None:
    assert case.secrets is not None
    host = case.host
    ledger = Ledger.open(
        ROOT, case.disk, host.clock, case.secrets, case.secrets.origin, BOOT, host.randomness, host.clock_status
    )
    assert [6] == indexes(ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),))))
    ledger.close("")


def _name(number: int) -> str:
    return f"{number:032x}"
