"""What a server says: values, and how each is read from and written to bytes.

`decode_*` take a payload (without type byte and length) and raise `InvalidInput` (`pg.malformed`) for anything but
exactly one message; `encode_*` give a whole message, header included. Texts are for people and records: bytes that
are not UTF-8 appear as \\xNN in them, so relay the original bytes, not these. Errors and notices: `notices`.

Source: PostgreSQL manual, "Message Formats".
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from affidavit.errors import InvalidInput
from affidavit.wire.postgres import codes
from affidavit.wire.postgres.cursor import Cursor, malformed
from affidavit.wire.postgres.framing import message
from affidavit.wire.postgres.frontend_messages import cstring

#: Messages without a payload.
PARSE_COMPLETE: Final = message(codes.PARSE_COMPLETE)
BIND_COMPLETE: Final = message(codes.BIND_COMPLETE)
CLOSE_COMPLETE: Final = message(codes.CLOSE_COMPLETE)
EMPTY_QUERY_RESPONSE: Final = message(codes.EMPTY_QUERY_RESPONSE)
NO_DATA: Final = message(codes.NO_DATA)
PORTAL_SUSPENDED: Final = message(codes.PORTAL_SUSPENDED)
AUTHENTICATION_OK: Final = message(codes.AUTHENTICATION, struct.pack(">I", 0))

_AUTH_OK, _AUTH_CLEARTEXT, _AUTH_MD5, _AUTH_SASL, _AUTH_CONTINUE, _AUTH_FINAL = 0, 3, 5, 10, 11, 12
_SECRET_BYTES_MIN, _SECRET_BYTES_MAX = 4, 256  # protocol 3.2 allows longer keys than 3.0's four bytes
_INT32: Final = struct.Struct(">i")
_UINT16: Final = struct.Struct(">H")
_COUNTING_VERBS: Final = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "FETCH", "MOVE", "REFRESH"}
)


class AuthenticationOk(NamedTuple):
    """The login succeeded."""


class AuthenticationCleartextPassword(NamedTuple):
    """The server wants the password itself."""


class AuthenticationMD5Password(NamedTuple):
    """The server wants an MD5 digest with this salt of four bytes."""

    salt: bytes


class AuthenticationSASL(NamedTuple):
    """The server offers these SASL mechanisms, in its order of preference."""

    mechanisms: tuple[str, ...]


class AuthenticationSASLContinue(NamedTuple):
    """The server's challenge."""

    data: bytes


class AuthenticationSASLFinal(NamedTuple):
    """The server's own proof."""

    data: bytes


Authentication = (
    AuthenticationOk
    | AuthenticationCleartextPassword
    | AuthenticationMD5Password
    | AuthenticationSASL
    | AuthenticationSASLContinue
    | AuthenticationSASLFinal
)


class KeyData(NamedTuple):
    """What a client must show to cancel: the server process, and its secret."""

    pid: int
    secret: bytes


class Column(NamedTuple):
    """One column of a result. `table_oid` and `attnum` are 0 where it comes from no table column."""

    name: str
    table_oid: int
    attnum: int
    type_oid: int
    type_bytes: int
    type_modifier: int
    format: int


class CopyResponse(NamedTuple):
    """The server is ready to take or send COPY data: overall format, and one for each column."""

    format: int
    column_formats: tuple[int, ...]


class Notification(NamedTuple):
    """What LISTEN gives."""

    pid: int
    channel: str
    payload: str


class NegotiateProtocolVersion(NamedTuple):
    """The server speaks an older minor version (major in the upper 16 bits), and not these options."""

    version: int
    options: tuple[str, ...]


