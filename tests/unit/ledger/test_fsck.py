"""What an operator's examination says about a log: whole, damaged where a copy is left, damaged where none is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from logmaker import BODY_KEY, ORIGIN, SIGNER, write_log
from tampering.kinds import LONG, SHORT, Case, make_case
from tampering.table import ROWS

from affidavit.durable import Disk, OsDisk
from affidavit.errors import Unavailable
from affidavit.ledger.fsck import Examination, Remedy, examine
from affidavit.ledger.layout import Layout
from affidavit.ledger.snapshot import snapshot_key

KEY = snapshot_key(bytes(32))
_ELSEWHERE = "it lies elsewhere, and no examination of the folder reads it"
#: Alterations of files that no examination of the folder alone can show, and why.
UNSEEN = {
    "kept checkpoint: changed": _ELSEWHERE,
    "kept checkpoint: cut": _ELSEWHERE,
    "kept checkpoint in DIR/checkpoints: removed": "nobody promised that the log keeps one, so none is missed",
    "secrets: the body keys removed": "the keys are given to the examination",
    "journal segment: the first removed": "pruning does the same, once its entries are published",
    "journal segment: a record made up behind the last published one": "no checkpoint speaks of it yet: it is counted",
    "whole folder: put back to an older copy": "an older copy is a whole log",
    "whole folder: records cut that were durable but not yet published": "no checkpoint speaks of them yet",
}


def look(root: Path, *, keys: bool = True, disk: Disk | None = None) -> Examination:
    body_keys = {BODY_KEY.id: BODY_KEY} if keys else {}
    return examine(disk or OsDisk(), Layout(root), (SIGNER.verifier,), body_keys, ORIGIN, KEY)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("original") / "data", LONG)


@pytest.fixture
def case(original: Case, tmp_path: Path) -> Case:
    folder = Path(shutil.copytree(original.folder, tmp_path / "data"))
    return Case(folder, original.play, original.records, original.kept)


def test_a_whole_log(case: Case) -> None:
    seen: list[tuple[str, int, int]] = []
    found = examine(
        OsDisk(), Layout(case.folder), (SIGNER.verifier,), {BODY_KEY.id: BODY_KEY}, ORIGIN, KEY,
        lambda what, done, count: seen.append((what, done, count)),
    )  # fmt: skip
    assert [] == found.faults
    assert (0, LONG, "vote", LONG, 0) == (found.exit_status, found.size, found.rule, found.bodies_read, found.beyond)
    assert [("records", 256, LONG), ("records", LONG, LONG), ("files", LONG, LONG)] == seen


def test_without_body_keys_it_says_that_bodies_were_not_read(case: Case) -> None:
    found = look(case.folder, keys=False)
    assert (3, 0, LONG) == (found.exit_status, found.bodies_read, found.bodies_unread)


FILE_ROWS = [row for row in ROWS if row.size == LONG and row.name not in UNSEEN]


@pytest.mark.parametrize("row", FILE_ROWS, ids=lambda row: row.name.replace(" ", "_"))
def test_every_altered_file_is_found(case: Case, row: object) -> None:
    row.alter(case)  # type: ignore[attr-defined]
    found = look(case.folder)
    assert 1 == found.exit_status
    assert found.faults


@pytest.mark.parametrize("name", UNSEEN, ids=lambda name: name.replace(" ", "_"))
def test_what_the_folder_alone_cannot_show_is_not_called_a_fault(case: Case, name: str) -> None:
    row = next(row for row in ROWS if row.name == name)
    row.alter(case)
    found = look(case.folder)
    assert [] == found.faults
    assert (1 if "made up" in name else 0) == found.beyond


@pytest.mark.parametrize("bit", [0x80, 0x40, 0x20])
def test_a_digest_that_is_none_any_more_is_a_finding(case: Case, bit: int) -> None:
    """A bit of it turns over where the journal has no better copy: the bytes are no UTF-8, or no hex digits."""
    sorted((case.folder / "journal").iterdir())[0].unlink()
    path = case.folder / "log/tile/entries/000"
    data = bytearray(path.read_bytes())
    data[data.index(b'"body":"') + 10] ^= bit
    path.write_bytes(data)
    faults = [(one.code, one.remedy) for one in look(case.folder).faults]
    # A header that still can be read names no body that is there.
    assert faults in ([("bundle.entries", Remedy.COPY)], [("bundle.entries", Remedy.COPY), ("body.lost", Remedy.COPY)])


@pytest.mark.parametrize("name", ["log/checkpoint", "log/tile/1/000.p/1", "log/tile/0/000", "bodies/000", "journal"])
def test_what_cannot_be_read_is_not_called_damaged(case: Case, name: str) -> None:
    """A disk that refuses to read says nothing of what lies there: no copy is put in its place."""

    class Refusing(OsDisk):
        def read(self, path: Path, limit: int) -> bytes | None:
            if name in (str(path.relative_to(case.folder)), path.parent.name):
                raise Unavailable("disk.read", f"Could not read {path}: simulated.")
            return super().read(path, limit)

    assert (case.folder / name).exists()
    with pytest.raises(Unavailable, match="simulated"):
        look(case.folder, disk=Refusing())


def test_what_the_journal_holds_can_be_written_again(case: Case) -> None:
    (case.folder / "log/tile/entries/000").unlink()
    (case.folder / "log/tile/0/000").write_bytes(bytes(8192))
    (case.folder / "bodies/000").unlink()
    found = look(case.folder)
    assert {Remedy.REWRITE} == {one.remedy for one in found.faults}
    assert ({0}, "vote") == (found.bundles, found.rule)
    assert {"log/tile/entries/000", "log/tile/0/000", "bodies/000"} == {one.where for one in found.faults}


def test_what_is_published_can_be_written_into_the_journal_again(case: Case) -> None:
    segment = sorted((case.folder / "journal").iterdir())[0]
    data = bytearray(segment.read_bytes())
    data[500] ^= 1
    segment.write_bytes(data)
    found = look(case.folder)
    assert [("journal.damage", Remedy.REWRITE, 0)] == [(one.code, one.remedy, one.index) for one in found.faults]


def test_what_no_copy_holds_must_be_brought_back(case: Case) -> None:
    shutil.rmtree(case.folder / "journal")
    (case.folder / "journal").mkdir()
    (case.folder / "log/tile/entries/000").unlink()
    found = look(case.folder)
    remedies = {one.where: one.remedy for one in found.faults}
    assert Remedy.COPY == remedies["log/tile/entries/000"]


def test_a_checkpoint_that_is_gone_is_replaced_by_the_newest_kept_one(case: Case) -> None:
    (case.folder / "checkpoints").mkdir()
    for note, size in ((case.kept[1], 200), (case.kept[-1], LONG)):
        (case.folder / "checkpoints" / f"{size:020d}").write_bytes(note)
    (case.folder / "log/checkpoint").unlink()
    found = look(case.folder)
    assert [("log.checkpoint", Remedy.REWRITE)] == [(one.code, one.remedy) for one in found.faults]
    assert (LONG, 2, False) == (found.size, found.kept, found.published)


def test_a_kept_checkpoint_of_another_history(case: Case, tmp_path: Path) -> None:
    notes = write_log(tmp_path / "other", make_case(tmp_path / "short", SHORT).records, (40,))
    (case.folder / "checkpoints").mkdir()
    (case.folder / "checkpoints" / f"{40:020d}").write_bytes(notes[0])
    assert [("log.fork", Remedy.NEW)] == [(one.code, one.remedy) for one in look(case.folder).faults]


def test_left_over_files_are_no_fault(case: Case) -> None:
    (case.folder / "unfinished/log").mkdir(parents=True)
    (case.folder / "unfinished/log/0").write_bytes(b"half")
    found = look(case.folder)
    assert 0 == found.exit_status
    rubbish = {one.where for one in found.strays if one.rubbish}
    assert {"unfinished/log/0", "log/tile/0/000.p/200", "bodies/000.p/3"} <= rubbish
