"""Reads full bundles back from disk: the entries of 256 records against their level-0 tile, and their slots."""

from __future__ import annotations

from pathlib import Path

from affidavit.durable import Disk
from affidavit.errors import Corruption, VerificationError
from affidavit.ledger.layout import Layout
from affidavit.limits import BODY_BUNDLE_BYTES_MAX, BUNDLE_BYTES_MAX, TILE_BYTES_MAX, TILE_WIDTH
from affidavit.record.frame import Stored, decode_bundle
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import leaf_hash
from affidavit.tlog.tiles import decode_entries, tile_path


def edge_of(published: Checkpoint) -> int:
    """The index of the first record of the newest bundle: from there on the journal must hold every record."""
    return (published.size - 1) // TILE_WIDTH * TILE_WIDTH


def read_bundle(disk: Disk, layout: Layout, number: int) -> tuple[list[Stored], list[bytes]]:
    """The records of the full bundle `number`, and the hashes of their leaves, which stand in the level-0 tile.

    Raises `Corruption` where a file is gone or is not what was written. That the tile leads to a signed root is not
    looked at here, nor that slots are what their headers name.
    """
    entries_path, slots_path = layout.entries(number), layout.slots(number)
    try:
        entries = decode_entries(read_file(disk, entries_path, BUNDLE_BYTES_MAX), TILE_WIDTH)
    except VerificationError as error:
        raise Corruption("log.bundle", f"{entries_path}: {error}") from None
    tile = layout.log / tile_path(0, number)
    leaves = list(map(leaf_hash, entries))
    if b"".join(leaves) != read_file(disk, tile, TILE_BYTES_MAX):
        raise Corruption("log.bundle", f"{entries_path} holds entries that do not hash to {tile}.")
    try:
        slots = decode_bundle(read_file(disk, slots_path, BODY_BUNDLE_BYTES_MAX), TILE_WIDTH)
    except Corruption as error:
        raise Corruption(error.code, f"{slots_path}: {error.message}") from None
    return list(zip(entries, slots, strict=True)), leaves


def read_file(disk: Disk, path: Path, limit: int) -> bytes:
    """A file that must be there. Raises `Corruption` where it is not."""
    data = disk.read(path, limit)
    if data is None:
        raise Corruption("log.file", f"{path} is gone.", "Put it back from a copy.")
    return data
