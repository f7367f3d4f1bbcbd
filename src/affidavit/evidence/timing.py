"""When a record was made and recorded: what its clock claims, and what time-stamps around it prove.

Found without an index: each header names the last `clock` record of its source's machine, which names the one before
it and the newest `anchor`, and each anchor names the one before. So what stands around a record is found by bisection
over headers. Where several machines note their clocks in one log, bisection may miss: of stamps, less is found then
than there is, never more; that a clock record is the next one of its machine is checked, and where none is found and
one may be, the moment counts as unbounded. It reads the log as the server does, trusting the disk; that a token's
checkpoint is the beginning of this log is shown by `verify` alone.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from affidavit.errors import AffidavitError, InvalidInput
from affidavit.history.asof import Records
from affidavit.limits import (
    ANCHOR_SCAN_MAX,
    ANCHORS_WALKED_MAX,
    CLOCK_NOTES_KEPT_MAX,
    CLOCK_NOTES_SOUGHT_MAX,
    CLOCK_NOTES_WALKED_MAX,
    CLOCK_STEP_NS,
    CLOCKLESS_MAX,
    STAMPS_KEPT_MAX,
)
from affidavit.record.moment import parse_moment
from affidavit.record.read import Record
from affidavit.timeproof.claim import ClockNote, claimed
from affidavit.timeproof.interval import Interval
from affidavit.timeproof.order import Event, First
from affidavit.timeproof.stamps import Proven, Stamp, Stamps
from affidavit.tlog.checkpoint import Checkpoint

if TYPE_CHECKING:
    from affidavit.timeproof.token import Authority


class Timing:
    """The times of one log's records. `authority` is who is trusted to stamp, None for nobody; `newest` gives the index
    of the newest anchor where the process knows it, `witnessed` the stamps of trusted witnesses beside the log. Safe to
    use from any thread."""

    def __init__(
        self,
        records: Records,
        origin: str,
        authority: Authority | None = None,
        newest: Callable[[], int | None] = lambda: None,
        witnessed: Callable[[], Sequence[Stamp]] = tuple,
    ) -> None:
        self._records = records
        self._origin = origin
        self._authority = authority
        self._newest = newest
        #: The stamps of trusted witnesses, as they are now.
        self.witnessed = witnessed
        self._stamps: OrderedDict[int, Stamp | None] = OrderedDict()
        self._notes: OrderedDict[int, ClockNote | None] = OrderedDict()
        self._lock = threading.Lock()
        self._found: tuple[int, int | None] = (0, None)  # for which size of the log, and the newest anchor in it

    def claimed(self, record: Record) -> Interval:
        """When the record was made, by the clock that its header names."""
        clock = record.header.time.clock
        note = None if clock is None else self.note(clock)
        if clock is None or note is None:
            return Interval()
        try:
            following = self._clock_after(clock, record.index)
        except _Unsure:
            return Interval()
        return claimed(parse_moment(record.header.time.at), note, None if following is None else self.note(following))

    def proven(self, index: int) -> Proven:
        """When the record at `index` was recorded, as far as tokens around it and witnesses prove that."""
        after = self._anchor_over(index)
        found = [self._stamp(at) for at in self._chain(self.newest_anchor() if after is None else after, index)]
        return Stamps([*(one for one in found if one is not None), *self.witnessed()]).proven(index)

    def event(self, index: int) -> Event:
        """What the record at `index` tells, for ordering it. Raises `InvalidInput` where there is none."""
        if not 0 <= index < self._records.size:
            raise InvalidInput(
                "record.index", f"There is no record {index}: the log holds {self._records.size}.", "Count from 0."
            )
        record = self._records.record(index)
        header, occurred = record.header, _occurred(record)
        observed = header.basis == "observed" and occurred is None
        # What was decided under a state was decided after the change before that state was sealed.
        decided = None if not header.decided else header.decided - 1
        named = [at for at in (header.session, header.context, header.ref, decided) if at is not None]
        made_after = max(named) if observed and named else None
        earliest_ns = None if made_after is None else self.proven(made_after).recorded.earliest_ns
        latest_ns = self.proven(index).recorded.latest_ns
        if earliest_ns is not None and latest_ns is not None and earliest_ns > latest_ns:
            earliest_ns = latest_ns = None  # stamps that contradict each other prove nothing
        return Event(
            index,
            self.claimed(record) if occurred is None else occurred,
            Interval(earliest_ns, latest_ns),
            made_after,
            (index if header.kind == "session.open" else header.session) if observed else None,
        )

    def first_by_one_clock(self, a: int, b: int) -> First:
        """Which of two records was made first, by a clock that both read and that nobody set in between."""
        records = [self._records.record(index) for index in (a, b)]
        clocks = [one.header.time.clock for one in records]
        if any(one.header.basis != "observed" or _occurred(one) is not None for one in records) or None in clocks:
            return "unknown"
        apart_ns = parse_moment(records[0].header.time.at) - parse_moment(records[1].header.time.at)
        unsure_ns = self._set_between(records[0], records[1])
        if unsure_ns is None or abs(apart_ns) <= unsure_ns:
            return "unknown"
        return "a" if apart_ns < 0 else "b"

    def anchors(self) -> list[Record]:
        """The newest anchors, the newest first, at most `ANCHORS_WALKED_MAX`."""
        return [self._records.record(at) for at in self._chain(self.newest_anchor(), -1)]

    def newest_anchor(self) -> int | None:
        """The newest anchor; outside the process that writes, only as far as the last records and clocks tell."""
        known = self._newest()
        return known if known is not None else self._newest_found()

    def stamp_of(self, index: int) -> Stamp | None:
        """The stamp of the anchor at `index`, where its token is trusted."""
        return self._stamp(index)

    def note(self, clock: int) -> ClockNote | None:
        """What the `clock` record says; None where that is none of what the specification says."""
        with self._lock:
            if clock in self._notes:
                return self._notes[clock]
        note: ClockNote | None = None
        with contextlib.suppress(InvalidInput):
            note = ClockNote.of(self._records.record(clock).content)
        with self._lock:
            self._notes[clock] = note
            if len(self._notes) > CLOCK_NOTES_KEPT_MAX:
                self._notes.popitem(last=False)
        return note

    def _set_between(self, a: Record, b: Record) -> int | None:
        """By how much, at most, the one clock that both moments were read off was set between them; None where they
        were read off two clocks, or it was set by more than goes unnoticed."""
        first, last = sorted((a, b), key=lambda one: one.header.time.clock or 0)
        begins, ends = first.header.time.clock, last.header.time.clock
        if begins is None or ends is None:
            return None
        try:
            following = self._clock_after(ends, last.index)
        except _Unsure:
            return None
        at: int | None = ends if following is None else following
        offsets: list[int] = []
        while at is not None and at >= begins and len(offsets) < CLOCK_NOTES_WALKED_MAX:
            note = self.note(at)
            if note is None or note.wall_ns is None or (at > begins and (note.strays or note.least_ns or note.most_ns)):
                return None
            offsets.append(note.wall_ns - note.monotonic_ns)
            if at == begins:
                spread_ns = max(offsets) - min(offsets)
                # Between two records it may have been away by a step too small to be one.
                return spread_ns + 2 * CLOCK_STEP_NS if spread_ns <= CLOCK_STEP_NS else None
            at = self._records.header(at).time.clock  # the one before, of the same boot
        return None

    def _clock_after(self, clock: int, index: int) -> int | None:
        """The next `clock` record of the same boot, from that of the record at `index`; None where there is none yet,
        or another boot of that machine began. Raises `_Unsure` where it may stand where nobody looked."""
        found, boot = self._named_after(clock), self._boot(clock)
        for at in (found, self._newest_of(boot)):
            if at == clock:
                return None  # a record at the end of the log still names it
            linked = None if at is None else self._linked(at, clock)
            if linked is not None:
                return linked
        stop = min(self._records.size, index + 1 + CLOCK_NOTES_SOUGHT_MAX)
        for at in range(index + 1, stop):
            header = self._records.header(at)
            if header.kind == "clock" and header.time.clock == clock:
                return at
        other = None if found is None else self.note(found)
        if found is None or stop == self._records.size or (other is not None and other.reason == "start"):
            return None
        raise _Unsure

    def _linked(self, found: int, clock: int) -> int | None:
        """The record after `clock` in the chain of one boot's notes that ends with `found`."""
        at, after = found, None
        for _ in range(CLOCK_NOTES_WALKED_MAX):
            before = self._records.header(at).time.clock
            if before is None or before < clock or before >= at:
                break
            if before == clock:
                after = at
                break
            at = before
        return after

    def _newest_of(self, boot: str) -> int | None:
        """The newest clock record of a boot, where one of the last records names or is it."""
        size, others = self._records.size, set[int]()
        for at in range(size - 1, max(-1, size - 1 - CLOCKLESS_MAX), -1):
            clock = self._named_at(at)
            if clock is None or clock in others:
                continue
            if self._boot(clock) == boot:
                return clock
            others.add(clock)
        return None

    def _boot(self, clock: int) -> str:
        note = self.note(clock)
        return "" if note is None else note.boot

    def _named_after(self, clock: int) -> int | None:
        """The next `clock` record that headers name, of whatever machine."""
        low, high = clock + 1, self._records.size
        while low < high:
            middle = (low + high) // 2
            named = self._clock_at(middle)
            if named is not None and named > clock:
                high = middle
            else:
                low = middle + 1
        return self._clock_at(low) if low < self._records.size else None

    def _clock_at(self, index: int) -> int | None:
        """The clock record that the header at `index` names or is, or the nearest before that does."""
        for at in range(index, max(-1, index - CLOCKLESS_MAX), -1):
            clock = self._named_at(at)
            if clock is not None:
                return clock
        return None

    def _named_at(self, index: int) -> int | None:
        header = self._records.header(index)
        return index if header.kind == "clock" else header.time.clock

    def _anchor_before(self, index: int) -> int | None:
        """The newest anchor that the clock record named at `index` names: at most ten minutes older than the newest."""
        clock = self._clock_at(index)
        note = None if clock is None else self.note(clock)
        return None if note is None else note.anchor

    def _anchor_over(self, index: int) -> int | None:
        """An anchor over a checkpoint that holds the record at `index`: the first, give or take ten minutes."""
        low, high = index + 1, self._records.size
        while low < high:
            middle = (low + high) // 2
            anchor = self._anchor_before(middle)
            if anchor is not None and self._size(anchor) > index:
                high = middle
            else:
                low = middle + 1
        if low < self._records.size:
            return self._anchor_before(low)
        newest = self.newest_anchor()
        return newest if newest is not None and self._size(newest) > index else None

    def _newest_found(self) -> int | None:
        """An anchor among the last records, or else the one that the last clock record names."""
        size = self._records.size
        if self._found[0] != size:
            last = range(size - 1, max(-1, size - 1 - ANCHOR_SCAN_MAX), -1)
            near = next((at for at in last if self._records.header(at).kind == "anchor"), None)
            found = near if near is not None or not size else self._anchor_before(size - 1)
            self._found = (size, found)
        return self._found[1]

    def _chain(self, anchor: int | None, until: int) -> list[int]:
        """Anchors from `anchor` back to the first one at or before `until`."""
        found: list[int] = []
        while anchor is not None and len(found) < ANCHORS_WALKED_MAX:
            found.append(anchor)
            if anchor <= until:
                break
            previous = self._records.record(anchor).content.get("previous")
            anchor = previous if isinstance(previous, int) and previous < anchor else None
        return found

    def _size(self, anchor: int) -> int:
        checkpoint = self._records.record(anchor).content.get("checkpoint")
        size = checkpoint.get("size") if isinstance(checkpoint, dict) else None
        return size if isinstance(size, int) else 0

    def _stamp(self, anchor: int) -> Stamp | None:
        with self._lock:
            if anchor in self._stamps:
                return self._stamps[anchor]
        stamp = self._verified(self._records.record(anchor).content, anchor)
        with self._lock:
            self._stamps[anchor] = stamp
            if len(self._stamps) > STAMPS_KEPT_MAX:
                self._stamps.popitem(last=False)
        return stamp

    def _verified(self, content: dict[str, Any], anchor: int) -> Stamp | None:
        if self._authority is None:
            return None
        try:
            size, root = content["checkpoint"]["size"], bytes.fromhex(content["checkpoint"]["root"])
            imprint = hashlib.sha256(Checkpoint(self._origin, size, root).format().encode()).digest()
            token = self._authority.verify(base64.b64decode(content["token"]), imprint)
        except (AffidavitError, KeyError, TypeError, ValueError):
            return None  # verify says what is wrong with it
        return Stamp(str(content["authority"]["name"]), size, token.made, anchor) if size <= anchor else None


class _Unsure(Exception):
    """A clock record may stand where it was not looked for."""


def _occurred(record: Record) -> Interval | None:
    """When the event happened, where its source says that it was earlier than the record."""
    occurred = record.content.get("occurred")
    if not isinstance(occurred, dict):
        return None
    try:
        at_ns = parse_moment(str(occurred.get("at")))
    except InvalidInput:
        return Interval()
    bound_ns = occurred.get("bound_ns")
    if isinstance(bound_ns, str) and bound_ns.isdecimal():
        bound_ns = int(bound_ns)
    return Interval.around(at_ns, bound_ns if isinstance(bound_ns, int) and bound_ns >= 0 else None)
