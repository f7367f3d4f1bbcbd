"""What stands open in a log: streams and their numbers, sessions, intents, contexts, clocks, and the state index.

It is a fold over the records, one after another, and the same fold while sealing and while recovering; so what the
sequencer believes is what the log says. It holds only what is open: a closed session leaves nothing behind, and of the
records themselves it knows the kinds of the newest `KINDS_KEPT` (older ones are looked up in the log). What grows with
the years are the names of ended streams; nothing grows with the records.

`Note` is what the fold needs of a record, or of a run of records that open and end nothing: a second fold that follows
the first one takes notes, and arrives at the same without looking at every record.

When streams end: at a `log.gap` that names them; at a `log.open`, where each start begins with none; and when there are
more than `STREAMS_MAX`, the one that was longest silent, if nothing of it is open. The name of an ended stream is never
accepted again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from affidavit import canonical
from affidavit.errors import Corruption, InvalidInput
from affidavit.limits import CONTEXTS_KEPT_MAX, KINDS_KEPT, RUNS_KEPT_MAX
from affidavit.record.draft import Answer
from affidavit.record.header import Header
from affidavit.record.kinds import KINDS, STATE_KINDS

KIND_CODES = {kind: code for code, kind in enumerate(sorted(KINDS), start=1)}
_KINDS = {code: kind for kind, code in KIND_CODES.items()}
_CODE_BYTES = {kind: bytes((code,)) for kind, code in KIND_CODES.items()}
_UNKNOWN_BYTE = b"\0"
#: Kinds whose body this fold reads.
BODY_KINDS = frozenset({"clock", "log.gap"})
#: Kinds that open or end something, or move the state.
ACTING_KINDS = STATE_KINDS | {
    "session.open",
    "session.close",
    "context",
    "access.intent",
    "access.outcome",
    "anchor",
    "clock",
    "log.gap",
    "log.open",
}


class Passed(NamedTuple):
    """A run of records of one stream and one kind, which is none of the acting ones: its length, and of the last one
    the stream's next number and the log's time."""

    records: int
    stream: str
    next: int
    at: str
    kind: str


#: A record of an acting kind with its plaintext where the fold reads it, or a run of others.
Note = tuple[Header, bytes | None] | Passed


def notes_of(headers: Sequence[Header], bodies: Iterable[bytes | None]) -> list[Note]:
    """What a fold needs of these records, which follow each other."""
    notes: list[Note] = []
    last: Header | None = None
    count = 0
    for header, body in zip(headers, bodies, strict=True):
        if header.kind in ACTING_KINDS:
            if last is not None:
                notes.append(_passed(count, last))
                last, count = None, 0
            notes.append((header, body if header.kind in BODY_KINDS else None))
            continue
        if last is not None and (last.source.stream != header.source.stream or last.kind != header.kind):
            notes.append(_passed(count, last))
            count = 0
        last = header
        count += 1
    if last is not None:
        notes.append(_passed(count, last))
    return notes


def _passed(count: int, last: Header) -> Passed:
    return Passed(count, last.source.stream, last.source.seq + 1, last.log.at, last.kind)


@dataclass(slots=True)
class Session:
    """An open session: whose, on which system, from which stream, with the intents that wait for their outcome."""

    actor: str
    system: str
    stream: str
    intents: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Stream:
    """An open stream. `next` is the number it uses next.

    `runs` are its newest batches as (first number, index of the first, count). `last_first`, `last_mark` and
    `last_answer` are what a repeat of the last batch is recognised by and answered with.
    """

    next: int = 0
    sessions: set[int] = field(default_factory=set)
    runs: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=RUNS_KEPT_MAX))
    last_first: int = -1
    last_mark: int = 0
    last_answer: Answer | None = None

    def index_of(self, seq: int) -> int | None:
        """The index that draft `seq` got, or None where that batch is too long ago, or was none."""
        for first, index, count in reversed(self.runs):
            if first <= seq < first + count:
                return index + seq - first
        return None


class Standing:
    """The fold. `apply` each record in order; everything else reads."""

    def __init__(self) -> None:
        #: How many records were applied.
        self.size = 0
        self.state = 0
        self.last_at = ""
        self.last_kind = ""
        self.streams: dict[str, Stream] = {}
        self.ended: set[str] = set()
        self.sessions: dict[int, Session] = {}
        self.contexts: dict[tuple[str, str], deque[int]] = {}
        self.clocks: dict[str, int] = {}
        self.anchor: int | None = None  # the newest `anchor` record
        #: How often something opened, ended or moved: while it stays, what was found of sessions and the like holds.
        self.acts = 0
        self._kinds = bytearray()  # of the records before `size`, as many as there are bytes
        self._acts = {
            "session.open": self._open_session,
            "session.close": self._close_session,
            "context": self._note_context,
            "access.intent": self._open_intent,
            "access.outcome": self._close_intent,
            "clock": self._note_clock,
            "anchor": self._note_anchor,
            "log.gap": self._end_streams,
            "log.open": self._begin,
            **dict.fromkeys(STATE_KINDS, self._move_state),
        }

    def kind_at(self, index: int) -> str | None:
        """The kind of the record at `index`, empty for one that we do not know; None where it lies too far back."""
        at = index - self.size + len(self._kinds)
        return _KINDS.get(self._kinds[at], "") if at >= 0 else None

    def apply(self, header: Header, body: bytes | None) -> None:
        """Take the next record. `body` is the plaintext where the kind is in `BODY_KINDS`, else it is not looked at."""
        index = self.size
        self.advance(Passed(1, header.source.stream, header.source.seq + 1, header.log.at, header.kind))
        act = self._acts.get(header.kind)
        if act is not None:
            self.acts += 1
            act(index, header, body)

    def advance(self, run: Passed) -> None:
        """Take a run of records that open and end nothing."""
        stream = self.streams.get(run.stream)
        if stream is None:
            stream = self.streams[run.stream] = Stream()
        stream.next = run.next
        self.size += run.records
        self.last_at = run.at
        self.last_kind = run.kind
        kinds = self._kinds
        kinds += _CODE_BYTES.get(run.kind, _UNKNOWN_BYTE) * run.records
        if len(kinds) > 2 * KINDS_KEPT:
            del kinds[:-KINDS_KEPT]

    def take(self, note: Note) -> None:
        """Take what a note stands for."""
        if isinstance(note, Passed):
            self.advance(note)
        else:
            self.apply(*note)

    @property
    def last_boot(self) -> str:
        """The boot of the last clock record: of the machine's run in which the writer was last seen."""
        return max(self.clocks, key=lambda boot: self.clocks[boot], default="")

    def open_streams(self) -> list[str]:
        """Streams with an open session, in the order of their last use."""
        return [name for name, stream in self.streams.items() if stream.sessions]

    def retire_one(self, kept: str) -> bool:
        """End the longest silent stream that has nothing open, and is not `kept`. False where there is none."""
        for name, stream in self.streams.items():
            if not stream.sessions and name != kept:
                self._end(name)
                return True
        return False

    def _open_session(self, index: int, header: Header, _: bytes | None) -> None:
        if header.decision == "allow" and header.actor is not None and header.system is not None:
            stream = header.source.stream
            self.sessions[index] = Session(header.actor, header.system, stream)
            self.streams[stream].sessions.add(index)

    def _close_session(self, _: int, header: Header, __: bytes | None) -> None:
        if header.session is not None:
            self._forget_session(header.session)

    def _forget_session(self, index: int) -> None:
        session = self.sessions.pop(index, None)
        if session is not None and session.stream in self.streams:
            self.streams[session.stream].sessions.discard(index)

    def _note_context(self, index: int, header: Header, _: bytes | None) -> None:
        if header.actor is not None and header.system is not None:
            key = (header.actor, header.system)
            if key not in self.contexts:
                self.contexts[key] = deque(maxlen=CONTEXTS_KEPT_MAX)
            self.contexts[key].append(index)

    def _open_intent(self, index: int, header: Header, _: bytes | None) -> None:
        session = self.sessions.get(-1 if header.session is None else header.session)
        if session is not None:
            session.intents.add(index)

    def _close_intent(self, _: int, header: Header, __: bytes | None) -> None:
        session = self.sessions.get(-1 if header.session is None else header.session)
        if session is not None and header.ref is not None:
            session.intents.discard(header.ref)

    def _move_state(self, index: int, _: Header, __: bytes | None) -> None:
        self.state = index + 1

    def _note_clock(self, index: int, _: Header, body: bytes | None) -> None:
        boot = content_of(index, body).get("boot")
        if isinstance(boot, str):
            self.clocks[boot] = index

    def _note_anchor(self, index: int, _: Header, __: bytes | None) -> None:
        self.anchor = index

    def _end_streams(self, index: int, _: Header, body: bytes | None) -> None:
        for name in content_of(index, body).get("streams", ()):
            self._end(name)

    def _begin(self, _: int, header: Header, __: bytes | None) -> None:
        for name in [name for name in self.streams if name != header.source.stream]:
            self._end(name)

    def _end(self, name: str) -> None:
        stream = self.streams.pop(name, None)
        self.ended.add(name)
        for index in list(stream.sessions) if stream is not None else ():
            self.sessions.pop(index, None)


def content_of(index: int, body: bytes | None) -> dict[str, Any]:
    """The content of a body that recovery needs. Raises `Corruption` where there is none."""
    try:
        content = canonical.decode(body) if body is not None else None
    except InvalidInput as error:
        raise Corruption("log.body", f"The body of record {index} is not canonical: {error}") from None
    if not isinstance(content, dict):
        raise Corruption("log.body", f"Record {index} has no body, and its kind cannot be without one.")
    return content
