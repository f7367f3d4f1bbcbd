"""What an archive's files are read through: `Source`, and the one rule for paths that every source keeps.

A source is read by verifiers on behalf of people who trust nobody, so it promises: paths stay inside it,
symbolic links are not followed, a file is bounded before it is read, and nothing raw leaves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from affidavit.errors import Corruption, InvalidInput
from affidavit.limits import ARCHIVE_DEPTH_MAX, ARCHIVE_PATH_BYTES_MAX


class Source(Protocol):
    """Files by relative posix path; safe to use from several threads."""

    @property
    def name(self) -> str:
        """What to call it in messages and verdicts: a folder's path or a URL."""
        ...

    def get(self, path: str, limit: int) -> bytes | None:
        """The whole file, at most `limit` bytes, or None where there is none.

        Raises `InvalidInput` for a path that leaves the source, `Corruption` for what is not a plain file of
        at most `limit` bytes, `Unavailable` where it cannot be read now. An implementation never returns part
        of a file.
        """
        ...

    def paths(self) -> Iterator[str] | None:
        """Every file's path in ascending order, links and special files included; None where unlistable.

        Raises `Unavailable` or `Corruption` while iterating.
        """
        ...


def path_parts(path: str) -> list[str]:
    """The names along a relative posix path. Raises `InvalidInput` unless it is plain and stays inside."""
    parts = path.split("/")
    plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) <= ARCHIVE_PATH_BYTES_MAX
    if not plain or len(parts) > ARCHIVE_DEPTH_MAX or any(part in ("", ".", "..") for part in parts):
        raise InvalidInput("archive.path", f"{path[:100]!r} is not a path inside an archive.")
    return parts


def too_large(name: str, path: str, limit: int) -> Corruption:
    """The error for a file above its bound."""
    return Corruption(
        "archive.too_large",
        f"{path} in {name} is larger than {limit} bytes, the most that such a file can have.",
        "It is not what a log writes: keep it and look at it by hand.",
    )
