"""What `recover` makes of a log that does not start: it goes on where nothing signed is lost, and says what may be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from recovercase import ORIGIN, append, gaps, made
from tampering.rotations import rotated

from affidavit.archive.open import open_archive
from affidavit.cli.main import run
from affidavit.compose.backup import backup
from affidavit.compose.recovering import begin_anew, go_on, look, restore_administrator
from affidavit.compose.site import Site
from affidavit.errors import AffidavitError, Corruption, InvalidInput
from affidavit.ledger.snapshot import read_snapshot, snapshot_key, write_snapshot
from affidavit.record.frame import Frame, read_frames
from affidavit.verify.verify import verify

RECORDS = 600


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("original") / "data", RECORDS)


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "data"))


def holds(root: Path) -> int:
    """The size of the log, which verifies whole and starts."""
    Site(root).open_ledger().close("It started.")
    site = Site(root)
    verdict = verify(open_archive(str(root)), [site.secrets.verifier], site.secrets.body_keys_by_id)
    assert [] == [finding for check in verdict.checks for finding in check.findings]
    assert 0 == verdict.exit_status
    assert not look(root).needed
    return verdict.scope.size or 0


def refused(root: Path) -> str:
    with pytest.raises(AffidavitError) as caught:
        Site(root).open_ledger()
    return caught.value.code


def segment(root: Path) -> Path:
    return sorted((root / "journal").iterdir())[-1]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_nothing_to_do(folder: Path) -> None:
    situation = look(folder)
    assert (False, "", ()) == (situation.needed, situation.cause, situation.obstacles)
    assert ((), "") == (go_on(folder, situation, newest_copy=False).written, "")


def test_damaged_published_files_are_written_again_from_the_journal(folder: Path) -> None:
    before = {path: path.read_bytes() for path in sorted((folder / "log").rglob("*")) if path.is_file()}
    bodies = {path: path.read_bytes() for path in sorted((folder / "bodies").rglob("*")) if path.is_file()}
    size = look(folder).found.size
    width = size % 256
    for where in (f"log/tile/0/002.p/{width}", f"bodies/002.p/{width}", "log/tile/entries/001"):
        flip(folder / where, -1)
    (folder / "log/tile/1/000.p/2").unlink()
    assert refused(folder).startswith("log.")
    situation = look(folder)
    assert (True, "", ()) == (situation.needed, situation.cause, situation.obstacles)
    done = go_on(folder, situation, newest_copy=False)
    assert {f"log/tile/0/002.p/{width}", f"bodies/002.p/{width}", "log/tile/entries/001", "log/tile/1/000.p/2"} == set(
        done.written
    )
    kept = Path(done.set_aside)
    assert (kept / "log/tile/entries/001").read_bytes() != before[folder / "log/tile/entries/001"]
    full = {path: data for path, data in {**before, **bodies}.items() if ".p" not in str(path)}
    full.pop(folder / "log/checkpoint")
    assert full == {path: path.read_bytes() for path in full}
    assert size < holds(folder)
    assert [] == gaps(folder)


def test_a_damaged_journal_is_written_again_from_what_is_published(folder: Path) -> None:
    flip(segment(folder), 5_000)
    assert "journal.damage" == refused(folder)
    situation = look(folder)
    assert ("", ()) == (situation.cause, situation.obstacles)
    go_on(folder, situation, newest_copy=False)
    holds(folder)
    assert [] == gaps(folder)


def test_a_checkpoint_that_is_gone(folder: Path) -> None:
    note = (folder / "log/checkpoint").read_bytes()
    (folder / "log/checkpoint").unlink()
    assert "log.checkpoint" == refused(folder)
    for kept in (folder / "checkpoints").iterdir() if (folder / "checkpoints").exists() else ():
        kept.unlink()
    situation = look(folder)
    with pytest.raises(Corruption, match="No checkpoint of this log is here"):
        go_on(folder, situation, newest_copy=True)
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / f"{situation.found.size:020d}").write_bytes(note)
    go_on(folder, look(folder), newest_copy=False)
    holds(folder)


def unpublished(root: Path) -> tuple[int, int]:
    """Records that are durable and not published, as a killed writer leaves them: the published size, and all."""
    ledger = Site(root).open_ledger()
    ledger.publish_now()
    with ledger._publishing:  # it publishes nothing meanwhile
        published = ledger.published.size
        append(ledger, 120, batch=20)
        size = ledger.size
        copy = Path(shutil.copytree(root, root.with_name("copy")))
    ledger.close("The rest of this run is of no interest.")
    shutil.rmtree(root)
    copy.rename(root)
    return published, size


def test_damage_after_what_is_published_is_cut_and_said(folder: Path) -> None:
    published, size = unpublished(folder)
    path = segment(folder)
    frames = [frame for frame in read_frames(path.read_bytes()) if isinstance(frame, Frame)]
    broken = next(frame for frame in frames if frame.first > published)
    flip(path, broken.offset + 40)
    assert "journal.damage" == refused(folder)
    situation = look(folder)
    lost = {"first": broken.first, "readable": size - broken.first}
    assert ("damage", lost, ()) == (situation.cause, situation.lost, situation.obstacles)
    done = go_on(folder, situation, newest_copy=False)
    assert (Path(done.set_aside) / "journal" / path.name).exists()
    said = [gap for gap in gaps(folder) if gap["cause"] == "damage"]
    assert [lost] == [gap["lost"] for gap in said]
    assert str(said[0]["start"]) <= str(said[0]["end"])
    holds(folder)


def test_a_journal_that_was_rolled_back_goes_on_only_if_the_operator_knows(folder: Path) -> None:
    path = segment(folder)
    frames = [frame for frame in read_frames(path.read_bytes()) if isinstance(frame, Frame)]
    path.write_bytes(path.read_bytes()[: frames[len(frames) // 2].offset])
    assert "log.ahead" == refused(folder)
    situation = look(folder)
    assert ("restore", False) == (situation.cause, situation.vouched)
    with pytest.raises(InvalidInput, match="--newest-copy"):
        go_on(folder, situation, newest_copy=False)
    assert "log.ahead" == refused(folder)  # nothing was changed
    go_on(folder, situation, newest_copy=True)
    assert ["restore"] == [gap["cause"] for gap in gaps(folder) if gap["cause"] != "crash"]
    holds(folder)


def test_records_that_nothing_gives_back_stop_it(folder: Path) -> None:
    (folder / "log/tile/entries/000").unlink()
    flip(segment(folder), 5_000)
    situation = look(folder)
    assert situation.obstacles
    with pytest.raises(Corruption) as caught:
        go_on(folder, situation, newest_copy=True)
    assert "recover.blocked" == caught.value.code
    assert not (folder / "recover.json").exists()


def test_a_place_outside_that_knows_more_stops_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = made(tmp_path / "data", 20, outside=outside)
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    ledger = Site(root).open_ledger()
    append(ledger, 10)
    ledger.close("More was written.")
    shutil.copy(root / "log/checkpoint", outside / "checkpoint")
    assert "fork.behind" == refused(copy)
    situation = look(copy)
    assert [outside] == [Path(one.where) for one in situation.ahead]
    with pytest.raises(Corruption, match="are missing, and were signed"):
        go_on(copy, situation, newest_copy=True)


def test_a_new_log_names_the_old_one(folder: Path, tmp_path: Path) -> None:
    situation = look(folder)
    with pytest.raises(InvalidInput, match="name of the old log"):
        begin_anew(folder, tmp_path / "same", ORIGIN, None, situation)
    begin_anew(folder, tmp_path / "new", "log.example/clinic-2", "alice", situation)
    opening = Site(tmp_path / "new").read_only().record(0).content
    assert isinstance(opening, dict)
    previous = opening["previous"]
    assert isinstance(previous, dict)
    signed = situation.found.signed
    assert signed is not None
    assert (ORIGIN, signed.size, signed.root.hex()) == (previous["origin"], previous["size"], previous["root"])
    assert (folder / "log/checkpoint").read_text() == previous["checkpoint"]
    holds(tmp_path / "new")
    site = Site(tmp_path / "new")
    verdict = verify(open_archive(str(tmp_path / "new")), [site.secrets.verifier], site.secrets.body_keys_by_id)
    assert (
        f"it goes on from the log {ORIGIN}, whose newest known checkpoint was of {signed.size}"
        in verdict.checks[6].detail
    )


def test_a_recovery_that_stopped_is_taken_up_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(segment(folder), 5_000)
    situation = look(folder)

    def stop(site: Site) -> None:
        raise OSError("the power failed")

    with monkeypatch.context() as patched:
        patched.setattr("affidavit.compose.recovering._open", stop)
        with pytest.raises(OSError, match="power"):
            go_on(folder, situation, newest_copy=False)
    assert "recover.pending" == refused(folder)
    go_on(folder, look(folder), newest_copy=False)
    assert not (folder / "recover.json").exists()
    holds(folder)


def test_the_command_asks_before_it_changes_anything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["recover", "--data", str(folder)])
    flip(folder / "log/tile/entries/000", -1)
    assert 1 == run(["recover", "--data", str(folder)])
    said = capsys.readouterr().out
    assert "log/tile/entries/000" in said
    assert "Nothing was changed." in said
    assert 0 == run(["recover", "--data", str(folder), "--yes", "--json"])
    done = json.loads(capsys.readouterr().out)
    assert (True, ["log/tile/entries/000"]) == (done["done"], done["written"])
    assert 2 == run(["recover", "--data", str(folder), "--new", str(folder.with_name("new"))])


def test_the_snapshot_is_compared_with_a_fold_of_the_records(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert look(folder).found.snapshot
    flip(folder / "standing", -2)
    assert ["standing.differs"] == [one.code for one in look(folder).found.faults]
    assert 1 == run(["fsck", "--data", str(folder), "--clean"])
    assert "Removed standing." in capsys.readouterr().out
    assert 0 == run(["fsck", "--data", str(folder)])
    holds(folder)


def test_a_snapshot_that_says_something_else_under_the_right_key(folder: Path) -> None:
    site = Site(folder)
    key = snapshot_key(site.secrets.digest_key)
    signed = look(folder).found.signed
    assert signed is not None
    snapshot = read_snapshot(site.disk, site.layout, key, signed)
    snapshot.standing.state += 1
    write_snapshot(site.disk, site.layout, key, snapshot.checkpoint, snapshot.standing)
    assert ["standing.differs"] == [one.code for one in look(folder).found.faults]


def test_administration_is_given_back_by_the_logs_key_and_every_verdict_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(folder)
    with pytest.raises(InvalidInput, match="administrator already"):
        restore_administrator(folder, "alice", "test")
    change = folder.parent / "change.yaml"
    change.write_text("identity/bob: {kind: human}\n")
    assert 0 == run(["apply", str(change), "--reason", "a second person", "--yes", "--data", str(folder)])
    capsys.readouterr()
    assert 2 == run(["recover", "--data", str(folder), "--administrator", "bob", "--reason", "alice left"])
    assert "proves another identity already" in capsys.readouterr().err
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("affidavit.compose.recovering.os.getuid", lambda: 54_321)
        index = restore_administrator(folder, "bob", "alice left")
    verdict = verify(open_archive(str(folder)), [site.secrets.verifier], site.secrets.body_keys_by_id)
    changes = verdict.checks[14]
    assert ("passed", ()) == (changes.status, changes.findings)
    assert f"record {index} gave administration to" in changes.detail
    assert not look(folder).needed
    record = site.read_only().record(index)
    assert ("change", "recovery") == (record.header.kind, record.content["via"]["method"])


def test_a_log_whose_key_was_rotated_is_examined_copied_and_recovered(tmp_path: Path) -> None:
    world = rotated()
    folder = Path(shutil.copytree(world.root, tmp_path / "data"))
    assert [] == look(folder).found.faults
    copied = backup(folder, tmp_path / "copy", None, secrets=True)
    assert (copied.size, []) == (look(tmp_path / "copy").found.size, look(tmp_path / "copy").found.faults)
    shutil.copy(folder / "log/checkpoint", folder / "checkpoints" / f"{copied.size:020d}")
    (folder / "log/checkpoint").unlink()
    flip(segment(folder), 5_000)
    go_on(folder, look(folder), newest_copy=False)
    holds(folder)
    # The newest checkpoint known may be one of the key before: the new log names that key then.
    for path in (*(folder / "checkpoints").iterdir(), folder / "log/checkpoint"):
        path.unlink()
    (folder / "log/checkpoint").write_bytes(world.kept[0])
    begin_anew(folder, tmp_path / "new", "log.example/clinic-2", "alice", look(folder))
    opening = Site(tmp_path / "new").read_only().record(0).content
    assert opening["previous"]["key"] == world.old.verifier.to_text()
