"""First packets: what they ask for, and which are refused."""

import struct

import pytest

from affidavit.errors import InvalidInput
from affidavit.limits import STARTUP_BYTES_MAX
from affidavit.wire.postgres import backend_messages as back
from affidavit.wire.postgres import startup
from affidavit.wire.postgres.startup import CancelRequest, GSSENCRequest, SSLRequest, StartupMessage

PARAMETERS = (("user", "maria"), ("database", "hospital"), ("application_name", "psql"))
PACKET = startup.encode_startup(PARAMETERS)


def packet(code: int, payload: bytes) -> bytes:
    return struct.pack(">II", len(payload) + 8, code) + payload


def test_startup_message():
    got = startup.decode_first(PACKET)
    assert got == StartupMessage(0, PARAMETERS, ())
    assert (got.user, got.database, got.get("application_name"), got.get("x")) == ("maria", "hospital", "psql", "")
    assert not got.replication
    assert startup.negotiation(got) == b""


def test_database_defaults_to_the_user():
    assert startup.decode_first(startup.encode_startup((("user", "maria"),))).database == "maria"


def test_requests():
    assert startup.decode_first(startup.encode_ssl_request()) == SSLRequest()
    assert isinstance(startup.decode_first(packet(80877103, b"")), SSLRequest)
    assert isinstance(startup.decode_first(packet(80877104, b"")), GSSENCRequest)
    cancel = CancelRequest(4711, b"\1\2\3\4")
    assert startup.encode_cancel_request(cancel) == bytes.fromhex("00000010 04d2162e 00001267 01020304")
    assert startup.decode_first(startup.encode_cancel_request(cancel)) == cancel


@pytest.mark.parametrize("whole", [PACKET, startup.encode_ssl_request(), packet(80877102, b"\0\0\0\1keyy")])
def test_every_truncation_and_a_trailing_byte_are_refused(whole):
    for size in range(len(whole)):
        with pytest.raises(InvalidInput):
            startup.decode_first(whole[:size])
    with pytest.raises(InvalidInput):
        startup.decode_first(whole + b"\0")


@pytest.mark.parametrize(
    ("size", "fine"),
    [(0, False), (7, False), (8, True), (STARTUP_BYTES_MAX, True), (STARTUP_BYTES_MAX + 1, False), (2**32 - 1, False)],
)
def test_length_is_judged_from_four_bytes(size, fine):
    head = struct.pack(">I", size)
    if fine:
        assert startup.packet_bytes(head) == size
    else:
        with pytest.raises(InvalidInput) as caught:
            startup.packet_bytes(head)
        assert caught.value.code == "pg.startup_length"


@pytest.mark.parametrize(
    ("code", "payload", "error"),
    [
        (3 << 16, b"user\0a\0user\0b\0\0", "pg.startup_duplicate"),
        (3 << 16, b"user\0a\0_pq_.x\0b\0_pq_.x\0c\0\0", "pg.startup_duplicate"),
        (3 << 16, b"database\0a\0\0", "pg.startup_user"),
        (3 << 16, b"user\0\0\0", "pg.startup_user"),
        (3 << 16, b"\0", "pg.startup_user"),
        (3 << 16, b"user\0caf\xe9\0\0", "pg.startup_text"),
        (3 << 16, b"user\0a\0", "pg.malformed"),
        (3 << 16, b"user\0a\0\0more", "pg.malformed"),
        (2 << 16, b"user\0a\0\0", "pg.version"),
        (4 << 16, b"user\0a\0\0", "pg.version"),
        (80877102, b"\0\0\0\1key", "pg.malformed"),
        (80877102, b"\0\0\0\1" + b"k" * 257, "pg.malformed"),
        (80877103, b"x", "pg.malformed"),
    ],
)
def test_refused_packets(code, payload, error):
    with pytest.raises(InvalidInput) as caught:
        startup.decode_first(packet(code, payload))
    assert caught.value.code == error


def test_newer_minor_version_and_options_are_negotiated_down():
    got = startup.decode_first(packet(3 << 16 | 2, b"user\0a\0_pq_.command_compression\0on\0\0"))
    assert got == StartupMessage(2, (("user", "a"),), ("_pq_.command_compression",))
    answer = startup.negotiation(got)
    assert answer[:1] == b"v"
    assert back.decode_negotiate_protocol_version(answer[5:]) == (3 << 16, ("_pq_.command_compression",))
    assert startup.negotiation(StartupMessage(0, (), ("_pq_.x",))) != b""
    assert startup.negotiation(StartupMessage(9999, ())) != b""


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("", False), ("false", False), ("off", False), ("0", False), ("true", True), ("database", True), ("maybe", True)],
)
def test_replication_is_seen(value, wanted):
    assert wanted == StartupMessage(0, (("user", "a"), ("replication", value))).replication


def test_too_long_startup_is_not_written():
    with pytest.raises(InvalidInput):
        startup.encode_startup((("user", "x" * STARTUP_BYTES_MAX),))
