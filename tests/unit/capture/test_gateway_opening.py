"""Opening sessions side by side: two that find the same drift at the same moment are both let in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from office import ORIGIN, PEOPLE, Office, Stepping, office, opened

from affidavit.capture.gateway import opening
from affidavit.capture.gateway.enforced import Catalogue
from affidavit.capture.gateway.login import LoginFailed
from affidavit.capture.gateway.opening import note_drift, open_session
from affidavit.capture.gateway.recording import Recorder
from affidavit.capture.gateway.rendering import Renderer
from affidavit.cli.main import run
from affidavit.clock import SystemClock
from affidavit.compose.create import create
from affidavit.record.moment import NS
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


def test_a_token_that_is_gone_when_the_login_is_decided_opens_no_session(tmp_path: Path) -> None:
    """Between the proof and the decision lies the way to the database."""
    with office(tmp_path) as one:
        one.apply(PEOPLE)
        thumbprint = one.admin.post("/v1/tokens", {"who": "ana"})["thumbprint"]
        who = {"id": one.live.resolve("ana"), "name": "ana", "authenticated": {"credential": f"token-{thumbprint}"}}
        client = {"address": "10.0.0.7"}
        recorder = Recorder(SystemClock(), Renderer(b"k" * 32), "clinic", who, client)
        about = {"actor": who, "client": client}
        assert asyncio.run(open_session(one._producer, one.live, recorder, {}, about)).authorization.allowed
        one.admin.delete(f"/v1/tokens/{thumbprint}", {})
        size = one.ledger.size
        with pytest.raises(LoginFailed, match="revoked or has ended"):
            asyncio.run(open_session(one._producer, one.live, recorder, {}, about))
        assert one.ledger.size == size


def test_verify_finds_a_session_that_was_opened_by_a_token_after_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, clock = tmp_path / "data", Stepping()
    create(root, ORIGIN, "root", "")
    with opened(root, clock) as one:
        one.apply(PEOPLE)
        thumbprint = one.admin.post("/v1/tokens", {"who": "ana", "seconds": 60})["thumbprint"]
        who = {"id": one.live.resolve("ana"), "name": "ana", "authenticated": {"credential": f"token-{thumbprint}"}}
        recorder = Recorder(clock, Renderer(b"k" * 32), "clinic", who, {"address": "10.0.0.7"})
        clock.ahead_ns = 61 * NS
        monkeypatch.setattr(opening, "_check_credential", lambda *_: None)
        asyncio.run(open_session(one._producer, one.live, recorder, {}, {"actor": who}))
    assert run(["verify", str(root), "--key", str(root / "secrets" / "log.vkey")]) == 1
    assert f"was opened by 'token-{thumbprint}', which ended at" in capsys.readouterr().out
