"""A copy that is made while the log is being written: whole, checked, brought back only through `recover`."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from recovercase import ORIGIN, append, gaps, made

from affidavit.archive.open import open_archive
from affidavit.cli.main import run
from affidavit.compose.backup import backup
from affidavit.compose.examine import fsck
from affidavit.compose.recovering import go_on, look
from affidavit.compose.site import Site
from affidavit.errors import AffidavitError, Corruption, InvalidInput
from affidavit.ledger.backup import Copied
from affidavit.verify.verify import verify


def copy(root: Path, target: Path, *, secrets: bool = True) -> Copied:
    return backup(root, target, None, secrets=secrets)


def check(target: Path, copied: Copied, source: Path) -> None:
    """The copy verifies and is whole, and has the bytes of the log."""
    site = Site(source)
    verdict = verify(open_archive(str(target)), [site.secrets.verifier], site.secrets.body_keys_by_id)
    assert [] == [finding for check in verdict.checks for finding in check.findings]
    assert (0, copied.size) == (verdict.exit_status, verdict.scope.size)
    assert copied.held - copied.size == verdict.scope.journal_beyond
    if (target / "secrets").exists():
        assert [] == fsck(target).faults
    for path in (target / "log/tile").rglob("*"):
        if path.is_file() and ".p" not in str(path):
            assert (source / path.relative_to(target)).read_bytes() == path.read_bytes()


def refused(root: Path) -> str:
    with pytest.raises(AffidavitError) as caught:
        Site(root).open_ledger()
    return caught.value.code


@pytest.mark.parametrize("records", [10, 252, 600, 8_500])
def test_a_copy_of_a_log_at_rest_and_again(tmp_path: Path, records: int) -> None:
    root, target = made(tmp_path / "data", records), tmp_path / "copy"
    first = copy(root, target)
    check(target, first, root)
    assert Copied(first.size, first.held, 0) == copy(root, target)
    check(target, first, root)
    ledger = Site(root).open_ledger()
    append(ledger, 300)
    ledger.close("More was written.")
    second = copy(root, target)
    assert second.size - first.size == second.added > 300
    check(target, second, root)
    assert 1 == len(list((target / "journal").iterdir()))


def test_copies_under_load_are_each_whole(tmp_path: Path) -> None:
    root, target = made(tmp_path / "data", 10), tmp_path / "copy"
    ledger = Site(root).open_ledger()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            append(ledger, 200, batch=7)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        sizes = []
        for number in range(4):
            append(ledger, 100)
            ledger.publish_now()
            copied = copy(root, target)
            sizes.append(copied.size)
            check(target, copied, root)
            shutil.copytree(target, tmp_path / f"kept-{number}")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
        ledger.close("The load is over.")
    assert sorted(sizes) == sizes
    assert sizes[0] < sizes[-1]
    # Any of them can be brought back, and says what may be missing.
    back = tmp_path / "kept-1"
    held = look(back).lost["first"]
    assert held >= sizes[1]
    assert "recover.pending" == refused(back)
    with pytest.raises(InvalidInput, match="sign a second history"):
        go_on(back, look(back), newest_copy=False)
    go_on(back, look(back), newest_copy=True)
    assert [{"first": held, "readable": 0}] == [gap["lost"] for gap in gaps(back) if gap["cause"] == "restore"]
    Site(back).open_ledger().close("It started.")
    site = Site(back)
    kept = (target / "log/checkpoint").read_bytes()
    alone = verify(open_archive(str(back)), [site.secrets.verifier], site.secrets.body_keys_by_id)
    assert 0 == alone.exit_status
    # What the operator said was not so: whoever kept the log's later checkpoint sees it.
    known = verify(open_archive(str(back)), [site.secrets.verifier], site.secrets.body_keys_by_id, (kept,))
    assert ["ahead"] == [one.result for one in known.scope.kept]


def test_a_copy_brought_back_behind_what_a_place_outside_knows_never_goes_on(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root, target = made(tmp_path / "data", 20, outside=outside), tmp_path / "copy"
    shutil.copy(root / "log/checkpoint", outside / "checkpoint")
    copied = copy(root, target)
    situation = look(target)
    assert (True, True, "restore") == (situation.needed, situation.vouched, situation.cause)
    ledger = Site(root).open_ledger()
    append(ledger, 5)
    ledger.close("More was written.")
    shutil.copy(root / "log/checkpoint", outside / "checkpoint")
    with pytest.raises(Corruption) as caught:
        go_on(target, look(target), newest_copy=True)
    assert "fork.behind" == caught.value.code
    assert f"records {copied.size} to" in caught.value.message
    (target / "recover.json").unlink()  # and whoever takes the note away meets the guard
    assert "fork.behind" == refused(target)


def test_a_place_outside_that_holds_the_same_checkpoint_vouches_for_the_copy(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root, target = made(tmp_path / "data", 20, outside=outside), tmp_path / "copy"
    shutil.copy(root / "log/checkpoint", outside / "checkpoint")
    copy(root, target)
    shutil.rmtree(root)
    assert "recover.pending" == refused(target)
    go_on(target, look(target), newest_copy=False)
    assert ["restore"] == [gap["cause"] for gap in gaps(target) if gap["cause"] == "restore"]


def test_a_log_that_was_put_back_is_not_copied_over_a_newer_copy(tmp_path: Path) -> None:
    root, target = made(tmp_path / "data", 20), tmp_path / "copy"
    older = Path(shutil.copytree(root, tmp_path / "older"))
    ledger = Site(root).open_ledger()
    append(ledger, 30)
    ledger.close("More was written.")
    copied = copy(root, target)
    with pytest.raises(Corruption) as caught:
        copy(older, target)
    assert "backup.behind" == caught.value.code
    ledger = Site(older).open_ledger()
    append(ledger, 60)
    ledger.close("It went another way.")
    with pytest.raises(Corruption) as caught:
        copy(older, target)
    assert "backup.fork" == caught.value.code
    check(target, copied, root)


def test_a_damaged_log_does_not_replace_a_good_copy(tmp_path: Path) -> None:
    root, target = made(tmp_path / "data", 300), tmp_path / "copy"
    copied = copy(root, target)
    ledger = Site(root).open_ledger()
    append(ledger, 400)
    ledger.close("More was written.")
    entries, tile = root / "log/tile/entries/001", root / "log/tile/0/001"
    data = bytearray(entries.read_bytes())
    data[-2] ^= 1
    entries.write_bytes(data)
    with pytest.raises(Corruption):
        copy(root, target)
    # The altered entry's hash put into the tile too: only the root tells.
    from affidavit.tlog.hashing import leaf_hash
    from affidavit.tlog.tiles import decode_entries

    tile.write_bytes(b"".join(map(leaf_hash, decode_entries(bytes(data), 256))))
    with pytest.raises(Corruption) as caught:
        copy(root, target)
    assert "backup.source" == caught.value.code
    note = (target / "log/checkpoint").read_text().split("\n")
    assert str(copied.size) == note[1]


def test_another_log_or_another_folder(tmp_path: Path) -> None:
    root = made(tmp_path / "data", 5)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letters").write_text("dear")
    with pytest.raises(InvalidInput, match="holds something else"):
        copy(root, tmp_path / "full")
    other = made(tmp_path / "other", 5)
    copy(other, tmp_path / "copy")
    with pytest.raises(Corruption, match="Each log needs a folder of its own"):
        copy(root, tmp_path / "copy")
    with pytest.raises(InvalidInput, match="own folder"):
        copy(root, root / "copy")


def test_what_was_erased_since_is_forgotten_by_the_copy(tmp_path: Path) -> None:
    """Erasing rewrites body bundles; here a bundle is replaced as it would be."""
    root, target = made(tmp_path / "data", 600), tmp_path / "copy"
    copy(root, target)
    bundle = root / "bodies/000"
    data = bytearray(bundle.read_bytes())
    data[-1] ^= 1
    bundle.write_bytes(data)
    os.utime(bundle, ns=(1, 1))
    copy(root, target)
    assert data == (target / "bodies/000").read_bytes()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = made(tmp_path / "data", 5)
    capsys.readouterr()
    assert 0 == run(["backup", str(tmp_path / "copy"), "--data", str(root)])
    said = capsys.readouterr().out
    assert "The keys are not in it" in said
    assert not (tmp_path / "copy/secrets").exists()
    assert 0 == run(["backup", str(tmp_path / "copy"), "--data", str(root), "--secrets", "--json"])
    done = json.loads(capsys.readouterr().out)
    assert (0, True) == (done["added"], done["secrets"])
    assert 0o600 == (tmp_path / "copy/secrets/log.key").stat().st_mode & 0o777
    assert ORIGIN in (tmp_path / "copy/affidavit.toml").read_text()
    assert 1 == run(["recover", "--data", str(tmp_path / "copy")])
    assert "This is a copy that was made at" in capsys.readouterr().out
    assert 2 == run(["recover", "--data", str(tmp_path / "copy"), "--yes"])
    assert "--newest-copy" in capsys.readouterr().err
