"""Full files that a publication left which was cut short before its checkpoint: do they hold what the journal holds?

The next publication compares such a file with what it would write, and the log stops where it differs; so `fsck`
compares it before. Partial ones are removed by the next start, whatever they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from affidavit.durable import Disk
from affidavit.errors import AffidavitError
from affidavit.ledger.layout import Layout
from affidavit.limits import BODY_BUNDLE_BYTES_MAX, BUNDLE_BYTES_MAX, TILE_BYTES_MAX, TILE_WIDTH
from affidavit.record.frame import Stored, encode_bundle
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.tiles import encode_entries


class Leftovers:
    """Takes what the journal holds after the published records. `differing` names files that hold something else."""

    def __init__(self, disk: Disk, layout: Layout, size: int, newest: Sequence[Stored | None]) -> None:
        """`newest` are the published records of the bundle that is not full at `size`, as the journal has them."""
        self._disk = disk
        self._layout = layout
        self._size = size
        self._held = list(newest)
        self._next = size
        self._hashes: list[bytes] = []
        #: By their path below the data folder.
        self.differing: set[str] = set()

    def take(self, index: int, record: Stored) -> None:
        """The next record; after a break in the journal nothing more is compared."""
        if index != self._next:
            return
        self._next += 1
        self._hashes.append(leaf_hash(record[0]))
        self._held.append(record)
        if len(self._held) == TILE_WIDTH:
            self._compare_bundles(index // TILE_WIDTH)
            self._held.clear()

    def finish(self, published: Tree) -> None:
        """Compare the hash tiles: `published` is the tree of the published records, and is grown here."""
        published.append_leaf_hashes(self._hashes)
        for tile in published.tiles(self._size):
            if tile.width == TILE_WIDTH:
                self._compare(self._layout.log / tile.path, TILE_BYTES_MAX, partial(bytes, tile.data))

    def _compare_bundles(self, number: int) -> None:
        held = [record for record in self._held if record is not None]
        if len(held) == TILE_WIDTH:
            entries, slots = self._layout.entries(number), self._layout.slots(number)
            self._compare(entries, BUNDLE_BYTES_MAX, lambda: encode_entries([raw for raw, _ in held]))
            self._compare(slots, BODY_BUNDLE_BYTES_MAX, lambda: encode_bundle([slot for _, slot in held]))

    def _compare(self, path: Path, limit: int, wanted: Callable[[], bytes]) -> None:
        if not self._disk.exists(path):
            return
        try:
            same = self._disk.read(path, limit) == wanted()
        except AffidavitError:
            same = False
        if not same:
            self.differing.add(str(path.relative_to(self._layout.root)))
