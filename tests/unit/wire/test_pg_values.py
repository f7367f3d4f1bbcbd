"""Values as text: what PostgreSQL prints, or hexadecimal that says so."""

import struct

import pytest

from affidavit.limits import ARRAY_DECODE_BYTES_MAX
from affidavit.wire.postgres.values import parameter_text


def numeric(weight: int, sign: int, scale: int, *digits: int) -> bytes:
    return struct.pack(f">HhHH{len(digits)}H", len(digits), weight, sign, scale, *digits)


def array(oid: int, *items: bytes | None) -> bytes:
    body = b"".join(b"\xff\xff\xff\xff" if i is None else struct.pack(">i", len(i)) + i for i in items)
    return struct.pack(">iiIii", 1, int(None in items), oid, len(items), 1) + body


def micros(days: int, rest: int = 0) -> bytes:
    return struct.pack(">q", days * 86_400_000_000 + rest)


DECODED = [
    (16, b"\1", "t"),
    (16, b"\0", "f"),
    (21, b"\xff\xfe", "-2"),
    (23, b"\x7f\xff\xff\xff", "2147483647"),
    (20, b"\x80" + bytes(7), "-9223372036854775808"),
    (26, b"\xff\xff\xff\xff", "4294967295"),
    (700, struct.pack(">f", 0.1), "0.1"),
    (700, struct.pack(">f", 16777216), "16777216"),
    (700, b"\x7f\x7f\xff\xff", "3.4028235e+38"),
    (700, b"\x00\x00\x00\x01", "1e-45"),
    (700, b"\xff\x80\x00\x00", "-Infinity"),
    (700, b"\x7f\xc0\x00\x01", "NaN"),
    (701, struct.pack(">d", 0.1), "0.1"),
    (701, struct.pack(">d", 1e300), "1e+300"),
    (701, struct.pack(">d", 5), "5"),
    (701, b"\x7f\xf0" + bytes(6), "Infinity"),
    (25, "naïve".encode(), "naïve"),
    (1043, b"x", "x"),
    (1042, b"x  ", "x  "),
    (19, b"name", "name"),
    (114, b'{"a":1}', '{"a":1}'),
    (142, b"<a/>", "<a/>"),
    (3802, b'\1{"a": 1}', '{"a": 1}'),
    (2950, bytes(range(16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
    (17, b"\x00\xffz", "\\x00ff7a"),
    (17, b"", "\\x"),
    (1082, struct.pack(">i", 0), "2000-01-01"),
    (1082, struct.pack(">i", -1), "1999-12-31"),
    (1082, struct.pack(">i", 59), "2000-02-29"),
    (1082, struct.pack(">i", -730_119), "0001-01-01"),
    (1082, struct.pack(">i", -730_120), "0001-12-31 BC"),
    (1082, struct.pack(">i", 2_921_939), "9999-12-31"),
    (1082, struct.pack(">i", 2_921_940), "10000-01-01"),
    (1082, struct.pack(">i", 2**31 - 1), "infinity"),
    (1082, struct.pack(">i", -(2**31)), "-infinity"),
    (1083, struct.pack(">q", 86_399_000_001), "23:59:59.000001"),
    (1083, struct.pack(">q", 86_400_000_000), "24:00:00"),
    (1114, micros(0, 1_500_000), "2000-01-01 00:00:01.5"),
    (1114, micros(0, -1), "1999-12-31 23:59:59.999999"),
    (1114, struct.pack(">q", 2**63 - 1), "infinity"),
    (1184, micros(9496, 51_432_000_000), "2025-12-31 14:17:12+00"),
    (1184, micros(-730_120), "0001-12-31 00:00:00+00 BC"),
    (1184, struct.pack(">q", -(2**63)), "-infinity"),
    (1700, numeric(0, 0, 0), "0"),
    (1700, numeric(0, 0, 2), "0.00"),
    (1700, numeric(0, 0x4000, 2), "0.00"),
    (1700, numeric(1, 0, 2, 1, 2345, 6700), "12345.67"),
    (1700, numeric(0, 0x4000, 1, 7, 5000), "-7.5"),
    (1700, numeric(-1, 0, 4, 12), "0.0012"),
    (1700, numeric(-2, 0, 8, 1), "0.00000001"),
    (1700, numeric(2, 0, 0, 1), "100000000"),
    (1700, numeric(0, 0, 1, 1, 2999), "1.2"),
    (1700, numeric(0, 0xC000, 0), "NaN"),
    (1700, numeric(0, 0xD000, 32), "Infinity"),
    (1700, numeric(0, 0xF000, 32), "-Infinity"),
    (1007, array(23, b"\0\0\0\1", None, b"\0\0\0\2"), "{1,NULL,2}"),
    (1007, struct.pack(">iiI", 0, 0, 23), "{}"),
    (1009, array(25, b"a", b"", b"null", b'x"y\\', b"a,b"), '{a,"","null","x\\"y\\\\","a,b"}'),
    (2951, array(2950, bytes(16)), "{00000000-0000-0000-0000-000000000000}"),
]


@pytest.mark.parametrize(("oid", "value", "text"), DECODED)
def test_binary_values_are_decoded(oid, value, text):
    assert (text, "decoded") == parameter_text(value, 1, oid)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, ("", "null")),
        (b"", ("", "text")),
        ("naïve".encode(), ("naïve", "text")),
        (b"caf\xe9", ("636166e9", "bytes")),
        (b"42", ("42", "text")),
    ],
)
def test_text_values(value, wanted):
    assert wanted == parameter_text(value, 0, 23)


