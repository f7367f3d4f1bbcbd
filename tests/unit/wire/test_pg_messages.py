"""Message codecs: exact bytes, round trips, every truncation, trailing bytes, forged counts."""

import struct

import pytest

from affidavit.errors import InvalidInput
from affidavit.wire.postgres import backend_messages as back
from affidavit.wire.postgres import codes, notices
from affidavit.wire.postgres import frontend_messages as front

COLUMN = back.Column("id", 16384, 1, 23, 4, -1, 0)
SYSTEM_COLUMN = back.Column("naïve", 16384, -1, 25, -1, 8, 1)
BIND = front.Bind(b"p", b"s", (0, 1), (b"abc", None), (1,))

#: (decoder, value, encoder): all that have both.
CODECS = [
    (front.decode_query, b"SELECT 1", front.encode_query),
    (front.decode_parse, front.Parse(b"s1", b"SELECT $1", (23, 0)), front.encode_parse),
    (front.decode_bind, BIND, front.encode_bind),
    (front.decode_bind, front.Bind(b"", b"", (), (), ()), front.encode_bind),
    (front.decode_describe, front.Target(codes.STATEMENT, b"s1"), front.encode_describe),
    (front.decode_close, front.Target(codes.PORTAL, b""), front.encode_close),
    (front.decode_execute, front.Execute(b"", 100), front.encode_execute),
    (front.decode_copy_fail, "enough", front.encode_copy_fail),
    (front.decode_password, b"pencil", front.encode_password),
    (front.decode_sasl_initial, front.SaslInitial("SCRAM-SHA-256", b"n,,n=,r=x"), front.encode_sasl_initial),
    (front.decode_sasl_initial, front.SaslInitial("X", None), front.encode_sasl_initial),
    (back.decode_parameter_status, ("TimeZone", "UTC"), lambda pair: back.encode_parameter_status(*pair)),
    (back.decode_backend_key_data, back.KeyData(2**32 - 2, b"\1\2\3\4"), back.encode_backend_key_data),
    (back.decode_ready_for_query, codes.IN_TRANSACTION, back.encode_ready_for_query),
    (back.decode_row_description, (COLUMN, SYSTEM_COLUMN), back.encode_row_description),
    (back.decode_row_description, (), back.encode_row_description),
    (back.decode_data_row, (b"1", None, b""), back.encode_data_row),
    (back.decode_command_complete, "INSERT 0 5", back.encode_command_complete),
    (back.decode_parameter_description, (23, 25), back.encode_parameter_description),
    (
        back.decode_copy_response,
        back.CopyResponse(0, (0, 0, 1)),
        lambda r: back.encode_copy_response(codes.COPY_IN_RESPONSE, r),
    ),
    (back.decode_notification, back.Notification(7, "jobs", "done"), back.encode_notification),
    (
        back.decode_negotiate_protocol_version,
        back.NegotiateProtocolVersion(3 << 16, ("_pq_.x", "_pq_.y")),
        back.encode_negotiate_protocol_version,
    ),
]
NAMES = [f"{decode.__name__}-{i}" for i, (decode, _, _) in enumerate(CODECS)]


@pytest.mark.parametrize(("decode", "value", "encode"), CODECS, ids=NAMES)
def test_round_trip(decode, value, encode):
    whole = encode(value)
    assert struct.unpack(">I", whole[1:5])[0] == len(whole) - 1
    assert value == decode(whole[5:])


@pytest.mark.parametrize(("decode", "value", "encode"), CODECS, ids=NAMES)
def test_trailing_byte_is_refused(decode, value, encode):
    if decode is back.decode_backend_key_data:
        value = back.KeyData(1, b"k" * 256)  # shorter keys may grow
    with pytest.raises(InvalidInput):
        decode(encode(value)[5:] + b"\0")


