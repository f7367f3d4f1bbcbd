"""Reads a journal behind its writer, from another process: what is durable, in order, each frame once."""

from __future__ import annotations

from pathlib import Path

from affidavit.durable import OsDisk, ReadFile
from affidavit.errors import Corruption
from affidavit.ledger.journal import segments_of
from affidavit.record.frame import (
    FRAME_HEAD_BYTES,
    SEGMENT_HEADER_BYTES,
    Frame,
    Stored,
    check_segment_header,
    frame_bytes,
    read_frames,
    segment_name,
)


class JournalTail:
    """The journal of one log from record `start` on. Changes nothing.

    Whoever reads is told how far the journal is durable: behind that may be a frame half written, which is not looked
    at. Raises `Corruption` where what should be there is not.
    """

    def __init__(self, disk: OsDisk, folder: Path, origin: str, start: int) -> None:
        self._disk = disk
        self._folder = folder
        self._origin = origin
        self._start = start
        before = [first for first in segments_of(disk, folder) if first <= start]
        if not before:
            raise Corruption("journal.begins", f"The journal in {folder} begins behind record {start}.")
        self._next = before[-1]
        self._file = self._open()

    def read_to(self, size: int) -> list[Stored]:
        """The records from the last one read to before `size`, where a frame ends."""
        found: list[Stored] = []
        while self._next < size:
            frame = self._frame()
            found += frame.records[max(0, self._start - frame.first) :]
            self._next += len(frame.records)
        return found

    def close(self) -> None:
        """Let go of the segment."""
        self._file.close()

    def _frame(self) -> Frame:
        length = frame_bytes(self._file.read_at(self._offset, FRAME_HEAD_BYTES))
        if length is None:  # zeros or nothing: the writer has gone on in the next segment
            ended, self._file = self._file, self._open()
            ended.close()
            length = frame_bytes(self._file.read_at(self._offset, FRAME_HEAD_BYTES)) or 0
        frame = next(read_frames(self._file.read_at(self._offset, length), 0), None)
        if not isinstance(frame, Frame) or frame.first != self._next:
            raise Corruption(
                "journal.damage",
                f"Record {self._next} is durable, and the journal segment {segment_name(self._segment)} has no frame"
                f" for it at offset {self._offset}.",
                "Nothing was signed. Keep the folder as it is, and compare it with a copy.",
            )
        self._offset += length
        return frame

    def _open(self) -> ReadFile:
        """The segment that begins with the next record."""
        self._segment, self._offset = self._next, SEGMENT_HEADER_BYTES
        file = self._disk.open_read(self._folder / segment_name(self._next))
        check_segment_header(file.read_at(0, SEGMENT_HEADER_BYTES), self._next, self._origin)
        return file
