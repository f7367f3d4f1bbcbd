"""The watcher of one upstream: looks on an interval, and whenever a session begins, on a connection of its own.

A look reads what is enforced (`enforced.py`) and who is connected (`direct.py`), and records what is new. A look that
fails is counted and said by `ready`; the next one connects anew, and once one succeeds the time in between is recorded
as a `log.gap` of the cause `unwatched`. Nothing that the upstream does ends the watcher.

A look is a task of its own: whoever waits for it may give up without ending it for others. A login gives up where the
database answers slowly, and its record says of when the last look is; a look that *fails* refuses the login.
"""

from __future__ import annotations

import asyncio
import logging
import secrets as randomness
from collections.abc import Mapping
from typing import Any, Protocol

from affidavit.capture.gateway.catalogue import Backend, read_catalogue
from affidavit.capture.gateway.opening import AsyncLog, LiveState
from affidavit.capture.gateway.target import Target
from affidavit.capture.gateway.upstream import Upstream, connect
from affidavit.capture.watch import direct
from affidavit.capture.watch.direct import Backends, Direct, Look
from affidavit.capture.watch.drifting import Drifts
from affidavit.capture.watch.enforced import read_enforced
from affidavit.capture.watch.status import WatchStatus
from affidavit.clock import Clock
from affidavit.errors import AffidavitError, Unavailable
from affidavit.history.asof import Records
from affidavit.limits import DIRECT_RECORDED_MAX, WATCH_LOGIN_WAIT_S
from affidavit.record.body import SALT_BYTES, encode_body
from affidavit.record.draft import Draft
from affidavit.record.ids import RANDOM_BYTES, uuid7
from affidavit.record.moment import format_moment
from affidavit.wire.postgres import frontend_messages as frontend

