"""The operating system's disk: what is refused, what is whole, what is private."""

from __future__ import annotations

import os
from collections.abc import Callable
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
    with pytest.raises(Corruption, match="not a regular file"):
        disk.read(tmp_path / "link", 100)
    with pytest.raises(Corruption, match="not a regular file"):
        disk.read(tmp_path, 100)


def test_a_link_is_no_folder_and_a_copy_can_bear_the_time_of_its_original(tmp_path: Path) -> None:
    disk = OsDisk()
    (tmp_path / "file").write_bytes(b"ab")
    (tmp_path / "copy").write_bytes(b"ab")
    (tmp_path / "link").symlink_to(tmp_path)
    assert [True, False, False, False] == [
        disk.is_folder(path) for path in (tmp_path, tmp_path / "link", tmp_path / "file", tmp_path / "absent")
    ]
    stamp = (2, 1_000_000_000)
    disk.restamp(tmp_path / "copy", stamp)
    assert (stamp, None) == (disk.stamp(tmp_path / "copy"), disk.stamp(tmp_path / "absent"))
    assert stamp != disk.stamp(tmp_path / "file")


def test_a_key_file_that_others_may_read_is_refused_with_what_to_do(tmp_path: Path) -> None:
    disk, path = OsDisk(), tmp_path / "log.key"
    disk.write_synced([(path, b"secret")], PRIVATE)
    assert b"secret" == disk.read_private(path, 10)
    path.chmod(0o640)
    with pytest.raises(InvalidInput, match="chmod 600") as caught:
        disk.read_private(path, 10)
    assert "disk.permissions" == caught.value.code


STRANGER = 54_321
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="giving files away takes root")


def secret_in(folder: Path) -> Path:
    path = folder / "secrets" / "log.key"
    clear_temporary(OsDisk(), folder / "unfinished")
    write_whole(OsDisk(), folder / "unfinished", [(path, b"secret")], PRIVATE)
    assert b"secret" == OsDisk().read_private(path, 10)
    return path


def refused_code(path: Path) -> tuple[str, str]:
    with pytest.raises(InvalidInput) as refused:
        OsDisk().read_private(path, 10)
    return refused.value.code, refused.value.hint


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o770, 0o1777, 0o722])
def test_a_key_in_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret_in(tmp_path)
    path.parent.chmod(mode)
    assert ("disk.permissions", f"Run: chmod 700 {path.parent}") == refused_code(path)
    path.parent.chmod(0o755)
    assert b"secret" == OsDisk().read_private(path, 10), "that others see its name harms nothing"


def test_a_key_is_read_through_no_link(tmp_path: Path) -> None:
    path = secret_in(tmp_path)
    (tmp_path / "linked").symlink_to(path.parent)
    assert "disk.link" == refused_code(tmp_path / "linked" / "log.key")[0]
    (tmp_path / "secrets" / "link.key").symlink_to(path)
    with pytest.raises(Corruption, match="not a regular file"):
        OsDisk().read_private(tmp_path / "secrets" / "link.key", 10)
    os.mkfifo(tmp_path / "secrets" / "pipe.key", 0o600)
    with pytest.raises(Corruption, match="not a regular file"):
        OsDisk().read_private(tmp_path / "secrets" / "pipe.key", 10)
    assert OsDisk().read_private(tmp_path / "secrets" / "absent.key", 10) is None
    assert OsDisk().read_private(tmp_path / "nowhere" / "log.key", 10) is None


@AS_ROOT
def test_a_key_or_folder_of_another_user_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = secret_in(tmp_path)
    os.chown(path, STRANGER, -1)
    code, hint = refused_code(path)
    assert "disk.owner" == code and hint.endswith(f"chown 0 {path}")
    os.chown(path, 0, -1)
    os.chown(path.parent, STRANGER, -1)
    code, hint = refused_code(path)
    assert "disk.owner" == code and hint.endswith(f"chown 0 {path.parent}")


@AS_ROOT
def test_another_user_reads_roots_key_where_root_lets_them_and_is_told_where_not(tmp_path: Path) -> None:
    path = secret_in(tmp_path)
    told = as_stranger(tmp_path, lambda: refused_code(path))
    assert "disk.owner" in told and "chown" in told
    path.parent.chmod(0o755)
    os.chown(path, STRANGER, -1)
    assert "b'secret'" == as_stranger(tmp_path, lambda: OsDisk().read_private(path, 10)), "in a folder of root's"
    os.chown(path, STRANGER + 1, -1)
    assert "disk.owner" in as_stranger(tmp_path, lambda: refused_code(path))


@AS_ROOT
def test_no_secret_is_written_into_a_file_that_another_user_put_there(tmp_path: Path) -> None:
    """They may, where a folder above was theirs to write to; the file is theirs, and open in their process."""
    drafts = tmp_path / "unfinished"
    drafts.mkdir()
    (drafts / "0").write_bytes(b"")
    os.chown(drafts / "0", STRANGER, -1)
    for mode in (0o600, 0o666):
        (drafts / "0").chmod(mode)
        with pytest.raises(InvalidInput) as refused:
            write_whole(OsDisk(), drafts, [(tmp_path / "log.key", b"secret")], PRIVATE)
        assert ("disk.owner", b"") == (refused.value.code, (drafts / "0").read_bytes())
    assert not (tmp_path / "log.key").exists()


def test_no_secret_is_written_into_a_file_that_others_may_read(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"")
    (tmp_path / "0").chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        OsDisk().write_synced([(tmp_path / "0", b"secret")], PRIVATE)
    assert b"" == (tmp_path / "0").read_bytes()


def as_stranger(folder: Path, act: Callable[[], object]) -> str:
    """What `act` gives in a process of another user, which the folders above let through."""
    for above in (folder, *folder.parents):
        if above.stat().st_uid == 0 and above.stat().st_mode & 0o777 == 0o700:
            above.chmod(0o711)
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.setresuid(STRANGER, STRANGER, STRANGER)
        try:
            said = repr(act())
        except BaseException as error:
            said = repr(error)
        os.write(theirs, said.encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(pid, 0)
    return said


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
