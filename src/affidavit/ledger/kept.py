"""Checkpoints that the log keeps of itself, in `DIR/checkpoints`: the last under each key, and one an hour.

Each is the signed note as it was published, named by its size in 20 digits. They lie beside the log, so whoever can
rewrite the log can take them away; what they show is a log that was altered by accident or in a hurry. A copy that is
taken from here to another place becomes a checkpoint kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from affidavit.durable import PUBLIC, Disk, clear_temporary, write_whole
from affidavit.errors import AffidavitError, Corruption
from affidavit.ledger.layout import Layout
from affidavit.limits import NOTE_BYTES_MAX

_HOUR_CHARS = len("2026-11-22T14")
_DIGITS = 20


def kept_name(size: int) -> str:
    """The name of the kept checkpoint of `size` records."""
    return f"{size:0{_DIGITS}d}"


class KeptCheckpoints:
    """The folder of one log. One thread at a time."""

    def __init__(self, disk: Disk, layout: Layout) -> None:
        self._disk = disk
        self._layout = layout
        self._hour: str | None = None
        #: Why the newest one could not be kept; empty where it was.
        self.problem = ""
        #: The moment of the first failure in a row; empty where there is none.
        self.since = ""

    def keep(self, size: int) -> None:
        """Keep the checkpoint that is published, of `size`; durable on return. Raises `Unavailable`, `Corruption`."""
        note = self._disk.read(self._layout.checkpoint, NOTE_BYTES_MAX)
        if note is None:
            raise Corruption("log.checkpoint", f"{self._layout.checkpoint} is gone.", "Put it back from a copy.")
        clear_temporary(self._disk, self._layout.keeping)
        path = self._layout.kept / kept_name(size)
        write_whole(self._disk, self._layout.keeping, [(path, note)], PUBLIC)

    def keep_hourly(self, size: int, now: str, at_of: Callable[[int], str]) -> None:
        """Keep it if none was kept in the hour of the moment `now`; a failure is kept in `problem`.

        `at_of(index)` gives when a record was sealed: that tells the hour of the newest one there.
        """
        try:
            if self._hour is None:
                sizes = [int(name) for name in self._disk.names(self._layout.kept) if name.isdigit()]
                newest = max((held for held in sizes if 0 < held <= size), default=0)
                self._hour = at_of(newest - 1)[:_HOUR_CHARS] if newest else ""
            if now[:_HOUR_CHARS] <= self._hour:
                return
            self.keep(size)
        except AffidavitError as error:
            self.problem, self.since = error.message, self.since or now
            return
        self._hour, self.problem, self.since = now[:_HOUR_CHARS], "", ""
