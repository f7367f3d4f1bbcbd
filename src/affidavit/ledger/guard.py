"""The fork guard's question: does this log continue a checkpoint that somebody else holds?

A writer whose disk was put back to an earlier time, or copied, would in good faith sign a second history. What it has
on its own disk cannot tell it so; a checkpoint kept elsewhere can. Where that one is ahead of the log, or is not its
beginning, the writer must not go on: codes `fork.behind` and `fork.other`.
"""

from __future__ import annotations

from pathlib import Path

from affidavit.durable import Disk
from affidavit.errors import Corruption, Unavailable
from affidavit.limits import TILE_BYTES_MAX, TILE_WIDTH
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import EMPTY_ROOT
from affidavit.tlog.proofs import TileHashes, prove_consistency, range_root
from affidavit.tlog.tiles import HASH_BYTES, tile_path


class PublishedTree:
    """The tree that a log's folder holds up to `size`, while its publisher may go on with a larger one."""

    def __init__(self, disk: Disk, log: Path, size: int) -> None:
        self._disk = disk
        self._log = log
        self._size = size
        self._hashes = TileHashes(self.read_tile, size)

    def root(self, size: int) -> bytes:
        """The root over the first `size` entries."""
        return range_root(0, size, self._hashes) if size else EMPTY_ROOT

    def proof(self, old: int) -> tuple[bytes, ...]:
        """The consistency proof from `old` to this size."""
        return tuple(prove_consistency(old, self._size, self._hashes))

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """The first `width` hashes of a tile. Raises `Unavailable` where no file has them."""
        # A wider tile begins with the hashes of a narrower one, which the publisher may have removed meanwhile.
        for path in self._candidates(level, index, width):
            data = self._disk.read(path, TILE_BYTES_MAX)
            if data is not None and len(data) >= width * HASH_BYTES:
                return data[: width * HASH_BYTES]
        raise Unavailable(
            "log.file",
            f"{self._log / tile_path(level, index, width)} is gone.",
            "Put it back from a copy; `affidavit verify` says what else is missing.",
        )

    def _candidates(self, level: int, index: int, width: int) -> list[Path]:
        full = self._log / tile_path(level, index)
        partials = full.with_name(f"{full.name}.p")
        wider = sorted(int(name) for name in self._disk.names(partials) if name.isdigit() and int(name) > width)
        exact = self._log / tile_path(level, index, width)
        return [exact, full, *(partials / str(found) for found in wider if found < TILE_WIDTH)]


def check_continues(tree: PublishedTree, published: Checkpoint, kept: Checkpoint, where: str) -> None:
    """Raise `Corruption` unless the log, published up to `published` with `tree`, continues `kept`, held by `where`."""
    if kept.size > published.size:
        raise behind(published.size, kept.size, where)
    if tree.root(kept.size) != kept.root:
        raise other(kept.size, where)


def behind(published: int, kept: int, where: str) -> Corruption:
    """The log holds less than somebody else has seen of it."""
    return Corruption(
        "fork.behind",
        f"{where} holds a checkpoint of {kept} records, this log has published {published}: "
        "it was put back to an earlier time, or another copy of it is being written to.",
        "Do not write to it. Bring back the newest copy of the log.",
    )


def other(kept: int, where: str) -> Corruption:
    """The log is not what somebody else has seen of it."""
    return Corruption(
        "fork.other",
        f"{where} holds a checkpoint of {kept} records that this log does not continue: it was rewritten, or another "
        "copy of it is being written to.",
        "Do not write to it. Keep both, and look.",
    )
