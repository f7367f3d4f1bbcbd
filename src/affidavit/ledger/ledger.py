"""The ledger: takes batches, makes them durable, tells who asked, and publishes. The only writer of a log.

Theory. A writer thread takes whatever has queued (group commit), seals it, makes it durable with one frame and one
sync, shows it to followers in order, and then answers. A publisher thread turns durable records into the public log
within a second. Without threads the same two steps are `step` and `publish_now`: simulation drives those.

The first error of the disk, or of a follower, ends it: nothing is acknowledged any more, every batch is answered
`unavailable`, and only a new start, which reads what is really there, goes on. Records of the failed group may turn up
then; nobody was told that they are there, and nobody that they are not.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from affidavit.clock import Clock, ClockStatus
from affidavit.durable import Disk, Lock
from affidavit.errors import AffidavitError, Unavailable
from affidavit.ledger.clockwatch import ClockWatch
from affidavit.ledger.erasing import Eraser, check_decided, check_erasable, stub_of
from affidavit.ledger.group import Group
from affidavit.ledger.intake import (
    CLOSED,
    NO_ROOM,
    Done,
    Entry,
    Intake,
    acting_entry,
    batch_entry,
    closing_entry,
    own_entry,
)
from affidavit.ledger.journal import Journal
from affidavit.ledger.keeper import Keeper
from affidavit.ledger.kept import KeptCheckpoints
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.opening import open_folder
from affidavit.ledger.own import Host, Own, key_record, start_records
from affidavit.ledger.publication import Publication
from affidavit.ledger.reader import Reader
from affidavit.ledger.receipts import Receipts
from affidavit.ledger.recovery import Progress, Recovered
from affidavit.ledger.rotate import Keyring, Successor, finish_rotation, prepare_rotation
from affidavit.ledger.sequencer import Sequencer
from affidavit.ledger.signer import Purpose, signed_note
from affidavit.ledger.snapshot import snapshot_key
from affidavit.ledger.unpublished import Unpublished
from affidavit.limits import (
    GC_RECORDS_MIN,
    PUBLISH_EARLY_BYTES,
    PUBLISH_INTERVAL_S,
    TILE_WIDTH,
    UNPUBLISHED_BYTES_MAX,
)
from affidavit.record.body import BodySealer
from affidavit.record.draft import Answer, Batch, Refusal
from affidavit.record.frame import Stored
from affidavit.record.moment import format_moment
from affidavit.record.read import Record, stored_header
from affidavit.record.tags import Tagger
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import SignatureLine, VerifierKey

_log = logging.getLogger(__name__)
_STREAM_BYTES = 16
Follower = Callable[[Sequence[Record]], None]
_Result = TypeVar("_Result")


class Ledger:
    """One log, open for writing. A `Sink`. All methods may be called from any thread."""

    def __init__(
        self,
        disk: Disk,
        layout: Layout,
        host: Host,
        secrets: Secrets,
        journal: Journal,
        found: Recovered,
        lock: Lock,
    ) -> None:
        """For `open`, `recover` and `create_log`: the journal and what was found must belong together."""
        self._disk = disk
        self._layout = layout
        self._host = host
        self._secrets = secrets
        self._journal = journal
        self._publisher = found.publisher
        self._kept = KeptCheckpoints(disk, layout)
        self._process_lock = lock
        self._watch = ClockWatch(host)
        self._sequencer = Sequencer(
            found.standing,
            BodySealer(secrets.body_keys[-1]),
            Tagger(secrets.tag_key),
            host.randomness(_STREAM_BYTES).hex(),
            host.boot,
            host.randomness,
            self._kind_of,
        )
        #: How many bodies were erased: readers ask.
        self.erasures = 0
        self._old = self.reader()  # of the writer's thread alone
        self._receipts = Receipts(
            secrets.origin, lambda text: signed_note(self._publisher.signer, Purpose.RECEIPT, text), self.reader()
        )
        key = snapshot_key(secrets.digest_key)
        self._keeper = Keeper(disk, layout, key, found.published_standing, found.snapshot_size)
        self._keeper.note(found.standing.size, found.unpublished)
        self._eraser = Eraser(disk, layout)
        self._intake = Intake()
        self._unpublished = Unpublished(found.base, found.recent, found.standing.size)
        self._changed = self._unpublished.changed  # notified when something is published or the ledger has failed
        self._state_index = found.standing.state
        self._failure: AffidavitError | None = None
        self._unsigned_since = ""
        self._followers: list[tuple[Follower, frozenset[str]]] = []
        self._publishing = threading.Lock()
        self._publish_soon = threading.Event()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    @classmethod
    def open(
        cls,
        root: Path,
        disk: Disk,
        clock: Clock,
        secrets: Secrets,
        origin: str,
        boot: str,
        randomness: Callable[[int], bytes],
        clock_status: Callable[[], ClockStatus],
        progress: Progress | None = None,
        unguarded: Sequence[str] = (),
        keyring: Keyring | None = None,
    ) -> Ledger:
        """The log in `root`, recovered and running. `progress` hears how far reading has got; `unguarded` names places
        that could not be asked whether this log continues theirs; `keyring` has the log's keys, else `secrets` has.

        Raises `Unavailable` where another process writes it, `InvalidInput` for the keys of another log, `Corruption`
        where it must not be written to; then nothing was changed.
        """
        host = Host(clock, boot, randomness, clock_status, tuple(unguarded))
        ledger = cls.recover(root, disk, host, secrets, origin, progress, keyring)
        ledger.start()
        return ledger

    @classmethod
    def recover(
        cls,
        root: Path,
        disk: Disk,
        host: Host,
        secrets: Secrets,
        origin: str,
        progress: Progress | None = None,
        keyring: Keyring | None = None,
    ) -> Ledger:
        """As `open`, without threads: `step` and `publish_now` do their work when they are called.

        `publish_now` then also writes the snapshot of what stands open (`keeper`) and prunes the journal (`pruning`),
        each where it is due: at the bounds `SNAPSHOT_RECORDS` and `SEGMENTS_KEPT`.
        """
        opened = open_folder(root, disk, host, secrets, origin, progress, keyring)
        found = opened.found
        try:
            ledger = cls(disk, opened.layout, host, secrets, opened.journal, found, opened.lock)
            for index, by in found.erasures.items():
                ledger._put_stub(index, stub_of(index, by, ledger._old.stored(index), secrets.body_keys_by_id))
            started = start_records(found.standing, host, ledger.verifiers)
            ledger.write_own([*started, ledger._watch.start(found.standing.anchor)])
            opened.left_to_do()
        except BaseException:
            opened.lock.release()
            raise
        return ledger

    @property
    def size(self) -> int:
        """How many records are durable."""
        return self._unpublished.size

    @property
    def state_index(self) -> int:
        """The index after the last durable record that changed state."""
        return self._state_index

    @property
    def anchor(self) -> int | None:
        """The index of the newest `anchor` record, None where there is none."""
        return self._sequencer.standing.anchor

    @property
    def published(self) -> Checkpoint:
        """The newest checkpoint that is signed and durable."""
        return self._publisher.published

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """The public keys that sign now: Ed25519, and ML-DSA-44 where it is switched on."""
        return self._publisher.signer.verifiers

    @property
    def unsigned(self) -> Unavailable | None:
        """Why nothing can be published now: the signer cannot be reached. None where it can."""
        return self._publisher.unsigned

    @property
    def publication(self) -> Publication:
        """How publication goes."""
        said = (self.unsigned, self._unsigned_since, self._kept.problem, self._kept.since, self._failure)
        return Publication(self._unpublished.size, self.published.size, True, *said)

    @property
    def failure(self) -> AffidavitError | None:
        """Why the ledger stopped acknowledging, or None while it runs."""
        return self._failure

    def start(self) -> None:
        """Start the writer and the publisher, which begins with what this start found unpublished."""
        self._publish_soon.set()  # a log that is killed again and again within a second would else never publish
        for name, run in (("ledger writer", self._write_on), ("ledger publisher", self._publish_on)):
            thread = threading.Thread(target=run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def submit(self, batch: Batch, done: Done) -> None:
        """Queue `batch`; `done` tells, from the writer's thread. After `close` it tells at once, from the caller's."""
        if not self._intake.put(batch_entry(batch, done)):
            done(CLOSED)

    def append(self, batch: Batch) -> Answer:
        """`submit`, and wait for the answer. Not for the writer's own thread, such as in `done` or a follower."""
        return self._answered(lambda done: batch_entry(batch, done))

    def record(self, own: Own) -> int:
        """Make a record of the ledger itself durable while it runs; its index. Raises `Unavailable`."""
        answer = self._answered(lambda done: own_entry(own, done))
        if answer.refusal is not None:
            raise Unavailable("log.unavailable", f"The log does not take records now: {answer.refusal.message}")
        return answer.receipts[0].index

    def flush(self) -> None:
        """Wait until everything submitted so far was answered. Raises `Unavailable` where the ledger has stopped."""
        answered = threading.Event()
        if self._intake.put(Entry(lambda _, __, ___: Answer(()), lambda _: answered.set())):
            self._wait(answered)
        self._raise_failure()

    def follow(self, callback: Follower, kinds: frozenset[str]) -> int:
        """Show `callback` every record of these kinds from now on, durable ones, in order, before `done` is called.

        It runs on the writer's thread, must not block, and ends the ledger if it raises: what followers know would no
        longer be what the log says. Gives the index of the first record that it is shown; read earlier ones first,
        or call this before anything is submitted.
        """
        with self._changed:
            self._followers = [*self._followers, (callback, kinds)]
            return self._unpublished.size

    def receipt(self, index: int) -> bytes:
        """A signed receipt of a record that was acknowledged lately: the bytes of a file (`tlog/receipts.py`).

        Made and signed on the caller's thread. Raises `Unavailable` for older records, and after a failure.
        """
        self._raise_failure()
        return self._receipts.receipt(index)

    def reader(self) -> Reader:
        """A reader of all that is durable. One for each thread."""
        return Reader(self._disk, self._layout, self._secrets.body_keys_by_id, self)

    def recent(self) -> tuple[int, int, Callable[[int], Stored | None]]:
        """For readers: from which index on records are held in memory, the size, and how to get one."""
        return self._unpublished.base, self._unpublished.size, self._unpublished.at

    def step(self) -> int:
        """Make durable and answer what has queued. Gives how many entries that were. Only without threads."""
        entries = self._intake.take_now()
        if entries:
            self._commit(entries)
        return len(entries)

    def tick(self) -> None:
        """Queue a `clock` record where one is due."""
        if (own := self._watch.due(self.anchor)) is not None:
            self.note(own)

    def publish_now(self) -> Checkpoint:
        """Publish all that is durable now.

        Raises `Unavailable` or `Corruption`, and then the ledger has stopped; except where the signer cannot be reached
        (`unsigned`): then nothing is lost, and the next call tries again.
        """
        with self._publishing:
            checkpoint = self._publish()
            now = format_moment(self._host.clock.now_ns())
            # Nor may a rotation publish meanwhile: what is kept is the file as it lies there, under this size.
            self._kept.keep_hourly(checkpoint.size, now, lambda index: self.reader().record(index).header.log.at)
        return checkpoint

    def rotate(self, successor: Successor, reason: str, content: Mapping[str, Any], fields: Mapping[str, Any]) -> int:
        """Give the log the keys of `successor`; the index of the `log.key` record (docs/spec/keys.md).

        `content` is what else its body holds, `fields` those of its header. Raises `Unavailable` or `Corruption`. Where
        `failure` is set then, only the next start tells which keys are in force; else the old ones are.
        """
        return self._between(lambda: self._rotate(successor, reason, content, fields))

    def _rotate(self, successor: Successor, reason: str, content: Mapping[str, Any], fields: Mapping[str, Any]) -> int:
        last = self._publish()
        self._kept.keep(last.size)
        note = prepare_rotation(self._disk, self._layout, last, self._publisher.signer, successor)
        with self._fatal():
            index = self._seal_now(key_record(reason, note, content, fields))
            finish_rotation(self._disk, self._layout, note, successor)
        self._publisher.signer = successor.signer
        return index

    def erase(self, index: int, own: Own) -> int:
        """Erase the body of the record at `index`; the index of the `erase` record `own`, after which nothing is done
        where it says that it was denied.

        Raises `Conflict`, `InvalidInput`, `Unavailable` or `Corruption` where the body cannot be erased; nothing is
        recorded then. Where `failure` is set, the next start finds how far it got, and finishes it.
        """
        return self._between(lambda: self._erase(index, own))

    def _erase(self, index: int, own: Own) -> int:
        check_decided(self._sequencer.standing, own)
        if own.fields["decision"] != "allow":
            with self._fatal():
                return self._seal_now(own)
        stored, by = self._old.stored(index), self._unpublished.size
        check_erasable(self._sequencer.standing, index, stored)
        stub = stub_of(index, by, stored, self._secrets.body_keys_by_id)
        self._eraser.check(index)
        with self._fatal():
            self._seal_now(own)
            self._put_stub(index, stub)
        return by

    def _put_stub(self, index: int, stub: bytes) -> None:
        self._publisher.begin_anew()
        self._eraser.put_stub(index, stub, self._journal)
        self._unpublished.replace_slot(index, stub)
        self.erasures += 1

    def _between(self, act: Callable[[], _Result]) -> _Result:
        """What `act` gives, done on the writer's thread between two group commits, while nothing is published."""
        outcome: Future[_Result] = Future()
        answered = threading.Event()

        def alone() -> _Result:
            with self._publishing:
                return act()

        if self._intake.put(acting_entry(alone, outcome, answered.set)):
            self._wait(answered)
        if not outcome.done():
            self._raise_failure()
            raise Unavailable("log.unavailable", "The log is closed.", "Open it again.")
        return outcome.result()

    def _seal_now(self, own: Own) -> int:
        """Make a record of the ledger itself durable at once, on the writer's thread; its index."""
        return self._make_durable([own_entry(own, _ignore)])[0].receipts[0].index

    def _publish(self) -> Checkpoint:
        """For whoever holds `_publishing`. Raises as `publish_now`."""
        self._raise_failure()
        base, records, weight = self._unpublished.take()
        with self._fatal():
            if self._threads:
                self._publisher.build_apart(base + len(records), self._process_lock.descriptor)
            checkpoint = self._publisher.publish(base, records)
        if self._publisher.unsigned is not None:
            self._unsigned_since = self._unsigned_since or format_moment(self._host.clock.now_ns())
            with self._changed:
                self._changed.notify_all()
            raise self._publisher.unsigned
        self._unsigned_since = ""
        with self._changed:
            self._unpublished.published(checkpoint.size, weight)
            self._changed.notify_all()
        self._keeper.published(checkpoint, self._journal.segment, self._stopping.is_set())
        while records:  # little by little: freeing all at once would hold up the writer
            del records[-TILE_WIDTH:]
        with self._fatal():
            self._publisher.prune(self._keeper.written_size)
        return checkpoint

    def wait_published(self, size: int, timeout_s: float) -> Checkpoint:
        """The newest published checkpoint, once it is larger than `size` or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self.published.size > size, timeout_s)
        return self.published

    def cosigned(self, checkpoint: Checkpoint, lines: Sequence[SignatureLine]) -> None:
        """Add verified cosignatures over `checkpoint` to the published note, if that is still the newest."""
        with self._publishing:
            self._raise_failure()
            with self._fatal():
                self._publisher.cosign(checkpoint, lines)

    def note(self, own: Own) -> None:
        """Queue a record of the ledger itself."""
        self._intake.put(own_entry(own, _ignore))

    def stop(self, error: AffidavitError) -> None:
        """Acknowledge and sign nothing more: somebody holds what this log does not continue."""
        self._fail(error)

    def close(self, reason: str, last: Callable[[], object] = bool) -> None:
        """Record the end, publish, do what is `last` while the log is still held, and let go of it.

        Raises where the end could not be recorded or published; the log is let go anyway.
        """
        answered = threading.Event()
        if not self._intake.put(closing_entry(reason, answered.set)):
            return
        try:
            self._wait(answered)
            self._stopping.set()
            self.publish_now()
            last()
        finally:
            self._stopping.set()
            self._publish_soon.set()
            for thread in self._threads:
                thread.join()
            self._publisher.close()
            self._journal.close()
            self._process_lock.release()

    def write_own(self, records: Sequence[Own]) -> None:
        """Make records of the ledger itself durable, all in one frame. Before `start` only."""
        self._commit([own_entry(own, _ignore) for own in records])
        self._raise_failure()

    def _write_on(self) -> None:
        """The writer's thread: until the last entry. After a failure it goes on answering, with refusals."""
        last = False
        while not last:
            entries = self._intake.take()
            self._commit(entries)
            last = entries[-1].last

    def _publish_on(self) -> None:
        """The publisher's thread: at least every `PUBLISH_INTERVAL_S` while there is something new."""
        while not self._stopping.is_set() and self._failure is None:
            self._publish_soon.wait(PUBLISH_INTERVAL_S)
            self._publish_soon.clear()
            with suppress(AffidavitError):  # it is kept in `failure`, and every answer says so
                self.tick()
                if self._unpublished.size != self.published.size and not self._stopping.is_set():
                    self.publish_now()

    def _commit(self, entries: Sequence[Entry]) -> None:
        """Group commits, and in their place what is done between two."""
        for act, part in groupby(entries, attrgetter("act")):
            if act is None:
                self._commit_group(list(part))
            else:
                for entry in part:
                    self._act(entry)

    def _act(self, entry: Entry) -> None:
        if entry.act is not None and self._failure is None:
            entry.act()
        entry.done(Answer(()))

    def _commit_group(self, entries: Sequence[Entry]) -> None:
        """One group commit: seal, make durable, show, answer."""
        try:
            full = not self._await_room() and not entries[-1].last
            self._raise_failure()
            answers = [NO_ROOM] * len(entries) if full else self._make_durable(entries)
        except Exception as error:
            self._fail(error)
            answers = [Answer((), Refusal("unavailable", f"The log cannot write: {self._failure}"))] * len(entries)
        for entry, answer in zip(entries, answers, strict=True):
            try:
                entry.done(answer)
            except Exception:  # one producer's mistake must not keep the others from their answers
                _log.exception("a producer's callback failed")

    def _make_durable(self, entries: Sequence[Entry]) -> list[Answer]:
        now_ns = self._host.clock.now_ns()
        group = Group(self._unpublished.size)
        # The cyclic collector would walk the group's many values again and again while they are made; none is cyclic.
        pause = gc.isenabled() and sum([entry.records for entry in entries]) >= GC_RECORDS_MIN
        if pause:
            gc.disable()
        try:
            answers = [entry.seal(self._sequencer, now_ns, group) for entry in entries]
            if group.stored:
                written = self._journal.append(group.first, group.stored)
                self._keeper.note(group.first + len(group.stored), group.notes)
                self._note_durable(group, written)
        finally:
            if pause:
                gc.enable()
        return answers

    def _note_durable(self, group: Group, written: int) -> None:
        with self._changed:
            self._unpublished.add(group.stored, written)
            self._state_index = self._sequencer.standing.state
            followers = self._followers
        self._receipts.note(group.first, len(group.stored), group.at)
        if self._unpublished.bytes > PUBLISH_EARLY_BYTES:
            self._publish_soon.set()
        for callback, kinds in followers:
            shown = group.records(kinds)
            if shown:
                callback(shown)

    def _await_room(self) -> bool:
        """Bound the memory of what is not published yet: wait for the publisher, or without threads do its work.

        False where there is no room and cannot be, while the signer is away.
        """
        if self._unpublished.bytes <= UNPUBLISHED_BYTES_MAX:
            return True
        if not self._threads:
            with suppress(Unavailable):  # a failure is kept in `failure`
                self.publish_now()
        else:
            self._publish_soon.set()
            with self._changed:
                self._changed.wait_for(
                    lambda: self._unpublished.bytes <= UNPUBLISHED_BYTES_MAX or self._failure or self.unsigned
                )
        return self._unpublished.bytes <= UNPUBLISHED_BYTES_MAX

    def _kind_of(self, index: int) -> str:
        return stored_header(index, self._old.stored(index)[0]).kind

    def _answered(self, entry: Callable[[Done], Entry]) -> Answer:
        answers: list[Answer] = []
        answered = threading.Event()

        def done(answer: Answer) -> None:
            answers.append(answer)
            answered.set()

        if not self._intake.put(entry(done)):
            return CLOSED
        self._wait(answered)
        return answers[0]

    def _wait(self, answered: threading.Event) -> None:
        if self._threads:
            answered.wait()
        while not answered.is_set() and self.step():
            pass

    def _fail(self, error: Exception) -> None:
        """Stop for good. The first cause is kept."""
        with self._changed:
            if self._failure is None:
                _log.error("the ledger stops: %s", error, exc_info=not isinstance(error, AffidavitError))
                self._failure = (
                    error
                    if isinstance(error, AffidavitError)
                    else Unavailable(
                        "ledger.defect", f"The ledger met what it cannot handle: {error!r}.", "Restart it."
                    )
                )
            self._changed.notify_all()

    @contextmanager
    def _fatal(self) -> Iterator[None]:
        """What is done within ends the ledger where it raises."""
        try:
            yield
        except Exception as error:
            self._fail(error)
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise Unavailable("ledger.stopped", f"The ledger has stopped: {self._failure}", "Start it again.")


def _ignore(_: Answer) -> None:
    """For records of the ledger itself: a failure is kept in `failure`."""
