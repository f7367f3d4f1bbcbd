"""Sessions are opened by credentials that count at that moment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from office import ORIGIN, PEOPLE, Stepping, office, opened

from affidavit.capture.gateway import opening
from affidavit.capture.gateway.login import LoginFailed
from affidavit.capture.gateway.opening import open_session
from affidavit.capture.gateway.recording import Recorder
from affidavit.capture.gateway.rendering import Renderer
from affidavit.cli.main import run
from affidavit.clock import SystemClock
from affidavit.compose.create import create
from affidavit.record.moment import NS


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
