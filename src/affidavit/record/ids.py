"""Record ids: UUIDv7 (RFC 9562 §5.7), made by the producer from its own time and randomness."""

from __future__ import annotations

import re

RANDOM_BYTES = 10
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def uuid7(at_ns: int, randomness: bytes) -> str:
    """The id for a record made at `at_ns` (nanoseconds since 1970), with 10 random bytes."""
    value = (at_ns // 1_000_000 & (1 << 48) - 1) << 80 | int.from_bytes(randomness[:RANDOM_BYTES], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_uuid7(text: str) -> bool:
    """True where `text` is spelled as a UUIDv7."""
    return _ID.fullmatch(text) is not None
