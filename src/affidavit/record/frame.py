"""Frames: how records lie in the journal, and bundles: how slots lie beside the log. Exact bytes, both ways.

A journal segment, `journal/<first index, 20 digits>.segment`:

    "affidavit journal 1\\n" [20] ‖ first index u64 ‖ SHA-256(origin) [32]
    frames, one a batch of the group commit
    zeros to the end (filled ahead of writing)

A frame, all integers big-endian:

    "AFRM" ‖ length u32 ‖ crc u32 ‖ first u64 ‖ count u32 ‖ records
    record: header length u16 ‖ header ‖ slot length u32 ‖ slot

`length` counts the bytes after `crc`; `crc` is CRC-32 (zlib) of length and those bytes. A body bundle is, for each of
its up to 256 records, slot length u32 ‖ slot.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from affidavit.errors import Corruption
from affidavit.limits import BATCH_RECORDS_MAX, GROUP_BYTES_MAX, SLOT_BYTES_MAX, TILE_WIDTH

MAGIC = b"AFRM"
SEGMENT_MAGIC = b"affidavit journal 1\n"
SEGMENT_HEADER_BYTES = 60
_HEAD = struct.Struct(">4sII")
_BOUNDS = struct.Struct(">QI")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
FRAME_HEAD_BYTES = _HEAD.size
#: A group commit may exceed GROUP_BYTES_MAX by its last batch.
FRAME_BYTES_MAX = GROUP_BYTES_MAX + BATCH_RECORDS_MAX * (SLOT_BYTES_MAX + 65_536)

Stored = tuple[bytes, bytes]  # header bytes, slot bytes


@dataclass(frozen=True)
class Frame:
    """A frame that was read whole. `offset` and `end` are byte positions in its segment."""

    first: int
    records: tuple[Stored, ...]
    offset: int
    end: int


@dataclass(frozen=True)
class Damage:
    """Where reading stopped: the bytes at `offset` are neither a frame nor the zeros that follow the last one."""

    offset: int
    reason: str


def segment_name(first: int) -> str:
    """The file name of the segment whose first record has index `first`."""
    return f"{first:020d}.segment"


def segment_header(first: int, origin: str) -> bytes:
    """The first bytes of a segment."""
    return SEGMENT_MAGIC + _U64.pack(first) + hashlib.sha256(origin.encode()).digest()


def check_segment_header(data: bytes, first: int, origin: str) -> None:
    """Raise `Corruption` unless `data` begins as the segment of this log that starts at `first`."""
    if data[:SEGMENT_HEADER_BYTES] != segment_header(first, origin):
        raise Corruption("journal.header", f"Journal segment {segment_name(first)} does not begin as one of this log.")


def encode_frame(first: int, records: Sequence[Stored]) -> bytes:
    """The frame of `records`, the first of which has index `first`."""
    parts = [_BOUNDS.pack(first, len(records))]
    for header, slot in records:
        parts += (_U16.pack(len(header)), header, _U32.pack(len(slot)), slot)
    payload = b"".join(parts)
    length = _U32.pack(len(payload))
    return MAGIC + length + _U32.pack(zlib.crc32(payload, zlib.crc32(length))) + payload


def read_frames(data: bytes, offset: int = SEGMENT_HEADER_BYTES) -> Iterator[Frame | Damage]:
    """The frames of a segment from `offset` on. Ends at the zeros after the last one, or with a `Damage`."""
    while offset < len(data):
        frame = _read_frame(data, offset)
        if frame is None:
            return
        yield frame
        if isinstance(frame, Damage):
            return
        offset = frame.end


def frame_bytes(head: bytes) -> int | None:
    """How long the frame is that begins with the `FRAME_HEAD_BYTES` in `head`; None where no frame begins so."""
    if len(head) != FRAME_HEAD_BYTES:
        return None
    magic, length, _ = _HEAD.unpack(head)
    return FRAME_HEAD_BYTES + length if magic == MAGIC and length <= FRAME_BYTES_MAX else None


def frame_after(data: bytes, offset: int) -> int | None:
    """The position of a whole frame anywhere after `offset`, or None: tells damage in the middle from a torn tail."""
    position = data.find(MAGIC, offset + 1)
    while position >= 0:
        if isinstance(_read_frame(data, position), Frame):
            return position
        position = data.find(MAGIC, position + 1)
    return None


def _read_frame(data: bytes, offset: int) -> Frame | Damage | None:
    if offset + FRAME_HEAD_BYTES > len(data):
        return None if not any(data[offset:]) else Damage(offset, "a frame is cut short")
    magic, length, crc = _HEAD.unpack_from(data, offset)
    if magic != MAGIC:
        if not any(memoryview(data)[offset : offset + 4096]) and not data[offset:].strip(b"\0"):
            return None
        return Damage(offset, "no frame begins here")
    start = offset + FRAME_HEAD_BYTES
    end = start + length
    if length > FRAME_BYTES_MAX or end > len(data):
        return Damage(offset, "a frame is cut short")
    if zlib.crc32(data[start:end], zlib.crc32(_U32.pack(length))) != crc:
        return Damage(offset, "the checksum of a frame does not hold")
    return _records(data, offset, start, end)


def _records(data: bytes, offset: int, start: int, end: int) -> Frame | Damage:
    if end - start < _BOUNDS.size:
        return Damage(offset, "a frame is too short")
    first, count = _BOUNDS.unpack_from(data, start)
    at = start + _BOUNDS.size
    records: list[Stored] = []
    for _ in range(count):
        if at + 2 > end:
            return Damage(offset, "a frame holds fewer records than it says")
        header_end = at + 2 + _U16.unpack_from(data, at)[0]
        if header_end + 4 > end:
            return Damage(offset, "a frame holds fewer records than it says")
        slot_end = header_end + 4 + _U32.unpack_from(data, header_end)[0]
        if slot_end > end:
            return Damage(offset, "a frame holds fewer records than it says")
        records.append((data[at + 2 : header_end], data[header_end + 4 : slot_end]))
        at = slot_end
    if at != end or not records:
        return Damage(offset, "a frame holds something other than its records")
    return Frame(first, tuple(records), offset, end)


def encode_bundle(slots: Sequence[bytes]) -> bytes:
    """A body bundle of up to 256 slots."""
    parts: list[bytes] = []
    for slot in slots:
        parts += (_U32.pack(len(slot)), slot)
    return b"".join(parts)


def decode_bundle(data: bytes, count: int) -> list[bytes]:
    """Exactly `count` slots, nothing over. Raises `Corruption`."""
    if not 0 < count <= TILE_WIDTH:
        raise Corruption("bundle.count", f"A body bundle holds 1 to {TILE_WIDTH} slots, not {count}.")
    slots: list[bytes] = []
    at = 0
    for _ in range(count):
        if at + 4 > len(data):
            raise Corruption("bundle.short", f"A body bundle ends after {len(slots)} of {count} slots.")
        length = _U32.unpack_from(data, at)[0]
        if length > SLOT_BYTES_MAX or at + 4 + length > len(data):
            raise Corruption("bundle.short", f"A body bundle ends inside slot {len(slots)} of {count}.")
        slots.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    if at != len(data):
        raise Corruption("bundle.long", f"A body bundle holds {len(data) - at} bytes more than its {count} slots.")
    return slots
