"""A receipt against a log: kept, not due, broken; and what is wrong with the receipt or the log is told apart."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from ledgercase import ACTOR, BOOT, Batch, Case

from affidavit.archive.folder import Folder
from affidavit.cli.main import run
from affidavit.durable import OsDisk
from affidavit.errors import AffidavitError, InvalidInput, Unavailable, VerificationError
from affidavit.ledger.keys import Secrets
from affidavit.ledger.ledger import Ledger
from affidavit.record.moment import parse_moment
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.receipts import Receipt
from affidavit.tlog.tiles import decode_entries, encode_entries
from affidavit.verify.receipt import ReceiptVerdict, check_receipt


@dataclass
class Promised:
    """A log of two published sizes, and the receipt of a record between them."""

    root: Path
    secrets: Secrets
    ledger: Ledger
    receipt: bytes

    @property
    def due_ns(self) -> int:
        return parse_moment(Receipt.decode(self.receipt).open([self.secrets.verifier]).publish_by)

    def check(self, log: str, now_ns: int | None = None, receipt: bytes | None = None) -> ReceiptVerdict:
        now = self.due_ns if now_ns is None else now_ns
        return check_receipt(receipt or self.receipt, [self.secrets.verifier], Folder(self.root / log), now)


@pytest.fixture
def promised(tmp_path: Path) -> Promised:
    case = Case(OsDisk(), tmp_path / "data")
    secrets, ledger = case.create(), case.recover()
    ledger.publish_now()
    shutil.copytree(tmp_path / "data/log", tmp_path / "before")
    drafts = tuple(case.draft("log.read", actor=ACTOR) for _ in range(5))
    answers: list = []
    ledger.submit(Batch(case.stream(), BOOT, 0, drafts), answers.append)
    ledger.step()
    receipt = ledger.receipt(answers[0].receipts[2].index)
    ledger.publish_now()
    shutil.copytree(tmp_path / "data/log", tmp_path / "after")
    return Promised(tmp_path, secrets, ledger, receipt)


def rewritten(promised: Promised, name: str) -> None:
    """The log as its key's holder would write it with another record in the promised place."""
    log = promised.root / name
    shutil.copytree(promised.root / "after", log)
    entries = decode_entries((log / "tile/entries/000.p/11").read_bytes(), 11)
    entries[8] = entries[8].replace(b'"kind":"log.read"', b'"kind":"log.verd"')
    tree = Tree()
    tree.append_leaf_hashes(map(leaf_hash, entries))
    (log / "tile/entries/000.p/11").write_bytes(encode_entries(entries))
    (log / "tile/0/000.p/11").write_bytes(tree.tiles(0)[0].data)
    note = sign_checkpoint(Checkpoint(promised.secrets.origin, 11, tree.root()), *promised.secrets.signers)
    (log / "checkpoint").write_bytes(note)


def test_a_promise_that_was_kept(promised: Promised) -> None:
    verdict = promised.check("after")
    assert ("kept", 0, 8, 11) == (verdict.result, verdict.exit_status, verdict.index, verdict.size)
    assert verdict.leaf == verdict.found


def test_it_is_not_due_before_its_moment_and_broken_after_it(promised: Promised) -> None:
    early, late = promised.check("before"), promised.check("before", promised.due_ns + 1)
    assert [("not_due", 3), ("broken", 1)] == [(one.result, one.exit_status) for one in (early, late)]
    assert "the log shows 6 records, and the promised one is 8" in late.message
    assert (promised.root / "before/checkpoint").read_text() == late.checkpoint


def test_another_record_in_its_place_is_evidence_at_any_time(promised: Promised) -> None:
    rewritten(promised, "forged")
    verdict = promised.check("forged", 0)
    assert ("broken", 1) == (verdict.result, verdict.exit_status)
    assert verdict.found not in (None, verdict.leaf)
    assert verdict.proof


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("tile/entries/000.p/11", "entry.altered"),
        ("tile/0/000.p/11", "proof.inclusion"),
        ("checkpoint", "note.signature"),
    ],
)
def test_a_log_that_does_not_hold_breaks_no_promise(promised: Promised, path: str, code: str) -> None:
    file = promised.root / "after" / path
    data = bytearray(file.read_bytes())
    at = (
        data.index(b'"log.read"', data.index(Receipt.decode(promised.receipt).id.encode())) if "entries" in path else -9
    )
    data[at + 5 if at > 0 else at] ^= 1
    file.write_bytes(data)
    with pytest.raises(VerificationError) as refused:
        promised.check("after")
    assert code == refused.value.code


def test_a_missing_log_and_another_log_are_no_verdict(promised: Promised, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Unavailable):
        promised.check("empty")
    other = SignerKey("log.example/other", b"\3" * 32)
    (tmp_path / "other").mkdir()
    note = sign_checkpoint(Checkpoint(other.name, 1, b"\1" * 32), other)
    (tmp_path / "other/checkpoint").write_bytes(note)
    with pytest.raises(InvalidInput) as refused:
        check_receipt(promised.receipt, [promised.secrets.verifier, other.verifier], Folder(tmp_path / "other"), 0)
    assert "receipt.other_log" == refused.value.code


def test_the_command_tells_by_words_and_status(promised: Promised, capsys: pytest.CaptureFixture[str]) -> None:
    file = promised.root / "a.receipt"
    file.write_bytes(promised.receipt)
    key = promised.secrets.verifier.to_text()
    assert 0 == run(["receipt", "check", str(file), str(promised.root / "data"), "--key", key])
    assert "The promise was kept: record 8 stands in the log of 11 records." in capsys.readouterr().out
    # The test's clock began in November 2026 and the machine's has passed that or not: either way it is not kept.
    assert run(["receipt", "check", str(file), str(promised.root / "before"), "--key", key, "--json"]) in (1, 3)
    assert "kept" != json.loads(capsys.readouterr().out)["result"]
    file.write_bytes(promised.receipt.replace(b'"index":8', b'"index":7'))
    assert 1 == run(["receipt", "check", str(file), str(promised.root / "data"), "--key", key])
    assert "does not lead to the root" in capsys.readouterr().err
    assert 2 == run(["receipt", "check", str(promised.root / "none"), str(promised.root / "data"), "--key", key])


def test_damage_of_the_receipt_comes_before_any_look_at_the_log(promised: Promised) -> None:
    with pytest.raises(AffidavitError) as refused:
        check_receipt(promised.receipt[:-5], [promised.secrets.verifier], Folder(promised.root / "nowhere"), 0)
    assert isinstance(refused.value, VerificationError)
