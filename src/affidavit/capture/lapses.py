"""Lapses: a grant that has expired is deleted by a `lapse` record, also where it expired while nothing ran.

Decisions do not wait for it: a grant counts only within its interval. The lapse makes its end visible in the timeline
and takes it out of the state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from affidavit.capture.administration import Appender
from affidavit.clock import Clock
from affidavit.errors import Unavailable
from affidavit.history.live import Live
from affidavit.limits import CHANGE_OBJECTS_MAX
from affidavit.record.body import SALT_BYTES, encode_body
from affidavit.record.draft import Draft
from affidavit.record.ids import RANDOM_BYTES, uuid7
from affidavit.record.moment import format_moment, parse_moment
from affidavit.state.change import Delete, encode_ops
from affidavit.state.changing import check_lapse
from affidavit.state.fold import State

_NS = 1_000_000_000
_WAIT_MAX_S = 60.0  # the wall clock may step: look again at least this often
_WAIT_MIN_S = 0.05
_log = logging.getLogger(__name__)


class Lapses:
    """Watches the grants of the live state and records those that expire."""

    def __init__(self, live: Live, appender: Appender, clock: Clock, randomness: Callable[[int], bytes]) -> None:
        self._live = live
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

    async def step(self) -> int | None:
        """Record what has expired by now in one `lapse`; its index, or None where nothing has or the state moved on.

        Raises `Unavailable` where the log does not take it.
        """
        state, at = self._live.snapshot(), self._clock.now_ns()
        ops = tuple(Delete(name, version) for name, version, end in _ends(state) if end <= at)[:CHANGE_OBJECTS_MAX]
        if not ops:
            return None
        check_lapse(state, ops, at)
        content = {"objects": encode_ops(ops), "expired": format_moment(at)}
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

    async def _wait(self) -> None:
        """Until the next grant ends or the state changes, whichever is first."""
        index = self._live.index
        ends = [end for _, _, end in _ends(self._live.snapshot())]
        until_s = (min(ends) - self._clock.now_ns()) / _NS if ends else _WAIT_MAX_S
        try:
            await self._live.reached(index + 1, min(max(until_s, _WAIT_MIN_S), _WAIT_MAX_S))
        except Unavailable:
            return


def _ends(state: State) -> list[tuple[str, int, int]]:
    """Name, version and end (nanoseconds since 1970) of each grant that has an end."""
    found: list[tuple[str, int, int]] = []
    for name in state.names("grant/"):
        version = state.get(name)
        if version is not None and version.value["end"] is not None:
            found.append((name, version.version, parse_moment(version.value["end"])))
    return found
