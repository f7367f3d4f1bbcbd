"""Past the gateway: backends of the upstream that no session of ours owns, from `pg_stat_activity`.

A look lists the client backends of the gateway's database and the senders of replication. Ours are told by pid and
start, which each session read about itself. A connection of ours that is still logging in when a look comes would
look like a stranger, so a stranger is judged only when all logins that were under way at the look have ended.

A stranger is a `log.gap` of the cause `past_gateway` without an end; when a look does not show it any more, a second
one has the end. What connects and leaves between two looks is not seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec

from affidavit import canonical
from affidavit.capture.gateway.catalogue import MOMENT_SQL, Backend
from affidavit.capture.gateway.upstream import Upstream, ask
from affidavit.errors import Unavailable
from affidavit.history.asof import Records
from affidavit.limits import (
    DIRECT_LISTED_MAX,
    SCAN_RECORDS_MAX,
    SESSIONS_MAX,
    UPSTREAM_CONNECT_TIMEOUT_S,
    WATCH_ANSWER_S,
)
from affidavit.record.moment import format_moment

CAUSE = "past_gateway"
_TEXT_CHARS_MAX = 200
_ACTIVITY = """SELECT pg_catalog.json_build_object(
  'sees', pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'),
  'count', (SELECT pg_catalog.count(*) {source}),
  'backends', (SELECT coalesce(pg_catalog.json_agg(a.found), '[]') FROM (
    SELECT pg_catalog.json_build_object('pid', s.pid, 'started', {started},
      'role', s.usename, 'database', s.datname, 'address', pg_catalog.host(s.client_addr), 'port', s.client_port,
      'application', s.application_name, 'type', s.backend_type) AS found
    {source}
    ORDER BY s.backend_start LIMIT {most}) a))"""
_SOURCE = """FROM pg_catalog.pg_stat_activity s
    WHERE (s.datname = pg_catalog.current_database() OR s.backend_type = 'walsender') AND s.usename IS NOT NULL
      AND coalesce(s.backend_type, 'client backend') IN ('client backend', 'walsender')"""


@dataclass(frozen=True)
class Stranger:
    """A backend that is not ours. Texts are empty where the upstream does not say; `address` is empty on its local
    socket."""

    backend: Backend
    role: str
    database: str
    address: str
    port: int
    application: str
    type: str

    def about(self) -> dict[str, Any]:
        """As records say it."""
        return {
            "pid": self.backend.pid,
            "started": self.backend.started,
            "role": self.role,
            "database": self.database,
            "address": self.address,
            "port": self.port,
            "application": self.application,
            "type": self.type,
        }


@dataclass(frozen=True)
class Look:
    """What one look found. `sees`: the gateway's role may see what others do. `hidden`: backends of others that were
    there and of which nothing is known, because it may not, or because they are too many."""

    sees: bool
    hidden: int
    strangers: tuple[Stranger, ...]


@dataclass(frozen=True)
class Direct:
    """A stranger who is recorded at `index` and still there. `declared` is what lets them, or empty."""

    index: int
    stranger: Stranger
    declared: str


@dataclass
class Backends:
    """The backends that the gateway opened, and the logins under way."""

    _ours: dict[Backend, bool] = field(default_factory=dict)  # whether its session is open
    _arriving: set[object] = field(default_factory=set)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """While a connection of ours is made and it is not known which backend it got."""
        token = object()
        self._arriving.add(token)
        try:
            yield
        finally:
            self._arriving.discard(token)
            self._arrived.set()

    def opened(self, backend: Backend) -> None:
        """It is ours."""
        self._ours[backend] = True

    def left(self, backend: Backend) -> None:
        """We have left it; it may take a while to end."""
        if backend in self._ours:
            self._ours[backend] = False

    def inherited(self, backends: Iterable[Backend]) -> None:
        """They were opened before this process began, and may still run a statement that nobody waits for."""
        for backend in backends:
            self._ours.setdefault(backend, False)

    def own(self, backend: Backend) -> bool:
        """Whether it is known to be ours."""
        return backend in self._ours

    async def settled(self) -> None:
        """Until every login that is under way now has ended."""
        waiting = set(self._arriving)
        async with asyncio.timeout(2 * UPSTREAM_CONNECT_TIMEOUT_S):
            while waiting & self._arriving:
                self._arrived.clear()
                await self._arrived.wait()

    def those_left(self) -> frozenset[Backend]:
        """Those that we have left and that may not have ended yet."""
        return frozenset(backend for backend, is_open in self._ours.items() if not is_open)

    def strangers(self, found: Iterable[Stranger], left: frozenset[Backend]) -> tuple[Stranger, ...]:
        """Those of `found`, all that a look showed, that are not ours. Those that were left before it, and that it
        does not show, are forgotten."""
        shown = {one.backend: one for one in found}
        for backend in left - shown.keys():
            self._ours.pop(backend, None)
        return tuple(one for backend, one in shown.items() if backend not in self._ours)


def activity_query() -> str:
    """The query that `look` asks."""
    return _ACTIVITY.format(
        source=_SOURCE, started=MOMENT_SQL.format("s.backend_start"), most=SESSIONS_MAX + DIRECT_LISTED_MAX
    )


async def look(upstream: Upstream, backends: Backends, known: Collection[Backend]) -> Look:
    """Look who is connected; `known` strangers are recorded already.

    Raises `Unavailable` when the upstream's answer cannot be read, `TimeoutError` when a login of ours does not end.
    """
    left = backends.those_left()
    try:
        (row,) = await ask(upstream, activity_query(), WATCH_ANSWER_S)
        answer = msgspec.json.decode(row[0] or "null")
        seen = [one for one in answer["backends"] if one["started"] is not None]
        found = [_stranger(one) for one in seen]
        hidden = max(int(answer["count"]), len(answer["backends"])) - len(seen)
        sees = bool(answer["sees"])
    except (*canonical.UNREADABLE, KeyError, TypeError, ValueError):
        raise Unavailable("gateway.activity", "The database's list of connections cannot be read.") from None
    if any(one.backend not in known and not backends.own(one.backend) for one in found):
        await backends.settled()
    return Look(sees, hidden, backends.strangers(found, left))


def _stranger(found: Mapping[str, Any]) -> Stranger:
    def text(name: str) -> str:
        return str(found[name] or "")[:_TEXT_CHARS_MAX]

    port = int(found["port"] or 0)
    backend = Backend(int(found["pid"]), str(found["started"]))
    return Stranger(
        backend, text("role"), text("database"), text("address"), max(port, 0), text("application"), text("type")
    )


def declared(entries: Iterable[str], stranger: Stranger) -> str:
    """The entry of a system's `past_gateway` that lets this one connect; empty where none does."""
    for entry in entries:
        role, _, where = entry.rpartition("@")
        if role == stranger.role and _lies(stranger.address, where):
            return entry
    return ""


