"""What a verification is given: the parts of an archive, and reading one file of them without trusting it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from affidavit.archive.source import Source
from affidavit.errors import Corruption, InvalidInput, Unavailable
from affidavit.limits import NOTE_BYTES_MAX, VERIFY_BESIDE_MAX
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

    @property
    def copying(self) -> Source | None:
        """In a copy that is not finished: the checkpoint to come, and the rotation notes that it rests on."""
        ...


class ReadFirst:
    """The checkpoints that lie beside a log, as a `Source`: the newest are read when this is made.

    That is before the log's own checkpoint is read. A log that is written to meanwhile keeps more of them; of those
    read first none is ahead of it.
    """

    def __init__(self, folder: Source) -> None:
        self._folder = folder
        self.name = folder.name
        self._paths: tuple[str, ...] | None = None
        self._held: dict[str, bytes | Corruption | None] = {}
        try:
            paths = folder.paths()
            self._paths = None if paths is None else tuple(paths)
        except (Corruption, Unavailable):
            return
        sizes = sorted(path for path in self._paths or () if path.isdigit())
        for path in (*sizes[-VERIFY_BESIDE_MAX:], "cosigned"):
            self._held[path] = self._read(path)

    def get(self, path: str, limit: int) -> bytes | None:
        """As `Source.get`."""
        if path not in self._held:
            return self._folder.get(path, limit)
        held = self._held[path]
        if isinstance(held, Corruption):
            raise held
        return held

    def paths(self) -> Iterator[str] | None:
        """As `Source.paths`; None where they could not be listed."""
        return None if self._paths is None else iter(self._paths)

    def _read(self, path: str) -> bytes | Corruption | None:
        try:
            return self._folder.get(path, NOTE_BYTES_MAX)
        except Corruption as error:
            return error


def read(source: Source, path: str, limit: int, *, place: str, duty: Duty, notes: Notebook) -> bytes | None:
    """The file at `path`, or None where it is absent or cannot be a file of the log; the latter is a finding.

    Raises `Unavailable` where it cannot be read now: then nothing can be said about it.
    """
    try:
        return source.get(path, limit)
    except (Corruption, InvalidInput) as error:
        notes.fail(duty, error.code, place, str(error))
        return None
