"""Time: what tokens and witnesses prove, and whether the log's own clock records and claims agree (duty 21).

What nobody outside stamped is the log's own claim, and said to be. A claim is judged only where it is one: a clock that
nothing bounds claims nothing, and `log.at`, which never decreases, claims nothing where it only repeats the one before.
"""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from operator import gt
from typing import TYPE_CHECKING, Any

from affidavit.archive.source import Source
from affidavit.errors import AffidavitError, InvalidInput, Unavailable, VerificationError
from affidavit.limits import TILE_BYTES_MAX, TILE_WIDTH
from affidavit.record.moment import NS, format_moment, parse_moment
from affidavit.timeproof.claim import ClockNote, claimed, unexplained_ns
from affidavit.timeproof.interval import Interval
from affidavit.timeproof.stamps import Stamp, Stamps, cosigned_at
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.proofs import TileHashes, prove_consistency, verify_consistency
from affidavit.tlog.tiles import HASH_BYTES, tile_path
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.keys import PLACE, Signed
from affidavit.verify.line import Line, entry_place
from affidavit.verify.run import Run, Settle
from affidavit.verify.verdict import Proven

if TYPE_CHECKING:
    from affidavit.timeproof.token import Authority

_METHOD = "rfc3161"
_STARTING = frozenset({"log.gap", "log.open"})
_FRESH_MAX = 4_096  # readings of the log's clock, one for each group of records: what is sealed while a token comes
_NOTED_MAX = 64  # notes of it: half a day


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A verified token, the checkpoint that it is over, and where its record stands."""

    stamp: Stamp
    root: bytes
    where: str


@dataclass(slots=True)
class _Claim:
    """What the log's clock says of the record at `index`, which was sealed at the moment `at`; `following` is the next
    note of that clock. `fresh`: the moment was read off the clock, it does not only repeat the one before.
    """

    index: int
    at: str
    note: ClockNote
    fresh: bool
    following: ClockNote | None = None

    @property
    def interval(self) -> Interval:
        """When it was sealed, by the log's own word."""
        interval = claimed(parse_moment(self.at), self.note, self.following)
        return interval if self.fresh else interval.up_to_here()


