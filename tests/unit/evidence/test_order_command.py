"""`affidavit order`, `show` and `ready` about time, on a real log with a real authority's certificates."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from office import ORIGIN, PEOPLE, Office, office
from tsa import NOW, YEAR, Made

from affidavit.cli.main import run
from affidavit.config import AuthorityConfig, Config, WitnessConfig, load_config, render_config
from affidavit.evidence import clocks
from affidavit.evidence.timing import Timing
from affidavit.history.shared import SharedRecords
from affidavit.ledger.timestamping import AuthorityStatus
from affidavit.record.body import encode_body
from affidavit.record.draft import Draft
from affidavit.record.ids import uuid7
from affidavit.record.moment import format_moment
from affidavit.timeproof.token import Authority
from affidavit.tlog.keys import COSIGNATURE_ED25519, SignerKey
from affidavit.tlog.notes import join_note, parse_note

HOUR_NS = 3_600 * 10**9


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
        when = desk.admin.get(f"/v1/records/{change}")["when"]
        recorded = when["recorded"]
        assert (first, second) == (recorded["not_before_by"]["record"], recorded["not_after_by"]["record"])
        assert recorded["earliest"] < recorded["latest"] == when["proven"]["latest"]
        assert when == desk.admin.get(f"/v1/records/{change}/explain")["when"]
        assert when == desk.admin.get("/v1/order", a=change, b=0)["a"]["when"]
        assert desk.admin.get("/v1/records/0")["when"]["recorded"]["earliest"] is None
        root = str(desk.root)
    for command in ("show", "explain"):
        assert 0 == run([command, str(change), "--data", root])
        assert [f"  {said}" for said in when["sentences"]] == capsys.readouterr().out.splitlines()[
            1 : 1 + len(when["sentences"])
        ]
        assert 0 == run([command, str(change), "--data", root, "--json"])
        assert when == json.loads(capsys.readouterr().out)["when"]


def found(desk: Office, name: str) -> tuple[bool, str]:
    check = next(one for one in desk.admin.get("/v1/ready")["checks"] if one["check"] == name)
    assert check["holds"] or check["fix"]
    return check["holds"], check["detail"]


def test_ready_knows_each_authority(tmp_path: Path, made: Made) -> None:
    with office(tmp_path / "none") as desk:
        assert (False, "Nothing outside proves when records were made.") == found(desk, "proved time")
        assert [] == [one for one in desk.admin.get("/v1/ready")["checks"] if one["check"].startswith("time auth")]
    (tmp_path / "one").mkdir()
    with office(tmp_path / "one", with_authority(tmp_path, made)) as desk:
        assert (False, "Example gave no token yet.") == found(desk, "time authority Example")
        assert not found(desk, "proved time")[0]
        index = anchor(desk, made)
        holds, detail = found(desk, "time authority Example")
        assert (True, True) == (holds, f"ago (record {index})" in detail)
        holds, detail = found(desk, "proved time")
        assert (True, True) == (holds, f"Example, by a token less than a second old (record {index})" in detail)
        assert "one is due every 1 hour" in detail
        anchor(desk, Made("Somebody else"))
        assert "do not verify" in found(desk, "time authority Example")[1]
        assert found(desk, "proved time")[0]  # the token before still stands


def test_a_token_that_is_older_than_its_schedule_no_longer_stands(tmp_path: Path, made: Made) -> None:
    with office(tmp_path, with_authority(tmp_path, made)) as desk:
        assert anchor(desk, made)
        records = SharedRecords(desk.ledger.reader())
        timing = Timing(records, ORIGIN, Authority.of_pem(made.pem, "it"), lambda: desk.ledger.anchor)
        statuses, now_ns = (AuthorityStatus("Example", "https://tsa.example/", 3_600),), desk.live_now()
        one, three = (clocks.proof(timing, statuses, records.size, now_ns + hours * HOUR_NS) for hours in (1, 3))
        assert (True, False) == (one[1], three[1])
        assert "has grown old: Example, by a token 2 hours 59 minutes old" in three[2]
        (check,) = clocks.authorities(timing, statuses, now_ns + 3 * HOUR_NS)
        assert (False, True) == (check[1], "3 hours ago" in check[2] and "one is due every 1 hour" in check[2])


WITNESS = SignerKey("witness.example/w", bytes([7]) * 32, COSIGNATURE_ED25519)


def with_witness(root: Path) -> None:
    config = load_config(root)
    witness = WitnessConfig("w", WITNESS.verifier, "http://127.0.0.1:9")  # nobody is there
    (root / "affidavit.toml").write_text(
        render_config(Config(config.origin, config.server, witnesses=(witness,)), root)
    )


def cosign(desk: Office, key: SignerKey, ago_s: int) -> None:
    """Keep what is published as cosigned by `key` some seconds ago."""
    desk.ledger.publish_now()
    text, lines = parse_note((desk.root / "log" / "checkpoint").read_bytes())
    note = join_note(text, [*lines, key.line(text, int(time.time()) - ago_s)])
    (desk.root / "checkpoints").mkdir(exist_ok=True)
    (desk.root / "checkpoints" / "cosigned").write_bytes(note)


def test_a_witness_alone_is_enough_for_not_after(tmp_path: Path) -> None:
    with office(tmp_path, with_witness) as desk:
        assert not found(desk, "proved time")[0]
        cosign(
            desk, SignerKey("witness.example/w", bytes([8]) * 32, COSIGNATURE_ED25519), 0
        )  # not the one that is trusted
        assert not found(desk, "proved time")[0]
        cosign(desk, WITNESS, 500)
        holds, detail = found(desk, "proved time")
        assert holds, detail
        assert "the witness witness.example/w, which cosigned all records 8 minutes" in detail
        when = desk.admin.get("/v1/records/0")["when"]
        assert ("witness.example/w", None) == (
            when["recorded"]["not_after_by"]["by"], when["recorded"]["not_before_by"],
        )  # fmt: skip
        assert any("the cosignature of witness.example/w covers the first" in said for said in when["sentences"])
        desk.apply(PEOPLE)
        holds, detail = found(desk, "proved time")
        assert (False, True) == (holds, "has grown old" in detail)  # these records nobody cosigned
        cosign(desk, WITNESS, 5)
        assert found(desk, "proved time")[0]


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
