"""The journal: segments of frames, one frame a group commit; what a frame holds is durable when `append` returns.

Bytes: docs/spec/journal.md and `record/frame.py`. A segment is filled with zeros ahead of short frames, so that syncing
them need not record a new file length. Reading tells three things apart:

 1. zeros after the last frame: the end;
 2. in the last segment, bytes that are no whole frame with no whole frame after them: a torn write, which was never
    acknowledged. It is cut: overwritten with zeros;
 3. anything else (damage with a frame after it, or in an earlier segment, or indexes that do not follow): `Corruption`,
    with the segment and the offset. Nothing is repaired: the file is evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from affidavit.durable import PRIVATE, PRIVATE_FOLDER, Disk, write_whole
from affidavit.errors import Corruption
from affidavit.limits import PREALLOCATE_BYTES, SEGMENT_BYTES, ZERO_FILL_FRAME_BYTES_MAX
from affidavit.record.frame import (
    FRAME_BYTES_MAX,
    SEGMENT_HEADER_BYTES,
    Damage,
    Frame,
    Stored,
    check_segment_header,
    encode_frame,
    frame_after,
    read_frames,
    segment_header,
    segment_name,
)

SEGMENT_BYTES_MAX = SEGMENT_BYTES + FRAME_BYTES_MAX + PREALLOCATE_BYTES
_HINT = "Nothing was changed. Keep the folder as it is, and compare it with a copy."


@dataclass(frozen=True)
class End:
    """Where a journal ends: in the segment that starts at `segment`, whose bytes from `offset` to `filled` are free.

    `last` is where its last frame begins, or `offset` where it holds none; `next` is the index of the next record.
    `torn` says why reading stopped, where it was not at zeros.
    """

    segment: int
    last: int
    offset: int
    filled: int
    next: int
    torn: Damage | None


#: The end of a journal that holds nothing yet.
EMPTY = End(0, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES, 0, None)


class Scan:
    """Reads a journal from its first frame, or from the segment that holds `start`. Changes nothing.

    A journal may begin later than record 0: what was published is pruned from its beginning (`ledger/pruning.py`).
    `first` is the index of its first record. Iterate it for the frames; then `end` says where it ended. Raises
    `Corruption` where there is no segment, or none that holds `start`.
    """

    def __init__(self, disk: Disk, folder: Path, origin: str, start: int | None = None) -> None:
        self._disk = disk
        self._folder = folder
        self._origin = origin
        segments = segments_of(disk, folder)
        self.first = segments[0]
        if start is None:
            start = self.first
        if start < self.first:
            raise Corruption(
                "journal.begins",
                f"The journal begins at record {self.first}, but record {start} is published nowhere else.",
                _HINT,
            )
        self._segments = [
            first
            for first, after in zip(segments, [*segments[1:], None], strict=True)
            if after is None or after > start
        ]
        self.end: End | None = None

    def __iter__(self) -> Iterator[Frame]:
        expected = self._segments[0]
        for first in self._segments:
            if first != expected:
                raise Corruption(
                    "journal.segment",
                    f"The journal should go on with {segment_name(expected)}, but there is {segment_name(first)}.",
                    _HINT,
                )
            last = first == self._segments[-1]
            data = self._read(first)
            start = offset = SEGMENT_HEADER_BYTES
            torn = None
            for found in read_frames(data):
                if isinstance(found, Damage):
                    torn = found
                    self._refuse_damage(data, first, found, last)
                    break
                if found.first != expected:
                    raise _corruption(first, found.offset, f"a frame begins at record {found.first}, not {expected}")
                yield found
                expected += len(found.records)
                start, offset = found.offset, found.end
            self.end = End(first, start, offset, len(data), expected, torn)

    def _read(self, first: int) -> bytes:
        data = self._disk.read(self._folder / segment_name(first), SEGMENT_BYTES_MAX)
        if data is None:
            raise Corruption("journal.segment", f"The journal segment {segment_name(first)} is gone.", _HINT)
        check_segment_header(data, first, self._origin)
        return data

    @staticmethod
    def _refuse_damage(data: bytes, first: int, damage: Damage, last: bool) -> None:
        if not last:
            raise _corruption(first, damage.offset, f"{damage.reason}, and a later segment follows")
        after = frame_after(data, damage.offset)
        if after is not None:
            raise _corruption(first, damage.offset, f"{damage.reason}, and a whole frame follows at {after}")


class Journal:
    """The journal of one log, open for appending. Owned by the ledger's writer.

    Every error it raises is fatal: what a failed write or sync left behind only a fresh start can tell.
    """

    def __init__(self, disk: Disk, folder: Path, temporary: Path, origin: str, end: End) -> None:
        self._disk = disk
        self._folder = folder
        self._temporary = temporary
        self._origin = origin
        self._end = end.offset
        self._filled = end.filled
        self.next = end.next
        #: The index of the first record of the segment that is written.
        self.segment = end.segment
        self._file = disk.open_append(folder / segment_name(end.segment))

    @classmethod
    def create(cls, disk: Disk, folder: Path, temporary: Path, origin: str) -> Journal:
        """The empty journal of a new log, its first segment durable."""
        disk.make_folder(folder, PRIVATE_FOLDER)
        _create_segment(disk, folder, temporary, 0, origin)
        return cls(disk, folder, temporary, origin, EMPTY)

    @classmethod
    def resume(cls, disk: Disk, folder: Path, temporary: Path, origin: str, end: End) -> Journal:
        """The journal whose scan ended at `end`; a torn write there is cut, and all that is there durable, on return.

        The last frame is written again: whoever wrote it may have been killed before its sync, or the sync failed, and
        then it is read from the page cache while the disk does not hold it and no sync would write it. All before it
        was synced before it was written. Nobody was told of it, but what comes after it will stand on it.
        """
        path = folder / segment_name(end.segment)
        data = disk.read(path, SEGMENT_BYTES_MAX)
        if data is None or len(data) != end.filled:
            raise Corruption("journal.segment", f"{path} changed while it was read.", "Who else writes there?")
        journal = cls(disk, folder, temporary, origin, end)
        journal._file.write_at(end.last, data[end.last : end.offset] + bytes(end.filled - end.offset))
        journal._file.sync()
        disk.sync_folder(folder)
        return journal

    def append(self, first: int, records: list[Stored]) -> int:
        """Write one frame; its records are durable on return. Gives the bytes written. Raises `Unavailable`: stop."""
        frame = encode_frame(first, records)
        if self._end >= SEGMENT_BYTES:
            self._rotate(first)
        if self._end + len(frame) > self._filled and len(frame) <= ZERO_FILL_FRAME_BYTES_MAX:
            self._file.write_at(self._end, bytes(PREALLOCATE_BYTES))
            self._filled = self._end + PREALLOCATE_BYTES
        self._file.write_at(self._end, frame)
        self._file.sync()
        self._end += len(frame)
        self._filled = max(self._filled, self._end)
        self.next = first + len(records)
        return len(frame)

    def replace(self, index: int, slot: bytes) -> None:
        """Write the segment that holds the record at `index` again, whole, with another slot for that record.

        Durable on return; nothing, where the journal begins later. Whatever was filled ahead goes. Raises
        `Unavailable` or `Corruption`: stop.
        """
        first = max((one for one in segments_of(self._disk, self._folder) if one <= index), default=None)
        if first is None:
            return
        path = self._folder / segment_name(first)
        data = self._disk.read(path, SEGMENT_BYTES_MAX)
        if data is None:
            raise Corruption("journal.segment", f"The journal segment {path.name} is gone.", _HINT)
        check_segment_header(data, first, self._origin)
        parts = [data[:SEGMENT_HEADER_BYTES]]
        for found in read_frames(data):
            if isinstance(found, Damage):
                raise _corruption(first, found.offset, found.reason)
            part = data[found.offset : found.end]
            if found.first <= index < found.first + len(found.records):
                records = list(found.records)
                records[index - found.first] = (records[index - found.first][0], slot)
                part = encode_frame(found.first, records)
            parts.append(part)
        whole = b"".join(parts)
        write_whole(self._disk, self._temporary, [(path, whole)], PRIVATE)
        if first == self.segment:
            opened = self._disk.open_append(path)
            self._file.close()
            self._file = opened
            self._end = self._filled = len(whole)

    def close(self) -> None:
        """Close the file. What was appended is durable already."""
        self._file.close()

    def _rotate(self, first: int) -> None:
        """Go on in a new segment. It appears whole, so a crash leaves either no new segment or an empty one."""
        _create_segment(self._disk, self._folder, self._temporary, first, self._origin)
        opened = self._disk.open_append(self._folder / segment_name(first))
        self._file.close()  # only now: where opening fails, `close` finds a file that is open
        self._file = opened
        self.segment = first
        self._end = self._filled = SEGMENT_HEADER_BYTES


def _create_segment(disk: Disk, folder: Path, temporary: Path, first: int, origin: str) -> None:
    write_whole(disk, temporary, [(folder / segment_name(first), segment_header(first, origin))], PRIVATE)


def segments_of(disk: Disk, folder: Path) -> list[int]:
    """The first indexes of the segments, ascending. Raises `Corruption` for anything else in the folder, or nothing."""
    found = []
    for name in disk.names(folder):
        stem = name.removesuffix(".segment")
        if len(stem) != 20 or not (stem.isascii() and stem.isdigit()) or name == stem:
            raise Corruption("journal.name", f"{folder / name} is no journal segment.", "Move it out of the journal.")
        found.append(int(stem))
    if not found:
        raise Corruption("journal.missing", f"{folder} holds no journal segment.", _HINT)
    return found


def _corruption(segment: int, offset: int, why: str) -> Corruption:
    return Corruption(
        "journal.damage", f"Journal segment {segment_name(segment)} is damaged at offset {offset}: {why}.", _HINT
    )
