"""The operating system's disk: what is refused, what is whole, what is private."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from affidavit.durable import PRIVATE, PUBLIC, OsDisk, clear_temporary, write_whole
from affidavit.errors import Corruption, InvalidInput, Unavailable


def test_files_are_written_whole_in_folders_that_are_made(tmp_path: Path) -> None:
    disk, temporary = OsDisk(), tmp_path / "unfinished"
    clear_temporary(disk, temporary)
    files = [(tmp_path / "a" / "b" / "one", b"1"), (tmp_path / "a" / "two", b"22")]
    write_whole(disk, temporary, files, PUBLIC)
    write_whole(disk, temporary, [(tmp_path / "a" / "two", b"333")], PUBLIC)
    assert b"1" == disk.read(tmp_path / "a" / "b" / "one", 10)
    assert b"333" == disk.read(tmp_path / "a" / "two", 10)
    assert [] == disk.names(temporary)
    assert PUBLIC == os.stat(tmp_path / "a" / "two").st_mode & 0o777


def test_what_a_crash_left_unfinished_is_removed(tmp_path: Path) -> None:
    disk = OsDisk()
    clear_temporary(disk, tmp_path / "u")
    disk.write_synced([(tmp_path / "u" / "0", b"half")], PRIVATE)
    clear_temporary(disk, tmp_path / "u")
    assert [] == disk.names(tmp_path / "u")


def test_reading_is_bounded_and_follows_no_link(tmp_path: Path) -> None:
    disk = OsDisk()
    (tmp_path / "long").write_bytes(bytes(11))
    (tmp_path / "link").symlink_to(tmp_path / "long")
    assert disk.read(tmp_path / "absent", 10) is None
    with pytest.raises(Corruption, match="at most 10"):
        disk.read(tmp_path / "long", 10)
    with pytest.raises(Unavailable):
        disk.read(tmp_path / "link", 100)
    with pytest.raises(Corruption, match="not a regular file"):
        disk.read(tmp_path, 100)


def test_a_key_file_that_others_may_read_is_refused_with_what_to_do(tmp_path: Path) -> None:
    disk, path = OsDisk(), tmp_path / "log.key"
    disk.write_synced([(path, b"secret")], PRIVATE)
    assert b"secret" == disk.read_private(path, 10)
    path.chmod(0o640)
    with pytest.raises(InvalidInput, match="chmod 600") as caught:
        disk.read_private(path, 10)
    assert "disk.permissions" == caught.value.code


def test_a_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    disk = OsDisk()
    lock = disk.lock(tmp_path / "lock")
    with pytest.raises(Unavailable, match=f"process {os.getpid()}"):
        disk.lock(tmp_path / "lock")
    lock.release()
    disk.lock(tmp_path / "lock").release()


def test_appending_writes_at_positions_and_knows_the_length(tmp_path: Path) -> None:
    disk, path = OsDisk(), tmp_path / "segment"
    disk.write_synced([(path, b"head")], PRIVATE)
    file = disk.open_append(path)
    file.write_at(8, b"xy")
    file.write_at(4, b"ab")
    file.sync()
    assert 10 == file.size
    file.close()
    assert b"headab\0\0xy" == disk.read(path, 100)


def test_errors_of_the_system_come_as_unavailable(tmp_path: Path) -> None:
    disk = OsDisk()
    for broken in (
        lambda: disk.open_append(tmp_path / "absent"),
        lambda: disk.rename(tmp_path / "absent", tmp_path / "b"),
        lambda: disk.sync_folder(tmp_path / "absent"),
        lambda: disk.write_synced([(tmp_path / "absent" / "x", b"")], PRIVATE),
        lambda: disk.open_append(Path("/dev/full")).write_at(0, b"x"),
    ):
        with pytest.raises(Unavailable):
            broken()
    assert [] == disk.names(tmp_path / "absent")
    disk.unlink(tmp_path / "absent")


def test_what_is_said_to_be_durable_was_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated disk cannot see whether the real one syncs, and nor can a killed process: the calls are counted."""
    disk, synced = OsDisk(), set[str]()
    (tmp_path / "unfinished").mkdir()

    def sync(descriptor: int) -> None:
        synced.add(str(Path(os.readlink(f"/proc/self/fd/{descriptor}")).relative_to(tmp_path)))

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "fdatasync", sync)

    def newly() -> set[str]:
        found = set(synced)
        synced.clear()
        return found

    disk.make_folder(tmp_path / "a" / "b", 0o755)
    assert {".", "a"} == newly()
    disk.write_synced([(tmp_path / "a" / "one", b"1"), (tmp_path / "a" / "two", b"2")], PRIVATE)
    assert {"a/one", "a/two"} == newly()
    write_whole(disk, tmp_path / "unfinished", [(tmp_path / "a" / "b" / "three", b"3")], PUBLIC)
    assert {"unfinished/0", "a/b"} == newly()
    disk.sync_folder(tmp_path / "a")
    assert {"a"} == newly()
    disk.settle(tmp_path / "a" / "two")
    assert {"a/two"} == newly()
    file = disk.open_append(tmp_path / "a" / "one")
    file.write_at(1, b"x")
    assert set() == newly()
    file.sync()
    assert {"a/one"} == newly()
    file.close()


def test_what_cannot_be_looked_at_is_not_taken_for_absent(tmp_path: Path) -> None:
    disk = OsDisk()
    assert disk.exists(tmp_path)
    assert not disk.exists(tmp_path / "absent")
    assert not disk.exists(tmp_path / "absent" / "below")
    with pytest.raises(Unavailable):
        disk.exists(tmp_path / ("x" * 300))  # the system refuses the name
