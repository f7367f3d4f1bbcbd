"""Lapses: what has expired (a grant, break-glass or not, a credential) is deleted by a `lapse` record.

Decisions and logins do not wait for it: each counts only before its end. The lapse makes the end visible in the
timeline, takes it out of the state, and makes it final: a clock that steps back afterwards gives nothing back.

Theory of clocks. What is due is told by this machine's clock; and by the log's own time, which never goes back: where
that passed an end since the object was put, the end has come, whatever the clock says after a restart or a step. An
object that was put later than the log's time of its end (the log's time still stands where a clock that ran ahead had
left it) waits for the clock. A clock that runs ahead ends things early, and for good: they are declared again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from affidavit.capture.administration import Appender
from affidavit.clock import Clock
from affidavit.errors import Unavailable
from affidavit.history.asof import Records
from affidavit.history.live import Live
from affidavit.limits import CHANGE_OBJECTS_MAX
from affidavit.record.body import SALT_BYTES, encode_body
from affidavit.record.draft import Draft
from affidavit.record.ids import RANDOM_BYTES, uuid7
from affidavit.record.moment import format_moment, parse_moment
from affidavit.state.change import Delete, encode_ops
from affidavit.state.changing import check_lapse
from affidavit.state.fold import State
from affidavit.state.objects import end_ns

_NS = 1_000_000_000
_WAIT_MAX_S = 60.0  # the wall clock may step: look again at least this often
_WAIT_MIN_S = 0.05
_log = logging.getLogger(__name__)


class Lapses:
    """Watches what ends in the live state, and records what has."""

    def __init__(
        self, live: Live, records: Records, appender: Appender, clock: Clock, randomness: Callable[[int], bytes]
    ) -> None:
        self._live = live
        self._records = records
        self._appender = appender
        self._clock = clock
        self._randomness = randomness

    async def run(self) -> None:
        """Record lapses until cancelled: overdue ones at once, then each as it is due."""
        while True:
            try:
                await self.step()
            except Unavailable as error:
                _log.error("A lapse could not be recorded: %s", error)
                await asyncio.sleep(_WAIT_MAX_S)
                continue
            await self._wait()

    async def overdue(self) -> None:
        """Record all that expired while nothing ran: before anybody is let in.

        Where the log does not take it, that is said in the operational log, and `run` tries again.
        """
        try:
            while await self.step() is not None:
                pass
        except Unavailable as error:
            _log.error("A lapse could not be recorded: %s", error)

    async def step(self) -> int | None:
        """Record what has expired by now in one `lapse`; its index, or None where nothing has or the state moved on.

        Raises `Unavailable` where the log does not take it.
        """
        state, at = self._live.snapshot(), self._clock.now_ns()
        logged = self._logged(self._records.size - 1)
        ops = tuple(
            Delete(name, version)
            for name, version, end in _ends(state)
            if end <= at or (end <= logged and self._logged(version) < end)
        )[:CHANGE_OBJECTS_MAX]
        if not ops:
            return None
        expired = max(at, logged)
        check_lapse(state, ops, expired)
        content = {"objects": encode_ops(ops), "expired": format_moment(expired)}
        draft = Draft(
            kind="lapse",
            id=uuid7(at, self._randomness(RANDOM_BYTES)),
            at=at,
            decided=state.index,
            root=state.preview(ops).root,
            body=encode_body(content, self._randomness(SALT_BYTES)),
        )
        answer = await self._appender.append([draft])
        if answer.refusal is None:
            return answer.receipts[0].index
        if answer.refusal.code == "conflict":
            return None
        raise Unavailable("lapse.refused", f"The log does not take a lapse: {answer.refusal.message}")

    def _logged(self, index: int) -> int:
        """The log's own time of a record, which never goes back."""
        return parse_moment(self._records.header(index).log.at)

    async def _wait(self) -> None:
        """Until the next end comes or the state changes, whichever is first."""
        index = self._live.index
        ends = [end for _, _, end in _ends(self._live.snapshot())]
        until_s = (min(ends) - self._clock.now_ns()) / _NS if ends else _WAIT_MAX_S
        try:
            await self._live.reached(index + 1, min(max(until_s, _WAIT_MIN_S), _WAIT_MAX_S))
        except Unavailable:
            return


def _ends(state: State) -> list[tuple[str, int, int]]:
    """Name, version and end (nanoseconds since 1970) of each object that has an end."""
    found: list[tuple[str, int, int]] = []
    for name in state.ending():
        version = state.get(name)
        end = None if version is None else end_ns(version.value)
        if version is not None and end is not None:
            found.append((name, version.version, end))
    return found
