"""Sources' counters: dense in each stream, except where a `log.gap` says what is missing (duty 10)."""

from __future__ import annotations

from typing import Any

from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.line import Line
from affidavit.verify.run import Run, Settle


class Counters:
    """Takes every line in order and keeps the next number of each stream."""

    def __init__(self, notes: Notebook) -> None:
        self._notes = notes
        self._next: dict[str, int] = {}
        self._dead: set[str] = set()
        self._missing: dict[str, tuple[int, int]] = {}
        self._unread_gap_at = -1  # the last log.gap whose body could not be read
        self._last_at: dict[str, int] = {}
        self._hole_at = -1

    def hole(self, index: int) -> None:
        """The entry at `index` could not be read: one number of some stream is unknown, which duty 2 reports."""
        self._hole_at = index

    def take(self, line: Line) -> None:
        """Check one line's number."""
        stream, seq = line.header.source.stream, line.header.source.seq
        self._notes.looked(Duty.COUNTERS)
        if stream in self._dead:
            self._fail(line, "counter.dead", f"Record {line.index} is of the stream {stream}, which had ended.")
        wanted = self._next.get(stream, 0)
        if seq != wanted:
            self._check_jump(line, wanted)
        self._missing.pop(stream, None)
        self._next[stream] = seq + 1
        self._last_at[stream] = line.index
        if line.header.kind == "log.gap":
            self._take_gap(line)
        elif line.header.kind == "log.open":  # each start begins without streams
            self._end(set(self._next) - {stream})

    def weigh(self, run: Run) -> Settle | None:
        """See `run.py`."""
        wanted: dict[str, int] = {}
        last: dict[str, int] = {}
        for at, (shape, seq) in enumerate(zip(run.shapes, run.seqs, strict=True)):
            stream = shape.stream
            number = wanted.get(stream)
            if number is None:
                if stream in self._dead or stream in self._missing:
                    return None
                number = self._next.get(stream, 0)
            if seq != number:
                return None
            wanted[stream] = seq + 1
            last[stream] = run.first + at

        def settle() -> None:
            self._notes.looked(Duty.COUNTERS, run.count)
            self._next |= wanted
            self._last_at |= last

        return settle

    def _check_jump(self, line: Line, wanted: int) -> None:
        stream, seq = line.header.source.stream, line.header.source.seq
        if seq > wanted:
            since = self._last_at.get(stream, -1)
            if self._missing.get(stream) == (wanted, seq - 1) or self._hole_at > since:
                return
            if self._unread_gap_at > since:
                self._notes.remark(Duty.COUNTERS, "a hole follows a log.gap whose body could not be read")
                return
            message = f"Numbers {wanted} to {seq - 1} of the stream {stream} are missing before record {line.index}."
            self._fail(line, "counter.hole", f"{message} No log.gap says so.")
        else:
            message = f"Record {line.index} repeats number {seq} of the stream {stream}; {wanted} is next."
            self._fail(line, "counter.repeat", message)

    def _take_gap(self, line: Line) -> None:
        if line.content is None:
            self._unread_gap_at = line.index
            return
        self._end(set(gap_streams(line.content)))
        missing = line.content.get("missing")
        if isinstance(missing, dict):
            named, first, last = missing.get("stream"), missing.get("first"), missing.get("last")
            if isinstance(named, str) and isinstance(first, int) and isinstance(last, int):
                # A source may skip again before anything of it was taken.
                before = self._missing.get(named)
                follows = before is not None and before[1] + 1 == first
                self._missing[named] = (before[0] if before is not None and follows else first, last)
            else:
                self._fail(line, "counter.gap", f"The log.gap {line.index} does not say what is missing.")

    def _end(self, streams: set[str]) -> None:
        self._dead |= streams
        for stream in streams:
            self._next.pop(stream, None)
            self._last_at.pop(stream, None)

    def _fail(self, line: Line, code: str, message: str) -> None:
        self._notes.fail(Duty.COUNTERS, code, line.where, message, line.index)


def gap_streams(content: dict[str, Any]) -> tuple[str, ...]:
    """The streams that a `log.gap` declares dead."""
    streams = content.get("streams")
    return tuple(stream for stream in streams if isinstance(stream, str)) if isinstance(streams, list) else ()
