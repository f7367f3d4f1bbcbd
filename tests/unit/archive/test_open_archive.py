"""What lies at a location, and reading a log's parts by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from affidavit.archive.folder import Folder
from affidavit.archive.log import LogFiles
from affidavit.archive.open import open_archive
from affidavit.errors import InvalidInput, VerificationError
from affidavit.tlog.hashing import leaf_hash
from affidavit.tlog.tiles import encode_entries


def test_a_data_folder_has_its_parts(tmp_path: Path) -> None:
    for name in ("log", "bodies", "journal", "secrets"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint").touch()
    archive = open_archive(str(tmp_path))
    parts = [part.name for part in (archive.log, archive.bodies, archive.journal) if part is not None]
    assert [str(tmp_path / name) for name in ("log", "bodies", "journal")] == parts
    assert tmp_path / "secrets" == archive.secrets
    assert str(tmp_path) == archive.location


def test_parts_that_are_not_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "bodies").touch()
    archive = open_archive(str(tmp_path))
    assert (None, None, None) == (archive.bodies, archive.journal, archive.secrets)


def test_a_log_folder_is_only_a_log(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").touch()
    archive = open_archive(str(tmp_path))
    assert str(tmp_path) == archive.log.name
    assert (None, None, None) == (archive.bodies, archive.journal, archive.secrets)


def test_a_url_is_only_a_log() -> None:
    archive = open_archive("https://log.example/a")
    assert ("https://log.example/a/", None, None, None) == (
        archive.log.name,
        archive.bodies,
        archive.journal,
        archive.secrets,
    )


def test_other_locations_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for location in ("", "a\0b", "ftp://log.example/", str(tmp_path), str(tmp_path / "file"), str(tmp_path / "gone")):
        with pytest.raises(InvalidInput) as refused:
            open_archive(location)
        assert "archive.location" == refused.value.code
        assert refused.value.hint


def test_parts_of_a_log_are_read_from_the_partial_or_the_full_file(tmp_path: Path) -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(256)]
    entries = [b"%d" % number for number in range(256)]
    for folder in ("tile/0", "tile/entries"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tile/0/000").write_bytes(b"".join(hashes))
    (tmp_path / "tile/entries/000").write_bytes(encode_entries(entries))
    (tmp_path / "tile/entries/001.p").mkdir()
    (tmp_path / "tile/entries/001.p/2").write_bytes(encode_entries(entries[:2]))
    (tmp_path / "checkpoint").write_bytes(b"note")
    log = LogFiles(Folder(tmp_path))
    assert b"note" == log.checkpoint()
    assert b"".join(hashes) == log.tile(0, 0, 256)
    assert b"".join(hashes[:3]) == log.tile(0, 0, 3)
    assert entries == log.entries(0, 256)
    assert entries[:3] == log.entries(0, 3)
    assert entries[:2] == log.entries(1, 2)


def test_a_part_that_is_absent_or_of_another_length_is_refused(tmp_path: Path) -> None:
    log = LogFiles(Folder(tmp_path))
    for read in (log.checkpoint, lambda: log.tile(0, 0, 256), lambda: log.tile(0, 0, 3), lambda: log.entries(0, 3)):
        with pytest.raises(VerificationError) as refused:
            read()
        assert "log.absent" == refused.value.code
    (tmp_path / "tile/0").mkdir(parents=True)
    (tmp_path / "tile/0/000").write_bytes(b"\0" * 96)
    for width in (3, 256):
        with pytest.raises(VerificationError) as refused:
            log.tile(0, 0, width)
        assert "tile.length" == refused.value.code