def _lies(address: str, where: str) -> bool:
    if where == "local" or not address:
        return where == "local" and not address
    try:
        return ip_address(address) in ip_network(where)
    except ValueError:  # the upstream said what is no address
        return False


def began(stranger: Stranger, by: str) -> dict[str, Any]:
    """The body of the record that one is there."""
    content: dict[str, Any] = {
        "cause": CAUSE,
        "start": stranger.backend.started,
        "end": None,
        "streams": [],
        "backend": stranger.about(),
    }
    return {**content, "declared": by} if by else content


def ended(direct: Direct, seen_ns: int | None, now_ns: int) -> dict[str, Any]:
    """The body of the record that one is gone. `seen_ns`: when the last look showed it, where that is known."""
    content: dict[str, Any] = {
        "cause": CAUSE,
        "start": direct.stranger.backend.started,
        "end": format_moment(now_ns),
        "streams": [],
        "backend": direct.stranger.about(),
        "gap": direct.index,
    }
    if seen_ns is not None:
        content["seen"] = format_moment(seen_ns)
    return {**content, "declared": direct.declared} if direct.declared else content


def before_restart(records: Records, system: str) -> tuple[list[Direct], list[Backend]]:
    """From the log's last records: the strangers whose end it does not say, who are looked for again; and the backends
    of sessions, which outlive a gateway that was killed for as long as their statement runs."""
    gone: set[int] = set()
    found: list[Direct] = []
    ours: list[Backend] = []
    for index in range(records.size - 1, max(-1, records.size - 1 - SCAN_RECORDS_MAX), -1):
        header = records.header(index)
        if header.kind not in ("log.gap", "session.open") or header.system != system:
            continue
        content = records.record(index).content
        if header.kind == "session.open":
            told = content.get("upstream", {}).get("backend")
            ours += [Backend(int(told["pid"]), str(told["started"]))] if told else []
            continue
        if content.get("cause") != CAUSE:
            continue
        if content.get("end") is not None:
            gone.add(int(content["gap"]))
        elif index not in gone:
            found.append(Direct(index, _stranger(content["backend"]), str(content.get("declared", ""))))
    return found, ours
