"""The journal beside the log: every frame whole, and every record in it the one that was published (duty 12).

Walked in step with the entries. Damage that lies before a whole frame, or before a published record, does not hold;
bytes after the last whole frame that are no frame are a torn last batch, which was never acknowledged.

A journal may begin later than record 0: its oldest segments go once what they hold is published. Then what lies before
is not compared, and the verdict says from which record on it was. It may not begin beyond what is published.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from affidavit.archive.source import Source
from affidavit.errors import Corruption, InvalidInput, Unavailable
from affidavit.limits import SEGMENT_BYTES
from affidavit.record.body import same_but_erasing
from affidavit.record.frame import (
    FRAME_BYTES_MAX,
    SEGMENT_HEADER_BYTES,
    Damage,
    Stored,
    check_segment_header,
    frame_after,
    read_frames,
)
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.erasures import ERASING
from affidavit.verify.tree import Roots

_NAME = re.compile(r"([0-9]{20})\.segment")
_START = b'"kind":"log.open"'  # quotes within a header's values are escaped: nothing else can hold this
_SEGMENT_BYTES_MAX = SEGMENT_BYTES + FRAME_BYTES_MAX  # a segment may exceed its size by its last frame


@dataclass(frozen=True, slots=True)
class _Placed:
    """A frame: where it stands, the index of its first record, and its records."""

    place: str
    first: int
    records: tuple[Stored, ...]


class JournalWalk:
    """Gives the journal's frames in the order of their records, to be compared with what is published."""

    def __init__(self, source: Source | None, origin: str, size: int, notes: Notebook) -> None:
        self.beyond_count: int | None = None if source is None else 0
        self.torn: str | None = None
        self.end = 0  # the index after the last record read
        self.starts: list[int] = []  # where the writer was started, beyond the published records
        self._pruned = 0  # records before this index need not be in the journal
        self._source = source
        self._origin = origin
        self._size = size
        self._notes = notes
        self._frames = iter(()) if source is None else self._walk(source)
        self._frame: _Placed | None = None  # the one that was read last
        self._unreadable = False
        if source is None:
            notes.not_applicable(Duty.JOURNAL, "the archive has no journal")

    def compare(self, first: int, entries: Sequence[bytes | None], slots: Sequence[bytes | None]) -> None:
        """Compare the records from `first` on with published entries and slots; None is one that is not there."""
        if self._source is None:
            return
        published = list(zip(entries, slots, strict=True))
        at = 0
        while at < len(published):
            index = first + at
            frame = self._frame_of(index)
            if frame is None or frame.first > index:
                if not self._unreadable and index >= self._pruned:
                    message = f"Record {index} is published, but the journal does not hold it."
                    self._notes.fail(Duty.JOURNAL, "journal.missing", "journal", message, index)
                at += 1
                continue
            part = frame.records[index - frame.first : index - frame.first + len(published) - at]
            if part != tuple(published[at : at + len(part)]):
                self._compare_each(index, frame.place, part, published[at : at + len(part)])
            self._notes.looked(Duty.JOURNAL, len(part))
            at += len(part)

    def _compare_each(
        self, first: int, place: str, part: Sequence[Stored], published: Sequence[tuple[bytes | None, bytes | None]]
    ) -> None:
        for at, ((header, kept), (entry, slot)) in enumerate(zip(part, published, strict=True)):
            index = first + at
            if entry is not None and header != entry:
                message = f"Record {index} has another header here than in the log."
                self._notes.fail(Duty.JOURNAL, "journal.differs", place, message, index)
            if slot is not None and kept != slot and same_but_erasing(kept, slot, self._size):
                self._notes.skip(Duty.JOURNAL, ERASING)
            elif slot is not None and kept != slot:
                message = f"Record {index} has another body here than in the body bundle."
                self._notes.fail(Duty.JOURNAL, "journal.differs", place, message, index)

    def finish(self, tree: Tree | None, wanted: Sequence[int]) -> dict[int, bytes]:
        """Read what lies beyond the published records: it must be whole; it is counted, not vouched for.

        Gives the roots at the `wanted` sizes, ascending and beyond what is published, of the published `tree` grown by
        these records, as far as they go; none without a tree.
        """
        if self._source is None:
            return {}
        roots = None if tree is None or not wanted else Roots(wanted, tree)
        while (frame := self._frame_of(self._size)) is not None:
            beyond = frame.records[max(0, self._size - frame.first) :]
            self.beyond_count = (self.beyond_count or 0) + len(beyond)
            if roots is not None:
                roots.append([leaf_hash(header) for header, _ in beyond])
            for at, (header, _) in enumerate(beyond):
                if _START in header:
                    self.starts.append(frame.first + len(frame.records) - len(beyond) + at)
            self._frame = None
        if self._pruned >= self._size > 0:
            self._notes.not_applicable(Duty.JOURNAL, "the journal holds nothing of what is published: it was pruned")
        return {} if roots is None else roots.at

    def _frame_of(self, index: int) -> _Placed | None:
        """The frame that holds the record at `index`, or the first that lies after it; None where there is none."""
        while True:
            if self._frame is None:
                self._frame = next(self._frames, None)
            if self._frame is None or self._frame.first + len(self._frame.records) > index:
                return self._frame
            self._frame = None

    def _walk(self, source: Source) -> Iterator[_Placed]:
        names = self._segments(source)
        if not names and not self._unreadable:
            self._notes.fail(Duty.JOURNAL, "journal.missing", "journal", "The journal holds no segment.")
        if names:
            self._begin(names[0][1])
        for number, (name, first) in enumerate(names):
            data = self._read(source, name)
            if data is None:
                continue
            if not data and number + 1 < len(names) and self._is_pruned(source, first):
                self._skip(first, names[number + 1][1])
                continue
            place = f"journal/{name}"
            try:
                check_segment_header(data, first, self._origin)
            except Corruption as error:
                self._notes.fail(Duty.JOURNAL, error.code, place, str(error))
            if first != self.end:
                message = f"The segment begins at record {first}, the one before it ends at {self.end}."
                self._notes.fail(Duty.JOURNAL, "journal.order", place, message, self.end)
            yield from self._whole_frames(data, place, last=number == len(names) - 1)
            data = None  # before the next one is read: they are large

    def _begin(self, first: int) -> None:
        self._pruned = self.end = first
        if first > self._size:
            message = (
                f"The journal begins at record {first}; only {self._size} are published: what lies between is gone."
            )
            self._notes.fail(Duty.JOURNAL, "journal.begins", "journal", message, self._size)
        elif first:
            self._notes.remark(Duty.JOURNAL, f"compared from record {first} on, where the journal begins")

    def _is_pruned(self, source: Source, first: int) -> bool:
        """Whether the segment that is gone now was pruned by a writer that runs: then the journal begins after it."""
        return all(begins > first for _, begins in self._segments(source))

    def _skip(self, first: int, after: int) -> None:
        self._pruned = self.end = after
        reason = f"records {first} to {after - 1} were pruned from the journal while it was read, and not compared"
        self._notes.remark(Duty.JOURNAL, reason)

    def _segments(self, source: Source) -> list[tuple[str, int]]:
        try:
            listed = source.paths()
            names = [] if listed is None else list(listed)
        except (Corruption, Unavailable) as error:
            self._leave_out(f"the journal could not be listed: {error.message}")
            return []
        found = []
        for name in names:
            match = _NAME.fullmatch(name)
            if match is None:
                message = "This is no segment of a journal."
                self._notes.fail(Duty.JOURNAL, "files.stray", f"journal/{name}", message)
            else:
                found.append((name, int(match[1])))
        return sorted(found)

    def _read(self, source: Source, name: str) -> bytes | None:
        try:
            data = source.get(name, _SEGMENT_BYTES_MAX)
        except Unavailable as error:
            self._leave_out(f"a segment could not be read: {error.message}")
            return None
        except (Corruption, InvalidInput) as error:
            self._notes.fail(Duty.JOURNAL, error.code, f"journal/{name}", str(error))
            return None
        return data if data is not None else b""

    def _whole_frames(self, data: bytes, segment: str, last: bool) -> Iterator[_Placed]:
        offset: int | None = SEGMENT_HEADER_BYTES
        while offset is not None:
            start, offset = offset, None
            for frame in read_frames(data, start):
                if isinstance(frame, Damage):
                    offset = self._damage(data, segment, frame, last)
                    break
                place = f"{segment} offset {frame.offset}"
                if frame.first != self.end:
                    message = f"The frame begins at record {frame.first}; record {self.end} is next."
                    self._notes.fail(Duty.JOURNAL, "journal.order", place, message, self.end)
                yield _Placed(place, frame.first, frame.records)
                self.end = frame.first + len(frame.records)

    def _damage(self, data: bytes, segment: str, damage: Damage, last: bool) -> int | None:
        """Judge damage; the position of the next whole frame, if one follows."""
        after = frame_after(data, damage.offset)
        place = f"{segment} offset {damage.offset}"
        if after is None and last and self.end >= self._size:
            self.torn = place
        else:
            self._notes.fail(Duty.JOURNAL, "journal.damaged", place, f"Here {damage.reason}.", self.end)
        return after

    def _leave_out(self, reason: str) -> None:
        self._unreadable = True
        self._notes.skip(Duty.JOURNAL, reason)
