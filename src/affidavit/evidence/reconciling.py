"""Compare the database's own log with ours: what happened there that we did not carry.

Each act that the database logged (a statement, a pgaudit line, a connection) is carried by a session of ours, excluded
for a reason that is counted, or unexplained. A session of ours is told by the backend's pid, from the moment that the
backend began (by the database's clock, as the session read it) to the session's end (by ours, and the tolerance).
Within it, statements are matched to access records by their text, in order; where the text was not captured in full,
by order alone, which is counted apart.

Nothing here believes an application's name alone: what calls itself the watcher must also ask only its questions.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from affidavit.capture.gateway.catalogue import Backend
from affidavit.capture.watch import direct
from affidavit.capture.watch.questions import own_question
from affidavit.capture.watch.watcher import APPLICATION
from affidavit.limits import RECONCILE_SHOWN_MAX
from affidavit.record.moment import NS, format_moment, parse_moment
from affidavit.wire.postgres import serverlog
from affidavit.wire.postgres.serverlog import LogEvent

CARRIED, BY_ORDER = "carried", "carried, by order"
OTHER_DATABASE = "another database"
NO_ACT = "says nothing that was done"
OURS = "the gateway's own question"
REPEATED = "another line of a statement that is counted"
DECLARED = "may connect past the gateway by declaration"
OUTSIDE = "before our log began, or after it was read"
NOT_RECORDED = "no record says so, in a session of ours"
PAST = "past the gateway"
UNREADABLE = "cannot be read"
_EXPLAINED = frozenset({CARRIED, BY_ORDER})
_UNEXPLAINED = frozenset({NOT_RECORDED, PAST, UNREADABLE})
_TEXT_CHARS = 500
_ACCESSES = frozenset({"access", "access.intent"})


@dataclass
class _Access:
    index: int
    text: str | None  # None where it was not captured in full
    used: set[str] = field(default_factory=set)  # by which kinds of lines


@dataclass
class _Session:
    index: int
    started_ns: int
    ended_ns: int | None = None
    accesses: deque[_Access] = field(default_factory=deque)
    audited: set[tuple[str, ...]] = field(default_factory=set)
    left: dict[str, deque[_Access]] = field(default_factory=dict)  # by kind of line, those not matched yet


@dataclass(frozen=True)
class _Known:
    """A direct connection that the watcher recorded."""

    index: int
    backend: Backend
    declared: str


@dataclass
class _Connection:
    """Acts that nothing explains, of one backend."""

    why: str
    pid: int
    role: str
    database: str
    address: str
    application: str
    record: int | None
    first: str
    last: str
    count: int = 0
    acts: list[dict[str, Any]] = field(default_factory=list)

    def block(self, around: Callable[[str, str], tuple[int | None, int | None]]) -> dict[str, Any]:
        after, before = around(self.first, self.last)
        return {
            "why": self.why,
            "backend": {
                "pid": self.pid,
                "role": self.role,
                "database": self.database,
                "address": self.address,
                "application": self.application,
            },
            "record": self.record,
            "first": self.first,
            "last": self.last,
            "count": self.count,
            "acts": self.acts,
            "after_record": after,
            "before_record": before,
        }


class Reconciler:
    """Takes all records of one system in order, then the events of the database's log, file by file."""

    def __init__(
        self, system: str, database: str, role: str, allowed: Iterable[str], covered: tuple[str, int], tolerance_s: int
    ) -> None:
        """`database` and `role` are those of the gateway, `allowed` the system's `past_gateway`. `covered`: when the
        log began (a moment), and when it was read (ns): what happened in between and is not in it went past us, also
        while the gateway was not running."""
        self.system, self.database, self.role = system, database, role
        self._allowed = tuple(allowed)
        self._tolerance_ns = tolerance_s * NS
        self._began_ns = parse_moment(covered[0])
        self._read_ns = covered[1]
        self._by_session: dict[int, _Session] = {}
        self._by_pid: dict[int, list[_Session]] = {}
        self._known: dict[int, list[_Known]] = {}
        self._moments: list[tuple[int, int]] = []  # index and `log.at` of the system's records
        self._seen: dict[int, tuple[str, str]] = {}  # by pid: address and application, as its connection said
        self._counted: Counter[str] = Counter()
        self._unexplained: dict[tuple[Any, ...], _Connection] = {}
        self._events = 0
        self._first_at = self._last_at = ""

    # records

    def record(self, found: Mapping[str, Any]) -> None:
        """Take the next record, as `export` gives it."""
        header, body, index = found["header"], found["body"] or {}, int(found["index"])
        at_ns = parse_moment(header["log"]["at"])
        kind, session = header["kind"], self._by_session.get(header.get("session", -1))
        if header.get("system") == self.system:
            self._moments.append((index, at_ns))
        if kind == "session.open":
            self._opened(index, header, body)
        elif kind == "session.close" and session is not None:
            session.ended_ns = at_ns
        elif kind in _ACCESSES and session is not None and header.get("outcome") != "none":
            session.accesses.append(_Access(index, _full_text(body.get("action"))))
        elif kind == "log.gap" and body.get("cause") == direct.CAUSE and body.get("end") is None:
            told = body["backend"]
            known = _Known(index, Backend(int(told["pid"]), str(told["started"])), str(body.get("declared", "")))
            self._known.setdefault(known.backend.pid, []).append(known)
        elif kind == "log.gap" and body.get("streams"):
            for one in self._by_session.values():
                one.ended_ns = one.ended_ns or at_ns

    def _opened(self, index: int, header: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        backend = (body.get("upstream") or {}).get("backend")
        if not isinstance(backend, dict):
            return
        session = _Session(index, parse_moment(str(backend["started"])))
        if header.get("decision") != "allow":
            session.ended_ns = parse_moment(header["log"]["at"])
        self._by_session[index] = session
        self._by_pid.setdefault(int(backend["pid"]), []).append(session)

    # the database's log

    def event(self, event: LogEvent, name: str) -> None:
        """Take the next event of the file `name`."""
        self._events += 1
        if event.act == serverlog.UNREADABLE:
            self._count_unexplained(UNREADABLE, event, name, None)
            return
        self._first_at = min(self._first_at or event.at, event.at)
        self._last_at = max(self._last_at, event.at)
        if event.act == serverlog.RECEIVED:
            self._seen[event.pid] = event.address, ""
        elif event.act == serverlog.CONNECTION:
            self._seen[event.pid] = event.address or self._seen.get(event.pid, ("", ""))[0], event.application
        if event.act in (serverlog.OTHER, serverlog.RECEIVED):
            self._counted[NO_ACT] += 1
        elif event.database and event.database != self.database:
            self._counted[OTHER_DATABASE] += 1
        else:
            self._judge(event, name)

    def _judge(self, event: LogEvent, name: str) -> None:
        at_ns = parse_moment(event.at)
        session = self._session(event.pid, at_ns)
        if session is not None:
            why = self._in_session(session, event)
        elif event.role == self.role and self._is_watcher(event):
            why = OURS
        elif not self._began_ns <= at_ns <= self._read_ns + self._tolerance_ns:
            why = OUTSIDE
        else:
            why = DECLARED if self._declared(event) else PAST
        if why in _UNEXPLAINED:
            known = self._known_at(event.pid, event.at)
            record = session.index if session is not None else None if known is None else known.index
            self._count_unexplained(why, event, name, record)
        else:
            self._counted[why] += 1

    def _session(self, pid: int, at_ns: int) -> _Session | None:
        for session in reversed(self._by_pid.get(pid, ())):
            # The server forks before it knows when the backend began, and logs the connection in between.
            if session.started_ns - NS <= at_ns and (
                session.ended_ns is None or at_ns <= session.ended_ns + self._tolerance_ns
            ):
                return session
        return None

    def _is_watcher(self, event: LogEvent) -> bool:
        if event.act == serverlog.CONNECTION:
            return event.application == APPLICATION
        return own_question(event.text)

    def _declared(self, event: LogEvent) -> bool:
        known = self._known_at(event.pid, event.at)
        if known is not None and known.declared:
            return True
        address, application = self._seen.get(event.pid, (event.address, event.application))
        one = direct.Stranger(
            Backend(event.pid, ""), event.role, event.database, event.address or address, 0, application, ""
        )
        return bool(direct.declared(self._allowed, one))

    def _known_at(self, pid: int, at: str) -> _Known | None:
        return next((one for one in reversed(self._known.get(pid, ())) if one.backend.started <= at), None)

    def _in_session(self, session: _Session, event: LogEvent) -> str:
        if event.act == serverlog.CONNECTION:
            return CARRIED
        if own_question(event.text):
            return OURS
        if event.act == serverlog.AUDIT:
            statement = event.audit[1:2]
            if statement in session.audited or event.audit[2:3] != ("1",):
                return REPEATED
            session.audited.add(statement)
        return _match(session, event.act, _flat(event.text))

    def _count_unexplained(self, why: str, event: LogEvent, name: str, record: int | None) -> None:
        self._counted[why] += 1
        address, application = self._seen.get(event.pid, (event.address, event.application))
        key = (why, event.pid, event.role, record, name if why == UNREADABLE else "")
        one = self._unexplained.get(key)
        if one is None:
            one = self._unexplained[key] = _Connection(
                why, event.pid, event.role, event.database, event.address or address,
                event.application or application, record, event.at, event.at,
            )  # fmt: skip
        one.first, one.last = min(one.first, event.at), max(one.last, event.at)
        one.count += 1
        if len(one.acts) < RECONCILE_SHOWN_MAX:
            text = event.text[:_TEXT_CHARS]
            one.acts.append({"file": name, "line": event.line, "at": event.at, "act": event.act, "text": text})

    # the answer

    def answer(self) -> dict[str, Any]:
        """What was counted, and what nothing explains."""
        found = sorted(self._unexplained.values(), key=lambda one: one.first)
        unused = sum(not one.used for session in self._by_session.values() for one in session.accesses)
        unexplained = sum(self._counted[why] for why in _UNEXPLAINED)
        excluded = {
            why: count
            for why, count in sorted(self._counted.items())
            if why not in _EXPLAINED and why not in _UNEXPLAINED
        }
        return {
            "system": self.system,
            "database": self.database,
            "events": self._events,
            "carried": self._counted[CARRIED],
            "carried_by_order": self._counted[BY_ORDER],
            "excluded": [{"reason": why, "count": count} for why, count in excluded.items()],
            "unexplained": unexplained,
            "connections": [one.block(self._around) for one in found[:RECONCILE_SHOWN_MAX]],
            "connections_not_shown": max(0, len(found) - RECONCILE_SHOWN_MAX),
            "first": self._first_at,
            "last": self._last_at,
            "covered": {"first": format_moment(self._began_ns), "last": format_moment(self._read_ns)},
            "tolerance_s": self._tolerance_ns // NS,
            "records_without_line": unused,
        }

    def _around(self, first: str, last: str) -> tuple[int | None, int | None]:
        """The last record that was surely sealed before, and the first one surely after, within the tolerance."""
        if not first:
            return None, None
        low, high = parse_moment(first) - self._tolerance_ns, parse_moment(last) + self._tolerance_ns
        before = [index for index, at_ns in self._moments if at_ns < low]
        return (before[-1] if before else None), next((i for i, at_ns in self._moments if at_ns > high), None)


def _match(session: _Session, act: str, text: str) -> str:
    """Consume the records that a line of the log stands for."""
    left = session.left.get(act)
    if left is None:
        left = session.left[act] = deque(session.accesses)
    for one in left:
        if one.text == text:
            return _use(left, [one], act, CARRIED)
    several = _statements_in(text, left)
    if several:
        return _use(left, several, act, CARRIED)
    unread = next((one for one in left if one.text is None), None)
    return NOT_RECORDED if unread is None else _use(left, [unread], act, BY_ORDER)


def _statements_in(text: str, left: Iterable[_Access]) -> list[_Access]:
    """The records, in a row, of the statements that make up `text`; none where something of it would be left over."""
    found: list[_Access] = []
    at = 0
    for one in left:
        begin = -1 if not one.text else text.find(one.text, at)
        if begin < 0 or text[at:begin].strip("; "):
            if found:
                break
            continue
        found.append(one)
        at = begin + len(one.text or "")
    return [] if text[at:].strip("; ") else found


def _use(left: deque[_Access], used: list[_Access], act: str, how: str) -> str:
    for one in used:
        one.used.add(act)
        left.remove(one)
    return how


def _full_text(action: object) -> str | None:
    if not isinstance(action, dict) or action.get("form") != "full":
        return None
    if action.get("masked") or action.get("truncated"):
        return None
    return _flat(str(action.get("statement", "")))


def _flat(text: str) -> str:
    return " ".join(text.split()).rstrip("; ")
