"""What the ledger asks of a disk: few methods, each saying what it guarantees, and the operating system's disk.

Everything that must survive a crash goes through `Disk`, so that a simulated disk that loses, tears and reorders what
was not synced can stand in for the real one. A failed write or sync is fatal to its caller: the kernel may have thrown
the pages away, so a second sync of the same descriptor would report success over lost data. No method retries.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar

from affidavit.errors import AffidavitError, Corruption, InvalidInput, Unavailable
from affidavit.limits import LOCK_BYTES_MAX, LOCK_WAIT_S

PRIVATE, PUBLIC = 0o600, 0o644
PRIVATE_FOLDER, PUBLIC_FOLDER = 0o700, 0o755
_OTHERS, _WRITABLE = 0o077, 0o022
_LINK_HINT = "Put the folder itself there, or mount it there."
_Result = TypeVar("_Result")
#: Length in bytes and time of last change in ns, by which a file that was not written to since is told.
Stamp = tuple[int, int]
_LOCK_AGAIN_S = 0.02


class AppendFile(Protocol):
    """An open file that is written at positions and synced. After an error it may only be closed."""

    @property
    def size(self) -> int:
        """The file's length in bytes, by what was written through this object and what was there."""

    def write_at(self, offset: int, data: bytes) -> None:
        """Write all of `data`. Not durable before `sync`. Raises `Unavailable`."""

    def sync(self) -> None:
        """All that was written is durable when this returns. Raises `Unavailable`; then nothing may be assumed."""

    def close(self) -> None: ...


class ReadFile(Protocol):
    """An open file that somebody else may be writing."""

    def read_at(self, offset: int, count: int) -> bytes:
        """`count` bytes, or fewer where the file ends. Raises `Unavailable`."""

    def close(self) -> None: ...


class Lock(Protocol):
    """A lock that is held until `release`, or until the process ends, however it ends."""

    @property
    def descriptor(self) -> int | None:
        """What a process of ours inherits so that the lock is held until it has ended too; None where none can."""

    def release(self) -> None: ...


class Disk(Protocol):
    """Files by path. Raises `Unavailable` where the system refuses, never an `OSError`."""

    def read(self, path: Path, limit: int) -> bytes | None:
        """The whole file, or None where there is none. Raises `Corruption` above `limit` bytes, and for what is no
        file: links are not followed."""

    def read_private(self, path: Path, limit: int) -> bytes | None:
        """As `read`, for what nobody else may know or choose. Raises `InvalidInput` where the group or others may do
        anything with the file or write to its folder, where either belongs to another user than this process's or root,
        or where the folder is a link."""

    def exists(self, path: Path) -> bool:
        """True where a file or folder of that name is."""

    def is_folder(self, path: Path) -> bool:
        """True where a folder of that name is, links not followed."""

    def stamp(self, path: Path) -> Stamp | None:
        """When the file was last changed; None where there is none."""

    def restamp(self, path: Path, stamp: Stamp) -> None:
        """Give the file the time of another one that it is a copy of. Not durable: a stop may lose it."""

    def names(self, folder: Path) -> list[str]:
        """The names in a folder, sorted; none where there is no such folder."""

    def make_folder(self, path: Path, mode: int) -> None:
        """The folder is there when this returns, durably, with its parents. One that exists is left as it is."""

    def write_synced(self, files: Sequence[tuple[Path, bytes]], mode: int) -> None:
        """Each file is new or replaced and its content durable when this returns; its *name* is not yet.

        Nothing is written into a file that others than this process's user may use where `mode` is `PRIVATE`."""

    def rename(self, source: Path, target: Path) -> None:
        """`target` is atomically the file that was `source`; durable after `sync_folder` of both folders."""

    def unlink(self, path: Path) -> None:
        """The file, or empty folder, is gone; durable after `sync_folder`. One that is not there is no error."""

    def sync_folder(self, path: Path) -> None:
        """The names in a folder are durable when this returns."""

    def settle(self, path: Path) -> None:
        """An existing file's content is durable when this returns, and the next `read` asks the medium for it where the
        system offers that."""

    def open_append(self, path: Path) -> AppendFile:
        """An existing file, for writing at positions."""

    def lock(self, path: Path) -> Lock:
        """The one lock of that name. Raises `Unavailable` where another process holds it, naming its pid: at once, but
        where that one is gone and only a process that it started is not, which may take a moment to end."""


