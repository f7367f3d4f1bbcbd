"""A producer: numbering, coalescing, groups that fail alone, and completions in an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from affidavit.capture import producer as producer_module
from affidavit.capture.producer import Producer
from affidavit.errors import InvalidInput
from affidavit.limits import BATCH_RECORDS_MAX
from affidavit.record.draft import Answer, Batch, Draft, Earlier, Receipt, Refusal

STREAM, BOOT = "ab" * 16, "cd" * 16
_ID = "00000000-0000-7000-8000-{:012d}"


class HandSink:
    """Keeps batches until a test answers them."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Batch, Callable[[Answer], None]]] = []
        self.batches: list[Batch] = []
        self.size = 100

    def submit(self, batch: Batch, done: Callable[[Answer], None]) -> None:
        self.waiting.append((batch, done))
        self.batches.append(batch)

    def answer(self, sealed: int | None = None, code: str = "") -> None:
        batch, done = self.waiting.pop(0)
        count = len(batch.drafts) if sealed is None else sealed
        receipts = tuple(Receipt(self.size + n, batch.drafts[n].id, "", 0) for n in range(count))
        self.size += count
        done(Answer(receipts, Refusal(code, "no") if code else None))


def drafts(*numbers: int) -> list[Draft]:
    return [Draft(kind="log.heartbeat", id=_ID.format(number), at=0) for number in numbers]


def numbers(batch: Batch) -> list[int]:
    return [int(draft.id[-12:]) for draft in batch.drafts]


