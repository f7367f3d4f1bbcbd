"""Checkpoints kept outside: written after each publication, compared before the log is written to again.

A folder outside holds `checkpoint`, the newest one, and one for each hour, `checkpoint-YYYY-MM-DDTHH`. Only such a
copy shows a rewrite by somebody who holds the log's key (`affidavit verify --kept`), and only it shows the writer that
its own disk was put back to an earlier time: then going on would sign a second history.
"""

from __future__ import annotations

from pathlib import Path

from affidavit.durable import PUBLIC, Disk, clear_temporary, write_whole
from affidavit.errors import AffidavitError, Corruption
from affidavit.limits import NOTE_BYTES_MAX, TILE_BYTES_MAX
from affidavit.tlog.checkpoint import Checkpoint, open_checkpoint
from affidavit.tlog.hashing import EMPTY_ROOT, Tree
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.tiles import HASH_BYTES, tile_path, tile_width

NEWEST = "checkpoint"
_HOUR_CHARS = len("2026-11-22T14")
_UNFINISHED = ".unfinished"


class OutsideFolder:
    """One folder outside, for one log."""

    def __init__(self, disk: Disk, folder: Path, key: VerifierKey) -> None:
        self._disk = disk
        self.folder = folder
        self._key = key
        self.size: int | None = None
        self.problem = ""

    def look(self) -> Checkpoint | None:
        """The newest checkpoint there; None where there is none or the folder cannot be reached (see `problem`).

        Raises `Corruption` where what lies there is not a checkpoint of this log.
        """
        try:
            note = self._disk.read(self.folder / NEWEST, NOTE_BYTES_MAX)
        except AffidavitError as error:
            self.problem = error.message
            return None
        if note is None:
            return None
        try:
            checkpoint = open_checkpoint(note, self._key, self._key.name)
        except AffidavitError as error:
            raise Corruption(
                "outside.other",
                f"{self.folder / NEWEST} is not a checkpoint of this log: {error.message}",
                "Each log needs an outside folder of its own.",
            ) from None
        self.size = checkpoint.size
        return checkpoint

    def keep(self, note: bytes, size: int, at: str) -> None:
        """Write the checkpoint `note` of `size`, published at the moment `at`. A failure is kept in `problem`."""
        files = [(self.folder / NEWEST, note), (self.folder / f"{NEWEST}-{at[:_HOUR_CHARS]}", note)]
        try:
            temporary = self.folder / _UNFINISHED
            clear_temporary(self._disk, temporary)
            write_whole(self._disk, temporary, files, PUBLIC)
        except AffidavitError as error:
            self.problem = error.message
            return
        self.size, self.problem = size, ""


def check_not_behind(disk: Disk, log: Path, published: Checkpoint, kept: Checkpoint, where: Path) -> None:
    """Raise `Corruption` unless the log in the folder `log`, published up to `published`, continues `kept`."""
    if kept.size > published.size:
        raise Corruption(
            "fork.behind",
            f"{where} holds a checkpoint of {kept.size} records, this log has published {published.size}: "
            "it was put back to an earlier time.",
            "Do not write to it. Bring back the newest copy of the log.",
        )
    if _root_at(disk, log, published.size, kept.size) != kept.root:
        raise Corruption(
            "fork.other",
            f"{where} holds a checkpoint of {kept.size} records that this log does not continue: it was rewritten.",
            "Do not write to it. Keep both, and look.",
        )


def _root_at(disk: Disk, log: Path, published: int, size: int) -> bytes:
    """The root of the first `size` entries, from the published tiles."""
    if size == 0:
        return EMPTY_ROOT

    def read_tile(level: int, index: int, width: int) -> bytes:
        # A tile of today holds the hashes of the narrower tile of that day, and more behind them.
        now = tile_width(published, level, index)
        data = disk.read(log / tile_path(level, index, now), TILE_BYTES_MAX)
        if data is None:
            raise Corruption("log.file", f"{log / tile_path(level, index, now)} is gone.", "Put it back from a copy.")
        return data[: width * HASH_BYTES]

    return Tree.resume(size, read_tile).root()
