"""The text of a value as it travels: a bound parameter or a column of a row, in text or binary format.

Binary values of the common types are decoded exactly, and everything else keeps all its bits as hexadecimal: the
record says what was sent, and *how* its text was made, one of

| how | the text is |
|---|---|
| `null` | empty: the value is NULL |
| `text` | what was sent, as UTF-8 |
| `decoded` | what PostgreSQL prints for the binary value (times in ISO form, UTC; floats in the shortest digits) |
| `bytes` | hexadecimal of what was sent as text but is not UTF-8 |
| `binary` | hexadecimal of a binary value of another type, or of one that does not follow its type's format |

Source: PostgreSQL's `*recv` and `*out` functions; `pg_type.dat` for the oids.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Final

from affidavit.limits import ARRAY_DECODE_BYTES_MAX
from affidavit.wire.postgres.codes import BINARY, TEXT

_DAYS_TO_2000: Final = 10_957  # from 1970-01-01
_MICROS_A_DAY: Final = 86_400_000_000
_INT32_MAX, _INT32_MIN = 2**31 - 1, -(2**31)
_INT64_MAX, _INT64_MIN = 2**63 - 1, -(2**63)
_NUMERIC_SPECIAL: Final = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}
_NUMERIC_NEGATIVE: Final = 0x4000
_ARRAY_HEAD: Final = struct.Struct(">iiIii")  # dimensions, has nulls, element type, size, lower bound


def parameter_text(value: bytes | None, fmt: int, oid: int) -> tuple[str, str]:
    """The text of a value and how it was made (see the module). Serves result columns too.

    `fmt` is its format code, `oid` the oid of its type (0: not known). Raises nothing: what cannot be decoded comes
    as hexadecimal. The text can be several times longer than the value, a numeric's up to 150,000 digits: cut it
    before it is kept.
    """
    if value is None:
        return "", "null"
    if fmt == TEXT or oid in _TEXT_TYPES:
        return _utf8(value, "text" if fmt == TEXT else "decoded")
    if oid == _JSONB and value[:1] == b"\x01":
        return _utf8(value[1:], "decoded")
    decode = _DECODERS.get(oid)
    if decode is not None:
        try:
            return decode(value), "decoded"
        except (struct.error, ValueError):
            pass  # not of its type's format: shown as it is
    return value.hex(), "binary"


def _utf8(value: bytes, how: str) -> tuple[str, str]:
    try:
        return value.decode("utf-8"), how
    except UnicodeDecodeError:
        return value.hex(), "bytes"


def _fixed(layout: str) -> Callable[[bytes], str]:
    number = struct.Struct(layout)
    return lambda value: str(number.unpack(value)[0])


def _bool(value: bytes) -> str:
    return {b"\x00": "f", b"\x01": "t"}[value] if value in (b"\x00", b"\x01") else _wrong()


def _wrong() -> str:
    raise ValueError("not of its type's format")


def _float_text(number: float, text: str) -> str:
    if math.isnan(number):
        return "NaN"
    return {"inf": "Infinity", "-inf": "-Infinity"}.get(text, text.removesuffix(".0"))


def _float8(value: bytes) -> str:
    number = struct.unpack(">d", value)[0]
    return _float_text(number, repr(number))


def _float4(value: bytes) -> str:
    """The shortest digits that give the same four bytes: 0.1, not 0.10000000149011612."""
    number = struct.unpack(">f", value)[0]
    for digits in range(1, 10):
        short = float(f"{number:.{digits}g}")
        try:
            if struct.pack(">f", short) == value:
                return _float_text(number, repr(short))
        except OverflowError:
            continue  # rounded up beyond the largest float4: more digits are needed
    return _float_text(number, repr(number))


def _uuid(value: bytes) -> str:
    if len(value) != 16:
        return _wrong()
    digits = value.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _bytea(value: bytes) -> str:
    return "\\x" + value.hex()


def _civil(days: int) -> tuple[str, str]:
    """The proleptic Gregorian date of a day counted from 2000-01-01, and its era: "" or " BC".

    PostgreSQL's range is far beyond `datetime`: 4713 BC to 5874897. Eras of 400 years have 146,097 days; years are
    counted from 1 March so that the leap day is a year's last.
    """
    era, day = divmod(days + _DAYS_TO_2000 + 719_468, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day_of_month = day - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year += era * 400 + (month <= 2)
    shown, suffix = (year, "") if year > 0 else (1 - year, " BC")
    return f"{shown:04d}-{month:02d}-{day_of_month:02d}", suffix


def _date(value: bytes) -> str:
    days = struct.unpack(">i", value)[0]
    if days in (_INT32_MAX, _INT32_MIN):
        return "infinity" if days > 0 else "-infinity"
    return "".join(_civil(days))


def _clock(micros: int) -> str:
    seconds, fraction = divmod(micros, 1_000_000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return text + f".{fraction:06d}".rstrip("0") if fraction else text


def _time(value: bytes) -> str:
    micros = struct.unpack(">q", value)[0]
    return _clock(micros) if 0 <= micros <= _MICROS_A_DAY else _wrong()


def _timestamp(value: bytes, zone: str = "") -> str:
    micros = struct.unpack(">q", value)[0]
    if micros in (_INT64_MAX, _INT64_MIN):
        return "infinity" if micros > 0 else "-infinity"
    days, rest = divmod(micros, _MICROS_A_DAY)
    date, suffix = _civil(days)
    return f"{date} {_clock(rest)}{zone}{suffix}"


def _timestamptz(value: bytes) -> str:
    return _timestamp(value, "+00")


def _numeric(value: bytes) -> str:
    """Digits of base 10,000, the first standing for 10,000^weight; shown with `scale` decimals.

    Digits behind the scale are cut off, as `numeric_recv` does.
    """
    count, weight, sign, scale = struct.unpack_from(">HhHH", value)
    digits = struct.unpack_from(f">{count}H", value, 8)
    if len(value) != 8 + 2 * count or scale > 0x3FFF or any(digit > 9999 for digit in digits):
        return _wrong()
    if sign in _NUMERIC_SPECIAL:
        return _NUMERIC_SPECIAL[sign]
    if sign not in (0, _NUMERIC_NEGATIVE):
        return _wrong()
    groups = [f"{digit:04d}" for digit in digits]
    if weight < 0:
        groups = ["0000"] * (-weight - 1) + groups
    whole = max(weight + 1, 0)
    integer = "".join(groups[:whole]) + "0000" * (whole - len(groups))
    fraction = "".join(groups[whole:])[:scale].ljust(scale, "0")
    integer = integer.lstrip("0") or "0"
    text = f"{integer}.{fraction}" if scale else integer
    return f"-{text}" if sign and text.strip("0.") else text


def _array(value: bytes) -> str:
    """An array of no or one dimension, as PostgreSQL prints it: `{1,2,NULL}`. Longer ones stay hexadecimal."""
    if len(value) > ARRAY_DECODE_BYTES_MAX:
        return _wrong()
    if len(value) == 12 and value[:4] == b"\x00\x00\x00\x00":
        return "{}"
    dimensions, _, element, size, lower = _ARRAY_HEAD.unpack_from(value)
    if element in _ARRAYS:
        return _wrong()  # PostgreSQL has no arrays of arrays; a forged one would nest without end
    if dimensions != 1 or lower != 1 or not 0 <= size <= (len(value) - _ARRAY_HEAD.size) // 4:
        return _wrong()
    items, at = [], _ARRAY_HEAD.size
    for _ in range(size):
        length = struct.unpack_from(">i", value, at)[0]
        at += 4
        if length == -1:
            items.append("NULL")
            continue
        if length < 0 or at + length > len(value):
            return _wrong()
        text, how = parameter_text(value[at : at + length], BINARY, element)
        if how != "decoded":
            return _wrong()
        items.append(_quoted(text))
        at += length
    return f"{{{','.join(items)}}}" if at == len(value) else _wrong()


def _quoted(text: str) -> str:
    if text and text.upper() != "NULL" and not any(c in '{}",\\' or c.isspace() for c in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_JSONB: Final = 3802
#: "char", name, text, json, xml, unknown, bpchar, varchar: binary and text format are the same bytes.
_TEXT_TYPES: Final = frozenset({18, 19, 25, 114, 142, 705, 1042, 1043})

#: Arrays of int2, int4, text, varchar, int8, date, numeric, uuid: what drivers send for `= ANY($1)`.
_ARRAYS: Final = frozenset({1005, 1007, 1009, 1015, 1016, 1182, 1231, 2951})

_DECODERS: Final[dict[int, Callable[[bytes], str]]] = {
    16: _bool,
    17: _bytea,
    20: _fixed(">q"),
    21: _fixed(">h"),
    23: _fixed(">i"),
    26: _fixed(">I"),
    700: _float4,
    701: _float8,
    1082: _date,
    1083: _time,
    1114: _timestamp,
    1184: _timestamptz,
    1700: _numeric,
    2950: _uuid,
    **dict.fromkeys(_ARRAYS, _array),
}
