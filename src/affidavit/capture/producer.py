"""A producer: owns one stream of drafts to a sink, numbers them, and keeps one batch in flight.

Callers hand over *groups*: drafts that belong together, in order. While a batch is in flight, groups queue; the next
batch takes as many as fit, so many callers share one durable write. Inside a group, `Earlier(n)` means the group's n-th
draft; the producer turns that into the stream's number.

A refusal concerns one draft. Its group gets the receipts of what was sealed before it, and the refusal; the groups
behind it are handed over again under the numbers that stayed unused. Where the sink cannot take anything
(`unavailable`, `full`), all that wait are refused alike: they would only fail one after another. The same where the
sink has ended the stream (`number`): the producer is of no use any more, its owner makes a new one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from affidavit.errors import InvalidInput
from affidavit.limits import BATCH_RECORDS_MAX, GROUP_BYTES_MAX, QUEUE_RECORDS_MAX
from affidavit.record.draft import Answer, Batch, Draft, Earlier, Reference, Refusal, Sink

Done = Callable[[Answer], None]
#: Runs all completions of one answered batch. In an event loop: `loop.call_soon_threadsafe`, one wakeup for them all.
Deliver = Callable[[Callable[[], None]], object]

_log = logging.getLogger(__name__)
_HOPELESS = frozenset({"unavailable", "full", "number"})
_FULL = Answer((), Refusal("full", "Too much waits to be written. Retry later."))


@dataclass(frozen=True, slots=True)
class _Group:
    drafts: tuple[Draft, ...]
    done: Done
    bytes: int


def at_once(run: Callable[[], None]) -> None:
    """Deliver on the sink's own thread: for callers that do not block there."""
    run()


class Producer:
    """One stream. All methods may be called from any thread.

    `stream` is 32 hex digits that nobody used before, `boot` the boot whose clock the drafts carry. `done` callbacks
    run where `deliver` runs them, in the order of submission within a batch, and must not block.
    """

    def __init__(self, sink: Sink, stream: str, boot: str, deliver: Deliver = at_once) -> None:
        self._sink = sink
        self._stream = stream
        self._boot = boot
        self._deliver = deliver
        self._lock = threading.Lock()
        self._waiting: deque[_Group] = deque()
        self._waiting_drafts = 0
        self._in_flight: list[_Group] = []
        self._next = 0

    @property
    def stream(self) -> str:
        """The stream's name, as in headers."""
        return self._stream

    def submit(self, drafts: Sequence[Draft], done: Done) -> None:
        """Queue a group; `done` is called once, with a receipt for each sealed draft and the refusal of the next.

        Raises `InvalidInput` for a group that no batch can hold.
        """
        weight = sum([len(draft.body) for draft in drafts if draft.body is not None])
        if len(drafts) > BATCH_RECORDS_MAX or weight > GROUP_BYTES_MAX:
            raise InvalidInput(
                "producer.group",
                f"A group of {len(drafts)} drafts and {weight} bytes is more than a batch may hold.",
                "Hand over fewer drafts at a time.",
            )
        if not drafts:
            self._deliver(lambda: done(Answer(())))
            return
        group = _Group(tuple(drafts), done, weight)
        with self._lock:
            full = self._waiting_drafts + len(drafts) > QUEUE_RECORDS_MAX
            if not full:
                self._waiting.append(group)
                self._waiting_drafts += len(drafts)
            batch = None if full or self._in_flight else self._take()
        if full:
            self._deliver(lambda: done(_FULL))
        if batch is not None:
            self._sink.submit(batch, self._answered)

    async def append(self, drafts: Sequence[Draft]) -> Answer:
        """`submit`, and wait for the answer."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()

        def settle(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        def done(answer: Answer) -> None:
            if self._deliver == loop.call_soon_threadsafe:
                settle(answer)  # we are in that loop already
            else:
                loop.call_soon_threadsafe(settle, answer)

        self.submit(drafts, done)
        return await answered

    def _take(self) -> Batch | None:
        """Put the next groups in flight, as their batch. Called with the lock held."""
        drafts: list[Draft] = []
        size = 0
        taken = self._in_flight
        while self._waiting:
            group = self._waiting[0]
            if taken and (len(drafts) + len(group.drafts) > BATCH_RECORDS_MAX or size + group.bytes > GROUP_BYTES_MAX):
                break
            first = self._next + len(drafts)
            drafts += [_numbered(draft, first) for draft in group.drafts]
            size += group.bytes
            taken.append(self._waiting.popleft())
            self._waiting_drafts -= len(group.drafts)
        return Batch(self._stream, self._boot, self._next, tuple(drafts)) if taken else None

    def _answered(self, answer: Answer) -> None:
        """Settle the groups of the batch that was in flight, and hand over what waits. On the sink's thread."""
        settled: list[tuple[Done, Answer]] = []
        refusal = answer.refusal
        with self._lock:
            self._next += len(answer.receipts)
            groups, self._in_flight = self._in_flight, []
            rest = _settle(groups, answer, settled)
            if refusal is not None and refusal.code in _HOPELESS:
                settled += [(group.done, Answer((), refusal)) for group in (*rest, *self._waiting)]
                self._waiting.clear()
                self._waiting_drafts = 0
            else:
                self._waiting.extendleft(reversed(rest))
                self._waiting_drafts += sum(len(group.drafts) for group in rest)
            batch = self._take()
        if batch is not None:
            self._sink.submit(batch, self._answered)
        self._deliver(lambda: _tell(settled))


def _settle(groups: Sequence[_Group], answer: Answer, settled: list[tuple[Done, Answer]]) -> list[_Group]:
    """Share the answer of a batch among its groups; those behind the refused draft are given back."""
    at, sealed = 0, len(answer.receipts)
    for number, group in enumerate(groups):
        end = at + len(group.drafts)
        if end > sealed:
            settled.append((group.done, Answer(answer.receipts[at:], answer.refusal)))
            return list(groups[number + 1 :])
        settled.append((group.done, Answer(answer.receipts[at:end])))
        at = end
    return []


def _tell(settled: Sequence[tuple[Done, Answer]]) -> None:
    for done, answer in settled:
        try:
            done(answer)
        except Exception:  # one caller's mistake must not keep the others from their answers
            _log.exception("a producer's callback failed")


def _numbered(draft: Draft, first: int) -> Draft:
    """The draft with its references inside the group turned into numbers of the stream."""
    session, context, ref = draft.session, draft.context, draft.ref
    if isinstance(session, Earlier) or isinstance(context, Earlier) or isinstance(ref, Earlier):
        return msgspec.structs.replace(
            draft, session=_shifted(session, first), context=_shifted(context, first), ref=_shifted(ref, first)
        )
    return draft


def _shifted(reference: Reference | None, first: int) -> Reference | None:
    return Earlier(reference.seq + first) if isinstance(reference, Earlier) else reference
