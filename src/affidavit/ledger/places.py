"""Pushes each published checkpoint to the places where it is kept, and asks them at the start whether we may write.

Theory. One thread makes rounds: it takes the newest published checkpoint and gives it to every place that is not still
busy with an earlier one and not waiting out a failure, each in a thread of its own. All of a round get the same
checkpoint, so that cosignatures meet on one note: the round ends when all have answered, or when its time is over, and
the next takes what is newest then. Nothing here is waited for by an append, nor by a publication but for the one write
that adds cosignatures to the published note while that is still the newest.

What a place says can end the log: if it holds what this log does not continue, then another copy of it is being
written, or ours was put back. The ledger is told to stop, and nothing more is signed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from affidavit.clock import Clock
from affidavit.durable import PUBLIC, Disk, clear_temporary, write_whole
from affidavit.errors import AffidavitError, Corruption, Unavailable
from affidavit.ledger.guard import PublishedTree, check_continues
from affidavit.ledger.layout import Layout
from affidavit.ledger.own import Own, unguarded_record
from affidavit.ledger.place import Place, Published
from affidavit.limits import (
    NOTE_BYTES_MAX,
    PLACE_GUARD_S,
    PLACE_RETRY_S,
    PLACE_RETRY_S_MAX,
    PLACE_ROUND_S,
    PUBLISH_INTERVAL_S,
)
from affidavit.record.moment import NS, format_moment
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import SignatureLine
from affidavit.tlog.notes import join_note, parse_note
from affidavit.tlog.policy import Policy

_log = logging.getLogger(__name__)
#: Below the data folder: the newest note that as many cosigned as the policy asks.
COSIGNED = "checkpoints/cosigned"
_CONTRADICTION = "checkpoints/contradiction"


class Log(Protocol):
    """The ledger, as far as places need it."""

    def wait_published(self, size: int, timeout_s: float) -> Checkpoint:
        """The newest published checkpoint, once it is larger than `size` or the time is over."""

    def cosigned(self, checkpoint: Checkpoint, lines: Sequence[SignatureLine]) -> None:
        """Add the lines to the published note, if `checkpoint` is still the newest."""

    def note(self, own: Own) -> None:
        """Record something of the ledger's own."""

    def stop(self, error: AffidavitError) -> None:
        """Acknowledge and sign nothing more, for this reason."""


@dataclass(frozen=True, slots=True)
class PlaceStatus:
    """How a place does: the size and moment of the newest checkpoint that it took, what is wrong, and whether it has
    not answered since the log was opened."""

    name: str
    kind: str
    size: int | None = None
    at: str | None = None
    problem: str = ""
    unguarded: bool = False


@dataclass(frozen=True, slots=True)
class PlacesReport:
    """All places; whether cosignatures are wanted, and the size of the newest checkpoint that has enough of them."""

    places: tuple[PlaceStatus, ...] = ()
    wanted: bool = False
    cosigned: int | None = None


@dataclass
class _Held:
    """A place with what is known of it. All but `place` is guarded by the lock of `Places`."""

    place: Place
    size: int | None = None
    at: str | None = None
    problem: str = ""
    answered: bool = False
    unguarded: bool = False
    busy: bool = False
    failures: int = 0
    not_before_ns: int = 0


@dataclass
class _Lines:
    """The cosignatures over one checkpoint, by the name of the witness."""

    checkpoint: Checkpoint
    by: dict[str, tuple[SignatureLine, ...]] = field(default_factory=dict)


