"""Whether anything of a body is left in a log's folder: as plain bytes, as it was encrypted, or for who has the keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from affidavit.durable import OsDisk
from affidavit.errors import AffidavitError
from affidavit.ledger.keys import Secrets
from affidavit.record.body import BodyKey, open_slot
from affidavit.record.frame import Frame, decode_bundle, read_frames
from affidavit.record.header import Header
from affidavit.tlog.tiles import decode_entries, parse_path

_headers = msgspec.json.Decoder(Header)


def holders(root: Path, needle: bytes) -> list[str]:
    """Every file below `root` in which these bytes stand."""
    return sorted(str(path.relative_to(root)) for path in _files(root) if needle in _read(path))


def readers(root: Path, needle: bytes) -> list[str]:
    """Every file below `root` in which these bytes stand, also once its slots are opened with the log's own keys."""
    keys = Secrets.load(OsDisk(), root / "secrets").body_keys_by_id
    return sorted(
        str(path.relative_to(root))
        for path in _files(root)
        if needle in _read(path) or any(needle in plain for plain in _opened(root, path, keys))
    )


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def _read(path: Path) -> bytes:
    """What a file holds; nothing, where the running log has just renamed or removed it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _opened(root: Path, path: Path, keys: dict[bytes, BodyKey]) -> Iterator[bytes]:
    for raw, slot in _records(root, path):
        body = _headers.decode(raw).body
        try:
            opened = open_slot(slot, body, keys) if body is not None else None
        except AffidavitError:
            continue
        if isinstance(opened, bytes):
            yield opened


def _records(root: Path, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """The records that a segment or a body bundle holds, wherever a copy of one lies."""
    if path.suffix == ".segment":
        for frame in read_frames(_read(path)):
            if isinstance(frame, Frame):
                yield from frame.records
    elif "bodies" in path.parts:
        below = "/".join(path.parts[path.parts.index("bodies") + 1 :])
        entries = root / "log" / "tile" / "entries" / below
        raws, slots = _read(entries), _read(path)
        if raws and slots:
            width = parse_path(f"tile/entries/{below}").width
            yield from zip(decode_entries(raws, width), decode_bundle(slots, width), strict=True)