@pytest.mark.parametrize(("decode", "value", "encode"), CODECS, ids=NAMES)
def test_every_truncation_is_refused(decode, value, encode):
    payload = encode(value)[5:]
    for size in range(len(payload)):
        with pytest.raises(InvalidInput):
            decode(payload[:size])


def test_exact_bytes_of_parse_bind_execute():
    assert front.encode_parse(front.Parse(b"s", b"SELECT $1", (23,))) == (
        b"P\x00\x00\x00\x16s\x00SELECT $1\x00\x00\x01\x00\x00\x00\x17"
    )
    assert front.encode_bind(BIND) == (
        b"B\x00\x00\x00\x1fp\x00s\x00\x00\x02\x00\x00\x00\x01\x00\x02"
        b"\x00\x00\x00\x03abc\xff\xff\xff\xff\x00\x01\x00\x01"
    )
    assert front.encode_execute(front.Execute(b"", 0)) == b"E\x00\x00\x00\x09\x00\x00\x00\x00\x00"


def test_format_of():
    assert [BIND.format_of(0), BIND.format_of(1)] == [0, 1]
    assert front.Bind(b"", b"", (1,), (b"", b""), ()).format_of(1) == 1
    assert front.Bind(b"", b"", (), (b"",), ()).format_of(0) == 0


@pytest.mark.parametrize(
    ("decode", "payload"),
    [
        (front.decode_parse, b"\0\0\xff\xff"),  # 65,535 types in no bytes
        (front.decode_bind, b"\0\0\0\0\xff\xff\0\0\0\0"),  # 65,535 values in four bytes
        (front.decode_bind, b"\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"),  # a value of -2 bytes
        (front.decode_bind, b"\0\0\0\0\0\1\x7f\xff\xff\xff\0\0"),  # a value of 2 GiB
        (front.decode_bind, b"\0\0\0\1\0\2\0\1\0\0\0\0\0\0"),  # format 2
        (front.decode_bind, b"\0\0\0\2\0\0\0\0\0\1\0\0\0\0\0\0"),  # two formats, one value
        (front.decode_describe, b"X\0"),
        (front.decode_execute, b"\0\xff\xff\xff\xff"),  # -1 rows
        (front.decode_sasl_initial, b"M\0\xff\xff\xff\xfe"),
        (back.decode_data_row, b"\0\1\xff\xff\xff\xfe"),
        (back.decode_row_description, b"\xff\xffa\0"),
        (back.decode_ready_for_query, b"X"),
        (back.decode_ready_for_query, b""),
        (back.decode_backend_key_data, b"\0\0\0\1" + b"k" * 257),
        (back.decode_negotiate_protocol_version, b"\0\3\0\0\xff\xff\xff\xff"),
        (back.decode_copy_response, b"\2\0\0"),
        (back.decode_authentication, b"\0\0\0\5abc"),
        (back.decode_authentication, b"\0\0\0\0x"),
        (back.decode_authentication, b"\0\0\0\x0aSCRAM-SHA-256\0"),
        (notices.decode_fields, b""),
        (notices.decode_fields, b"SERROR\0"),
        (notices.decode_fields, b"SERROR\0\0x"),
        (notices.decode_fields, b"\x01x\0\0"),
    ],
)
def test_forged_payloads_are_refused(decode, payload):
    with pytest.raises(InvalidInput) as caught:
        decode(payload)
    assert caught.value.code == "pg.malformed"


def test_a_name_with_a_nul_is_not_written():
    with pytest.raises(InvalidInput) as caught:
        front.encode_query(b"SELECT 1\0; DROP TABLE x")
    assert caught.value.code == "pg.nul"


def test_sixty_five_thousand_parameters_are_legal():
    bind = front.Bind(b"", b"", (), (None,) * 65_535, ())
    assert front.decode_bind(front.encode_bind(bind)[5:]) == bind


