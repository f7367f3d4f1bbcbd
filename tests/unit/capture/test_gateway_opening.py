"""Opening sessions side by side: two that find the same drift at the same moment are both let in."""

from __future__ import annotations

import asyncio
from pathlib import Path

from office import PEOPLE, Office, office

from affidavit.capture.gateway.enforced import Catalogue
from affidavit.capture.gateway.opening import note_drift
from affidavit.capture.gateway.recording import Recorder
from affidavit.capture.gateway.rendering import Renderer
from affidavit.clock import SystemClock
from affidavit.state.fold import Version

SEEN = Catalogue({"superuser": False}, "app", {}, "public", {})
NAME = "observed/clinic/app"


class Overtaken:
    """The live state, in which the other session's `drift` becomes durable right after the first look."""

    def __init__(self, one: Office, recorder: Recorder) -> None:
        self._one, self._recorder = one, recorder
        self.looks = 0

    @property
    def index(self) -> int:
        return self._one.live.index

    def version(self, name: str) -> Version | None:
        found = self._one.live.version(name)
        self.looks += 1
        if self.looks == 1:
            assert found is None
            put = note_drift(self._one._producer, self._one.live, self._recorder, SEEN)
            other = asyncio.new_event_loop()
            try:
                _in_thread(lambda: other.run_until_complete(put))
            finally:
                other.close()
        return found

    def preview(self, ops):
        return self._one.live.preview(ops)

    async def reached(self, index: int, timeout_s: float) -> None:
        await self._one.live.reached(index, timeout_s)


def _in_thread(run) -> None:
    from threading import Thread

    thread = Thread(target=run)
    thread.start()
    thread.join()


def test_a_drift_that_another_session_records_first_refuses_nobody(tmp_path: Path) -> None:
    with office(tmp_path) as one:
        one.apply(PEOPLE)
        actor = {"id": one.live.identity_by_handle("ana")}
        recorder = Recorder(SystemClock(), Renderer(b"k" * 32), "clinic", actor, {"address": "10.0.0.7"})
        live = Overtaken(one, recorder)
        asyncio.run(note_drift(one._producer, live, recorder, SEEN))
        assert 2 == live.looks
        held = one.live.version(NAME)
        assert held is not None
        assert SEEN.observed == held.value
