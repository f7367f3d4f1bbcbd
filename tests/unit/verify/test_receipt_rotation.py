"""Receipts around a rotation of the log's key, checked by the command with one pinned key or another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from office import office

from affidavit.cli.main import run
from affidavit.durable import OsDisk
from affidavit.ledger.keys import Secrets
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.notes import parse_note, sign_note
from affidavit.tlog.receipts import Receipt


@dataclass
class Stand:
    """A log with one rotation: a receipt from before it and one from after it, and who signed when."""

    folder: Path
    root: Path
    old: SignerKey
    new: SignerKey
    before: Receipt
    after: Receipt

    def check(self, receipt: Receipt, pinned: SignerKey, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        """The exit status of `receipt check`, and its result or the code of the error."""
        file = self.folder / "receipt"
        file.write_bytes(receipt.encode())
        capsys.readouterr()
        status = run(["receipt", "check", str(file), str(self.root), "--key", pinned.verifier.to_text(), "--json"])
        said = capsys.readouterr()
        return status, json.loads(said.out)["result"] if said.out else said.err


def signed_by(receipt: Receipt, key: SignerKey) -> Receipt:
    """The same receipt, its promise signed by `key`."""
    note = sign_note(parse_note(receipt.note)[0], key)
    return Receipt(receipt.index, receipt.id, receipt.leaf, receipt.path, note)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Stand:
    folder = tmp_path_factory.mktemp("receipts")
    receipts, keys = [], []
    with office(folder) as desk:
        for name in ("before", "after"):
            keys.append(Secrets.load(OsDisk(), desk.root / "secrets").signers[0])
            answer = desk.admin.post("/v1/changes", {"objects": {f"group/{name}": {}}, "reason": "r", "receipt": True})
            receipts.append(Receipt.decode(answer["receipt"].encode()))
            if name == "before":
                desk.admin.post("/v1/key/rotation", {"reason": "yearly"})
    return Stand(folder, folder / "data", *keys, *receipts)


def test_a_promise_of_the_old_key_is_checked_after_the_rotation(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (0, "kept") == stand.check(stand.before, stand.old, capsys)
    assert (0, "kept") == stand.check(stand.after, stand.old, capsys), "the chain leads from the old key to the new"
    assert (0, "kept") == stand.check(stand.after, stand.new, capsys)


def test_who_knows_only_the_new_key_is_told_to_give_the_old_one(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = stand.check(stand.before, stand.new, capsys)
    assert (1, True) == (status, "Give the key that was in force then" in said), said


def test_a_promise_by_a_key_after_its_retirement_is_refused(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    forged = signed_by(stand.after, stand.old)
    for pinned in (stand.old, stand.new):
        status, said = stand.check(forged, pinned, capsys)
        assert 1 == status
        assert "kept" not in said and "broken" not in said, said
    assert "was taken out of use" in stand.check(forged, stand.old, capsys)[1]


def test_a_group_of_before_may_be_promised_by_the_key_of_after(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who asks for a receipt right after the rotation gets one by the key that signs then."""
    assert (0, "kept") == stand.check(signed_by(stand.before, stand.new), stand.old, capsys)
    assert (0, "kept") == stand.check(signed_by(stand.before, stand.new), stand.new, capsys)


def test_somebody_elses_promise_is_refused_under_every_key(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    thief = SignerKey(stand.old.name, b"\7" * 32)
    for pinned in (stand.old, stand.new):
        assert 1 == stand.check(signed_by(stand.after, thief), pinned, capsys)[0]