def decode_authentication(payload: bytes) -> Authentication:
    """Which authentication the server asks for.

    Raises `InvalidInput` `pg.auth_method` for GSSAPI, SSPI and Kerberos, which are not supported.
    """
    cursor = Cursor(payload, "Authentication")
    code = cursor.uint32()
    found: Authentication
    if code == _AUTH_OK:
        found = AuthenticationOk()
    elif code == _AUTH_CLEARTEXT:
        found = AuthenticationCleartextPassword()
    elif code == _AUTH_MD5:
        found = AuthenticationMD5Password(cursor.take(4))
    elif code == _AUTH_SASL:
        mechanisms = []
        while name := cursor.text():
            mechanisms.append(name)
        found = AuthenticationSASL(tuple(mechanisms))
    elif code == _AUTH_CONTINUE:
        found = AuthenticationSASLContinue(cursor.rest())
    elif code == _AUTH_FINAL:
        found = AuthenticationSASLFinal(cursor.rest())
    else:
        raise InvalidInput(
            "pg.auth_method",
            f"The server asks for authentication method {code}, which is not supported.",
            "Let it use scram-sha-256 for this login (pg_hba.conf).",
        )
    cursor.end()
    return found


def encode_authentication_sasl(mechanisms: tuple[str, ...]) -> bytes:
    names = b"".join(cstring(name.encode()) for name in mechanisms)
    return message(codes.AUTHENTICATION, struct.pack(">I", _AUTH_SASL) + names + b"\x00")


def encode_authentication_sasl_continue(data: bytes) -> bytes:
    return message(codes.AUTHENTICATION, struct.pack(">I", _AUTH_CONTINUE) + data)


def encode_authentication_sasl_final(data: bytes) -> bytes:
    return message(codes.AUTHENTICATION, struct.pack(">I", _AUTH_FINAL) + data)


def decode_parameter_status(payload: bytes) -> tuple[str, str]:
    """A setting's name and its value now."""
    cursor = Cursor(payload, "ParameterStatus")
    pair = cursor.text(), cursor.text()
    cursor.end()
    return pair


def encode_parameter_status(name: str, value: str) -> bytes:
    return message(codes.PARAMETER_STATUS, cstring(name.encode()) + cstring(value.encode()))


def decode_backend_key_data(payload: bytes) -> KeyData:
    cursor = Cursor(payload, "BackendKeyData")
    pid, secret = cursor.uint32(), cursor.rest()
    if not _SECRET_BYTES_MIN <= len(secret) <= _SECRET_BYTES_MAX:
        raise cursor.fail(f"its key has {len(secret)} bytes")
    return KeyData(pid, secret)


def encode_backend_key_data(key: KeyData) -> bytes:
    return message(codes.BACKEND_KEY_DATA, struct.pack(">I", key.pid) + key.secret)


def decode_ready_for_query(payload: bytes) -> int:
    """The transaction's state: `codes.IDLE`, `IN_TRANSACTION` or `FAILED_TRANSACTION`."""
    if payload not in (b"I", b"T", b"E"):
        raise malformed("ReadyForQuery", "its state is none of I, T and E")
    return payload[0]


def encode_ready_for_query(state: int) -> bytes:
    return message(codes.READY_FOR_QUERY, bytes((state,)))


def decode_row_description(payload: bytes) -> tuple[Column, ...]:
    cursor = Cursor(payload, "RowDescription")
    columns = []
    for _ in range(cursor.count(19)):
        name, table_oid, attnum = cursor.text(), cursor.uint32(), cursor.uint16()
        type_oid, type_bytes, modifier, form = cursor.uint32(), cursor.uint16(), cursor.int32(), cursor.uint16()
        if form > codes.BINARY:
            raise cursor.fail("a format code is neither 0 nor 1")
        columns.append(Column(name, table_oid, _signed(attnum), type_oid, _signed(type_bytes), modifier, form))
    cursor.end()
    return tuple(columns)


def _signed(number: int) -> int:
    """System columns have negative numbers, types of variable length the size -1."""
    return number - 0x10000 if number >= 0x8000 else number


def encode_row_description(columns: tuple[Column, ...]) -> bytes:
    parts = [_UINT16.pack(len(columns))]
    for name, *numbers in columns:
        parts.append(cstring(name.encode()) + struct.pack(">IhIhih", *numbers))
    return message(codes.ROW_DESCRIPTION, b"".join(parts))


def decode_data_row(payload: bytes) -> tuple[bytes | None, ...]:
    """The values of one row, None for NULL."""
    cursor = Cursor(payload, "DataRow")
    values = cursor.values()
    cursor.end()
    return values


