"""Where things lie below a log's folder `DIR`, and how large each may be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affidavit.limits import TILE_WIDTH
from affidavit.tlog.tiles import entries_path

_ENTRIES = "tile/entries/"


@dataclass(frozen=True)
class Layout:
    """The paths of one log. `log` may be served to the public, nothing else may."""

    root: Path

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def checkpoint(self) -> Path:
        return self.log / "checkpoint"

    @property
    def bodies(self) -> Path:
        return self.root / "bodies"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def kept(self) -> Path:
        """Checkpoints that the log kept of itself, named by their size in 20 digits."""
        return self.root / "checkpoints"

    @property
    def standing(self) -> Path:
        """The snapshot of what stands open. May be deleted: then it is folded anew."""
        return self.root / "standing"

    @property
    def set_aside(self) -> Path:
        """Copies of what `recover` replaced, in a folder for each time."""
        return self.root / "set-aside"

    @property
    def pending(self) -> Path:
        """Says, while it lies there, that no writer may open this log before `recover` did."""
        return self.root / "recover.json"

    @property
    def copying(self) -> Path:
        """In a copy that is not finished: the checkpoint that it will have, and the rotation notes that open it."""
        return self.root / "copying"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def publishing(self) -> Path:
        """For files that the publisher is still writing."""
        return self.root / "unfinished" / "log"

    @property
    def rotating(self) -> Path:
        """For a journal segment that is still being written."""
        return self.root / "unfinished" / "journal"

    @property
    def erasing(self) -> Path:
        """For body bundles that are written again without what was erased."""
        return self.root / "unfinished" / "erasing"

    @property
    def snapshotting(self) -> Path:
        """For a snapshot that is still being written."""
        return self.root / "unfinished" / "standing"

    @property
    def changing_keys(self) -> Path:
        """For files of keys that are still being written."""
        return self.root / "unfinished" / "keys"

    @property
    def keeping(self) -> Path:
        """For a kept checkpoint that is still being written."""
        return self.root / "unfinished" / "checkpoints"

    def entries(self, number: int, width: int = TILE_WIDTH) -> Path:
        """The entry bundle `number`, of `width` entries."""
        return self.log / entries_path(number, width)

    def slots(self, number: int, width: int = TILE_WIDTH) -> Path:
        """The body bundle `number`, of `width` slots: numbered and named as entry bundles."""
        return self.bodies / entries_path(number, width).removeprefix(_ENTRIES)
