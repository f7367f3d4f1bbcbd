"""The packets that open a connection, before messages have a type byte.

A client first sends a packet of a length (that counts itself), a code of four bytes and a payload. It asks for TLS
or GSSAPI encryption, asks to cancel another session's query, or starts a session. The reader of a socket takes four
bytes, asks `packet_bytes` how many there are in all, takes the rest, and gives the whole to `decode_first`. After an
encryption request comes another first packet: whatever the client sent in clear behind the request must be thrown
away, or someone in between could slip statements in (CVE-2021-23214).

Protocol 3.0 is spoken. A newer minor version or unknown `_pq_.` options are answered with what `negotiation` gives,
then the session goes on in 3.0. Source: PostgreSQL manual, "Message Flow" and "Message Formats".
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from affidavit.errors import InvalidInput
from affidavit.limits import STARTUP_BYTES_MAX
from affidavit.wire.postgres.backend_messages import NegotiateProtocolVersion, encode_negotiate_protocol_version
from affidavit.wire.postgres.cursor import Cursor
from affidavit.wire.postgres.frontend_messages import cstring

LENGTH_BYTES: Final = 4
VERSION_3_0: Final = 3 << 16

#: The one-byte answers to SSLRequest and GSSENCRequest.
ENCRYPT: Final = b"S"
NO_ENCRYPTION: Final = b"N"

_CANCEL: Final = 1234 << 16 | 5678
_SSL: Final = 1234 << 16 | 5679
_GSSENC: Final = 1234 << 16 | 5680
_PACKET_BYTES_MIN: Final = 8
_OPTION_PREFIX: Final = "_pq_."
_SECRET_BYTES_MIN, _SECRET_BYTES_MAX = 4, 256


class SSLRequest(NamedTuple):
    """May we speak TLS? Answer `ENCRYPT` or `NO_ENCRYPTION`."""


class GSSENCRequest(NamedTuple):
    """May we speak GSSAPI encryption? Answer `NO_ENCRYPTION`."""


class CancelRequest(NamedTuple):
    """Cancel what the session with this key is doing. It has no answer; the connection closes."""

    pid: int
    secret: bytes


class StartupMessage(NamedTuple):
    """Start a session. `parameters` in the client's order, without `options`, the `_pq_.` names it asked for."""

    minor: int
    parameters: tuple[tuple[str, str], ...]
    options: tuple[str, ...] = ()

    def get(self, name: str) -> str:
        """A parameter's value, "" where the client did not send it."""
        return next((value for key, value in self.parameters if key == name), "")

    @property
    def user(self) -> str:
        return self.get("user")

    @property
    def database(self) -> str:
        """The database asked for; PostgreSQL takes the user's name where none is given."""
        return self.get("database") or self.user

    @property
    def replication(self) -> bool:
        """Whether the client wants a replication session, whose commands are no SQL.

        Anything but a plain "no" counts as a wish: a server that does not know the value refuses it anyway.
        """
        return self.get("replication").lower() not in ("", "false", "off", "no", "0", "f", "n")


FirstPacket = SSLRequest | GSSENCRequest | CancelRequest | StartupMessage


def packet_bytes(head: bytes) -> int:
    """The size of the whole first packet, whose first four bytes `head` holds.

    Raises `InvalidInput`: `pg.startup_length` if it is below 8 or above `STARTUP_BYTES_MAX`. Close the connection
    without an answer: it is not a PostgreSQL client.
    """
    size = Cursor(head[:LENGTH_BYTES], "first").uint32()
    if not _PACKET_BYTES_MIN <= size <= STARTUP_BYTES_MAX:
        raise InvalidInput(
            "pg.startup_length",
            f"The first packet claims {size} bytes; it must have {_PACKET_BYTES_MIN} to {STARTUP_BYTES_MAX}.",
            "Connect with a PostgreSQL client.",
        )
    return size


def decode_first(packet: bytes) -> FirstPacket:
    """What the client wants. `packet` is exactly one first packet, length included.

    Raises `InvalidInput`: `pg.startup_length` and `pg.malformed` for broken packets, `pg.version` for a protocol
    other than 3, `pg.startup_duplicate` for a parameter sent twice, `pg.startup_text` for one that is not UTF-8,
    `pg.startup_user` if no user is named.
    """
    size = packet_bytes(packet)
    cursor = Cursor(packet, "first")
    if size != len(packet):
        raise cursor.fail(f"it has {len(packet)} bytes and claims {size}")
    cursor.take(LENGTH_BYTES)
    code = cursor.uint32()
    if code == _CANCEL:
        pid, secret = cursor.uint32(), cursor.rest()
        if not _SECRET_BYTES_MIN <= len(secret) <= _SECRET_BYTES_MAX:
            raise cursor.fail(f"its key has {len(secret)} bytes")
        return CancelRequest(pid, secret)
    if code in (_SSL, _GSSENC):
        cursor.end()
        return SSLRequest() if code == _SSL else GSSENCRequest()
    if code >> 16 != VERSION_3_0 >> 16:
        raise InvalidInput(
            "pg.version",
            f"The client speaks protocol {code >> 16}.{code & 0xFFFF}; only version 3 is spoken here.",
            "Use a client of PostgreSQL 7.4 or later.",
        )
    return _startup(cursor, code & 0xFFFF)


def _startup(cursor: Cursor, minor: int) -> StartupMessage:
    pairs: dict[str, str] = {}
    options: list[str] = []
    while name := _utf8(cursor.cstring()):
        value = _utf8(cursor.cstring())
        if name in pairs or name in options:
            raise InvalidInput(
                "pg.startup_duplicate",
                f"The startup packet names {name!r} twice, so that two readers could see two values.",
                "Send each parameter once.",
            )
        if name.startswith(_OPTION_PREFIX):
            options.append(name)
        else:
            pairs[name] = value
    cursor.end()
    if not pairs.get("user"):
        raise InvalidInput("pg.startup_user", "The startup packet names no user.", "Say who connects.")
    return StartupMessage(minor, tuple(pairs.items()), tuple(options))


def _utf8(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(
            "pg.startup_text", "The startup packet holds text that is not UTF-8.", "Name users in UTF-8."
        ) from None


def negotiation(startup: StartupMessage) -> bytes:
    """What to send before the authentication request: NegotiateProtocolVersion down to 3.0, or nothing.

    The message carries the whole version number as PostgreSQL sends it, although the manual says minor version.
    """
    if startup.minor == 0 and not startup.options:
        return b""
    return encode_negotiate_protocol_version(NegotiateProtocolVersion(VERSION_3_0, startup.options))


def _packet(code: int, payload: bytes = b"") -> bytes:
    return struct.pack(">II", len(payload) + _PACKET_BYTES_MIN, code) + payload


def encode_startup(parameters: tuple[tuple[str, str], ...]) -> bytes:
    """A startup packet of version 3.0. Raises `InvalidInput` if it would be longer than a server accepts."""
    pairs = b"".join(cstring(key.encode()) + cstring(value.encode()) for key, value in parameters)
    packet = _packet(VERSION_3_0, pairs + b"\x00")
    packet_bytes(packet)
    return packet


def encode_ssl_request() -> bytes:
    return _packet(_SSL)


def encode_cancel_request(cancel: CancelRequest) -> bytes:
    return _packet(_CANCEL, struct.pack(">I", cancel.pid) + cancel.secret)