class Places:
    """The places of one log. `guard` before it is opened, then `start`, and `close` while it is still held."""

    def __init__(
        self, places: Sequence[Place], disk: Disk, layout: Layout, clock: Clock, policy: Policy | None = None
    ) -> None:
        self._held = [_Held(place) for place in places]
        self._disk = disk
        self._layout = layout
        self._clock = clock
        self._policy = policy
        self._changed = threading.Condition()
        self._lines: _Lines | None = None
        self._cosigned: int | None = None
        self._opened_at = ""
        self._log: Log | None = None
        self._stopping = threading.Event()
        self._over = False
        self._thread: threading.Thread | None = None

    @property
    def cosigned(self) -> int | None:
        """The size of the newest checkpoint that as many cosigned as the policy asks; None where there is none."""
        if self._cosigned is None:
            note = self._disk.read(self._layout.root / COSIGNED, NOTE_BYTES_MAX)
            self._cosigned = None if note is None else Checkpoint.parse(parse_note(note)[0]).size
        return self._cosigned

    def guard(self) -> tuple[str, ...]:
        """Ask every place whether the published log continues what it holds. The names of those that did not answer.

        Raises `Corruption` where one holds more or something else: then this log must not be written to.
        """
        if not self._held:
            return ()
        now = Published.read(self._disk, self._layout.checkpoint)
        errors: dict[str, AffidavitError] = {}

        def ask(held: _Held) -> None:
            error = _attempt(lambda: held.place.compare(now))
            with self._changed:
                held.answered, held.busy = True, False
                if error is not None:
                    errors[held.place.name] = error
                self._changed.notify_all()

        for held in self._held:
            held.busy = True  # one that answers late is pushed to only then: its methods know one thread at a time
            threading.Thread(target=ask, args=(held,), name=f"asking {held.place.name}", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: all(held.answered for held in self._held), PLACE_GUARD_S)
            found = dict(errors)
            silent = [held for held in self._held if not held.answered]
        for error in found.values():
            if isinstance(error, Corruption):
                self._keep_evidence()
                raise error
        for held in [*silent, *(held for held in self._held if held.place.name in found)]:
            held.unguarded = True
            held.problem = str(found.get(held.place.name, f"it did not answer within {PLACE_GUARD_S:g} s"))
            _log.warning("unguarded: %s: %s", held.place.name, held.problem)
        return tuple(held.place.name for held in self._held if held.unguarded)

    def start(self, log: Log) -> None:
        """Push from now on what `log` publishes."""
        if not self._held:
            return
        self._log = log
        self._opened_at = format_moment(self._clock.now_ns())
        self._thread = threading.Thread(target=self._make_rounds, args=(log,), name="places", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Push the newest checkpoint once more, to each that can be reached, and end."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def report(self) -> PlacesReport:
        """How each place does. One that this process pushes nothing to is asked what it holds."""
        for held in self._held:
            if self._log is None:
                self._look(held)
        with self._changed:
            found = tuple(
                PlaceStatus(held.place.name, held.place.kind, held.size, held.at, held.problem, held.unguarded)
                for held in self._held
            )
        wanted = self._policy is not None or any(held.place.kind == "witness" for held in self._held)
        return PlacesReport(found, wanted, self.cosigned)

    def _look(self, held: _Held) -> None:
        def look() -> None:
            seen = held.place.look()
            if seen is None:
                return
            held.size = seen.checkpoint.size
            held.at = None if seen.time_s is None else format_moment(seen.time_s * NS)
            # Read after that: a process that writes at this moment may only make the place look behind.
            now = Published.read(self._disk, self._layout.checkpoint).checkpoint
            tree = PublishedTree(self._disk, self._layout.log, now.size)
            check_continues(tree, now, seen.checkpoint, held.place.name)
            if held.size < now.size:
                raise Unavailable("place.behind", f"It is behind: this log has published {now.size:,} records.")

        error = _attempt(look)
        held.problem = "" if error is None else str(error)

    def _make_rounds(self, log: Log) -> None:
        last, size = False, 0
        while not last and not self._over:
            last = self._stopping.is_set()
            try:
                now = Published.read(self._disk, self._layout.checkpoint)
                size = now.checkpoint.size
                self._round(log, now, last)
            except AffidavitError as error:
                _log.error("the published checkpoint cannot be pushed: %s", error)
            if not last:
                log.wait_published(size, PUBLISH_INTERVAL_S / 2)

    def _round(self, log: Log, now: Published, last: bool) -> None:
        """Give `now` to all that are due, and wait for them, at most `PLACE_ROUND_S`."""
        at_ns = self._clock.monotonic_ns()
        with self._changed:
            due = [
                held
                for held in self._held
                if not held.busy
                and (held.size != now.checkpoint.size or held.unguarded)
                and (last or at_ns >= held.not_before_ns)
            ]
            for held in due:
                held.busy = True
            if due and (self._lines is None or self._lines.checkpoint != now.checkpoint):
                self._lines = _Lines(now.checkpoint)
        for held in due:
            threading.Thread(
                target=self._push, args=(log, held, now), name=f"pushing to {held.place.name}", daemon=True
            ).start()
        with self._changed:
            self._changed.wait_for(lambda: not any(held.busy for held in due), PLACE_ROUND_S)

    def _push(self, log: Log, held: _Held, now: Published) -> None:
        at = format_moment(self._clock.now_ns())
        lines: tuple[SignatureLine, ...] = ()

        def push() -> None:
            nonlocal lines
            lines = held.place.push(now, at)

        error = _attempt(push)
        if isinstance(error, Corruption):
            self._over = True
            log.stop(error)
            self._keep_evidence()
        elif error is None and lines:
            error = _attempt(lambda: self._take(log, held, now.checkpoint, lines))
        with self._changed:
            returned = error is None and held.unguarded
            if error is not None and str(error) != held.problem:
                _log.warning("%s does not take checkpoints: %s", held.place.name, error)
            elif error is None and held.problem:
                _log.info("%s takes checkpoints again", held.place.name)
            if error is None:
                held.size, held.at, held.problem, held.unguarded, held.failures = now.checkpoint.size, at, "", False, 0
            else:
                held.failures += 1
                held.problem = str(error)
                held.not_before_ns = self._clock.monotonic_ns() + _retry_ns(held.failures)
            held.busy = False
            self._changed.notify_all()
        if returned:
            log.note(unguarded_record(held.place.name, self._opened_at, self._clock.now_ns()))

    def _take(self, log: Log, held: _Held, checkpoint: Checkpoint, lines: tuple[SignatureLine, ...]) -> None:
        """Cosignatures over `checkpoint` have come: publish them, and see whether they are enough."""
        with self._changed:
            if self._lines is None or self._lines.checkpoint != checkpoint:
                return  # too late: a newer round is under way
            self._lines.by[held.place.name] = lines
            found = [line for name in sorted(self._lines.by) for line in self._lines.by[name]]
            enough = self._enough(self._lines)
        log.cosigned(checkpoint, found)
        if enough:
            self._keep_cosigned(checkpoint, found)

    def _enough(self, lines: _Lines) -> bool:
        if self._policy is not None:
            return self._policy.judge([line for each in lines.by.values() for line in each]).met
        return all(held.place.name in lines.by for held in self._held if held.place.kind == "witness")

    def _keep_cosigned(self, checkpoint: Checkpoint, lines: Sequence[SignatureLine]) -> None:
        """Keep the note as the newest that satisfied the policy. Lines that come later are added to it."""
        own = Published.read(self._disk, self._layout.checkpoint)
        with self._changed:
            if own.checkpoint != checkpoint or checkpoint.size < (self.cosigned or 0):
                return
            text, signed = parse_note(own.note)
            self._write(COSIGNED, join_note(text, [*signed, *lines]))
            self._cosigned = checkpoint.size

    def _keep_evidence(self) -> None:
        """Keep what a place showed that contradicts this log: it is signed by the log's own key."""
        for held in self._held:
            if held.place.evidence:
                _attempt(partial(self._write, _CONTRADICTION, held.place.evidence))

    def _write(self, name: str, note: bytes) -> None:
        temporary = self._layout.root / "unfinished" / "places"
        clear_temporary(self._disk, temporary)
        write_whole(self._disk, temporary, [(self._layout.root / name, note)], PUBLIC)


def _attempt(action: Callable[[], object]) -> AffidavitError | None:
    """Why the action failed, or None. What nobody foresaw is a failure too: it must not end the thread unseen."""
    try:
        action()
    except AffidavitError as error:
        return error
    except Exception as error:
        _log.exception("a place failed")
        return Unavailable("place.defect", f"It met what it cannot handle: {error!r}.")
    return None


def _retry_ns(failures: int) -> int:
    """How long to leave a place alone after so many failures in a row: twice as long each time, up to a bound."""
    return int(min(PLACE_RETRY_S * 2 ** min(failures - 1, 32), PLACE_RETRY_S_MAX) * NS)
