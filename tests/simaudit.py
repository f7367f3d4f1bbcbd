"""What `verify` reads of a simulation: the files of a simulated disk as they lie there at this moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simdisk import SimDisk

from affidavit.archive.source import path_parts, too_large
from affidavit.verify.verdict import Verdict


@dataclass(frozen=True)
class SimSource:
    """As `archive.source.Source`. Reads beside the disk's steps: it is another process, which nothing fails."""

    disk: SimDisk
    folder: Path

    @property
    def name(self) -> str:
        return str(self.folder)

    def get(self, path: str, limit: int) -> bytes | None:
        path_parts(path)
        at = self.folder / path
        if not self.disk.holds(at):
            return None
        data = self.disk.copy(at)
        if len(data) > limit:
            raise too_large(self.name, path, limit)
        return data

    def paths(self) -> Iterator[str] | None:
        return iter([str(path.relative_to(self.folder)) for path in self.disk.paths(self.folder)])


class SimArchive:
    """As `archive.open.Archive` of a data folder."""

    def __init__(self, disk: SimDisk, root: Path) -> None:
        self.location = str(root)
        self.log = SimSource(disk, root / "log")
        self.bodies = SimSource(disk, root / "bodies")
        self.journal = SimSource(disk, root / "journal")
        self.secrets = None
        self.checkpoints = SimSource(disk, root / "checkpoints")
        self.copying = SimSource(disk, root / "copying")


def failed(verdict: Verdict) -> list[str]:
    """What does not hold, a line for each finding."""
    return [
        f"{check.number}. {finding.code} {finding.where}: {finding.message}"
        for check in verdict.checks
        if check.status == "failed"
        for finding in check.findings
    ]
