"""Duty 19: cosignatures counted as a policy says, over which part of the log, and what contradicts them."""

from __future__ import annotations

from pathlib import Path

import pytest
from logmaker import BODY_KEY, ORIGIN, SIGNER, afternoon, write_log

from affidavit.archive.open import open_archive
from affidavit.cli.verify import verify as command
from affidavit.errors import InvalidInput
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.notes import parse_note
from affidavit.tlog.policy import Policy
from affidavit.verify.duties import Duty
from affidavit.verify.verdict import Check, Verdict
from affidavit.verify.verify import verify

WITNESSES = [SignerKey(f"w.example/{number}", bytes([90 + number]) * 32, 4) for number in range(3)]
AT_S = 1_795_359_600  # an hour after the last record
TWO_OF_THREE = "".join(
    [
        f"log {SIGNER.verifier.to_text()}\n",
        *(f"witness w{number} {key.verifier.to_text()}\n" for number, key in enumerate(WITNESSES)),
        "group g 2 w0 w1 w2\nquorum g\n",
    ]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_log(tmp_path / "data", afternoon(5).paper.records, (12,))
    return tmp_path / "data"


def cosigned(note: bytes, *signers: SignerKey, time_s: int = AT_S) -> bytes:
    text = parse_note(note)[0]
    return note + "".join(signer.line(text, time_s).to_text() for signer in signers).encode()


def cosign(folder: Path, *signers: SignerKey) -> None:
    path = folder / "log/checkpoint"
    path.write_bytes(cosigned(path.read_bytes(), *signers))


def judged(
    folder: Path, policy: str = TWO_OF_THREE, note: bytes | None = None, kept: tuple[bytes, ...] = ()
) -> Verdict:
    if note is not None:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints/cosigned").write_bytes(note)
    keys = {BODY_KEY.id: BODY_KEY}
    return verify(open_archive(str(folder)), [SIGNER.verifier], keys, kept, policy=Policy.parse(policy.encode()))


def duty(verdict: Verdict) -> Check:
    return next(check for check in verdict.checks if check.number == Duty.WITNESSES)


def test_without_a_policy_there_is_nothing_to_look_at(folder: Path) -> None:
    verdict = verify(open_archive(str(folder)), [SIGNER.verifier], {BODY_KEY.id: BODY_KEY})
    assert ("not_applicable", 0) == (duty(verdict).status, verdict.exit_status)
    assert None is verdict.scope.witnessed


def test_enough_have_cosigned(folder: Path) -> None:
    cosign(folder, WITNESSES[0], WITNESSES[2])
    verdict = judged(folder)
    assert ("passed", 0) == (duty(verdict).status, verdict.exit_status)
    found = verdict.scope.witnessed
    assert found is not None and found.size == verdict.scope.size
    assert [("w0", "w.example/0", AT_S), ("w2", "w.example/2", AT_S)] == [
        (one.witness, one.key_name, one.time_s) for one in found.cosigned
    ]


def test_too_few_have_cosigned(folder: Path) -> None:
    cosign(folder, WITNESSES[1])
    verdict = judged(folder)
    assert ("failed", 1) == (duty(verdict).status, verdict.exit_status)
    (finding,) = duty(verdict).findings
    assert ("witness.quorum", "log/checkpoint") == (finding.code, finding.where)
    assert "g has 1 of the 2 that it needs (without w0, w2)" in finding.message


def test_a_quorum_of_none_is_met_by_nobody(folder: Path) -> None:
    assert "passed" == duty(judged(folder, "quorum none\n")).status


def test_a_repeated_line_and_a_stranger_count_for_nothing(folder: Path) -> None:
    cosign(folder, WITNESSES[1], WITNESSES[1], SignerKey("w.example/0", b"\1" * 32, 4))
    assert "failed" == duty(judged(folder)).status


def test_a_line_that_fails_rejects_the_checkpoint(folder: Path) -> None:
    forged = WITNESSES[0].line(f"{ORIGIN}\n1\n{'A' * 43}=\n", AT_S)
    path = folder / "log/checkpoint"
    cosign(folder, WITNESSES[1], WITNESSES[2])
    path.write_bytes(path.read_bytes() + forged.to_text().encode())
    verdict = judged(folder)
    assert (1, "note.signature") == (verdict.exit_status, verdict.checks[0].findings[0].code)


def earlier(folder: Path, size: int = 12) -> bytes:
    """The log's checkpoint of an earlier size, cosigned by two."""
    notes = write_log(folder, afternoon(5).paper.records, (size,))
    return cosigned(notes[0], WITNESSES[0], WITNESSES[1])


def test_an_earlier_checkpoint_covers_what_it_covers(folder: Path) -> None:
    note = earlier(folder)
    for verdict in (judged(folder, kept=(note,)), judged(folder, note=note)):
        assert ("not_checked", 3) == (duty(verdict).status, verdict.exit_status)
        assert verdict.scope.witnessed is not None and verdict.scope.witnessed.size == 12
        assert "the records from 12 on" in duty(verdict).detail


def test_what_witnesses_cosigned_of_another_history_is_found(folder: Path) -> None:
    other = sign_checkpoint(Checkpoint(ORIGIN, 12, b"\5" * 32), SIGNER)
    verdict = judged(folder, note=cosigned(other, *WITNESSES[:2]))
    assert ["witness.forked", "witness.quorum"] == [finding.code for finding in duty(verdict).findings]


def test_a_log_that_was_cut_behind_what_witnesses_cosigned_is_found(folder: Path) -> None:
    ahead = sign_checkpoint(Checkpoint(ORIGIN, 1_000, b"\5" * 32), SIGNER)
    verdict = judged(folder, note=cosigned(ahead, *WITNESSES[:2]))
    assert "witness.ahead" == duty(verdict).findings[0].code


@pytest.mark.parametrize("note", [b"", b"rubbish", sign_checkpoint(Checkpoint("x.example/y", 1, b"\1" * 32), SIGNER)])
def test_a_kept_note_that_is_none_of_the_logs_is_a_finding(folder: Path, note: bytes) -> None:
    assert "failed" == duty(judged(folder, note=note)).status


def test_a_policy_of_other_logs_is_refused(folder: Path) -> None:
    other = SignerKey(ORIGIN, b"\2" * 32).verifier.to_text()
    with pytest.raises(InvalidInput) as refused:
        judged(folder, f"log {other}\nquorum none\n")
    assert "verify.policy" == refused.value.code


def test_the_command_takes_the_file_and_says_who_and_when(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = earlier(folder)
    (tmp_path / "clinic.policy").write_text(TWO_OF_THREE)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints/cosigned").write_bytes(note)
    asked = {"key": SIGNER.verifier.to_text(), "policy": tmp_path / "clinic.policy"}
    assert 3 == command(str(folder), **asked)
    out = capsys.readouterr().out
    assert "The policy is satisfied up to size 12: g has 2 of the 2 that it needs (without w2)." in out
    assert "Counted: w1 (w.example/1), at 2026-11-22 15:00:00 UTC by its own word." in out
    cosign(folder, *WITNESSES)
    assert 0 == command(str(folder), **asked)
    (tmp_path / "clinic.policy").write_text("quorum w\n")
    assert 2 == command(str(folder), **asked)
    assert "Line 1 of the policy" in capsys.readouterr().err
