"""Duty 21: tokens, witnesses and clock records, each made to hold and then made to lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ledgercase import BOOT, START_NS
from stampedlog import SECOND, START, Stage
from tsa import YEAR, Made

from affidavit.clock import ClockStatus
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import COSIGNATURE_ED25519, SignerKey
from affidavit.tlog.notes import join_note, parse_note
from affidavit.verify.duties import Duty
from affidavit.verify.wording import sentences


@pytest.fixture(scope="module")
def made() -> Made:
    return Made(starts=START - YEAR, ends=START + 50 * YEAR)


@pytest.fixture
def stage(tmp_path: Path, made: Made) -> Stage:
    return Stage(tmp_path, made)


def test_tokens_prove_until_when_records_were_made(stage: Stage) -> None:
    stage.wait(5)
    stage.anchor()
    stage.wait(700)
    size = stage.ledger.size
    anchor = stage.anchor()
    stage.wait(5)
    verdict = stage.verdict()
    check = next(one for one in verdict.checks if one.number == Duty.TIME)
    assert ("passed", ()) == (check.status, check.findings)
    (proven,) = verdict.scope.proven
    assert ("Example Time", size, anchor) == (proven.by, proven.size, proven.record)
    latest_ns = (START_NS // SECOND + 705 + 1) * SECOND + 500_000_000
    assert (
        abs(latest_ns - int(datetime.fromisoformat(proven.not_after[:19] + "+00:00").timestamp()) * SECOND) < 3 * SECOND
    )


def test_without_certificates_tokens_are_not_checked_and_that_is_said(stage: Stage) -> None:
    stage.anchor()
    check = stage.check(None)
    assert "not_checked" == check.status
    assert "--authority" in check.detail
    other = stage.check(Made("Another").pem)
    assert ("not_checked", True) == (other.status, "whose certificate was not given" in other.detail)


def test_without_tokens_and_witnesses_nothing_is_proven_and_that_is_said(stage: Stage) -> None:
    check = stage.check(None)
    assert ("passed", True) == (check.status, "no witness proves" in check.detail)


def test_without_body_keys_the_duty_is_not_checked(stage: Stage) -> None:
    stage.anchor()
    check = next(one for one in stage.verdict(body_keys={}).checks if one.number == Duty.TIME)
    assert ("not_checked", True) == (check.status, "could not be read" in check.detail)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"stamped": bytes(32)}, "timestamp.imprint"),
        ({"imprint": "00" * 32}, "time.anchor"),
        ({"nonce": "6"}, "timestamp.nonce"),
        ({"nonce": "x"}, "time.anchor"),
        ({"time": "2020-01-01T00:00:00.000000000Z"}, "time.anchor"),
        ({"accuracy_ns": "1"}, "time.anchor"),
        ({"token": "AAAA"}, "timestamp.malformed"),
        ({"token": "not base64"}, "time.anchor"),
        ({"checkpoint": {"size": 10**6, "root": "00" * 32}}, "time.anchor"),
        ({"checkpoint": {}}, "time.anchor"),
        ({"previous": 3}, "time.previous"),
    ],
)
def test_an_anchor_that_is_not_what_it_says_is_found(stage: Stage, changed: dict[str, Any], code: str) -> None:
    stage.anchor(**changed)
    assert [code] == stage.codes()


def test_a_token_over_another_log_is_found(stage: Stage) -> None:
    other = Checkpoint("log.example/clinic", 4, bytes(32))
    imprint = hashlib.sha256(other.format().encode()).digest()
    stage.anchor(checkpoint={"size": 4, "root": "00" * 32}, stamped=imprint, imprint=imprint.hex())
    assert ["time.checkpoint"] == stage.codes()


def test_a_token_beyond_its_certificate_is_found(stage: Stage) -> None:
    stage.anchor(at=START + 51 * YEAR)
    assert ["timestamp.authority"] == stage.codes()


def test_an_authority_that_lies_contradicts_the_next_one_and_the_clock(stage: Stage) -> None:
    stage.wait(5)
    lie = stage.anchor(at=START + timedelta(days=700))
    stage.wait(700)
    stage.anchor()
    findings = stage.check().findings
    assert ["time.stamps", "time.claim"] == [one.code for one in findings]
    assert lie == findings[0].index
    assert f"token in record {lie}" in findings[1].message


def test_an_authority_that_dates_back_contradicts_the_clock(stage: Stage) -> None:
    stage.wait(5)
    stage.anchor(at=START - timedelta(days=30))
    stage.wait(700)
    findings = stage.check().findings
    assert ["time.claim"] == [one.code for one in findings]
    assert "sealed after" in findings[0].message


def test_a_clock_that_nothing_bounds_claims_nothing(stage: Stage) -> None:
    stage.status = ClockStatus("kernel", False, 0, None)
    stage.wait(20)
    stage.anchor(at=START + timedelta(days=700))
    stage.wait(700)
    assert [] == stage.codes()


@pytest.mark.parametrize("step_ns", [3_600 * SECOND, -3_600 * SECOND])
def test_a_clock_that_was_wrong_by_more_than_its_bound_is_found(stage: Stage, step_ns: int) -> None:
    """Nobody set it while the log ran: the tokens alone show it."""
    stage.ledger.close("for the night")
    true = stage.case.clock.wall_ns
    stage.case.clock.wall_ns += step_ns
    stage.ledger, stage.stream, stage.next = stage.open(), stage.case.stream(), 0
    stage.wait(5)
    stage.anchor(at=datetime.fromtimestamp(true // SECOND + 6, UTC))
    stage.wait(601)
    assert ["time.claim"] == stage.codes()


def test_a_log_whose_time_stands_still_after_a_step_back_claims_no_more_than_it_knows(stage: Stage) -> None:
    """The clock was an hour ahead, and said so; set right, `log.at` stays ahead for an hour, and no claim is wrong."""
    stage.status = ClockStatus("kernel", False, 0, None)
    stage.look()
    stage.case.clock.wall_ns += 3_600 * SECOND
    stage.look()
    stage.wait(20)
    stage.case.clock.wall_ns -= 3_600 * SECOND
    stage.status = ClockStatus("kernel", True, 0, 4_000_000)
    stage.wait(20)
    stage.anchor()
    stage.wait(30)
    stage.anchor()
    assert [] == stage.codes()


@pytest.mark.parametrize("rate", [0, -SECOND, 3 * SECOND])
def test_steps_and_drifts_that_were_recorded_are_no_findings(stage: Stage, rate: int) -> None:
    clock = stage.case.clock
    for step in (0, 90 * SECOND, -45 * SECOND):
        stage.wait(20)
        clock.wall_ns += step
        stage.look()
    for _ in range(30):
        clock.wall_ns += rate
        clock.passed_ns += SECOND
        stage.look()
    stage.wait(700)
    assert ("passed", ()) == (stage.check().status, stage.check().findings)


def clock_body(reason: str, wall_ns: int, passed_ns: int, **more: Any) -> dict[str, Any]:
    return {
        "source": "kernel", "synchronized": True, "offset_ns": "0", "bound_ns": "1000000", "boot": BOOT,
        "wall_ns": str(wall_ns), "monotonic_ns": str(passed_ns), "reason": reason, "anchor": None, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (lambda wall, passed: clock_body("interval", wall + 2 * SECOND, passed + SECOND), "time.unexplained"),
        (lambda wall, passed: clock_body("step", wall, passed + 1, step_ns="5000000000"), "time.unexplained"),
        (lambda wall, passed: clock_body("interval", wall, passed - SECOND), "time.monotonic"),
        (lambda wall, passed: clock_body("interval", wall, passed, bound_ns="-1"), "clock.body"),
        (lambda wall, passed: clock_body("interval", wall, passed, monotonic_ns=7), "clock.body"),
    ],
)
def test_clock_records_that_do_not_follow_from_one_another_are_found(
    stage: Stage, second: Callable[[int, int], dict[str, Any]], code: str
) -> None:
    wall, passed = stage.case.clock.wall_ns, stage.case.clock.passed_ns
    stage.add("clock", clock_body("interval", wall, passed))
    assert [] == stage.codes()
    stage.add("clock", second(wall, passed))
    assert [code] == stage.codes()


def test_a_witness_proves_a_time_as_an_authority_does(stage: Stage) -> None:
    witness = SignerKey.generate("witness.example/w1", COSIGNATURE_ED25519)
    stage.wait(30)
    size, at_s = stage.ledger.publish_now().size, stage.case.clock.wall_ns // SECOND

    def cosigned(time_s: int) -> bytes:
        text, lines = parse_note((stage.case.root / "log" / "checkpoint").read_bytes())
        return join_note(text, [*lines, witness.line(text, time_s)])

    kept = cosigned(at_s)
    stage.wait(700)
    for where in ({"kept": [kept]}, {}):
        verdict = stage.verdict(keys=(witness.verifier,), **where)
        wanted = [("witness.example/w1", size, None)] if where else []
        assert wanted == [(one.by, one.size, one.record) for one in verdict.scope.proven]
    stage.wait(601)
    late = cosigned(at_s - 86_400)
    verdict = stage.verdict(keys=(witness.verifier,), kept=[late])
    assert ["time.claim"] == [one.code for check in verdict.checks for one in check.findings if check.number == 21]


def test_what_is_proven_is_said_in_words(stage: Stage) -> None:
    stage.anchor()
    said = sentences(stage.verdict().scope)
    assert any(line.startswith("Records up to ") and "by the token in record" in line for line in said)
    assert not any("log's own claims" in line for line in said)