APPLICATION = "affidavit watches"
#: What the watcher's own settings are, whatever the database gives to the role: texts are read as UTF-8, and a look
#: ends by our bound and not by one of the role's.
PARAMETERS = (
    ("client_encoding", "UTF8"),
    ("quote_all_identifiers", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("default_transaction_isolation", "read committed"),
    ("jit", "off"),
)
_log = logging.getLogger(__name__)


class WatchedState(LiveState, Protocol):
    """The live state as the watcher uses it."""

    def system(self, system: str) -> dict[str, Any] | None:
        """The value of `system/ID`, or None."""


class Watcher:
    """Watches the upstream of `target`. `look` and `run` belong to one event loop."""

    def __init__(
        self, target: Target, interval_s: int, log: AsyncLog, live: WatchedState, records: Records, clock: Clock
    ) -> None:
        self._target, self._interval_s, self._log, self._live, self._clock = target, interval_s, log, live, clock
        self._records = records
        self.backends = Backends()
        self._drifts = Drifts(target.system, log, live, records, clock)
        self._upstream: Upstream | None = None
        self._backend: Backend | None = None
        self._looking = asyncio.Lock()
        self._next: asyncio.Task[AffidavitError | None] | None = None  # the look that has not begun yet
        self._tasks: set[asyncio.Task[AffidavitError | None]] = set()
        self._outcome: AffidavitError | None = None  # why the last look failed, if it did
        self._open: dict[Backend, Direct] | None = None  # by backend; None before the log was read for them
        self._looked_ns: int | None = None
        self._failing_since_ns: int | None = None
        self._failures = 0
        self._last: Look | None = None

    def status(self) -> WatchStatus:
        """How it goes."""
        target, last = self._target, self._last
        return WatchStatus(
            system=target.system,
            database=target.database,
            role=target.upstream_user,
            interval_s=self._interval_s,
            runs=True,
            looked_ns=self._looked_ns,
            failing_since_ns=self._failing_since_ns,
            failures=self._failures,
            problem="" if self._outcome is None else str(self._outcome),
            sees=None if last is None else last.sees,
            hidden=0 if last is None else last.hidden,
            direct=tuple((self._open or {}).values()),
        )

    async def run(self) -> None:
        """Look on the interval until cancelled."""
        try:
            while True:
                try:
                    await self.look()
                except AffidavitError as error:
                    _log.warning("the upstream of %s is not watched: %s", self._target.system, error)
                await asyncio.sleep(self._interval_s)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._drop()

    async def look(self) -> None:
        """Until a look that began after this call has ended. Those who wait together share one.

        Raises `Unavailable` when it failed, or what it found could not be recorded.
        """
        task = self._next
        if task is None:
            task = self._next = asyncio.get_running_loop().create_task(self._after_the_one_under_way())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        failure = await asyncio.shield(task)
        if failure is not None:
            raise failure

    async def look_for_login(self) -> str:
        """Look before a session begins. Empty, or where the database answers too slowly for a login to wait, the
        moment of the last look that succeeded; where none did yet, it is waited for.

        Raises `Unavailable` when the look failed, or what it found could not be recorded.
        """
        looked_ns = self._looked_ns
        try:
            async with asyncio.timeout(None if looked_ns is None else WATCH_LOGIN_WAIT_S):
                await self.look()
        except TimeoutError:
            pass
        except Unavailable as error:
            if error.code != "gateway.watch_late" or looked_ns is None:
                raise
        else:
            return ""
        return format_moment(self._looked_ns or 0)

    async def _after_the_one_under_way(self) -> AffidavitError | None:
        """A look; gives why it failed, if it did."""
        async with self._looking:
            self._next = None  # whoever asks from now on needs a later one
            await self._look_once()
            return self._outcome

    async def _look_once(self) -> None:
        try:
            await self._look()
        except TimeoutError:
            self._failed(Unavailable("gateway.watch_late", "The database did not answer the watcher in time."))
        except AffidavitError as error:
            self._failed(error)
        except Exception as error:  # whatever the upstream said, the watcher goes on
            _log.exception("a look at the upstream of %s failed", self._target.system)
            self._failed(Unavailable("gateway.watch", f"What the database said cannot be used: {error!r:.200}"))
        except BaseException:
            self._drop()  # cancelled between a question and its answer: the connection is of no use
            raise
        else:
            self._outcome = None

    def _failed(self, error: AffidavitError) -> None:
        self._drop()
        self._failures += 1
        if self._failing_since_ns is None:
            self._failing_since_ns = self._clock.now_ns()
        self._outcome = error

    async def _look(self) -> None:
        known = self._open if self._open is not None else await self._remembered()
        upstream = self._upstream
        if upstream is None or upstream.channel.lost:
            upstream = self._upstream = await self._connect()
        enforced = await read_enforced(upstream)
        found = await direct.look(upstream, self.backends, known.keys())
        await self._recovered()
        await self._drifts.note(enforced)
        await self._note_direct(found, known)
        self._last, self._looked_ns = found, self._clock.now_ns()

    async def _connect(self) -> Upstream:
        with self.backends.arriving():
            upstream = await connect(self._target, APPLICATION, PARAMETERS)
            try:
                self._backend = (await read_catalogue(upstream, ())).backend
            except BaseException:
                upstream.channel.abort()
                raise
            self.backends.opened(self._backend)
        return upstream

    def _drop(self) -> None:
        upstream, self._upstream = self._upstream, None
        owned, self._backend = self._backend, None
        if upstream is not None:
            upstream.channel.write(frontend.TERMINATE)
            upstream.channel.close()
        if owned is not None:
            self.backends.left(owned)

    async def _recovered(self) -> None:
        """The first look after some that failed: since when the upstream was not watched is recorded."""
        since_ns = self._failing_since_ns
        if since_ns is None:
            return
        start_ns = since_ns if self._looked_ns is None else self._looked_ns
        content = {
            "cause": "unwatched",
            "start": format_moment(start_ns),
            "end": format_moment(self._clock.now_ns()),
            "streams": [],
            "looks": self._failures,
            "detail": "" if self._outcome is None else str(self._outcome)[:500],
        }
        await self._record(content)
        self._failing_since_ns, self._failures = None, 0

    async def _remembered(self) -> dict[Backend, Direct]:
        """What the log says of the time before this process."""
        strangers, ours = await asyncio.to_thread(direct.before_restart, self._records, self._target.system)
        self.backends.inherited(ours)
        self._open = {one.stranger.backend: one for one in strangers}
        return self._open

    async def _note_direct(self, found: Look, known: dict[Backend, Direct]) -> None:
        there = {one.backend for one in found.strangers}
        for backend in [one for one in known if one not in there]:
            if not found.hidden or self._same_role(known[backend]):
                await self._record(direct.ended(known[backend], self._looked_ns, self._clock.now_ns()))
                del known[backend]
        allowed = (self._live.system(self._target.system) or {}).get("past_gateway", ())
        new = [one for one in found.strangers if one.backend not in known]
        for one in new[:DIRECT_RECORDED_MAX]:
            by = direct.declared(allowed, one)
            index = await self._record(direct.began(one, by))
            known[one.backend] = Direct(index, one, by)

    def _same_role(self, one: Direct) -> bool:
        return one.stranger.role == self._target.upstream_user

    async def _record(self, content: Mapping[str, Any]) -> int:
        at = self._clock.now_ns()
        draft = Draft(
            kind="log.gap",
            id=uuid7(at, randomness.token_bytes(RANDOM_BYTES)),
            at=at,
            system=self._target.system,
            body=encode_body(content, randomness.token_bytes(SALT_BYTES)),
        )
        answer = await self._log.append((draft,))
        if answer.refusal is not None:
            raise Unavailable("gateway.log", "Affidavit cannot record, so nothing may pass.", answer.refusal.message)
        return answer.receipts[0].index
