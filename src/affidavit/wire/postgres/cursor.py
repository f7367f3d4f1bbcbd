"""A strict reader over one message payload: every count and length is compared with the bytes that are there."""

from __future__ import annotations

import struct
from typing import Final

from affidavit.errors import InvalidInput

_INT16: Final = struct.Struct(">H")
_INT32: Final = struct.Struct(">i")
_UINT32: Final = struct.Struct(">I")


def malformed(what: str, problem: str) -> InvalidInput:
    """The error for a payload that does not follow the protocol. The connection it came from should be closed."""
    return InvalidInput("pg.malformed", f"A {what} message is malformed: {problem}.", "Close the connection.")


class Cursor:
    """Reads fields in order. Each reader raises `InvalidInput` (`pg.malformed`) where the payload is too short."""

    __slots__ = ("_at", "_payload", "_what")

    def __init__(self, payload: bytes, what: str) -> None:
        self._payload = payload
        self._what = what
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._payload) - self._at

    def fail(self, problem: str) -> InvalidInput:
        """The error to raise for a field whose value is wrong."""
        return malformed(self._what, problem)

    def byte(self) -> int:
        if self.left < 1:
            raise self.fail("it ends early")
        self._at += 1
        return self._payload[self._at - 1]

    def uint16(self) -> int:
        if self.left < 2:
            raise self.fail("it ends early")
        self._at += 2
        return int(_INT16.unpack_from(self._payload, self._at - 2)[0])

    def int32(self) -> int:
        if self.left < 4:
            raise self.fail("it ends early")
        self._at += 4
        return int(_INT32.unpack_from(self._payload, self._at - 4)[0])

    def uint32(self) -> int:
        if self.left < 4:
            raise self.fail("it ends early")
        self._at += 4
        return int(_UINT32.unpack_from(self._payload, self._at - 4)[0])

    def take(self, size: int) -> bytes:
        """The next `size` bytes; a negative size is malformed."""
        if size < 0 or self.left < size:
            raise self.fail(f"it holds {self.left} more bytes where {size} were announced")
        self._at += size
        return self._payload[self._at - size : self._at]

    def rest(self) -> bytes:
        return self.take(self.left)

    def cstring(self) -> bytes:
        """Bytes up to the next NUL, which is read but not given."""
        end = self._payload.find(b"\x00", self._at)
        if end < 0:
            raise self.fail("a string has no NUL at its end")
        text = self._payload[self._at : end]
        self._at = end + 1
        return text

    def text(self) -> str:
        """A NUL-terminated string as text for people; bytes that are not UTF-8 appear as \\xNN."""
        return self.cstring().decode("utf-8", "backslashreplace")

    def count(self, item_bytes_min: int) -> int:
        """A 16-bit count of items of at least `item_bytes_min` bytes each, all of which must fit what is left.

        The manual says Int16, servers and clients take it as unsigned: 65,535 parameters are legal.
        """
        count = self.uint16()
        if count * item_bytes_min > self.left:
            raise self.fail(f"it announces {count} items in {self.left} bytes")
        return count

    def value(self) -> bytes | None:
        """A length-prefixed value; length -1 is NULL."""
        size = self.int32()
        if size == -1:
            return None
        return self.take(size)

    def formats(self) -> tuple[int, ...]:
        """A counted list of format codes, each 0 (text) or 1 (binary)."""
        codes = tuple(self.uint16() for _ in range(self.count(2)))
        if any(code > 1 for code in codes):
            raise self.fail("a format code is neither 0 nor 1")
        return codes

    def end(self) -> None:
        """Refuse bytes behind the last field."""
        if self.left:
            raise self.fail(f"{self.left} bytes follow its end")
