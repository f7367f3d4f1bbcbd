"""Bytes in, messages out: the framing of typed messages, for either direction.

A message is one type byte, a big-endian length that counts itself, and the payload. A framer finds the messages in
what was read from a socket and offers them in one of two forms:

* `messages()`: (code, payload) pairs, for whoever reads the content;
* `spans()`: one buffer with (code, start, end) triples, for whoever relays: neighbouring spans touch, so a run of
  messages goes on as one slice, `buffer[first_start:last_end]`, without being encoded again.

**Bounds.** A header is judged as soon as its five bytes are there, the type byte even before. A type that is not
allowed, a length below 4 or above the limit raises at once, before any payload is kept. What a framer holds between
two reads is therefore less than one message within the limit. A framer that raised stays broken: it raises the same
error at every further `feed`. Messages that stood whole before the fault can still be taken.

**Pieces.** A server may send one row of up to a gigabyte. A framer built with `pieced` types hands on a message of
these types whose length exceeds `whole_bytes_max` as it arrives: first its five header bytes (code | PIECE_HEAD),
then any number of parts of its payload (code | PIECE_MORE), at last one that ends it (code | PIECE_LAST).
`code & 0xFF` is always the message type. All other messages come whole. The cut between whole and pieced depends on
the length alone, never on how the bytes arrived.
"""

from __future__ import annotations

import struct
from collections.abc import Set as AbstractSet
from typing import Final, NoReturn

from affidavit.errors import InvalidInput
from affidavit.limits import MESSAGE_BYTES_MAX

# Bits of their own, so that testing one with & cannot match another.
PIECE_HEAD: Final = 0x100
PIECE_MORE: Final = 0x200
PIECE_LAST: Final = 0x400

_HEADER: Final = struct.Struct(">BI")
_HEADER_BYTES: Final = 5
_LENGTH_MIN: Final = 4  # the length field counts itself

Span = tuple[int, int, int]


def message(code: int, payload: bytes = b"") -> bytes:
    """One message as bytes: type byte, length, payload."""
    return _HEADER.pack(code, len(payload) + _LENGTH_MIN) + payload


class Framer:
    """Finds messages in a stream of bytes. One for each direction of a connection; see the module for its bounds.

    `allowed` are the types that this side may send now, `bytes_max` the largest length field accepted,
    `pieced` and `whole_bytes_max` say which messages come in pieces above which length.
    """

    def __init__(
        self,
        allowed: AbstractSet[int],
        bytes_max: int = MESSAGE_BYTES_MAX,
        pieced: AbstractSet[int] = frozenset(),
        whole_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        self._allowed = allowed
        self._bytes_max = bytes_max
        self._pieced = pieced
        self._whole_bytes_max = max(whole_bytes_max, _LENGTH_MIN)
        self._buffer = b""  # holds the unread spans
        self._spans: list[Span] = []
        self._tail = bytearray()  # the beginning of a message that is not whole yet
        self._need = _HEADER_BYTES  # scan again once the tail has this many bytes
        self._piece_code = 0
        self._piece_left = 0  # payload bytes still to come of a message in pieces
        self._fault: InvalidInput | None = None

    def expect(
        self,
        allowed: AbstractSet[int],
        bytes_max: int = MESSAGE_BYTES_MAX,
        pieced: AbstractSet[int] = frozenset(),
        whole_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        """Change what is accepted from the next `feed` on: after the login. A message not whole yet is judged anew."""
        self._allowed = allowed
        self._bytes_max = bytes_max
        self._pieced = pieced
        self._whole_bytes_max = max(whole_bytes_max, _LENGTH_MIN)

    @property
    def mid_message(self) -> bool:
        """True while a message is not whole yet: a connection that ends now ended inside a message."""
        return bool(self._tail) or self._piece_left > 0

    @property
    def in_pieces(self) -> bool:
        """True while a message that comes in pieces has not ended: nothing may be put between them."""
        return self._piece_left > 0

    def feed(self, data: bytes) -> None:
        """Take bytes read from the peer.

        Raises `InvalidInput`: `pg.rubbish` for a type that this side may not send now, `pg.length` for a length
        below 4, `pg.too_large` for one above the limit. The connection cannot be used any more: close it.
        """
        if self._fault is not None:
            raise self._fault
        if self._tail:
            self._tail += data
            if len(self._tail) < self._need:
                return
            data = bytes(self._tail)
            self._tail.clear()
        if self._spans:
            # Not taken since the last feed: keep the whole messages and go on behind them.
            kept = self._buffer[: self._spans[-1][2]]
            self._buffer = kept + data
            self._scan(len(kept))
        else:
            self._buffer = data
            self._scan(0)

    def messages(self) -> list[tuple[int, bytes]]:
        """The messages found since the last call, as (code, payload). The head of a message in pieces has b""."""
        buffer = self._buffer
        found = [
            (code, buffer[start + _HEADER_BYTES : end] if code < PIECE_MORE else buffer[start:end])
            for code, start, end in self._spans
        ]
        self._spans = []
        self._buffer = b""
        return found

    def spans(self) -> tuple[bytes, list[Span]]:
        """The messages found since the last call, as a buffer and (code, start, end) in it, header included.

        Bytes of the buffer outside the spans belong to a message that is not whole yet: never forward them.
        """
        buffer, spans = self._buffer, self._spans
        self._spans = []
        self._buffer = b""
        return buffer, spans

    def _scan(self, at: int) -> None:
        """Find messages in the buffer from `at`; what is left over becomes the tail."""
        data = self._buffer
        size = len(data)
        if self._piece_left:
            at = self._piece(at, size)
        found = self._spans.append
        allowed, bytes_max, unpack = self._allowed, self._bytes_max, _HEADER.unpack_from
        self._need = _HEADER_BYTES
        while size - at >= _HEADER_BYTES:
            code, length = unpack(data, at)
            if code not in allowed or not _LENGTH_MIN <= length <= bytes_max:
                self._refuse(code, length)
            if code in self._pieced and length > self._whole_bytes_max:
                found((code | PIECE_HEAD, at, at + _HEADER_BYTES))
                self._piece_code, self._piece_left = code, length - _LENGTH_MIN
                at = self._piece(at + _HEADER_BYTES, size)
                continue
            end = at + 1 + length
            if end > size:
                self._need = 1 + length
                break
            found((code, at, end))
            at = end
        if at < size:
            if data[at] not in allowed:
                self._refuse(data[at], _LENGTH_MIN)
            self._tail += data[at:]

    def _piece(self, at: int, size: int) -> int:
        """Note the part of a message in pieces that lies at `at`; the position behind it."""
        part = min(size - at, self._piece_left)
        if part:
            self._piece_left -= part
            mark = PIECE_MORE if self._piece_left else PIECE_LAST
            self._spans.append((self._piece_code | mark, at, at + part))
        return at + part

    def _refuse(self, code: int, length: int) -> NoReturn:
        if code not in self._allowed:
            fault = InvalidInput(
                "pg.rubbish",
                f"A message of type 0x{code:02x} has no place here in the PostgreSQL protocol.",
                "Close the connection: what follows cannot be framed.",
            )
        elif length < _LENGTH_MIN:
            fault = InvalidInput(
                "pg.length",
                f"A message claims a length of {length} bytes, less than its own length field.",
                "Close the connection: what follows cannot be framed.",
            )
        else:
            fault = InvalidInput(
                "pg.too_large",
                f"A message claims {length} bytes; the limit here is {self._bytes_max}.",
                "Send less in one message, for example by COPY or in several statements.",
            )
        self._fault = fault
        raise fault
