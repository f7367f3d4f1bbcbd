"""Two that find the same drift at the same moment: one records it, the other finds it recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path

from office import PEOPLE, Office, office

from affidavit.capture.watch.drifting import Drifts
from affidavit.capture.watch.enforced import Enforced
from affidavit.clock import SystemClock
from affidavit.state.fold import Version

SEEN = Enforced("app", {"superuser": False, "digest": "00"}, {})
NAME = "observed/clinic/app"


class Overtaken:
    """The live state, in which the other session's `drift` becomes durable right after the first look."""

    def __init__(self, one: Office) -> None:
        self._one = one
        self.looks = 0

    @property
    def index(self) -> int:
        return self._one.live.index

    def version(self, name: str) -> Version | None:
        found = self._one.live.version(name)
        self.looks += 1
        if self.looks == 1:
            assert found is None
            put = drifts(self._one, self._one.live).note(SEEN)
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


def drifts(one: Office, live) -> Drifts:
    return Drifts("clinic", one._producer, live, one.ledger.reader(), SystemClock())


def _in_thread(run) -> None:
    from threading import Thread

    thread = Thread(target=run)
    thread.start()
    thread.join()


def test_a_drift_that_somebody_else_records_first_is_no_failure(tmp_path: Path) -> None:
    with office(tmp_path) as one:
        one.apply(PEOPLE)
        live = Overtaken(one)
        asyncio.run(drifts(one, live).note(SEEN))
        assert 2 == live.looks
        held = one.live.version(NAME)
        assert held is not None
        assert SEEN.observed == held.value
