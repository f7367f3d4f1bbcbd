"""What waits for the ledger's writer: entries in order, bounded, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeVar

import msgspec

from affidavit.errors import AffidavitError
from affidavit.ledger.group import Group
from affidavit.ledger.own import Own, close_record
from affidavit.ledger.sequencer import Sequencer, batch_bytes
from affidavit.limits import GROUP_BYTES_MAX, HEADER_BYTES_TYPICAL, QUEUE_BYTES_MAX, QUEUE_RECORDS_MAX
from affidavit.record.draft import Answer, Batch, Refusal

#: Answers of a log that takes nothing any more, or nothing now.
CLOSED = Answer((), Refusal("unavailable", "The log is closed."))
NO_ROOM = Answer((), Refusal("full", "Too much waits to be signed: the log's signer cannot be reached. Retry later."))
_Result = TypeVar("_Result")
Done = Callable[[Answer], None]


class Entry(msgspec.Struct):
    """Something for the writer: `seal` puts it into a group, `done` hears what became of it. `last`: none follows.

    `act`, where it is given, is done instead of sealing, between two groups.
    """

    seal: Callable[[Sequencer, int, Group], Answer]
    done: Done
    records: int = 0
    bytes: int = 0
    last: bool = False
    act: Callable[[], None] | None = None


def batch_entry(batch: Batch, done: Done) -> Entry:
    """An entry that seals a producer's batch."""
    drafts = len(batch.drafts)
    return Entry(
        lambda sequencer, now_ns, group: sequencer.seal(batch, now_ns, group),
        done,
        drafts,
        drafts * HEADER_BYTES_TYPICAL + batch_bytes(batch),
    )


def own_entry(own: Own, done: Done) -> Entry:
    """An entry that seals a record of the ledger itself."""
    return Entry(lambda sequencer, now_ns, group: Answer((sequencer.seal_own(own, now_ns, group),)), done)


def acting_entry(act: Callable[[], _Result], outcome: Future[_Result], answered: Callable[[], None]) -> Entry:
    """An entry that does something between two groups. `outcome` gets what came of it, unless it was never done."""

    def run() -> None:
        try:
            outcome.set_result(act())
        except BaseException as error:
            outcome.set_exception(error)
            if not isinstance(error, AffidavitError):
                raise

    return Entry(lambda _, __, ___: Answer(()), lambda _: answered(), act=run)


def closing_entry(reason: str, answered: Callable[[], None]) -> Entry:
    """The last entry: it seals the record of the end. `answered` is called, whatever became of it."""

    def seal(sequencer: Sequencer, now_ns: int, group: Group) -> Answer:
        own = close_record(reason, len(sequencer.standing.open_streams()))
        return Answer((sequencer.seal_own(own, now_ns, group),))

    return Entry(seal, lambda _: answered(), last=True)


def refused_entry(refusal: Refusal, done: Done) -> Entry:
    """An entry that seals nothing and tells why, from the writer's thread like every answer."""
    return Entry(lambda _, __, ___: Answer((), refusal), done)


class Intake:
    """The queue. Producers beyond its bounds are refused (`full`), never blocked."""

    def __init__(self) -> None:
        self._entries: SimpleQueue[Entry] = SimpleQueue()
        self._lock = threading.Lock()
        self._records = 0
        self._bytes = 0
        self._closed = False

    def put(self, entry: Entry) -> bool:
        """Queue `entry`, or its refusal where too much waits. False where the queue is closed: nothing was queued."""
        with self._lock:
            if self._closed:
                return False
            records, size = self._records + entry.records, self._bytes + entry.bytes
            # An entry that is alone always fits: otherwise it never would.
            if self._records and (records > QUEUE_RECORDS_MAX or size > QUEUE_BYTES_MAX):
                entry = refused_entry(Refusal("full", "Too much waits to be written. Retry later."), entry.done)
            else:
                self._records, self._bytes = records, size
            self._closed = entry.last
            self._entries.put(entry)
        return True

    def take(self) -> list[Entry]:
        """Wait for an entry, then take what has queued, up to one group."""
        return self._fill([self._entries.get()])

    def take_now(self) -> list[Entry]:
        """What has queued, up to one group; nothing, if nothing has."""
        try:
            first = self._entries.get_nowait()
        except Empty:
            return []
        return self._fill([first])

    def _fill(self, taken: list[Entry]) -> list[Entry]:
        records, size = taken[0].records, taken[0].bytes
        while size < GROUP_BYTES_MAX:
            try:
                entry = self._entries.get_nowait()
            except Empty:
                break
            taken.append(entry)
            records += entry.records
            size += entry.bytes
        with self._lock:
            self._records -= records
            self._bytes -= size
        return taken