class Times:
    """Takes every line in order; `finish` judges what only the whole log shows."""

    def __init__(
        self, published: Checkpoint, kept_sizes: Sequence[int], authority: Authority | None, notes: Notebook
    ) -> None:
        self._published = published
        self._sizes = [*kept_sizes, published.size]  # ascending: what witnesses may have stamped
        self._authority = authority
        self._notes = notes
        self._clocks: dict[str, tuple[int, ClockNote]] = {}  # the last note of each boot
        self._anchors: list[_Anchor] = []
        self._last_anchor: int | None = None
        self._unread = False  # an anchor that could not be read may be the one before the next
        self._stream = ""  # the ledger's own, of the start that is under way
        self._clock: ClockNote | None = None  # of that start
        self._at = ""
        self._starting = False  # the records of a start have one moment: whether it was read off the clock
        # Records whose log.at was read off the clock (index, log.at), and the notes of that clock by index.
        self._fresh: deque[tuple[int, str]] = deque(maxlen=_FRESH_MAX)
        self._noted: deque[tuple[int, ClockNote]] = deque(maxlen=_NOTED_MAX)
        self._waiting: list[_Claim] = []  # for the next note of the clock
        self._claims: list[_Claim] = []
        self._late_count = 0

    def take(self, line: Line) -> None:
        """Check one line."""
        header = line.header
        at, kind = header.log.at, header.kind
        while line.index >= self._sizes[0]:
            self._claim_before(self._sizes.pop(0))
        if kind in _STARTING:
            self._starting = at != self._at or self._starting
            if kind == "log.open":
                self._stream, self._clock = header.source.stream, None
        elif kind != "clock":
            self._starting = False
        if header.time.at > at and header.basis == "observed":
            self._late_count += 1
        if at != self._at:
            self._at = at
            if self._clock is not None:
                self._fresh.append((line.index, at))
        if kind == "clock":
            self._take_clock(line)
        elif kind == "anchor":
            self._take_anchor(line)

    def weigh(self, run: Run) -> Settle | None:
        """See `run.py`. The quiet kinds hold no clock and no anchor: what is left of them is the log's time."""
        if run.first + run.count > self._sizes[0] or any(map(gt, run.made, run.sealed)):
            return None
        return lambda: self._pass(run.first, run.sealed)

    def _pass(self, first: int, sealed: Sequence[str]) -> None:
        at = sealed[-1]
        if at != self._at and self._clock is not None:
            self._fresh.append((first + sealed.index(at), at))
        self._at, self._starting = at, False

    def hole(self) -> None:
        """An entry could not be read: it may have been a clock record or an anchor."""
        self._unread = True
        self._clocks.clear()
        self._clock = None

    def finish(self, signed: Sequence[Signed], log: Source) -> tuple[Proven, ...]:
        """Judge stamps and claims against each other. `signed` are the checkpoints, the log's and those kept elsewhere,
        that hold. Gives what is proven, by each authority and witness."""
        for size in self._sizes:
            self._claim_before(size)
        stamps = Stamps([*self._rooted(log), *self._witnessed(signed)])
        for found in stamps.contradictions():
            message = (
                f"The {_named(found.later)}, says {_moment(found.later.made.latest_ns)} at the latest, but it covers "
                f"the {_named(found.earlier)}, which says {_moment(found.earlier.made.earliest_ns)} at the earliest."
            )
            self._notes.fail(Duty.TIME, "time.stamps", PLACE, message, found.earlier.index)
        self._judge_claims(stamps)
        if self._late_count:
            self._notes.remark(
                Duty.TIME,
                f"{self._late_count} records say that they were made after they were sealed: the clock was set back "
                "in between",
            )
        if not stamps.all:
            self._notes.remark(Duty.TIME, "no time-stamp that was checked and no witness proves when anything was made")
        return _summary(stamps)

    def _take_clock(self, line: Line) -> None:
        if line.content is None:
            self._notes.skip(Duty.TIME, "the body of a clock record could not be read")
            self._clocks.clear()
            self._clock = None
            return
        self._notes.looked(Duty.TIME)
        try:
            note = ClockNote.of(line.content)
        except InvalidInput as error:
            self._fail(line, error.code, error.message)
            return
        before = self._clocks.get(note.boot)
        self._clocks[note.boot] = (line.index, note)
        if before is not None:
            self._compare_clocks(line, *before, note)
        for claim in self._waiting:
            if claim.note.boot == note.boot:
                claim.following = note
        self._waiting = [claim for claim in self._waiting if claim.following is None]
        if line.header.source.stream == self._stream:
            self._clock = note
            self._noted.append((line.index, note))
            if note.reason == "start" and self._starting:
                self._fresh.append((line.index, line.header.log.at))

    def _compare_clocks(self, line: Line, index: int, before: ClockNote, note: ClockNote) -> None:
        if note.monotonic_ns < before.monotonic_ns:
            message = (
                f"Clock record {line.index} has a monotonic time before that of record {index} of the same boot: the "
                "machine was put back to an earlier moment, or a record was made up."
            )
            self._fail(line, "time.monotonic", message)
            return
        rest_ns = unexplained_ns(before, note)
        if rest_ns:
            message = (
                f"Between the clock records {index} and {line.index} the clock was set by {rest_ns / NS:+.3f} s, and "
                "no record says so."
            )
            self._fail(line, "time.unexplained", message)

    def _take_anchor(self, line: Line) -> None:
        content = line.content
        if content is None:
            self._notes.skip(Duty.TIME, "the body of an anchor could not be read")
            self._unread, self._last_anchor = True, line.index
            return
        self._notes.looked(Duty.TIME)
        previous, last, unread = content.get("previous"), self._last_anchor, self._unread
        self._last_anchor, self._unread = line.index, False
        if previous != last and not unread:
            message = f"Anchor {line.index} says that the anchor before it is {previous}; it is {last}."
            self._fail(line, "time.previous", message)
        if content.get("method") != _METHOD:
            self._notes.skip(Duty.TIME, "an anchor was made by a method that is not known here")
            return
        try:
            size, root, imprint, der, nonce = _read(content, self._published.origin)
        except (InvalidInput, ValueError, TypeError, KeyError) as error:
            self._fail(line, "time.anchor", f"The body of anchor {line.index} is not one: {error}")
            return
        if not 0 < size <= line.index:
            self._fail(line, "time.anchor", f"Anchor {line.index} is over {size} records, which came before no token.")
            return
        if self._authority is None:
            reason = "no certificates of a time-stamp authority were given (--authority)"
            self._notes.skip(Duty.TIME, reason)
            return
        try:
            token = self._authority.verify(der, imprint, nonce)
        except VerificationError as error:
            if error.code == "timestamp.unknown":
                self._notes.skip(Duty.TIME, "a token is of an authority whose certificate was not given")
            else:
                self._fail(line, error.code, f"The token of anchor {line.index}: {error.message}")
            return
        if (content.get("time"), content.get("accuracy_ns")) != (
            format_moment(token.time_ns),
            None if token.accuracy_ns is None else str(token.accuracy_ns),
        ):
            self._fail(line, "time.anchor", f"Anchor {line.index} says another time than its token.")
        by = token.signer.removeprefix("Common Name: ")
        self._anchors.append(_Anchor(Stamp(by, size, token.made, line.index), root, line.where))
        self._claim_before(size)
        if self._clock is not None:
            self._claim(line.index, line.header.log.at, fresh=False)

    def _claim_before(self, size: int) -> None:
        """Keep what the log's clock says of the last record before `size` that it was read for."""
        for index, at in reversed(self._fresh):
            if index < size:
                self._claim(index, at, fresh=True)
                return

    def _claim(self, index: int, at: str, *, fresh: bool) -> None:
        note = following = None
        for noted, one in reversed(self._noted):
            if noted <= index:
                note = one
                break
            following = one
        if note is None or (following is not None and following.boot != note.boot):
            return
        claim = _Claim(index, at, note, fresh, following)
        self._claims.append(claim)
        if following is None:
            self._waiting.append(claim)

    def _rooted(self, log: Source) -> list[Stamp]:
        """The stamps of anchors whose checkpoint is the beginning of this log: proved from the tiles to the signed
        root, so that it does not matter what else the place that gives the tiles would give."""
        size, found = self._published.size, []

        def read_tile(level: int, index: int, width: int) -> bytes:
            for path in dict.fromkeys((tile_path(level, index, width), tile_path(level, index))):
                data = log.get(path, TILE_BYTES_MAX)
                if data is not None:
                    return data[: width * HASH_BYTES]
            raise VerificationError("log.absent", f"The tile {tile_path(level, index, width)} is not there.")

        hash_at = TileHashes(read_tile, size)
        for anchor in self._anchors:
            stamp = anchor.stamp
            try:
                proof = prove_consistency(stamp.size, size, hash_at)
                verify_consistency(stamp.size, size, anchor.root, self._published.root, proof)
            except Unavailable as error:
                self._notes.skip(Duty.TIME, f"a tile could not be read: {error.message}")
            except AffidavitError as error:
                message = f"The checkpoint that anchor {stamp.index} is over is not the beginning of this log: {error}"
                self._notes.fail(Duty.TIME, "time.checkpoint", anchor.where, message, stamp.index)
            else:
                found.append(stamp)
        return found

    def _witnessed(self, signed: Sequence[Signed]) -> list[Stamp]:
        """The stamps of witnesses."""
        found = []
        for opened in signed:
            for line in opened.lines:
                # The log's own line is no witness, and a second of 0 claims no time.
                if line.time_s and line.name != opened.checkpoint.origin and opened.checkpoint.size:
                    self._notes.looked(Duty.TIME)
                    found.append(Stamp(line.name, opened.checkpoint.size, cosigned_at(line.time_s)))
        return found

    def _judge_claims(self, stamps: Stamps) -> None:
        """No record's own claim may lie wholly outside the interval that stamps prove for it."""
        told: set[int] = set()
        for claim in self._claims:
            proven, interval = stamps.proven(claim.index), claim.interval
            if proven.recorded.surely_before(interval):
                stamp, word, end = proven.not_after, "after", proven.recorded.latest_ns
            elif interval.surely_before(proven.recorded):
                stamp, word, end = proven.not_before, "before", proven.recorded.earliest_ns
            else:
                continue
            if stamp is None or id(stamp) in told:
                continue  # once for each stamp: one wrong clock makes all records wrong
            told.add(id(stamp))
            message = (
                f"Record {claim.index} claims to be sealed {word} {_moment(end)}, within the bound of its clock; the "
                f"{_named(stamp)}, proves otherwise."
            )
            number = claim.index // TILE_WIDTH
            where = entry_place(number, min(TILE_WIDTH, self._published.size - number * TILE_WIDTH))
            self._notes.fail(Duty.TIME, "time.claim", where, message, claim.index)

    def _fail(self, line: Line, code: str, message: str) -> None:
        self._notes.fail(Duty.TIME, code, line.where, message, line.index)


