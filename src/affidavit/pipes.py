"""Messages over a pipe between two processes of ours: each behind its length (u32, big-endian)."""

from __future__ import annotations

import os
import struct

_LENGTH = struct.Struct(">I")


def write_message(file: int, message: bytes) -> None:
    """Write `message` whole. Raises `OSError` where nobody reads any more."""
    left = memoryview(_LENGTH.pack(len(message)) + message)
    while left:
        left = left[os.write(file, left) :]


def read_message(file: int) -> bytes | None:
    """Wait for the next message; None where the pipe ends before or within it. Raises `OSError`."""
    head = _read_exactly(file, _LENGTH.size)
    return None if head is None else _read_exactly(file, _LENGTH.unpack(head)[0])


def _read_exactly(file: int, count: int) -> bytes | None:
    chunks = []
    while count:
        chunk = os.read(file, count)
        if not chunk:
            return None
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)