class Ears:
    """What became of each group, in the order it was heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, list[int], str]] = []

    def __call__(self, name: str) -> Callable[[Answer], None]:
        def done(answer: Answer) -> None:
            code = "" if answer.refusal is None else answer.refusal.code
            self.heard.append((name, [int(receipt.id[-12:]) for receipt in answer.receipts], code))

        return done


@pytest.fixture
def sink() -> HandSink:
    return HandSink()


@pytest.fixture
def ears() -> Ears:
    return Ears()


def test_one_batch_in_flight_takes_what_queues_meanwhile(sink: HandSink, ears: Ears) -> None:
    producer = Producer(sink, STREAM, BOOT)
    producer.submit(drafts(1), ears("a"))
    producer.submit(drafts(2, 3), ears("b"))
    producer.submit(drafts(4), ears("c"))
    assert 1 == len(sink.batches)
    sink.answer()
    assert [[1], [2, 3, 4]] == [numbers(batch) for batch in sink.batches]
    assert [0, 1] == [batch.first for batch in sink.batches]
    assert [("a", [1], "")] == ears.heard
    sink.answer()
    assert [("a", [1], ""), ("b", [2, 3], ""), ("c", [4], "")] == ears.heard
    producer.submit(drafts(5), ears("d"))
    assert (4, STREAM, BOOT) == (sink.batches[2].first, sink.batches[2].stream, sink.batches[2].boot)


def test_only_the_group_of_the_refused_draft_fails(sink: HandSink, ears: Ears) -> None:
    producer = Producer(sink, STREAM, BOOT)
    producer.submit(drafts(0), ears("first"))
    for name, group in (("a", (1, 2)), ("b", (3, 4, 5)), ("c", (6,)), ("d", (7,))):
        producer.submit(drafts(*group), ears(name))
    sink.answer()
    sink.answer(sealed=3, code="conflict")  # 1, 2, 3 sealed; 4 refused
    assert [("first", [0], ""), ("a", [1, 2], ""), ("b", [3], "conflict")] == ears.heard
    assert ([6, 7], 4) == (numbers(sink.batches[2]), sink.batches[2].first)
    sink.answer(sealed=0, code="draft")
    assert ("c", [], "draft") == ears.heard[-1]
    assert ([7], 4) == (numbers(sink.batches[3]), sink.batches[3].first)
    sink.answer()
    assert ("d", [7], "") == ears.heard[-1]


def test_what_waits_behind_a_refusal_keeps_its_place(sink: HandSink, ears: Ears) -> None:
    producer = Producer(sink, STREAM, BOOT)
    producer.submit(drafts(1), ears("a"))
    producer.submit(drafts(2), ears("b"))
    producer.submit(drafts(3), ears("c"))
    sink.answer()
    producer.submit(drafts(4), ears("d"))
    sink.answer(sealed=0, code="conflict")
    assert [3, 4] == numbers(sink.batches[2])


def test_references_inside_a_group_become_numbers_of_the_stream(sink: HandSink, ears: Ears) -> None:
    producer = Producer(sink, STREAM, BOOT)
    producer.submit(drafts(1, 2), ears("a"))
    group = [
        Draft(kind="session.open", id=_ID.format(3), at=0),
        Draft(kind="context", id=_ID.format(4), at=0),
        Draft(kind="access", id=_ID.format(5), at=0, session=Earlier(0), context=Earlier(1), ref=7),
    ]
    producer.submit(group, ears("b"))
    producer.submit(group, ears("c"))
    sink.answer()
    found = [(draft.session, draft.context, draft.ref) for draft in sink.batches[1].drafts]
    none = (None, None, None)
    assert [none, none, (Earlier(2), Earlier(3), 7), none, none, (Earlier(5), Earlier(6), 7)] == found
    sink.answer(sealed=0, code="conflict")
    assert (Earlier(2), Earlier(3), 7) == (
        sink.batches[2].drafts[2].session,
        sink.batches[2].drafts[2].context,
        sink.batches[2].drafts[2].ref,
    ), "handed over again, the group has other numbers"


@pytest.mark.parametrize("code", ["unavailable", "full", "number"])
def test_where_nothing_can_be_taken_all_that_wait_are_refused(sink: HandSink, ears: Ears, code: str) -> None:
    producer = Producer(sink, STREAM, BOOT)
    for name in ("a", "b", "c"):
        producer.submit(drafts(1), ears(name))
    sink.answer()
    producer.submit(drafts(2), ears("d"))
    sink.answer(sealed=0, code=code)
    assert [("b", [], code), ("c", [], code), ("d", [], code)] == ears.heard[1:]
    assert [] == sink.waiting
    producer.submit(drafts(3), ears("e"))
    assert (1, [3]) == (sink.batches[-1].first, numbers(sink.batches[-1]))


def test_groups_are_never_split_and_batches_are_bounded(sink: HandSink, ears: Ears) -> None:
    producer = Producer(sink, STREAM, BOOT)
    half = BATCH_RECORDS_MAX // 2
    for name in ("a", "b", "c", "d"):
        producer.submit(drafts(*range(half + (name == "b"))), ears(name))
    sink.answer()
    assert half + 1 == len(sink.batches[1].drafts)
    sink.answer()
    assert 2 * half == len(sink.batches[2].drafts)
    with pytest.raises(InvalidInput, match="more than a batch may hold"):
        producer.submit(drafts(*range(BATCH_RECORDS_MAX + 1)), ears("x"))


def test_bodies_bound_a_batch_too(sink: HandSink, ears: Ears, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer_module, "GROUP_BYTES_MAX", 100)
    producer = Producer(sink, STREAM, BOOT)
    heavy = [Draft(kind="log.heartbeat", id=_ID.format(1), at=0, body=bytes(60))]
    for name in ("a", "b", "c"):
        producer.submit(heavy, ears(name))
    sink.answer()
    assert 1 == len(sink.batches[1].drafts)
    with pytest.raises(InvalidInput):
        producer.submit(heavy * 2, ears("x"))


def test_too_much_that_waits_is_refused(sink: HandSink, ears: Ears, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer_module, "QUEUE_RECORDS_MAX", 2)
    producer = Producer(sink, STREAM, BOOT)
    for name in ("a", "b", "c", "d"):
        producer.submit(drafts(1), ears(name))
    assert [("d", [], "full")] == ears.heard
    producer.submit([], ears("nothing"))
    assert ("nothing", [], "") == ears.heard[-1]


def test_in_a_loop_a_batch_wakes_it_once(sink: HandSink, ears: Ears) -> None:
    wakeups: list[Callable[[], None]] = []
    producer = Producer(sink, STREAM, BOOT, wakeups.append)
    for name in ("a", "b", "c"):
        producer.submit(drafts(1), ears(name))
    sink.answer()
    sink.answer()
    assert ([], 2) == (ears.heard, len(wakeups))
    for wake in wakeups:
        wake()
    assert ["a", "b", "c"] == [name for name, _, _ in ears.heard]


class ThreadSink(HandSink):
    """Answers from a thread of its own, as the ledger does."""

    def submit(self, batch: Batch, done: Callable[[Answer], None]) -> None:
        super().submit(batch, done)
        self.later(self.answer)

    def later(self, act: Callable[[], None]) -> None:
        threading.Thread(target=act).start()


@pytest.mark.parametrize("delivered_in_loop", [True, False])
def test_append_waits_for_the_answer(delivered_in_loop: bool) -> None:
    async def run() -> Sequence[Answer]:
        sink = ThreadSink()
        loop = asyncio.get_running_loop()
        if delivered_in_loop:
            producer = Producer(sink, STREAM, BOOT, loop.call_soon_threadsafe)
        else:
            producer = Producer(sink, STREAM, BOOT)
        return await asyncio.gather(*(producer.append(drafts(number)) for number in range(20)))

    answers = asyncio.run(run())
    assert [_ID.format(number) for number in range(20)] == [answer.receipts[0].id for answer in answers]


def test_a_caller_that_gave_up_does_no_harm(sink: HandSink) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        producer = Producer(sink, STREAM, BOOT, loop.call_soon_threadsafe)
        waiting = asyncio.ensure_future(producer.append(drafts(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        sink.answer()
        await asyncio.sleep(0)
        assert waiting.cancelled()

    asyncio.run(run())
