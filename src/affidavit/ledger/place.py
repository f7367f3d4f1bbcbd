"""Places where checkpoints are kept, away from the log: what each of them offers, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from affidavit.durable import Disk
from affidavit.errors import Corruption
from affidavit.limits import NOTE_BYTES_MAX
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import SignatureLine
from affidavit.tlog.notes import join_note, parse_note


@dataclass(frozen=True, slots=True)
class Published:
    """A published checkpoint, and its note with the log's own lines alone: others are not for other witnesses."""

    checkpoint: Checkpoint
    note: bytes

    @classmethod
    def read(cls, disk: Disk, path: Path) -> Published:
        """The newest one of the log whose checkpoint lies at `path`; the caller has made sure that it is the log's.

        Raises `Corruption` where there is none.
        """
        note = disk.read(path, NOTE_BYTES_MAX)
        if note is None:
            raise Corruption("log.checkpoint", f"{path} is missing.", "Put the checkpoint back from a copy.")
        text, lines = parse_note(note)
        checkpoint = Checkpoint.parse(text)
        # No witness has the log's own name: the configuration refuses it.
        return cls(checkpoint, join_note(text, [line for line in lines if line.name == checkpoint.origin]))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a place holds: its newest checkpoint, signed by the log, and when it says that it saw it (Unix seconds)."""

    checkpoint: Checkpoint
    time_s: int | None = None


class Place(Protocol):
    """Keeps checkpoints of one log. Methods are called by one thread at a time.

    All raise `Unavailable` or `VerificationError` where the place does not answer as it should, and `Corruption` where
    it holds what this log does not continue: then the log must not be written to.
    """

    @property
    def name(self) -> str:
        """What people call it: no two places of a log have the same."""

    @property
    def kind(self) -> str:
        """`folder` or `witness`."""

    @property
    def evidence(self) -> bytes:
        """The note with which it contradicted this log; empty where it did not."""

    def look(self) -> Seen | None:
        """What it holds, without giving it anything; None where it holds nothing, or does not show it."""

    def compare(self, now: Published) -> None:
        """Return only if what it holds is the beginning of the log that `now` is of."""

    def push(self, now: Published, at: str) -> tuple[SignatureLine, ...]:
        """Give it `now`, at the moment `at`, if it continues what is there. Its cosignatures over `now`, verified."""
