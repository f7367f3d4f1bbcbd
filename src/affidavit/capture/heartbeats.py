"""Heartbeats: this process's own sources are heard of in time, and a source that falls silent becomes a `log.gap`.

What is expected stands in the state (`source/NAME`); what was heard is followed from the log, and found again in it
after a restart. So a silence is recorded once, however often the writer stops meanwhile, and once more when it is over.
Time runs by the monotonic clock: a step of the wall clock makes nobody silent. While the log is closed nobody can be
heard, and nobody is silent: each start gives every source its whole time again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from affidavit.capture.administration import Appender
from affidavit.clock import Clock
from affidavit.errors import Unavailable
from affidavit.history.asof import Records
from affidavit.history.live import Live
from affidavit.history.sources import Heard, heard_after, heard_before, named_source
from affidavit.limits import SOURCES_MAX
from affidavit.record.body import SALT_BYTES, encode_body
from affidavit.record.draft import Draft
from affidavit.record.ids import RANDOM_BYTES, uuid7
from affidavit.record.moment import NS
from affidavit.record.read import Record
from affidavit.state.sources import Expected, expected_sources

_LOOK_S = 1.0
_NOBODY = Heard()
_log = logging.getLogger(__name__)


class Heartbeats:
    """Watches the declared sources of one running log. `noticed` follows the ledger; `run` does the rest."""

    def __init__(
        self,
        live: Live,
        records: Records,
        ours: Mapping[tuple[str, str | None], Appender],
        appender: Appender,
        clock: Clock,
        randomness: Callable[[int], bytes],
    ) -> None:
        """`ours` are the producers of this process, by kind and system of the sources that they are; `appender` takes
        the gaps."""
        self._live = live
        self._records = records
        self._ours = ours
        self._appender = appender
        self._clock = clock
        self._randomness = randomness
        self._lock = threading.Lock()  # guards the two below: the writer's thread notices, the event loop looks
        self._heard: dict[str, Heard] = {}
        self._heard_ns: dict[str, int] = {}
        self._expected: dict[str, Expected] = {}
        self._state_index = -1
        self._since_ns: dict[str, tuple[int, int]] = {}  # by source: the declaration, and when waiting for it began
        self._sent_ns: dict[str, tuple[int, int]] = {}  # by source of ours: the declaration, and the last heartbeat

    def noticed(self, records: Sequence[Record]) -> None:
        """Take durable records of `SOURCE_KINDS`, in order. Called by the ledger's writer thread only."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            for record in records:
                name = named_source(record)
                if name is None or (name not in self._heard and len(self._heard) >= SOURCES_MAX):
                    continue
                self._heard[name] = heard_after(self._heard.get(name, _NOBODY), record)
                if record.header.kind == "log.heartbeat":
                    self._heard_ns[name] = now_ns

    def restore(self, stop: int) -> None:
        """Find in the records before `stop` who was heard and who is silent. `noticed` takes those from there on."""
        found = heard_before(self._records, stop, self._look())
        with self._lock:
            for name, before in found.items():
                newer = self._heard.get(name)
                if newer is None:
                    self._heard[name] = before
                elif newer.gap is None and newer.index is not None:
                    self._heard[name] = Heard(newer.index, newer.at, before.gap, before.start, before.before)

    async def run(self, stop: int) -> None:
        """`restore`, then look once a second until cancelled."""
        await asyncio.to_thread(self.restore, stop)
        while True:
            try:
                await self.step()
            except Unavailable as error:
                _log.error("The heartbeats are not recorded: %s", error)
            await asyncio.sleep(_LOOK_S)

    async def step(self) -> None:
        """Send what is due of our own, and record who fell silent and who is back.

        Raises `Unavailable` where the log does not take it; then the next step tries again.
        """
        for one in self._look().values():
            await self._send(one)
            now_ns = self._clock.monotonic_ns()
            heard, heard_ns = self._heard_of(one)
            since_ns = max(heard_ns, self._waiting_since(one, now_ns))
            if heard.ended:
                await self._record(self._appender, "log.gap", self._gap(one, heard, heard.start, heard.at))
            elif heard.gap is None and now_ns - since_ns > (one.heartbeat_s + one.tolerance_s) * NS:
                start = heard.at or self._records.header(one.declared).log.at
                await self._record(self._appender, "log.gap", self._gap(one, heard, start, None))

    def _look(self) -> dict[str, Expected]:
        """What is declared now."""
        if self._state_index != self._live.index:
            state = self._live.snapshot()
            self._expected, self._state_index = expected_sources(state), state.index
        return self._expected

    def _heard_of(self, one: Expected) -> tuple[Heard, int]:
        """What was heard under this declaration, and when by the monotonic clock (0 for never in this run)."""
        with self._lock:
            heard, at_ns = self._heard.get(one.name, _NOBODY), self._heard_ns.get(one.name, 0)
        if heard.index is not None and heard.index < one.declared:
            heard = _NOBODY if heard.gap is None or heard.gap < one.declared else heard
        elif heard.gap is not None and heard.gap < one.declared:
            heard = Heard(heard.index, heard.at)
        return heard, at_ns if heard.index is not None else 0

    def _waiting_since(self, one: Expected, now_ns: int) -> int:
        declared, since_ns = self._since_ns.get(one.name, (-1, now_ns))
        if declared != one.declared:
            since_ns = now_ns
        self._since_ns[one.name] = (one.declared, since_ns)
        return since_ns

    async def _send(self, one: Expected) -> None:
        appender = self._ours.get((one.kind, one.system))
        if appender is None:
            return
        now_ns = self._clock.monotonic_ns()
        declared, sent_ns = self._sent_ns.get(one.name, (-1, 0))
        if declared != one.declared or now_ns - sent_ns >= one.heartbeat_s * NS:
            await self._record(appender, "log.heartbeat", {"source": one.name, "heartbeat_s": one.heartbeat_s})
            self._sent_ns[one.name] = (one.declared, now_ns)

    def _gap(self, one: Expected, heard: Heard, start: str, end: str | None) -> dict[str, Any]:
        content: dict[str, Any] = {
            "cause": "silence",
            "start": start,
            "end": end,
            "streams": [],
            "source": one.name,
            "declared": one.declared,
            "heartbeat_s": one.heartbeat_s,
            "tolerance_s": one.tolerance_s,
            "heard": heard.index,
        }
        return content if end is None else {**content, "gap": heard.gap}

    async def _record(self, appender: Appender, kind: str, content: Mapping[str, Any]) -> None:
        now_ns = self._clock.now_ns()
        draft = Draft(
            kind=kind,
            id=uuid7(now_ns, self._randomness(RANDOM_BYTES)),
            at=now_ns,
            body=encode_body(content, self._randomness(SALT_BYTES)),
        )
        answer = await appender.append([draft])
        if answer.refusal is not None:
            raise Unavailable("heartbeat.refused", f"The log does not take a {kind}: {answer.refusal.message}")
