"""A folder on another disk or machine that gets each published checkpoint.

It holds `checkpoint`, the newest one, and one for each hour, `checkpoint-YYYY-MM-DDTHH`. The folder itself must be
there: one that is made where a disk is not mounted would lie on the very disk that it is to guard.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affidavit.durable import PUBLIC, Disk, clear_temporary, write_whole
from affidavit.errors import Corruption, Unavailable, VerificationError
from affidavit.ledger.guard import PublishedTree, check_continues
from affidavit.ledger.place import Published, Seen
from affidavit.limits import NOTE_BYTES_MAX
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import SignatureLine, VerifierKey
from affidavit.tlog.notes import open_note

NEWEST = "checkpoint"
_HOUR_CHARS = len("2026-11-22T14")
_UNFINISHED = ".unfinished"


class FolderPlace:
    """One folder, for one log, whose own `keys` sign what lies there. Methods are called by one thread at a time."""

    kind = "folder"
    evidence = b""  # it lies in the folder itself

    def __init__(self, disk: Disk, folder: Path, log: Path, keys: Sequence[VerifierKey]) -> None:
        self._disk = disk
        self._folder = folder
        self._log = log
        self._keys = keys
        self._written = b""
        self.name = str(folder)

    def look(self) -> Seen | None:
        """The newest checkpoint there; None where there is none yet."""
        note = self._read()
        return None if note is None else Seen(self._open(note))

    def compare(self, now: Published) -> None:
        """As `Place.compare`."""
        note = self._read()
        # What was written by this object was compared then; each second that is the usual case.
        if note is not None and note != self._written:
            tree = PublishedTree(self._disk, self._log, now.checkpoint.size)
            check_continues(tree, now.checkpoint, self._open(note), self.name)

    def push(self, now: Published, at: str) -> tuple[SignatureLine, ...]:
        """As `Place.push`; a folder cosigns nothing."""
        self.compare(now)
        temporary = self._folder / _UNFINISHED
        clear_temporary(self._disk, temporary)
        hourly = self._folder / f"{NEWEST}-{at[:_HOUR_CHARS]}"
        write_whole(self._disk, temporary, [(self._folder / NEWEST, now.note), (hourly, now.note)], PUBLIC)
        self._written = now.note
        return ()

    def _read(self) -> bytes | None:
        if not self._disk.exists(self._folder):
            raise Unavailable(
                "outside.folder",
                f"There is no folder {self._folder}.",
                "Mount the disk that it lies on, or make the folder if it is new.",
            )
        return self._disk.read(self._folder / NEWEST, NOTE_BYTES_MAX)

    def _open(self, note: bytes) -> Checkpoint:
        try:
            checkpoint = Checkpoint.parse(open_note(note, self._keys).text)
        except VerificationError as error:
            raise self._foreign(error.message) from None
        if checkpoint.origin != self._keys[0].name:
            raise self._foreign(f"It is of the log {checkpoint.origin!r}.")
        return checkpoint

    def _foreign(self, why: str) -> Corruption:
        return Corruption(
            "outside.other",
            f"{self._folder / NEWEST} is not a checkpoint of this log: {why}",
            "Each log needs an outside folder of its own.",
        )
