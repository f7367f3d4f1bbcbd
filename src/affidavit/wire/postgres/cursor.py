"""A strict reader over one message payload: every count and length is compared with the bytes that are there."""

from __future__ import annotations

import struct
from typing import Final

from affidavit.errors import InvalidInput

_BYTE: Final = struct.Struct(">B")
_UINT16: Final = struct.Struct(">H")
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
        return self._number(_BYTE)

    def uint16(self) -> int:
        return self._number(_UINT16)

    def int32(self) -> int:
        return self._number(_INT32)

    def uint32(self) -> int:
        return self._number(_UINT32)

    def _number(self, layout: struct.Struct) -> int:
        try:
            number: int = layout.unpack_from(self._payload, self._at)[0]
        except struct.error:
            raise self.fail("it ends early") from None
        self._at += layout.size
        return number

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
        if count * item_bytes_min > len(self._payload) - self._at:
            raise self.fail(f"it announces {count} items in {self.left} bytes")
        return count

    def value(self) -> bytes | None:
        """A length-prefixed value; length -1 is NULL."""
        size = self.int32()
        if size == -1:
            return None
        return self.take(size)

    def values(self) -> tuple[bytes | None, ...]:
        """A counted list of values. The loop is written out: every Bind and every captured row passes here."""
        payload, at, size = self._payload, self._at + _UINT16.size, len(self._payload)
        values: list[bytes | None] = []
        for _ in range(self.count(_INT32.size)):
            if at + 4 > size:
                raise self.fail("it ends early")
            length = _INT32.unpack_from(payload, at)[0]
            at += 4
            if length == -1:
                values.append(None)
                continue
            if not 0 <= length <= size - at:
                raise self.fail(f"it announces a value of {length} bytes where {size - at} are left")
            values.append(payload[at : at + length])
            at += length
        self._at = at
        return tuple(values)

    def formats(self) -> tuple[int, ...]:
        """A counted list of format codes, each 0 (text) or 1 (binary)."""
        count = self.count(_UINT16.size)
        if not count:
            return ()
        codes: tuple[int, ...] = struct.unpack_from(f">{count}H", self._payload, self._at)
        self._at += count * _UINT16.size
        if max(codes) > 1:
            raise self.fail("a format code is neither 0 nor 1")
        return codes

    def end(self) -> None:
        """Refuse bytes behind the last field."""
        if self.left:
            raise self.fail(f"{self.left} bytes follow its end")
