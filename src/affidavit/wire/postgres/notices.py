"""ErrorResponse and NoticeResponse: their fields, read and built.

The field codes that matter here: S severity (translated), V severity (never translated), C SQLSTATE, M message,
D detail, H hint. Source: PostgreSQL manual, "Error and Notice Message Fields".
"""

from __future__ import annotations

from typing import Final

from affidavit.wire.postgres import codes
from affidavit.wire.postgres.cursor import Cursor
from affidavit.wire.postgres.framing import message

Fields = tuple[tuple[str, str], ...]

SEVERITY: Final = "V"
SQLSTATE: Final = "C"
MESSAGE: Final = "M"
DETAIL: Final = "D"
HINT: Final = "H"

#: Severities after which a server closes the connection.
FATAL_SEVERITIES: Final = frozenset({"FATAL", "PANIC"})


def decode_fields(payload: bytes) -> Fields:
    """The (code, text) pairs of an ErrorResponse or NoticeResponse, in their order.

    Raises `InvalidInput` (`pg.malformed`) unless the payload is exactly a list of fields with its end mark.
    """
    cursor = Cursor(payload, "error or notice")
    fields = []
    while code := cursor.byte():
        if not 0x21 <= code <= 0x7E:
            raise cursor.fail("a field code is no printable character")
        fields.append((chr(code), cursor.text()))
    cursor.end()
    return tuple(fields)


def field(fields: Fields, code: str) -> str:
    """The text of the first field with this code, "" where there is none."""
    return next((text for found, text in fields if found == code), "")


def severity(fields: Fields) -> str:
    """ERROR, FATAL, PANIC, WARNING, NOTICE …, untranslated where the server says so (9.6 and later)."""
    return field(fields, SEVERITY) or field(fields, "S")


def error(severity: str, sqlstate: str, message: str, detail: str = "", hint: str = "") -> bytes:
    """An ErrorResponse. `severity` is ERROR, FATAL or PANIC. NULs in texts are dropped: they would end the field."""
    return _encode(codes.ERROR_RESPONSE, (severity, sqlstate, message, detail, hint))


def notice(severity: str, sqlstate: str, message: str, detail: str = "", hint: str = "") -> bytes:
    """A NoticeResponse. `severity` is WARNING, NOTICE, INFO, LOG or DEBUG; `sqlstate` 00000 says nothing is wrong."""
    return _encode(codes.NOTICE_RESPONSE, (severity, sqlstate, message, detail, hint))


def _encode(code: int, texts: tuple[str, str, str, str, str]) -> bytes:
    """`texts` are severity, SQLSTATE, message, detail and hint; empty ones are left out."""
    fields = zip("SVCMDH", (texts[0], *texts), strict=True)
    body = "".join(f"{key}{text.replace(chr(0), '')}\0" for key, text in fields if text)
    return message(code, body.encode("utf-8", "backslashreplace") + b"\x00")
