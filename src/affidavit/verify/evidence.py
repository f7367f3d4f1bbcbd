"""What a verification is given: the parts of an archive, and reading one file of them without trusting it."""

from __future__ import annotations

from typing import Protocol

from affidavit.archive.source import Source
from affidavit.errors import Corruption, InvalidInput
from affidavit.verify.duties import Duty, Notebook


class Evidence(Protocol):
    """An archive. A part is None where it is not there; then what needs it is reported as not checked."""

    @property
    def location(self) -> str:
        """What to call it in the verdict."""
        ...

    @property
    def log(self) -> Source:
        """The tlog-tiles log."""
        ...

    @property
    def bodies(self) -> Source | None:
        """The body bundles."""
        ...

    @property
    def checkpoints(self) -> Source | None:
        """Checkpoints that the log keeps of itself."""
        ...

    @property
    def journal(self) -> Source | None:
        """The journal's segments."""
        ...


def read(source: Source, path: str, limit: int, *, place: str, duty: Duty, notes: Notebook) -> bytes | None:
    """The file at `path`, or None where it is absent or cannot be a file of the log; the latter is a finding.

    Raises `Unavailable` where it cannot be read now: then nothing can be said about it.
    """
    try:
        return source.get(path, limit)
    except (Corruption, InvalidInput) as error:
        notes.fail(duty, error.code, place, str(error))
        return None
