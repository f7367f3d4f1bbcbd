"""Pruning: journal segments go once what they hold is published, and was seen to be.

A segment is removed only after all of this, for every record in it:

 1. it is not among the newest `SEGMENTS_KEPT` whole segments, nor the one being written, and no record of it is needed
    for the newest bundle;
 2. the published files that hold the record are synced once more, and read back from the medium where the system lets
    us ask for that;
 3. entries and slots are, byte for byte, those of the journal; entries hash to their level-0 tile; and that tile leads,
    by an inclusion proof over the tiles on disk, to the root of the published checkpoint on disk.

Segments go from the oldest on, one at a time, the folder synced after each, so a crash leaves a journal that begins
later and has no hole. If something differs, nothing is removed any more: the journal is what mends the published files.
"""

from __future__ import annotations

from collections.abc import Iterator

from affidavit.durable import Disk
from affidavit.errors import AffidavitError, Corruption, VerificationError
from affidavit.ledger.bundles import edge_of, read_bundle, read_file
from affidavit.ledger.journal import SEGMENT_BYTES_MAX, segments_of
from affidavit.ledger.layout import Layout
from affidavit.limits import TILE_BYTES_MAX, TILE_WIDTH
from affidavit.record.frame import Damage, Stored, check_segment_header, read_frames, segment_name
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.proofs import TileHashes, prove_inclusion, verify_inclusion
from affidavit.tlog.tiles import tile_path


class Pruner:
    """Prunes the journal of one log. Owned by who builds."""

    def __init__(self, disk: Disk, layout: Layout) -> None:
        self._disk = disk
        self._layout = layout
        #: Why nothing is pruned any more, empty while it is.
        self.problem = ""

    def prune(self, published: Checkpoint, snapshot_size: int, segments_kept: int) -> None:
        """Remove the oldest segment, where it may go. Call it again for the next one.

        `published` is the checkpoint on disk; a snapshot of `snapshot_size` spares the next start what goes.
        """
        if self.problem:
            return
        try:
            segments = segments_of(self._disk, self._layout.journal)
            if len(segments) <= segments_kept + 1 or segments[1] > min(edge_of(published), snapshot_size):
                return
            self._check(segments[0], segments[1], published)
            self._disk.unlink(self._layout.journal / segment_name(segments[0]))
            self._disk.sync_folder(self._layout.journal)
        except AffidavitError as error:
            self.problem = f"Nothing is pruned from the journal: {error.message}"

    def _check(self, first: int, after: int, published: Checkpoint) -> None:
        """Raise `Corruption` unless the records from `first` to before `after` are published as the journal says."""
        journal = self._records(first, published.origin)
        tiles = TileHashes(self._read_tile, published.size)
        for number in range(first // TILE_WIDTH, (after - 1) // TILE_WIDTH + 1):
            start = number * TILE_WIDTH
            self._settle(number)
            stored, leaves = read_bundle(self._disk, self._layout, number)
            try:
                proof = prove_inclusion(start, published.size, tiles)
                verify_inclusion(start, published.size, leaves[0], proof, published.root)
            except VerificationError as error:
                raise Corruption("log.tile", f"The tiles above record {start} do not hold: {error}") from None
            for index in range(max(first, start), min(after, start + TILE_WIDTH)):
                if next(journal, None) != stored[index - start]:
                    raise Corruption("log.bundle", f"Record {index} is published otherwise than the journal has it.")
        if next(journal, None) is not None:
            raise Corruption("journal.damage", f"The segment {segment_name(first)} holds more than it should.")

    def _records(self, first: int, origin: str) -> Iterator[Stored]:
        """What the segment holds, in order. Raises `Corruption` where it is not whole."""
        path = self._layout.journal / segment_name(first)
        data = read_file(self._disk, path, SEGMENT_BYTES_MAX)
        check_segment_header(data, first, origin)
        for frame in read_frames(data):
            if isinstance(frame, Damage) or frame.first != first:
                raise Corruption("journal.damage", f"{path} is damaged.")
            yield from frame.records
            first += len(frame.records)

    def _settle(self, number: int) -> None:
        layout = self._layout
        for path in (layout.entries(number), layout.slots(number), layout.log / tile_path(0, number)):
            self._disk.settle(path)

    def _read_tile(self, level: int, index: int, width: int) -> bytes:
        path = self._layout.log / tile_path(level, index, width)
        return read_file(self._disk, path, TILE_BYTES_MAX)
