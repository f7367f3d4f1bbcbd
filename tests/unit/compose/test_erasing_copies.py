"""Erasing and what else there is of a log: a copy by `backup`, what `recover` set aside, a builder of its own, `fsck`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from erasecase import holders
from recovercase import append, made

from affidavit.archive.open import open_archive
from affidavit.cli.main import run
from affidavit.compose.backup import backup
from affidavit.compose.examine import fsck
from affidavit.compose.site import Site
from affidavit.ledger import publisher
from affidavit.ledger.apart import Apart
from affidavit.ledger.own import Own
from affidavit.record.body import Erased
from affidavit.verify.verify import verify


def slot_of(root: Path, index: int) -> bytes:
    ledger = Site(root).open_ledger()
    slot = ledger.reader().stored(index)[1]
    ledger.close("looked at")
    return slot


def erase(root: Path, index: int) -> None:
    assert 0 == run(["erase", str(index), "--reason", "asked for", "--data", str(root)])


def findings(root: Path, keys: Path) -> list[str]:
    site = Site(keys)
    verdict = verify(open_archive(str(root)), [site.secrets.verifier], site.secrets.body_keys_by_id)
    return [f"{one.code} {one.where}" for check in verdict.checks for one in check.findings]


@pytest.mark.parametrize("index", [20, 280])
def test_a_copy_forgets_at_the_next_run(tmp_path: Path, index: int) -> None:
    """Both in a full bundle and in the newest one, of which the copy has several widths."""
    root, target = made(tmp_path / "data", 270), tmp_path / "copy"
    for _ in range(3):
        backup(root, target, None, secrets=True)
        ledger = Site(root).open_ledger()
        append(ledger, 5)
        ledger.close("More was written.")
    slot = slot_of(root, index)
    assert holders(target, slot)
    erase(root, index)
    assert [] == holders(root, slot)
    assert holders(target, slot), "a copy knows nothing of it until it is brought up to the log"
    backup(root, target, None, secrets=True)
    assert [] == holders(target, slot)
    assert [] == findings(target, root)
    assert [] == fsck(target).faults


def test_what_recover_set_aside_is_forgotten_too(tmp_path: Path) -> None:
    root = made(tmp_path / "data", 300)
    slot = slot_of(root, 20)
    bundle = root / "bodies/000"
    bundle.write_bytes(bundle.read_bytes()[:-1])
    assert 0 == run(["recover", "--yes", "--newest-copy", "--data", str(root)])
    assert any(name.startswith("set-aside/") for name in holders(root, slot))
    erase(root, 20)
    assert [] == holders(root, slot)
    assert [] == fsck(root).faults


def test_fsck_knows_what_was_erased_and_finds_what_was_put_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = made(tmp_path / "data", 300)
    before = (root / "bodies/000").read_bytes()
    erase(root, 20)
    assert [] == fsck(root).faults
    assert [20] == list(fsck(root).erased)
    (root / "bodies/000").write_bytes(before)
    capsys.readouterr()
    assert 1 == run(["fsck", "--json", "--data", str(root)])
    faults = json.loads(capsys.readouterr().out)["faults"]
    assert ("body.not_erased", 20, "erase") in [(one["code"], one["index"], one["remedy"]) for one in faults]
    assert any(one.startswith("bodies.not_erased ") for one in findings(root, root))
    erase(root, 20)
    assert [] == fsck(root).faults
    assert [] == findings(root, root)


def test_a_body_is_erased_although_a_builder_apart_has_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The builder's own process holds what it read of the journal, and where it reads on."""
    monkeypatch.setattr(publisher, "BUILD_APART_RECORDS", 1)
    root = made(tmp_path / "data", 10)
    ledger = Site(root).open_ledger()
    append(ledger, 30)
    ledger.publish_now()
    assert isinstance(ledger._publisher.builder, Apart)
    index = ledger.size - 3
    slot = ledger.reader().stored(index)[1]
    fields = {"actor": "u-" + "a" * 16, "action": "admin", "decision": "allow", "ref": index}
    by = ledger.erase(index, Own("erase", {"reason": "r"}, {**fields, "decided": ledger.state_index}))
    append(ledger, 600)
    ledger.publish_now()
    assert [] == holders(root, slot)
    assert Erased(by) == ledger.reader().record(index).body
    ledger.close("done")
    assert [] == holders(root, slot)
    assert [] == fsck(root).faults


def test_a_log_that_was_restored_from_before_an_erasure_holds_the_body_again(tmp_path: Path) -> None:
    """As docs/howto/erase.md says: the erase record is lost with what came after the copy."""
    root, target = made(tmp_path / "data", 50), tmp_path / "copy"
    slot = slot_of(root, 20)
    backup(root, target, None, secrets=True)
    erase(root, 20)
    shutil.rmtree(root)
    assert 0 == run(["recover", "--yes", "--newest-copy", "--data", str(target)])
    assert holders(target, slot)
    erase(target, 20)
    assert [] == holders(target, slot)
