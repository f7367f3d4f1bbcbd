"""References: what a header's positions may name, and what is open when they name it (duty 9).

Held are one byte a record (its kind) and what is open: sessions, intents. Contexts are held for as long as the log, by
actor and system alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from affidavit.record.kinds import KINDS
from affidavit.verify.counters import gap_streams
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.line import Line
from affidavit.verify.quiet_references import weigh_references
from affidavit.verify.run import Run, Settle
from affidavit.verify.sift import Shape

_CODES = {kind: number for number, kind in enumerate(KINDS)}
_KINDS = tuple(KINDS)
_UNKNOWN, _HOLE = 255, 254


@dataclass(slots=True)
class OpenSession:
    """A session that was allowed and has not ended. `accesses` counts its access and access.intent records."""

    actor: str | None
    system: str | None
    stream: str
    accesses: int = 0


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An intent without its outcome."""

    session: int | None
    stream: str


class References:
    """Takes every line in order."""

    def __init__(self, notes: Notebook) -> None:
        self.sessions: dict[int, OpenSession] = {}
        self.intents: dict[int, OpenIntent] = {}
        self._notes = notes
        self._kinds = array("B")
        self._contexts: dict[int, tuple[str | None, str | None]] = {}
        self._approvable: dict[int, str | None] = {}  # proposals: who made them
        self._boots: dict[str, int] = {}  # the last clock record of each boot
        self._first_clock: dict[str, int] = {}
        self._boot_of: dict[int, str] = {}  # by clock record
        self._stream_boot: dict[str, str] = {}
        self._without_clock: dict[str, int] = {}  # the last record of a stream that had no clock yet
        self._clocks_unread = False
        self._gap_unread = False

    def hole(self, index: int) -> None:
        """The entry at `index` could not be read: whatever names it is not judged."""
        del index
        self._kinds.append(_HOLE)

    def kind_at(self, index: int) -> str | None:
        """The kind of an earlier record; None for one that is not there, not known or not readable."""
        code = self._kinds[index] if 0 <= index < len(self._kinds) else _UNKNOWN
        return _KINDS[code] if code < len(_KINDS) else None

    def take(self, line: Line) -> None:
        """Check one line's references, then let it open or end what it opens or ends."""
        header = line.header
        self._notes.looked(Duty.REFERENCES)
        self._check_clock(line)
        session = self._check_session(line)
        if header.context is not None:
            self._check_context(line, header.context)
        if header.ref is not None:
            self._check_ref(line, header.ref)
        self._kinds.append(_CODES.get(header.kind, _UNKNOWN))
        self._advance(line, session)

    def weigh(self, run: Run) -> Settle | None:
        """See `run.py`."""
        return weigh_references(self, run)

    def context_of(self, index: int) -> tuple[str | None, str | None] | None:
        """The actor and system of the context record at `index`; None where there is none."""
        return self._contexts.get(index)

    def quiet_boot(self, stream: str, clock: int | None) -> str | Literal[False] | None:
        """The boot of a stream whose next record names `clock`; None where no boot is to be kept; False where the
        record may be worth a word."""
        if clock is None:
            return False if stream in self._stream_boot else None
        if clock < 0 or self.kind_at(clock) != "clock":
            return False
        boot = self._boot_of.get(clock)
        if boot is None or self._clocks_unread:
            return None
        holds = self._boots[boot] == clock and self._stream_boot.get(stream, boot) == boot
        return boot if holds and stream not in self._without_clock else False

    def take_quiet(
        self, run: Run, boots: Mapping[str, str | None], opened: Mapping[int, Shape], completed: Sequence[int]
    ) -> None:
        """Take a run that was weighed."""
        self._notes.looked(Duty.REFERENCES, run.count)
        self._kinds.extend([_CODES[shape.kind] for shape in run.shapes])
        for shape, count in run.by_shape.items():
            boot = boots[shape.stream]
            if boot is not None:
                self._stream_boot[shape.stream] = boot
            elif shape.clock is None:
                self._without_clock[shape.stream] = run.first + run.count - 1  # no later than the last of the stream
            if shape.session is not None and shape.kind in ("access", "access.intent"):
                self.sessions[shape.session].accesses += count
        for index in completed:
            del self.intents[index]
        for index, shape in opened.items():
            self.intents[index] = OpenIntent(shape.session, shape.stream)

    def _check_session(self, line: Line) -> OpenSession | None:
        header, at = line.header, line.header.session
        if at is None:
            return None
        if not self._names(line, "session", at, frozenset({"session.open"})):
            return None
        session = self.sessions.get(at)
        if session is None:
            self._fail(line, "reference.session", f"Record {line.index} names session {at}, which is not open.")
            return None
        for name, wanted in (("actor", session.actor), ("system", session.system)):
            got = getattr(header, name)
            if got is not None and got != wanted:
                message = f"Record {line.index} has the {name} {got!r}, its session {at} {wanted!r}."
                self._fail(line, "reference.session", message)
        return session

    def _check_context(self, line: Line, at: int) -> None:
        if not self._names(line, "context", at, frozenset({"context"})) or at not in self._contexts:
            return
        if self._contexts[at] != (line.header.actor, line.header.system):
            message = f"Record {line.index} names context {at}, which is of another actor or system."
            self._fail(line, "reference.context", message)

    def _check_ref(self, line: Line, at: int) -> None:
        rule = KINDS.get(line.header.kind)
        if rule is None or not self._names(line, "ref", at, rule.ref):
            return
        kind = self.kind_at(at)
        if line.header.kind == "access.outcome" and kind is not None:
            intent = self.intents.get(at)
            if intent is None:
                message = f"Record {line.index} completes intent {at}, which has its outcome already or was ended."
                self._fail(line, "reference.intent", message)
            elif intent.session != line.header.session:
                message = f"Record {line.index} completes intent {at} of another session."
                self._fail(line, "reference.intent", message)
        if line.header.kind == "erase" and kind is not None and not KINDS[kind].erasable:
            self._fail(line, "reference.erase", f"Record {line.index} erases record {at}; a {kind} is not erasable.")
        if line.header.kind == "approval" and at in self._approvable and self._approvable[at] == line.header.actor:
            message = f"Record {line.index} approves proposal {at} by the identity that proposed it."
            self._fail(line, "reference.approval", message)

    def _names(self, line: Line, field: str, at: int, kinds: frozenset[str]) -> bool:
        """Whether an earlier record of one of `kinds` (`*`: any) stands at `at`; a finding where another does."""
        if at >= line.index:
            self._fail(
                line, f"reference.{field}", f"Record {line.index} names {field} {at}, which does not lie before it."
            )
            return False
        if self._kinds[at] == _HOLE:
            return False
        kind = self.kind_at(at)
        if kind not in kinds and "*" not in kinds:
            message = f"Record {line.index} names {field} {at}, which is a record of kind {kind or 'unknown'}."
            self._fail(line, f"reference.{field}", message)
            return False
        return True

    def _check_clock(self, line: Line) -> None:
        """The clock is the last one of its source's boot. Headers name no boot: a stream keeps the one it has."""
        at, stream = line.header.time.clock, line.header.source.stream
        if at is None:
            if stream in self._stream_boot:
                self._fail(line, "reference.clock", f"Record {line.index} names no clock; its stream had one before.")
            self._without_clock[stream] = line.index
            return
        if not self._names(line, "clock", at, frozenset({"clock"})):
            return
        boot = self._boot_of.get(at)
        if boot is None or self._clocks_unread:
            return  # bodies of clock records could not be read: that it is a clock is all that can be said
        if self._boots[boot] != at:
            message = f"Record {line.index} names clock {at}; {self._boots[boot]} is the last one of that boot."
            self._fail(line, "reference.clock", message)
        known = self._stream_boot.setdefault(stream, boot)
        if known != boot:
            self._fail(line, "reference.clock", f"Record {line.index} changes the boot of its stream {stream}.")
        if self._without_clock.pop(stream, -1) > self._first_clock[boot]:
            message = f"A record of the stream {stream} before {line.index} named no clock although there was one."
            self._fail(line, "reference.clock", message)

    def _advance(self, line: Line, session: OpenSession | None) -> None:
        header, index, stream = line.header, line.index, line.header.source.stream
        match header.kind:
            case "session.open" if header.decision == "allow":
                self.sessions[index] = OpenSession(header.actor, header.system, stream)
            case "session.close" if header.session is not None:
                self._close(line, session)
                self.sessions.pop(header.session, None)
                self.intents = {at: one for at, one in self.intents.items() if one.session != header.session}
            case "context":
                self._contexts[index] = (header.actor, header.system)
            case "access" | "access.intent":
                if session is not None:
                    session.accesses += 1
                if header.kind == "access.intent":
                    self.intents[index] = OpenIntent(header.session, stream)
            case "access.outcome" if header.ref is not None:
                self.intents.pop(header.ref, None)
            case "proposal":
                self._approvable[index] = header.actor
            case "clock":
                self._take_clock(line)
            case "log.gap":
                self._take_gap(line)
            case "log.open":  # each start begins without streams
                known = {one.stream for one in self.sessions.values()} | {one.stream for one in self.intents.values()}
                self._end((known | set(self._stream_boot) | set(self._without_clock)) - {stream})
            case "transaction":
                self._check_transaction(line)
            case _:
                pass

    def _close(self, line: Line, session: OpenSession | None) -> None:
        said = None if line.content is None else line.content.get("accesses")
        if session is not None and line.content is not None and said != session.accesses:
            message = (
                f"Session {line.header.session} closes with {said} accesses; the log holds {session.accesses} of it."
            )
            self._fail(line, "reference.accesses", message)

    def _check_transaction(self, line: Line) -> None:
        """Its body lists accesses of its own session: each an access or an intent after the session's beginning."""
        listed = None if line.content is None else line.content.get("accesses")
        for at in listed if isinstance(listed, list) else []:
            since = line.header.session if line.header.session is not None else line.index
            inside = isinstance(at, int) and since < at < line.index
            if not inside or self.kind_at(at) not in ("access", "access.intent", None):
                message = f"The transaction {line.index} lists {str(at)[:20]}, which is no access of its session."
                self._fail(line, "reference.transaction", message)

    def _take_clock(self, line: Line) -> None:
        boot = None if line.content is None else line.content.get("boot")
        if not isinstance(boot, str):
            self._clocks_unread = True
            return
        self._boots[boot] = line.index
        self._boot_of[line.index] = boot
        self._first_clock.setdefault(boot, line.index)

    def _take_gap(self, line: Line) -> None:
        if line.content is None:
            if not self._gap_unread:  # said once
                reason = "which sessions a log.gap ended stands in its body, which could not be read"
                self._notes.remark(Duty.REFERENCES, reason)
            self._gap_unread = True
            return
        self._end(set(gap_streams(line.content)))

    def _end(self, dead: set[str]) -> None:
        """Streams have ended, and with them their sessions and intents."""
        self.sessions = {at: one for at, one in self.sessions.items() if one.stream not in dead}
        self.intents = {at: one for at, one in self.intents.items() if one.stream not in dead}
        for stream in dead:
            self._stream_boot.pop(stream, None)
            self._without_clock.pop(stream, None)

    def _fail(self, line: Line, code: str, message: str) -> None:
        self._notes.fail(Duty.REFERENCES, code, line.where, message, line.index)
