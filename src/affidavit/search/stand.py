"""How far a volume of the index goes, and which files it is: one small file under a code of the log's secrets.

The code says that we wrote it; the lengths and digests, that each file is still what it was then; the identity and the
last header, that it is about these records of this log. Whatever does not agree is built again from the log. A whole
volume that is put back as it was earlier agrees, and says how far it went then.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import msgspec

from affidavit.canonical import UNREADABLE
from affidavit.durable import PRIVATE, Disk, clear_temporary, write_whole
from affidavit.errors import Corruption
from affidavit.limits import SEARCH_STAND_BYTES_MAX

#: Raised with each change of the columns, or of what a stand says. What terms are made by, `MADE_BY` tells.
FORMAT = 1
STAND_NAME = "stand"
_UNFINISHED = "unfinished"
_CODE_BYTES = 32


class Stand(msgspec.Struct, frozen=True):
    """`first` and `stop` bound the records that are in the volume, `last` is the digest of the last one's header.

    `identity` names the log, the body keys that there were, and the code that made the terms. The records' times lie
    from the second `from_s` to `to_s`. `files`: length and digest of each, by name.
    """

    format: int
    identity: str
    first: int
    stop: int
    last: str
    from_s: int
    to_s: int
    files: dict[str, tuple[int, str]]


_stands = msgspec.json.Decoder(Stand)


def write_stand(disk: Disk, folder: Path, key: bytes, stand: Stand) -> None:
    """Put `stand` in place, whole or not at all. Raises `Unavailable`."""
    data = msgspec.json.encode(stand)
    temporary = folder / _UNFINISHED
    clear_temporary(disk, temporary)
    write_whole(disk, temporary, [(folder / STAND_NAME, _code(key, data) + data)], PRIVATE)


def read_stand(disk: Disk, folder: Path, key: bytes) -> Stand | None:
    """The stand in `folder`; None where there is none that we wrote. Raises `Unavailable`."""
    try:
        sealed = disk.read(folder / STAND_NAME, SEARCH_STAND_BYTES_MAX)
        if sealed is None or not hmac.compare_digest(_code(key, sealed[_CODE_BYTES:]), sealed[:_CODE_BYTES]):
            return None
        return _stands.decode(sealed[_CODE_BYTES:])
    except (Corruption, *UNREADABLE):
        return None


def clear_folder(disk: Disk, folder: Path) -> None:
    """Remove all that lies in the folder of a volume, durably. Raises `Unavailable`."""
    if not disk.is_folder(folder):
        return
    for name in sorted(
        disk.names(folder), key=lambda name: name != STAND_NAME
    ):  # without its stand the rest is nothing
        if disk.is_folder(folder / name):
            for inner in disk.names(folder / name):
                disk.unlink(folder / name / inner)
        disk.unlink(folder / name)
    disk.sync_folder(folder)


def clear_index(disk: Disk, folder: Path) -> None:
    """Remove the whole index, durably. Raises `Unavailable`."""
    for name in disk.names(folder):
        clear_folder(disk, folder / name)
        disk.unlink(folder / name)
    if disk.is_folder(folder):
        disk.sync_folder(folder)


def digest_of(path: Path) -> tuple[int, str]:
    """Length and digest of a file. Raises `OSError`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32))
        return file.tell(), digest.hexdigest()


def mark_of(raw: bytes) -> str:
    """What stands for a header: records of two logs, or of two histories of one, have different ones."""
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


def _code(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CODE_BYTES, key=key).digest()
