"""Find what lies at a location: a data folder, a log's own folder, or a log behind a URL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affidavit.archive.folder import Folder
from affidavit.archive.source import Source
from affidavit.errors import InvalidInput, Unavailable


@dataclass(frozen=True, slots=True)
class Archive:
    """What can be read at a location.

    None says that the part is not there: what needs it cannot be checked.
    """

    location: str
    log: Source
    bodies: Source | None
    journal: Source | None
    secrets: Path | None
    checkpoints: Source | None = None
    copying: Source | None = None


def open_archive(location: str) -> Archive:
    """The archive at a folder's path or an http(s) URL.

    A folder with `log/` in it is a data folder; otherwise one with `checkpoint` in it is the log itself.
    Raises `InvalidInput` where it is neither, `Unavailable` where that cannot be told. No file is read yet.
    """
    if location.startswith(("http://", "https://")):
        from affidavit.archive.web import Web  # noqa: PLC0415  heavy rooms only when needed

        return Archive(location, Web(location), None, None, None)
    if "://" in location:
        raise InvalidInput(
            "archive.location", f"{location[:200]!r} is not http or https.", "Give a folder or such a URL."
        )
    if not location or "\0" in location:
        raise InvalidInput("archive.location", "No location was given.", "Give a folder or a URL.")
    folder = Path(location)
    try:
        if not folder.is_dir():
            raise InvalidInput(
                "archive.location", f"{location} is not a folder.", "Give a data folder or a log's folder."
            )
        if (folder / "log").is_dir():
            return _data_folder(location, folder)
        if (folder / "checkpoint").exists():
            return Archive(location, Folder(folder), None, None, None)
    except OSError as error:
        raise Unavailable(
            "archive.unreadable",
            f"{location} cannot be read: {error.strerror or 'input error'}.",
            "Check that you may read it, and try again.",
        ) from None
    raise InvalidInput(
        "archive.location",
        f"{location} is neither a data folder (it has no folder log) nor a log (it has no file checkpoint).",
        "Give the folder that holds log, or the one that holds checkpoint.",
    )


def _data_folder(location: str, folder: Path) -> Archive:
    def part(name: str) -> Folder | None:
        return Folder(folder / name) if (folder / name).is_dir() else None

    secrets = folder / "secrets"
    secrets_or_none = secrets if secrets.is_dir() else None
    return Archive(
        location,
        Folder(folder / "log"),
        part("bodies"),
        part("journal"),
        secrets_or_none,
        part("checkpoints"),
        part("copying"),
    )
