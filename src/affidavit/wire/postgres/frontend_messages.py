"""What a client says: values, and how each is read from and written to bytes.

Names and statement texts stay bytes, because the client's encoding need not be UTF-8 and because a portal is the
same portal only if its bytes are. `decode_*` take a payload (without type byte and length) and raise `InvalidInput`
(`pg.malformed`) for anything but exactly one message; `encode_*` give a whole message, header included. An encoder
given a name with a NUL inside raises `InvalidInput` (`pg.nul`): it would change the meaning of what follows it.

Source: PostgreSQL manual, "Message Formats".
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from affidavit.errors import InvalidInput
from affidavit.wire.postgres import codes
from affidavit.wire.postgres.cursor import Cursor
from affidavit.wire.postgres.framing import message

#: Messages without a payload.
SYNC: Final = message(codes.SYNC)
FLUSH: Final = message(codes.FLUSH)
TERMINATE: Final = message(codes.TERMINATE)
COPY_DONE: Final = message(codes.COPY_DONE)


class Parse(NamedTuple):
    """Prepare a statement. `oids` are the parameter types that the client fixes; 0 leaves one open."""

    name: bytes
    query: bytes
    oids: tuple[int, ...]


class Bind(NamedTuple):
    """Make a portal of a prepared statement. `formats` has no, one or as many codes as there are values."""

    portal: bytes
    statement: bytes
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    result_formats: tuple[int, ...]

    def format_of(self, index: int) -> int:
        """The format code of the value at `index`."""
        if not self.formats:
            return codes.TEXT
        return self.formats[0] if len(self.formats) == 1 else self.formats[index]


class Target(NamedTuple):
    """What Describe and Close speak of: `kind` is `codes.STATEMENT` or `codes.PORTAL`."""

    kind: int
    name: bytes


class Execute(NamedTuple):
    """Run a portal. `rows_max` 0 means all rows."""

    portal: bytes
    rows_max: int


class SaslInitial(NamedTuple):
    """The first answer to AuthenticationSASL. `data` is None where the client sent none."""

    mechanism: str
    data: bytes | None


def cstring(text: bytes) -> bytes:
    """`text` with its NUL. Raises `InvalidInput` (`pg.nul`) if it holds one itself."""
    if b"\x00" in text:
        raise InvalidInput("pg.nul", "A string for the PostgreSQL protocol holds a NUL byte.", "Remove it.")
    return text + b"\x00"


def decode_empty(payload: bytes, what: str) -> None:
    """Check a message that has no payload: Sync, Flush, Terminate, CopyDone and several answers."""
    Cursor(payload, what).end()


def decode_query(payload: bytes) -> bytes:
    """The text of a simple query, which may hold several statements or none."""
    cursor = Cursor(payload, "Query")
    text = cursor.cstring()
    cursor.end()
    return text


def encode_query(text: bytes) -> bytes:
    return message(codes.QUERY, cstring(text))


def decode_parse(payload: bytes) -> Parse:
    cursor = Cursor(payload, "Parse")
    name, query = cursor.cstring(), cursor.cstring()
    oids = tuple(cursor.uint32() for _ in range(cursor.count(4)))
    cursor.end()
    return Parse(name, query, oids)


def encode_parse(parse: Parse) -> bytes:
    oids = struct.pack(f">H{len(parse.oids)}I", len(parse.oids), *parse.oids)
    return message(codes.PARSE, cstring(parse.name) + cstring(parse.query) + oids)


def decode_bind(payload: bytes) -> Bind:
    cursor = Cursor(payload, "Bind")
    portal, statement = cursor.cstring(), cursor.cstring()
    formats = cursor.formats()
    values = cursor.values()
    if len(formats) not in (0, 1, len(values)):
        raise cursor.fail(f"{len(formats)} format codes for {len(values)} values")
    result_formats = cursor.formats()
    cursor.end()
    return Bind(portal, statement, formats, values, result_formats)


def encode_bind(bind: Bind) -> bytes:
    parts = [cstring(bind.portal), cstring(bind.statement), _formats(bind.formats)]
    parts.append(struct.pack(">H", len(bind.values)))
    for value in bind.values:
        parts.append(b"\xff\xff\xff\xff" if value is None else struct.pack(">i", len(value)) + value)
    parts.append(_formats(bind.result_formats))
    return message(codes.BIND, b"".join(parts))


def _formats(formats: tuple[int, ...]) -> bytes:
    return struct.pack(f">H{len(formats)}H", len(formats), *formats)


def _decode_target(payload: bytes, what: str) -> Target:
    cursor = Cursor(payload, what)
    kind, name = cursor.byte(), cursor.cstring()
    if kind not in (codes.STATEMENT, codes.PORTAL):
        raise cursor.fail("it names neither a statement nor a portal")
    cursor.end()
    return Target(kind, name)


def decode_describe(payload: bytes) -> Target:
    return _decode_target(payload, "Describe")


def encode_describe(target: Target) -> bytes:
    return message(codes.DESCRIBE, bytes((target.kind,)) + cstring(target.name))


def decode_close(payload: bytes) -> Target:
    return _decode_target(payload, "Close")


def encode_close(target: Target) -> bytes:
    return message(codes.CLOSE, bytes((target.kind,)) + cstring(target.name))


def decode_execute(payload: bytes) -> Execute:
    cursor = Cursor(payload, "Execute")
    portal, rows_max = cursor.cstring(), cursor.int32()
    if rows_max < 0:
        raise cursor.fail("its row limit is negative")
    cursor.end()
    return Execute(portal, rows_max)


def encode_execute(execute: Execute) -> bytes:
    return message(codes.EXECUTE, cstring(execute.portal) + struct.pack(">i", execute.rows_max))


def encode_copy_data(data: bytes) -> bytes:
    """CopyData. There is no decoder: its payload is the data."""
    return message(codes.COPY_DATA, data)


def decode_copy_fail(payload: bytes) -> str:
    """Why the client gave up its COPY, in its words."""
    cursor = Cursor(payload, "CopyFail")
    reason = cursor.text()
    cursor.end()
    return reason


def encode_copy_fail(reason: str) -> bytes:
    return message(codes.COPY_FAIL, cstring(reason.encode()))


def decode_function_oid(payload: bytes) -> int:
    """The object id of the function that a FunctionCall asks for. Its arguments are not read: it is refused."""
    return Cursor(payload, "FunctionCall").uint32()


def decode_password(payload: bytes) -> bytes:
    """The password, or digest of one, that a client sent. Never keep it."""
    cursor = Cursor(payload, "PasswordMessage")
    password = cursor.cstring()
    cursor.end()
    return password


def encode_password(password: bytes) -> bytes:
    return message(codes.PASSWORD, cstring(password))


def decode_sasl_initial(payload: bytes) -> SaslInitial:
    cursor = Cursor(payload, "SASLInitialResponse")
    mechanism, data = cursor.text(), cursor.value()
    cursor.end()
    return SaslInitial(mechanism, data)


def encode_sasl_initial(initial: SaslInitial) -> bytes:
    data = b"\xff\xff\xff\xff" if initial.data is None else struct.pack(">i", len(initial.data)) + initial.data
    return message(codes.PASSWORD, cstring(initial.mechanism.encode()) + data)


def encode_sasl_response(data: bytes) -> bytes:
    """SASLResponse. There is no decoder: its payload is the data."""
    return message(codes.PASSWORD, data)