def encode_data_row(values: tuple[bytes | None, ...]) -> bytes:
    parts = [_UINT16.pack(len(values))]
    for value in values:
        parts.append(b"\xff\xff\xff\xff" if value is None else _INT32.pack(len(value)) + value)
    return message(codes.DATA_ROW, b"".join(parts))


def column_at(payload: bytes, index: int) -> bytes | None:
    """The value at `index` (from 0) of a DataRow payload, without reading the columns behind it.

    Raises `InvalidInput` (`pg.malformed`) if the row has no such column or is broken before it.
    """
    size = len(payload)
    if size < 2 or not 0 <= index < (payload[0] << 8 | payload[1]):
        raise malformed("DataRow", f"it has no column {index}")
    at = 2
    while at + 4 <= size:
        length = _INT32.unpack_from(payload, at)[0]
        at += 4
        end = at + max(length, 0)
        if length < -1 or end > size:
            break
        if index == 0:
            return None if length < 0 else payload[at:end]
        index -= 1
        at = end
    raise malformed("DataRow", "a value ends outside of it")


def decode_command_complete(payload: bytes) -> str:
    """The command tag, such as `INSERT 0 5`."""
    cursor = Cursor(payload, "CommandComplete")
    tag = cursor.text()
    cursor.end()
    return tag


def encode_command_complete(tag: str) -> bytes:
    return message(codes.COMMAND_COMPLETE, cstring(tag.encode()))


def rows_of(tag: str) -> int | None:
    """How many rows a command tag counts; None for a command that counts none, such as `CREATE TABLE`."""
    words = tag.split(" ")
    count = words[-1]
    if len(words) < 2 or words[0] not in _COUNTING_VERBS or not (count.isascii() and count.isdigit()):
        return None
    return int(count) if len(count) <= 20 else None


def decode_parameter_description(payload: bytes) -> tuple[int, ...]:
    """The type oids of a prepared statement's parameters."""
    cursor = Cursor(payload, "ParameterDescription")
    oids = tuple(cursor.uint32() for _ in range(cursor.count(4)))
    cursor.end()
    return oids


def encode_parameter_description(oids: tuple[int, ...]) -> bytes:
    return message(codes.PARAMETER_DESCRIPTION, struct.pack(f">H{len(oids)}I", len(oids), *oids))


def decode_copy_response(payload: bytes) -> CopyResponse:
    """CopyInResponse, CopyOutResponse or CopyBothResponse: all have one shape."""
    cursor = Cursor(payload, "Copy response")
    overall = cursor.byte()
    if overall > codes.BINARY:
        raise cursor.fail("its format is neither 0 nor 1")
    formats = cursor.formats()
    cursor.end()
    return CopyResponse(overall, formats)


def encode_copy_response(code: int, response: CopyResponse) -> bytes:
    """`code` is one of `codes.COPY_IN_RESPONSE`, `COPY_OUT_RESPONSE`."""
    formats = response.column_formats
    return message(code, struct.pack(f">BH{len(formats)}H", response.format, len(formats), *formats))


def decode_notification(payload: bytes) -> Notification:
    cursor = Cursor(payload, "NotificationResponse")
    notification = Notification(cursor.uint32(), cursor.text(), cursor.text())
    cursor.end()
    return notification


def encode_notification(notification: Notification) -> bytes:
    pid, channel, payload = notification
    return message(
        codes.NOTIFICATION_RESPONSE,
        struct.pack(">I", pid) + cstring(channel.encode()) + cstring(payload.encode()),
    )


def decode_negotiate_protocol_version(payload: bytes) -> NegotiateProtocolVersion:
    cursor = Cursor(payload, "NegotiateProtocolVersion")
    version, count = cursor.uint32(), cursor.int32()
    if not 0 <= count <= cursor.left:
        raise cursor.fail(f"it announces {count} options in {cursor.left} bytes")
    options = tuple(cursor.text() for _ in range(count))
    cursor.end()
    return NegotiateProtocolVersion(version, options)


def encode_negotiate_protocol_version(negotiate: NegotiateProtocolVersion) -> bytes:
    options = b"".join(cstring(option.encode()) for option in negotiate.options)
    head = struct.pack(">Ii", negotiate.version, len(negotiate.options))
    return message(codes.NEGOTIATE_PROTOCOL_VERSION, head + options)