def write_whole(disk: Disk, temporary: Path, files: Sequence[tuple[Path, bytes]], mode: int) -> None:
    """Write files so that each is, after a crash at any moment, either as before or whole; durable on return.

    `temporary` is a folder on the same file system that holds nothing else; a crash may leave files there. The files
    stand in for each other in no order: what must come later needs a later call.
    """
    drafts = [(temporary / f"{number}", path, data) for number, (path, data) in zip(count(), files, strict=False)]
    for folder in sorted({path.parent for _, path, _ in drafts}):
        disk.make_folder(folder, PUBLIC_FOLDER if mode == PUBLIC else PRIVATE_FOLDER)
    disk.write_synced([(draft, data) for draft, _, data in drafts], mode)
    for draft, path, _ in drafts:
        disk.rename(draft, path)
    for folder in sorted({path.parent for _, path, _ in drafts}):
        disk.sync_folder(folder)


def clear_temporary(disk: Disk, temporary: Path) -> None:
    """Make the folder for `write_whole`, and remove what a crash left in it."""
    disk.make_folder(temporary, PRIVATE_FOLDER)
    for name in disk.names(temporary):
        disk.unlink(temporary / name)


class OsDisk:
    """The operating system's files."""

    def read(self, path: Path, limit: int) -> bytes | None:
        return self._read(path, limit)

    def read_private(self, path: Path, limit: int) -> bytes | None:
        try:
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            if self._call("read", path.parent, path.parent.is_symlink):
                raise InvalidInput(
                    "disk.link", f"{path.parent} is a link, and secrets are not read through one.", _LINK_HINT
                ) from None
            raise _not_ours("read", path.parent, error) from None
        try:
            _check_private(path.parent, os.fstat(folder), _WRITABLE, "700")
            return self._read(path, limit, folder)
        finally:
            os.close(folder)

    def exists(self, path: Path) -> bool:
        return self._look(path) is not None

    def is_folder(self, path: Path) -> bool:
        found = self._look(path)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def stamp(self, path: Path) -> Stamp | None:
        found = self._look(path)
        return None if found is None else (found.st_size, found.st_mtime_ns)

    def restamp(self, path: Path, stamp: Stamp) -> None:
        def change() -> None:
            os.utime(path, ns=(stamp[1], stamp[1]), follow_symlinks=False)

        self._call("stamp", path, change)

    def names(self, folder: Path) -> list[str]:
        try:
            return sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths, are wanted
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unavailable("list", folder, error) from None

    def make_folder(self, path: Path, mode: int) -> None:
        if self._call("create", path, path.is_dir):
            return
        self.make_folder(path.parent, mode)
        try:
            path.mkdir(mode=mode, exist_ok=True)
        except OSError as error:
            raise _unavailable("create", path, error) from None
        self.sync_folder(path.parent)

    def write_synced(self, files: Sequence[tuple[Path, bytes]], mode: int) -> None:
        # All are written before the first is synced: the first sync then makes the file system commit once for all.
        open_files: list[tuple[Path, int]] = []
        try:
            for path, data in files:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
                open_files.append((path, self._call("create", path, os.open, path, flags, mode)))
                if mode == PRIVATE:  # somebody else may have put it there, to read what is written
                    _check_private(path, self._call("look at", path, os.fstat, open_files[-1][1]), _OTHERS, "600")
                self._call("write", path, _write_all, open_files[-1][1], data)
            for path, descriptor in open_files:
                self._call("sync", path, os.fsync, descriptor)
        finally:
            for _, descriptor in open_files:
                os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._call("rename", source, os.replace, source, target)

    def unlink(self, path: Path) -> None:
        try:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable("remove", path, error) from None

    def sync_folder(self, path: Path) -> None:
        descriptor = self._call("open", path, os.open, path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._call("sync", path, os.fsync, descriptor)
        finally:
            os.close(descriptor)

    def settle(self, path: Path) -> None:
        descriptor = self._call("open", path, os.open, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._call("sync", path, os.fsync, descriptor)
            self._call("sync", path, os.posix_fadvise, descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

    def open_append(self, path: Path) -> AppendFile:
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = self._call("open", path, os.open, path, flags)
        try:
            return _OsAppendFile(path, descriptor, self._call("open", path, os.fstat, descriptor).st_size)
        except BaseException:
            os.close(descriptor)
            raise

    def open_read(self, path: Path) -> ReadFile:
        """An existing file, for reading at positions."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        return _OsReadFile(path, self._call("open", path, os.open, path, flags))

    def lock(self, path: Path) -> Lock:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = self._call("open", path, os.open, path, flags, PRIVATE)
        try:
            self._call("lock", path, _take_lock, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return _OsLock(descriptor)

    @staticmethod
    def _look(path: Path) -> os.stat_result | None:
        # Not `lexists`: it takes every error for absence, and what cannot be looked at would then be written over.
        try:
            return path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unavailable("read", path, error) from None

    @staticmethod
    def _read(path: Path, limit: int, private_in: int | None = None) -> bytes | None:
        """`private_in`: the open folder of a private file; what was checked is then what is read, whoever renames."""
        name = path if private_in is None else path.name
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=private_in)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _no_file(path) from None
            raise (_unavailable if private_in is None else _not_ours)("read", path, error) from None
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise _no_file(path)
            if private_in is not None:
                _check_private(path, found, _OTHERS, "600")
            if found.st_size > limit:
                raise Corruption("disk.size", f"{path} holds {found.st_size} bytes; at most {limit} can be right.")
            return _read_all(descriptor, limit)
        except OSError as error:
            raise _unavailable("read", path, error) from None
        finally:
            os.close(descriptor)

    @staticmethod
    def _call(verb: str, path: Path, function: Callable[..., _Result], *arguments: object) -> _Result:
        try:
            return function(*arguments)
        except OSError as error:
            raise _unavailable(verb, path, error) from None


class _OsAppendFile:
    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    def write_at(self, offset: int, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._descriptor, view, offset)
                offset += written
                view = view[written:]
        except OSError as error:
            raise _unavailable("write", self._path, error) from None
        self._size = max(self._size, offset)

    def sync(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise _unavailable("sync", self._path, error) from None

    def close(self) -> None:
        os.close(self._descriptor)


class _OsReadFile:
    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def read_at(self, offset: int, count: int) -> bytes:
        parts: list[bytes] = []
        try:
            while count and (part := os.pread(self._descriptor, count, offset)):
                parts.append(part)
                offset += len(part)
                count -= len(part)
        except OSError as error:
            raise _unavailable("read", self._path, error) from None
        return b"".join(parts)

    def close(self) -> None:
        os.close(self._descriptor)


class _OsLock:
    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def release(self) -> None:
        os.close(self.descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_gone(holder: str) -> bool:
    try:
        os.kill(int(holder), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OverflowError, OSError):
        pass
    return False


def _take_lock(descriptor: int) -> None:
    """Take the lock, and say in the file who holds it. Raises `OSError` where the system refuses."""
    until = time.monotonic() + LOCK_WAIT_S
    while not _try_lock(descriptor):
        holder = os.pread(descriptor, LOCK_BYTES_MAX, 0).decode("ascii", "replace").strip() or "unknown"
        # One that is gone left a process of its own behind, which is ending.
        if not _is_gone(holder) or time.monotonic() > until:
            raise Unavailable(
                "log.locked",
                f"Another writer holds this log: process {holder}.",
                "Only one process may write. Speak to the one that runs, or stop it first.",
            )
        time.sleep(_LOCK_AGAIN_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_all(descriptor: int, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    while left > 0 and (part := os.read(descriptor, min(left, 1 << 24))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _check_private(path: Path, found: os.stat_result, forbidden: int, mode: str) -> None:
    """Raise `InvalidInput` where others may do what is `forbidden`, or own it: then they may give it to themselves."""
    user = os.geteuid()
    if found.st_uid not in (user, 0):
        raise InvalidInput(
            "disk.owner",
            f"{path} belongs to the user {found.st_uid}, and this process runs as {user}.",
            f"Run this as that user, for one command: sudo -u '#{found.st_uid}' … If that is not who keeps this log, "
            f"somebody put it there. To take it over, run: chown {user} {path}",
        )
    if found.st_mode & forbidden:
        what = "used" if forbidden == _OTHERS else "written to"
        raise InvalidInput(
            "disk.permissions",
            f"{path} may be {what} by others than its owner (mode {stat.S_IMODE(found.st_mode):04o}).",
            f"Run: chmod {mode} {path}",
        )


def _not_ours(verb: str, path: Path, error: OSError) -> AffidavitError:
    """For a private file or its folder: what its reader can do where they may not."""
    if error.errno not in (errno.EACCES, errno.EPERM):
        return _unavailable(verb, path, error)
    return InvalidInput(
        "disk.owner",
        f"The user {os.geteuid()}, as whom this process runs, may not {verb} {path}.",
        "Run this as the user who keeps the log, or give it to this one with chown.",
    )


def _no_file(path: Path) -> Corruption:
    return Corruption("disk.kind", f"{path} is not a regular file.", "Look at what stands in its place.")


def _unavailable(verb: str, path: Path, error: OSError) -> Unavailable:
    why = os.strerror(error.errno) if error.errno else str(error)
    return Unavailable(f"disk.{verb}", f"Could not {verb} {path}: {why}.", "See to the disk, then start again.")
