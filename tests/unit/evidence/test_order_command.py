"""`affidavit order`, `show` and `ready` about time, on a real log with a real authority's certificates."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from office import PEOPLE, Office, office
from tsa import NOW, YEAR, Made

from affidavit.cli.main import run
from affidavit.config import AuthorityConfig, Config, load_config, render_config
from affidavit.record.body import encode_body
from affidavit.record.draft import Draft
from affidavit.record.ids import uuid7
from affidavit.record.moment import format_moment


@pytest.fixture(scope="module")
def made() -> Made:
    return Made(ends=NOW + 3 * YEAR)


def with_authority(folder: Path, made: Made) -> Callable[[Path], None]:
    def prepare(root: Path) -> None:
        (folder / "tsa.pem").write_bytes(made.pem)
        config = load_config(root)
        authority = AuthorityConfig("Example", "https://tsa.example/", folder / "tsa.pem", 3_600)
        text = render_config(Config(config.origin, config.server, authorities=(authority,)), root)
        (root / "affidavit.toml").write_text(text)

    return prepare


def anchor(desk: Office, made: Made, at: datetime | None = None) -> int:
    """An anchor over what is published."""
    checkpoint = desk.ledger.publish_now()
    now = at or datetime.now(UTC)
    imprint = hashlib.sha256(checkpoint.format().encode()).digest()
    content = {
        "method": "rfc3161",
        "authority": {"name": "Example", "url": "https://tsa.example/"},
        "checkpoint": {"size": checkpoint.size, "root": checkpoint.root.hex()},
        "imprint": imprint.hex(),
        "token": base64.b64encode(made.forge(imprint, now)).decode(),
        "time": format_moment(int(now.timestamp()) * 10**9),
        "accuracy_ns": None,
        "previous": desk.ledger.anchor,
    }
    at_ns = desk.live_now()
    body = encode_body(content, os.urandom(16))
    draft = Draft(kind="anchor", id=uuid7(at_ns, os.urandom(10)), at=at_ns, body=body)
    answer = desk.append(draft)
    assert answer.refusal is None
    return answer.receipts[0].index


def asked(desk: Office, a: int, b: int) -> dict[str, Any]:
    return desk.admin.get("/v1/order", a=a, b=b)


def test_what_was_decided_under_a_change_happened_after_it(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        change = desk.apply(PEOPLE)["index"]
        access = desk.access("ana")
        answer = asked(desk, change, access)
        assert ("proven", "a", "reference", "a") == tuple(
            answer[name] for name in ("result", "first", "by", "recorded_first")
        )
        assert f"What record {change} tells happened before what record {access} tells: proven." == answer["sentence"]
        assert ("b", "proven") == (asked(desk, access, change)["first"], asked(desk, access, change)["result"])
        session = desk.admin.get(f"/v1/records/{access}")["header"]["session"]
        assert ("reference", "a") == (asked(desk, session, access)["by"], asked(desk, session, access)["first"])


def test_the_command_says_it_and_ends_with_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with office(tmp_path) as desk:
        change = desk.apply(PEOPLE)["index"]
        access = desk.access("ana")
        root = str(desk.root)
    for a, b, status in ((change, access, 0), (access, change, 1), (change, change, 4)):
        assert status == run(["order", str(a), str(b), "--data", root])
    said = capsys.readouterr().out
    assert f"Proven. What record {change} tells happened before what record {access} tells: proven." in said
    assert f"Recorded: {change} before {access}, by position in the log." in said
    assert "Ambiguous." in said
    assert 0 == run(["order", str(change), str(access), "--data", root, "--json"])
    assert "proven" == json.loads(capsys.readouterr().out)["result"]
    assert 2 == run(["order", str(change), "99999", "--data", root])
    assert "There is no record 99999" in capsys.readouterr().err
    assert 2 == run(["order", "yesterday", "1", "--data", root])


def test_a_record_is_shown_with_the_interval_that_tokens_prove(
    tmp_path: Path, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    with office(tmp_path, with_authority(tmp_path, made)) as desk:
        first = anchor(desk, made)
        change = desk.apply(PEOPLE)["index"]
        second = anchor(desk, made)
        view = desk.admin.get(f"/v1/records/{change}")["recorded"]
        assert (first, second) == (view["not_before_by"]["record"], view["not_after_by"]["record"])
        assert view["words"].startswith(f"recorded between {view['earliest']} and {view['latest']}, proved by Example")
        assert desk.admin.get("/v1/records/0")["recorded"]["words"].startswith("recorded not after ")
        root = str(desk.root)
    assert 0 == run(["show", str(change), "--data", root])
    assert view["words"] == capsys.readouterr().out.splitlines()[1]


def time_authority(desk: Office) -> tuple[bool, str]:
    check = next(one for one in desk.admin.get("/v1/ready")["checks"] if one["check"] == "time authority")
    return check["holds"], check["detail"]


def test_ready_knows_each_authority(tmp_path: Path, made: Made) -> None:
    with office(tmp_path / "none") as desk:
        holds, detail = time_authority(desk)
        assert (False, True) == (holds, "No time-stamp authority is configured" in detail)
    (tmp_path / "one").mkdir()
    with office(tmp_path / "one", with_authority(tmp_path, made)) as desk:
        assert (False, "Example gave no token yet.") == time_authority(desk)
        index = anchor(desk, made)
        holds, detail = time_authority(desk)
        assert (True, True) == (holds, f"ago (record {index})" in detail)
        anchor(desk, Made("Somebody else"))
        assert "do not verify" in time_authority(desk)[1]


def test_ready_knows_the_clock_and_how_old_that_is(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        check = next(one for one in desk.admin.get("/v1/ready")["checks"] if one["check"] == "clock")
        assert "less than a second old" in check["detail"] or "second" in check["detail"]
        assert ("synchronised" in check["detail"]) and "record " in check["detail"]


def test_configured_certificates_that_are_gone_stop_no_reader(tmp_path: Path, made: Made) -> None:
    with office(tmp_path, with_authority(tmp_path, made)) as desk:
        root = desk.root
    (tmp_path / "tsa.pem").unlink()
    assert 0 == run(["show", "0", "--data", str(root)])
