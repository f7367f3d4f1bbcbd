"""A source over a folder: opened name by name without following links, each file bounded before it is read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from affidavit.archive.source import path_parts, too_large
from affidavit.errors import Corruption, Unavailable
from affidavit.limits import ARCHIVE_DEPTH_MAX

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO must not hang the reader
_ABSENT = (errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True, slots=True)
class Folder:
    """The files below `path`. The folder itself may be reached through a link: the caller named it."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.path)

    def get(self, path: str, limit: int) -> bytes | None:
        """As `Source.get` promises. A folder that is gone is `Unavailable`, not an absent file."""
        parts = path_parts(path)
        try:
            folder = os.open(self.path, _FOLDER_FLAGS)
        except OSError as error:
            raise self._unreadable("", error) from None
        try:
            for part in parts[:-1]:
                below = os.open(part, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = below
            file = os.open(parts[-1], _FILE_FLAGS, dir_fd=folder)
        except OSError as error:
            self._check_absent(path, error)
            return None
        finally:
            os.close(folder)
        try:
            return self._read(file, path, limit)
        except OSError as error:
            raise self._unreadable(path, error) from None
        finally:
            os.close(file)

    def paths(self) -> Iterator[str] | None:
        """As `Source.paths` promises."""
        return self._below("", 1)

    def _read(self, file: int, path: str, limit: int) -> bytes:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise Corruption("archive.not_a_file", f"{path} in {self.name} is not a plain file.")
        if found.st_size > limit:
            raise too_large(self.name, path, limit)
        chunks: list[bytes] = []
        left = limit + 1  # one byte more than allowed shows a file that grew since fstat
        while left and (chunk := os.read(file, min(left, found.st_size + 1))):
            chunks.append(chunk)
            left -= len(chunk)
        if not left:
            raise too_large(self.name, path, limit)
        return b"".join(chunks)

    def _check_absent(self, path: str, error: OSError) -> None:
        """Return where the error says that there is no such file; else raise what it means."""
        if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and self._crosses_link(path)):
            raise Corruption(
                "archive.link",
                f"{path} in {self.name} is, or lies behind, a symbolic link, which is not followed.",
                "Copy the real files there.",
            )
        if error.errno not in _ABSENT:
            raise self._unreadable(path, error)

    def _crosses_link(self, path: str) -> bool:
        """Whether a folder along the path is a link: opening it without following says only ENOTDIR."""
        at = self.path
        for part in path.split("/"):
            at = at / part
            if os.path.islink(at):  # noqa: PTH114 - unlike Path.is_symlink it never raises
                return True
        return False

    def _below(self, prefix: str, depth: int) -> Iterator[str]:
        if depth > ARCHIVE_DEPTH_MAX:
            raise Corruption("archive.depth", f"{self.name} has folders more than {ARCHIVE_DEPTH_MAX} deep.")
        try:
            with os.scandir(self.path / prefix) as entries:
                # A folder sorts as its name with "/": then the walk is in the order of whole paths.
                names = sorted(
                    entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries
                )
        except OSError as error:
            raise self._unreadable(prefix, error) from None
        for name in names:
            if name.endswith("/"):
                yield from self._below(prefix + name, depth + 1)
            else:
                yield prefix + name

    def _unreadable(self, path: str, error: OSError) -> Unavailable:
        return Unavailable(
            "archive.unreadable",
            f"{path or 'The folder'} in {self.name} cannot be read: {error.strerror or 'input error'}.",
            "Check that it is there and that you may read it, and try again.",
        )
