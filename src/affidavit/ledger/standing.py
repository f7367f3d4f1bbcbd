"""What stands open in a log: streams and their numbers, sessions, intents, contexts, clocks, and the state index.

It is a fold over the records, one after another, and the same fold while sealing and while recovering; so what the
sequencer believes is what the log says. It holds one byte for each record (its kind, so that a reference can be checked
without reading) and otherwise only what is open: a closed session leaves nothing behind.

When streams end: at a `log.gap` that names them; at a `log.open`, where each start begins with none; and when there are
more than `STREAMS_MAX`, the one that was longest silent, if nothing of it is open. The name of an ended stream is never
accepted again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from affidavit import canonical
from affidavit.errors import Corruption, InvalidInput
from affidavit.limits import CONTEXTS_KEPT_MAX, RUNS_KEPT_MAX
from affidavit.record.draft import Answer
from affidavit.record.header import Header
from affidavit.record.kinds import KINDS, STATE_KINDS

KIND_CODES = {kind: code for code, kind in enumerate(sorted(KINDS), start=1)}
_KINDS = {code: kind for kind, code in KIND_CODES.items()}
_UNKNOWN_KIND = 0
#: Kinds whose body this fold reads.
BODY_KINDS = frozenset({"clock", "log.gap"})


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
        self.kinds = bytearray()
        self.state = 0
        self.last_at = ""
        self.last_kind = ""
        self.streams: dict[str, Stream] = {}
        self.ended: set[str] = set()
        self.sessions: dict[int, Session] = {}
        self.contexts: dict[tuple[str, str], deque[int]] = {}
        self.clocks: dict[str, int] = {}
        self.anchor: int | None = None  # the newest `anchor` record
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

    @property
    def size(self) -> int:
        """How many records were applied."""
        return len(self.kinds)

    def kind_at(self, index: int) -> str:
        """The kind of the record at `index`; empty for one that we do not know."""
        return _KINDS.get(self.kinds[index], "")

    def apply(self, header: Header, body: bytes | None) -> None:
        """Take the next record. `body` is the plaintext where the kind is in `BODY_KINDS`, else it is not looked at."""
        kind = header.kind
        stream = self.streams.get(header.source.stream)
        if stream is None:
            stream = self.streams[header.source.stream] = Stream()
        stream.next = header.source.seq + 1
        index = len(self.kinds)
        self.kinds.append(KIND_CODES.get(kind, _UNKNOWN_KIND))
        self.last_at = header.log.at
        self.last_kind = kind
        act = self._acts.get(kind)
        if act is not None:
            act(index, header, body)

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
