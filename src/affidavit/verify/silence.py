"""Sources' silences: what a `log.gap` of the cause `silence` says follows from the heartbeats (duty 10).

A contradiction is a finding. A silence that no `log.gap` accounts for is a remark: the writer looks once a second and
may have been stopped in between, so it is no evidence of tampering, and it is not passed over either.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from affidavit.errors import Corruption
from affidavit.limits import SOURCES_MAX
from affidavit.record.body import Erased
from affidavit.record.moment import NS, parse_moment
from affidavit.state.hidden import decode_hidden, kind_at
from affidavit.state.map import path_of
from affidavit.state.sources import Expected, expected
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.line import Line

_PREFIX = "source/"
_KINDS = frozenset({"change", "log.heartbeat", "log.gap", "log.open"})
_REMARKS_MAX = 10  # silences that no gap accounts for: the first of them show what is wrong
_BEATS_KEPT = 16  # a gap names the last heartbeat, or one that was overtaken while the gap was written


@dataclass(slots=True)
class _Source:
    """What the log said of one source so far: its newest heartbeats, and the `log.gap` that is open."""

    beats: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=_BEATS_KEPT))
    gap: int | None = None
    accounted: bool = True
    missed: str = ""  # a silence that ended with the last heartbeat; a gap written at the same moment may still come


class Silences:
    """Takes every line in order. Says nothing of what it could not read, but that it could not."""

    def __init__(self, notes: Notebook) -> None:
        self._notes = notes
        self._sources: dict[str, _Source] = {}
        self._expected: dict[str, Expected] = {}
        self._declared_at: dict[int, str] = {}
        self._hidden: set[bytes] = set()  # paths of sources whose declaration was erased
        self._started_at = ""
        self._remarks = 0
        self._unread = False  # a change or a heartbeat: from there on nothing can be compared

    def hole(self) -> None:
        """An entry could not be read, which duty 2 reports."""
        self._unread = True

    def take(self, line: Line) -> None:
        """Check one line."""
        kind, content = line.header.kind, line.content
        if kind not in _KINDS:
            return
        if kind == "log.open":
            self._started_at = line.header.log.at
        elif line.erased is not None:
            self._forget(line, line.erased)
        elif content is None:
            self._unread = self._unread or kind != "log.gap"
            if kind == "log.heartbeat":
                self._notes.remark(Duty.COUNTERS, "bodies of heartbeats could not be read: silences were not compared")
        elif kind == "change":
            self._declare(line, content)
        elif kind == "log.heartbeat":
            self._beat(line, content)
        elif content.get("cause") == "silence":
            if self._unread:
                self._notes.remark(Duty.COUNTERS, "bodies before a silence could not be read: it was not compared")
            else:
                self._gap(line, content)

    def _declare(self, line: Line, content: dict[str, Any]) -> None:
        objects = content.get("objects")
        for op in objects if isinstance(objects, list) else ():
            name = op.get("name") if isinstance(op, dict) else None
            if not isinstance(name, str) or not name.startswith(_PREFIX):
                continue
            value = op.get("value")
            declared = expected(name, value, line.index) if isinstance(value, dict) else None
            short = name.removeprefix(_PREFIX)
            self._hidden.discard(path_of(name))
            self._sources.pop(short, None)
            self._expected.pop(short, None)
            if declared is not None and len(self._expected) < SOURCES_MAX:
                self._expected[short] = declared
                self._sources[short] = _Source()
                self._declared_at[line.index] = line.header.log.at

    def _forget(self, line: Line, erased: Erased) -> None:
        """An erased change may have declared sources: from there on they are not compared until they are declared
        again. What it declared, and of which name, its stub does not say."""
        try:
            paths = {op.path for op in decode_hidden(erased.left)} if line.header.kind == "change" else set()
        except Corruption:
            self._unread = True
            return
        known = {path_of(_PREFIX + short): short for short in self._expected}
        for path in paths:
            short = known.get(path)
            if short is not None:
                self._sources.pop(short, None)
                self._expected.pop(short, None)
            if kind_at(int.from_bytes(path, "big")) == "source":
                self._hidden.add(path)

    def finish(self) -> None:
        """The log has ended."""
        for source in self._sources.values():
            self._say_missed(source)

    def _beat(self, line: Line, content: dict[str, Any]) -> None:
        name = str(content.get("source"))
        source = self._sources.get(name)
        if source is None:
            return  # nobody expects it
        self._say_missed(source)
        if source.beats and not source.accounted:
            since, declared = max(source.beats[-1][1], self._started_at), self._expected[name]
            waited_ns = parse_moment(line.header.log.at) - parse_moment(since)
            if waited_ns > (declared.heartbeat_s + declared.tolerance_s) * NS and not self._unread:
                source.missed = f"the source {name} was silent from {since} to record {line.index}"
        source.beats.append((line.index, line.header.log.at))
        source.accounted = False

    def _say_missed(self, source: _Source) -> None:
        if source.missed and self._remarks < _REMARKS_MAX:
            self._remarks += 1
            self._notes.remark(Duty.COUNTERS, f"{source.missed}, and no log.gap says so")
        source.missed = ""

    def _gap(self, line: Line, content: dict[str, Any]) -> None:
        name = str(content.get("source"))
        if path_of(_PREFIX + name) in self._hidden:
            self._notes.remark(Duty.COUNTERS, "the declaration of a source was erased: its silence was not compared")
            return
        source, declared = self._sources.get(name), self._expected.get(name)
        if source is None or declared is None or content.get("declared") != declared.declared:
            self._fail(line, f"no declaration of a heartbeat of the source {name[:80]!r} is in force there")
            return
        begin = content.get("end") is None
        heard, moment = content.get("heard"), content.get("start" if begin else "end")
        if heard is None and begin:
            known = moment == self._declared_at.get(declared.declared)
        else:
            known = (heard, moment) in source.beats
        if not known:
            self._fail(line, f"the source {name} was not heard of as it says")
        elif begin and source.gap is not None:
            self._fail(line, f"the silence that record {source.gap} began is recorded again")
        elif not begin and content.get("gap") != source.gap:
            self._fail(line, "it ends a silence that is not open")
        if begin:
            source.missed = ""
        source.gap = line.index if begin else None
        source.accounted = source.accounted or begin

    def _fail(self, line: Line, why: str) -> None:
        message = f"The log.gap {line.index} says that a source was silent, but {why}."
        self._notes.fail(Duty.COUNTERS, "counter.silence", line.where, message, line.index)