def _read(content: dict[str, Any], origin: str) -> tuple[int, bytes, bytes, bytes, int | None]:
    """Size and root of the checkpoint, its imprint, the token and its nonce. Raises for what is none of it."""
    size, root = content["checkpoint"]["size"], bytes.fromhex(content["checkpoint"]["root"])
    imprint = hashlib.sha256(Checkpoint(origin, size, root).format().encode()).digest()
    if content["imprint"] != imprint.hex():
        raise InvalidInput("time.imprint", "its imprint is not that of its checkpoint.")
    nonce = content.get("nonce")
    return size, root, imprint, base64.b64decode(content["token"], validate=True), None if nonce is None else int(nonce)


def _summary(stamps: Stamps) -> tuple[Proven, ...]:
    """The stamp of each authority and witness that covers most."""
    widest: dict[str, Stamp] = {}
    for stamp in stamps.all:
        if stamp.made.latest_ns is not None:
            widest[stamp.by] = stamp
    return tuple(
        Proven(stamp.by, stamp.size, _moment(stamp.made.latest_ns), stamp.index)
        for stamp in sorted(widest.values(), key=lambda one: (-one.size, one.by))
    )


def _named(stamp: Stamp) -> str:
    what = "cosignature" if stamp.index is None else f"token in record {stamp.index}"
    return f"{what} of {stamp.by} over {stamp.size} records"


def _moment(at_ns: int | None) -> str:
    return "unbounded" if at_ns is None else format_moment(max(at_ns, 0))
