"""Alter one byte of a copy of the log, to see it found."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from affidavit.errors import Corruption
from affidavit.limits import BUNDLE_BYTES_MAX, TILE_WIDTH
from affidavit.tlog.tiles import decode_entries, entries_path

_LENGTH_BYTES = 2  # before each entry in a bundle


@dataclass(frozen=True)
class Altered:
    """Where a byte was altered: the file below the copy, the offset in it, the byte before and after."""

    copy: Path
    path: Path
    offset: int
    before: int
    after: int


def alter_moment(root: Path, copy: Path, index: int) -> Altered:
    """Copy the data folder and move one access by a minute or so: one digit of its time, in the entry itself.

    Raises Corruption where the entry is not found as it should be.
    """
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns("*.sock"))
    bundle, within = divmod(index, TILE_WIDTH)
    path = _bundle_path(copy / "log", bundle, within)
    with path.open("rb") as file:
        data = bytearray(file.read(BUNDLE_BYTES_MAX))
    width = TILE_WIDTH if ".p" not in path.parent.name else int(path.name)
    entries = decode_entries(bytes(data), width)
    start = sum(_LENGTH_BYTES + len(entry) for entry in entries[:within]) + _LENGTH_BYTES
    marker = entries[within].find(b'"time":{"at":"')
    if marker < 0:
        raise Corruption("demo.entry", f"Entry {index} of the copy has no time.")
    # YYYY-MM-DDTHH:MM: the last digit of the minute is the 16th character; any digit there is a valid moment.
    offset = start + marker + len(b'"time":{"at":"') + 15
    before = data[offset]
    data[offset] = ord("0") + (before - ord("0") + 1) % 10
    path.write_bytes(bytes(data))
    return Altered(copy, path, offset, before, data[offset])


def _bundle_path(log: Path, bundle: int, within: int) -> Path:
    full = log / entries_path(bundle)
    if full.exists():
        return full
    # Partial bundles of older sizes may lie beside it; the widest is the one that the checkpoint covers.
    widths = [int(path.name) for path in full.with_name(full.name + ".p").iterdir() if path.name.isdigit()]
    widest = max((width for width in widths if width > within), default=0)
    if widest == 0:
        raise Corruption("demo.entry", f"{log} holds no bundle with entry {bundle * TILE_WIDTH + within}.")
    return log / entries_path(bundle, widest)