FORGED = [
    (16, b"\2"),
    (16, b""),
    (23, b"\0\0\1"),
    (23, b"\0\0\0\1\0"),
    (20, b""),
    (701, b"\0" * 7),
    (2950, bytes(15)),
    (1082, bytes(8)),
    (1083, struct.pack(">q", -1)),
    (1083, struct.pack(">q", 86_400_000_001)),
    (1700, b"\0\1"),
    (1700, numeric(0, 0, 0, 10_000)),
    (1700, numeric(0, 0x1234, 0)),
    (1700, numeric(0, 0, 0x4000)),
    (1700, numeric(0, 0, 0, 1) + b"\0"),
    (1700, struct.pack(">HhHH", 2, 0, 0, 0) + b"\0\1"),
    (3802, b'\2{"a": 1}'),
    (3802, b""),
    (1007, b""),
    (1007, array(23, b"\0\0\0\1")[:-1]),
    (1007, array(23, b"\0\0\0\1") + b"\0"),
    (1007, array(23, b"\0\0\1")),
    (1007, struct.pack(">iiIii", 1, 0, 23, -1, 1)),
    (1007, struct.pack(">iiIii", 1, 0, 23, 2**31 - 1, 1)),
    (1007, struct.pack(">iiIii", 2, 0, 23, 1, 1) + bytes(16)),
    (1007, struct.pack(">iiIii", 1, 0, 23, 1, 5) + b"\0\0\0\4\0\0\0\1"),
    (1007, struct.pack(">iiIii", 1, 0, 23, 1, 1) + b"\xff\xff\xff\xfe"),
    (1007, array(99_999, b"x")),
    (1007, array(1007, array(1007, b""))),
    (1009, array(25, b"\xff")),
    (1009, array(25, b"x" * ARRAY_DECODE_BYTES_MAX)),
    (0, b"\1\2"),
    (600, bytes(16)),
]


@pytest.mark.parametrize(("oid", "value"), FORGED)
def test_what_does_not_follow_its_type_stays_hexadecimal(oid, value):
    assert (value.hex(), "binary") == parameter_text(value, 1, oid)


def test_binary_text_that_is_not_utf8():
    assert parameter_text(b"\xff", 1, 25) == ("ff", "bytes")
    assert parameter_text(b"\1\xff", 1, 3802) == ("ff", "bytes")


def test_dates_agree_with_the_calendar():
    from datetime import date, timedelta

    for days in range(-730_119, 2_921_939, 997):
        wanted = (date(2000, 1, 1) + timedelta(days)).isoformat()
        assert (wanted, "decoded") == parameter_text(struct.pack(">i", days), 1, 1082)


def test_the_longest_numeric_is_bounded():
    text, how = parameter_text(numeric(32_767, 0, 0x3FFF, 1), 1, 1700)
    assert how == "decoded"
    assert len(text) == 1 + 4 * 32_767 + 1 + 0x3FFF
