"""Reads a journal past damage: every record that stands in a whole frame, in order, and where reading broke off.

`journal.Scan` stops at damage, because a writer must not go on from it. This one goes on, for `fsck` and `recover`:
what it gives is compared with what was published and signed before anybody believes it. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from affidavit.durable import Disk
from affidavit.errors import Corruption
from affidavit.ledger.journal import SEGMENT_BYTES_MAX
from affidavit.record.frame import (
    SEGMENT_HEADER_BYTES,
    Damage,
    Frame,
    Stored,
    check_segment_header,
    frame_after,
    read_frames,
    segment_name,
)

_STEM_CHARS = 20


@dataclass(frozen=True)
class Break:
    """Where a journal does not read on: in the segment that begins at `segment`, at `offset`, `expected` being the
    index that should have come next. `torn`: nothing whole follows, as after a write that was never acknowledged."""

    segment: int
    offset: int
    expected: int
    reason: str
    torn: bool = False


class Salvage:
    """The journal in `folder`. Iterate once for (index, record), ascending; then the rest says what was met."""

    def __init__(self, disk: Disk, folder: Path, origin: str) -> None:
        self._disk = disk
        self._folder = folder
        self._origin = origin
        self.segments: list[int] = []
        self.strays: list[str] = []
        for name in disk.names(folder):
            stem = name.removesuffix(".segment")
            if name != stem and len(stem) == _STEM_CHARS and stem.isascii() and stem.isdigit():
                self.segments.append(int(stem))
            else:
                self.strays.append(name)
        #: The segments up to the first that does not go on where the one before it ends.
        self.in_order: list[int] = []
        self.breaks: list[Break] = []
        self.end = self.segments[0] if self.segments else 0  # the index after the last record given

    @property
    def begin(self) -> int:
        """The index of the first record that the journal should hold."""
        return self.segments[0] if self.segments else 0

    def __iter__(self) -> Iterator[tuple[int, Stored]]:
        for number, first in enumerate(self.segments):
            if first != self.end:
                self._break(first, 0, f"it should begin at record {self.end}")
            elif len(self.in_order) == number:
                self.in_order.append(first)
            data = self._read(first)
            if data is not None:
                for frame in self._frames(data, first, last=number == len(self.segments) - 1):
                    for at, record in enumerate(frame.records):
                        yield frame.first + at, record

    def _read(self, first: int) -> bytes | None:
        try:
            data = self._disk.read(self._folder / segment_name(first), SEGMENT_BYTES_MAX)
        except Corruption as error:
            self._break(first, 0, error.message)
            return None
        if data is None:
            self._break(first, 0, "it is gone")
            return None
        try:
            check_segment_header(data, first, self._origin)
        except Corruption:
            self._break(first, 0, "it does not begin as a segment of this log")
        return data

    def _frames(self, data: bytes, segment: int, last: bool) -> Iterator[Frame]:
        offset: int | None = SEGMENT_HEADER_BYTES
        said = bool(self.breaks) and self.breaks[-1].expected == self.end  # that records are missing from here on
        while offset is not None:
            start, offset = offset, None
            for found in read_frames(data, start):
                if isinstance(found, Damage):
                    offset = frame_after(data, found.offset)
                    self._break(segment, found.offset, found.reason, torn=last and offset is None)
                    said = True
                    break
                if found.first < self.end:
                    self._break(segment, found.offset, f"it repeats records from {found.first} on")
                    continue
                if found.first > self.end and not said:
                    self._break(segment, found.offset, f"records {self.end} to {found.first - 1} are not there")
                self.end, said = found.first + len(found.records), False
                yield found

    def _break(self, segment: int, offset: int, reason: str, *, torn: bool = False) -> None:
        self.breaks.append(Break(segment, offset, self.end, reason, torn))
