"""A copy that is not finished: told apart from a log that was altered by the checkpoint that it is on its way to.

`affidavit backup` first puts the checkpoint to come into a folder of its own, with the rotation notes that it rests
on; then it copies what that speaks of, and last the checkpoint itself. In between lies what no checkpoint in its place
speaks of. It is explained by nothing but a checkpoint of this log, by its keys, of no fewer records; and then it is
called *not looked at*, never right. Whoever puts back a log's checkpoint and wants that explained must show the newer.
"""

from __future__ import annotations

from collections.abc import Sequence

from affidavit.archive.source import Source
from affidavit.errors import AffidavitError
from affidavit.limits import NOTE_BYTES_MAX
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.rotation import rotation_path
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.keys import origin_of, read_keys

#: What is found where a copy stopped on its way from one checkpoint to the next.
_CODES = ("files.beyond", "journal.missing", "journal.order", "key.beyond")


class Unfinished:
    """What a copy is on its way to. `checkpoint` is None where this is no such copy."""

    def __init__(self, folder: Source | None, pinned: Sequence[VerifierKey]) -> None:
        self.checkpoint: Checkpoint | None = None
        self._paths: frozenset[str] = frozenset()
        try:
            note = None if folder is None else folder.get("checkpoint", NOTE_BYTES_MAX)
            if folder is not None and note is not None:
                keys = read_keys(folder, origin_of(note, pinned), pinned)
                self.checkpoint = keys.open(note).checkpoint
                self._paths = frozenset(map(rotation_path, keys.rotations))
        except AffidavitError:
            return  # then it explains nothing

    @property
    def reason(self) -> str:
        """Why something is not looked at."""
        size = 0 if self.checkpoint is None else self.checkpoint.size
        return (
            f"this copy is not finished: beside its checkpoint lies what belongs to the next one, of {size} records, "
            "which this log signed (run `affidavit backup` again, then verify)"
        )

    def explains(self, path: str) -> bool:
        """Whether a file of the public log is a rotation note that belongs to the checkpoint to come."""
        return path in self._paths

    def absent(self, notes: Notebook) -> bool:
        """Say that the first checkpoint is still to come. False where that is not so."""
        if self.checkpoint is not None:
            notes.skip(Duty.CHECKPOINT, self.reason)
        return self.checkpoint is not None

    def explain(self, published: Checkpoint, notes: Notebook) -> None:
        """Let `notes` know, where the copy stopped on its way from `published`."""
        coming = self.checkpoint
        if coming is not None and coming.origin == published.origin and coming.size >= published.size:
            notes.explain(_CODES, self.reason)
        else:
            self._paths = frozenset()
