"""The parts of a tlog-tiles log by name, read from a source; believed no more than the source is.

A partial tile may be gone once the full tile exists: then its hashes are the beginning of the full one, and
the same holds for bundles (C2SP tlog-tiles).
"""

from __future__ import annotations

from dataclasses import dataclass

from affidavit.archive.source import Source
from affidavit.errors import VerificationError
from affidavit.limits import BUNDLE_BYTES_MAX, NOTE_BYTES_MAX, TILE_BYTES_MAX, TILE_WIDTH
from affidavit.tlog.tiles import HASH_BYTES, decode_entries, entries_path, tile_hashes, tile_path


@dataclass(frozen=True, slots=True)
class LogFiles:
    """Reads a log's files. What is absent although it was asked for is a `VerificationError`, `log.absent`.

    The errors of the source pass through.
    """

    source: Source

    def checkpoint(self) -> bytes:
        """The bytes of the published checkpoint, a signed note that is still to be opened."""
        data = self.source.get("checkpoint", NOTE_BYTES_MAX)
        return self._absent("checkpoint") if data is None else data

    def tile(self, level: int, index: int, width: int) -> bytes:
        """A tile's `width` hashes, from its partial or the full tile; fits `TileHashes` and `Tree.resume`."""
        path = tile_path(level, index, width)
        data = self.source.get(path, TILE_BYTES_MAX)
        if data is None and width < TILE_WIDTH:
            whole = self.source.get(tile_path(level, index), TILE_BYTES_MAX)
            data = None if whole is None else b"".join(tile_hashes(whole, TILE_WIDTH))[: width * HASH_BYTES]
        return self._absent(path) if data is None else b"".join(tile_hashes(data, width))

    def entries(self, index: int, width: int) -> list[bytes]:
        """The first `width` entries of a bundle, from its partial or from the full bundle."""
        path = entries_path(index, width)
        data = self.source.get(path, BUNDLE_BYTES_MAX)
        if data is None and width < TILE_WIDTH:
            whole = self.source.get(entries_path(index), BUNDLE_BYTES_MAX)
            if whole is not None:
                return decode_entries(whole, TILE_WIDTH)[:width]
        return decode_entries(self._absent(path) if data is None else data, width)

    def _absent(self, path: str) -> bytes:
        raise VerificationError(
            "log.absent",
            f"{self.source.name} does not hold {path}.",
            "The log cannot be checked without it: get a complete copy.",
        )
