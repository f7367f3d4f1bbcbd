"""Logs as earlier versions wrote them still verify, whole. `remake.py` adds one; none is ever written anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from affidavit.archive.open import open_archive
from affidavit.record.body import BodyKey
from affidavit.tlog.keys import VerifierKey
from affidavit.verify.verify import verify

LOGS = sorted(path for path in Path(__file__).parent.iterdir() if (path / "log").is_dir())


def test_there_are_golden_logs() -> None:
    assert ["0.1.0"] == [path.name for path in LOGS][:1]


@pytest.mark.parametrize("folder", LOGS, ids=[path.name for path in LOGS])
def test_it_still_verifies(folder: Path) -> None:
    key = VerifierKey.parse((folder / "vkey").read_text().strip())
    body_key = BodyKey(bytes.fromhex((folder / "body.keys").read_text().strip()))
    verdict = verify(open_archive(str(folder)), [key], {body_key.id: body_key}, [(folder / "kept").read_bytes()])
    assert [] == [finding for check in verdict.checks for finding in check.findings]
    assert {"passed"} == {check.status for check in verdict.checks if check.number not in (19, 20)}
    assert 0 == verdict.exit_status