@pytest.mark.parametrize(
    ("payload", "wanted"),
    [
        (back.AUTHENTICATION_OK[5:], back.AuthenticationOk()),
        (b"\0\0\0\3", back.AuthenticationCleartextPassword()),
        (b"\0\0\0\5abcd", back.AuthenticationMD5Password(b"abcd")),
        (back.encode_authentication_sasl(("A", "B"))[5:], back.AuthenticationSASL(("A", "B"))),
        (back.encode_authentication_sasl_continue(b"r=x")[5:], back.AuthenticationSASLContinue(b"r=x")),
        (back.encode_authentication_sasl_final(b"v=x")[5:], back.AuthenticationSASLFinal(b"v=x")),
    ],
)
def test_authentication_requests(payload, wanted):
    got = back.decode_authentication(payload)
    assert (type(wanted), wanted) == (type(got), got)


def test_gssapi_is_refused_by_name():
    with pytest.raises(InvalidInput) as caught:
        back.decode_authentication(b"\0\0\0\7")
    assert caught.value.code == "pg.auth_method"


@pytest.mark.parametrize(
    ("tag", "rows"),
    [
        ("INSERT 0 5", 5),
        ("SELECT 0", 0),
        ("UPDATE 12", 12),
        ("COPY 1000000", 1_000_000),
        ("MERGE 3", 3),
        ("FETCH 7", 7),
        ("COPY", None),
        ("CREATE TABLE", None),
        ("BEGIN", None),
        ("SELECT x", None),
        ("SELECT ²", None),
        ("SELECT " + "9" * 5000, None),
        ("", None),
    ],
)
def test_rows_of(tag, rows):
    assert rows == back.rows_of(tag)


def test_column_at_reads_any_column():
    payload = back.encode_data_row((b"1", None, b"", b"four"))[5:]
    assert [back.column_at(payload, i) for i in range(4)] == [b"1", None, b"", b"four"]


@pytest.mark.parametrize(
    ("payload", "index"),
    [
        (back.encode_data_row((b"1",))[5:], 1),
        (back.encode_data_row((b"1",))[5:], -1),
        (b"", 0),
        (b"\0\2\0\0\0\1", 0),
        (b"\0\1\xff\xff\xff\xfe", 0),
        (b"\0\1\x7f\xff\xff\xff", 0),
        (b"\0\2\0\0\0\1a", 1),
    ],
)
def test_column_at_refuses_what_is_not_there(payload, index):
    with pytest.raises(InvalidInput) as caught:
        back.column_at(payload, index)
    assert caught.value.code == "pg.malformed"


def test_error_and_its_fields():
    whole = notices.error("ERROR", "42501", "permission denied for table t", hint="Ask for a grant.")
    assert whole[:1] == b"E"
    fields = notices.decode_fields(whole[5:])
    assert fields == (
        ("S", "ERROR"),
        ("V", "ERROR"),
        ("C", "42501"),
        ("M", "permission denied for table t"),
        ("H", "Ask for a grant."),
    )
    assert notices.field(fields, notices.SQLSTATE) == "42501"
    assert notices.field(fields, notices.DETAIL) == ""
    assert notices.severity((("S", "FEHLER"), ("V", "ERROR"))) == "ERROR"
    assert notices.severity((("S", "ERROR"),)) == "ERROR"


def test_notice_drops_nuls_that_would_forge_fields():
    fields = notices.decode_fields(notices.notice("NOTICE", "00000", "a\0Cfake")[5:])
    assert notices.field(fields, "M") == "aCfake"
    assert notices.field(fields, "C") == "00000"


def test_text_that_is_not_utf8_is_shown_escaped():
    assert notices.decode_fields(b"Mcaf\xe9\0\0") == (("M", "caf\\xe9"),)


def test_function_call_is_recognised():
    assert front.decode_function_oid(b"\0\0\3\xb8rest") == 952


def test_empty_messages():
    front.decode_empty(b"", "Sync")
    with pytest.raises(InvalidInput):
        front.decode_empty(b"x", "Sync")
    assert front.SYNC == b"S\0\0\0\4"
