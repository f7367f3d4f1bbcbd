"""Framing of typed messages: whole, byte by byte, broken, oversized, in pieces."""

import struct

import pytest

from affidavit.errors import InvalidInput
from affidavit.wire.postgres import codes
from affidavit.wire.postgres.framing import PIECE_HEAD, PIECE_LAST, PIECE_MORE, Framer, message

QUERY = message(codes.QUERY, b"SELECT 1\0")
SYNC = message(codes.SYNC)
STREAM = QUERY + SYNC + message(codes.COPY_DATA, b"x" * 300) + SYNC
MESSAGES = [(codes.QUERY, b"SELECT 1\0"), (codes.SYNC, b""), (codes.COPY_DATA, b"x" * 300), (codes.SYNC, b"")]


def test_whole_stream_gives_its_messages():
    framer = Framer(codes.FRONTEND_SESSION)
    framer.feed(STREAM)
    assert framer.messages() == MESSAGES
    assert framer.messages() == []
    assert not framer.mid_message


def test_byte_by_byte_gives_the_same_messages():
    framer, got = Framer(codes.FRONTEND_SESSION), []
    for i in range(len(STREAM)):
        framer.feed(STREAM[i : i + 1])
        got += framer.messages()
    assert got == MESSAGES


def test_messages_not_taken_wait_for_the_next_call():
    framer = Framer(codes.FRONTEND_SESSION)
    for i in range(0, len(STREAM), 7):
        framer.feed(STREAM[i : i + 7])
    assert framer.messages() == MESSAGES


def test_spans_cover_whole_messages_only():
    framer = Framer(codes.FRONTEND_SESSION)
    framer.feed(QUERY + SYNC + b"Q\0")
    buffer, spans = framer.spans()
    assert [code for code, _, _ in spans] == [codes.QUERY, codes.SYNC]
    assert buffer[spans[0][1] : spans[-1][2]] == QUERY + SYNC
    assert framer.mid_message
    framer.feed(b"\0\0\x05\0")
    assert framer.messages() == [(codes.QUERY, b"\0")]


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"G", b"\x16\x03\x01", b"p\0\0\0\x04", b"R\0\0\0\x08"])
def test_rubbish_is_refused_from_its_first_byte(first):
    framer = Framer(codes.FRONTEND_SESSION)
    with pytest.raises(InvalidInput) as caught:
        framer.feed(first)
    assert caught.value.code == "pg.rubbish"


@pytest.mark.parametrize("length", [0, 1, 3])
def test_length_below_its_own_field_is_refused(length):
    with pytest.raises(InvalidInput) as caught:
        Framer(codes.FRONTEND_SESSION).feed(b"Q" + struct.pack(">I", length))
    assert caught.value.code == "pg.length"


@pytest.mark.parametrize("length", [1001, 2**31 - 1, 2**31, 2**32 - 1])
def test_large_claim_is_refused_at_the_header(length):
    framer = Framer(codes.FRONTEND_SESSION, bytes_max=1000)
    framer.feed(b"Q" + struct.pack(">I", length)[:3])
    with pytest.raises(InvalidInput) as caught:
        framer.feed(struct.pack(">I", length)[3:])
    assert caught.value.code == "pg.too_large"


def test_the_limit_itself_is_accepted():
    framer = Framer(codes.FRONTEND_SESSION, bytes_max=1000)
    framer.feed(message(codes.QUERY, b"x" * 996))
    assert framer.messages() == [(codes.QUERY, b"x" * 996)]


def test_a_broken_framer_stays_broken_and_keeps_what_stood_before():
    framer = Framer(codes.FRONTEND_SESSION)
    with pytest.raises(InvalidInput):
        framer.feed(QUERY + b"?\0\0\0\x04")
    assert framer.messages() == [(codes.QUERY, b"SELECT 1\0")]
    with pytest.raises(InvalidInput) as caught:
        framer.feed(SYNC)
    assert caught.value.code == "pg.rubbish"
    assert framer.messages() == []


def test_expect_changes_what_may_come():
    framer = Framer(codes.FRONTEND_LOGIN, bytes_max=10)
    framer.feed(message(codes.PASSWORD, b"x\0"))
    assert framer.messages() == [(codes.PASSWORD, b"x\0")]
    framer.expect(codes.FRONTEND_SESSION, bytes_max=100)
    framer.feed(QUERY)
    assert framer.messages() == [(codes.QUERY, b"SELECT 1\0")]
    with pytest.raises(InvalidInput):
        framer.feed(message(codes.PASSWORD, b"x\0"))


def pieced() -> Framer:
    return Framer(codes.BACKEND_SESSION, bytes_max=2**30, pieced=codes.BULK, whole_bytes_max=100)


def test_long_bulk_comes_in_pieces_and_can_be_relayed():
    row = message(codes.DATA_ROW, bytes(range(200)))
    stream = PARSED + row + PARSED
    framer, relayed, seen = pieced(), b"", []
    for i in range(0, len(stream), 64):
        framer.feed(stream[i : i + 64])
        buffer, spans = framer.spans()
        seen += [(code, end - start) for code, start, end in spans]
        if spans:
            relayed += buffer[spans[0][1] : spans[-1][2]]
    d = codes.DATA_ROW
    assert seen == [
        (codes.PARSE_COMPLETE, 5),
        (d | PIECE_HEAD, 5),
        (d | PIECE_MORE, 54),
        (d | PIECE_MORE, 64),
        (d | PIECE_MORE, 64),
        (d | PIECE_LAST, 18),
        (codes.PARSE_COMPLETE, 5),
    ]
    assert relayed == stream


PARSED = message(codes.PARSE_COMPLETE)


def test_long_bulk_in_one_feed_is_cut_the_same_way():
    framer = pieced()
    framer.feed(message(codes.DATA_ROW, b"v" * 200))
    assert framer.messages() == [(codes.DATA_ROW | PIECE_HEAD, b""), (codes.DATA_ROW | PIECE_LAST, b"v" * 200)]


def test_a_gigabyte_row_is_never_held():
    framer = pieced()
    framer.feed(b"D" + struct.pack(">I", 2**30))
    assert [code for code, _ in framer.messages()] == [codes.DATA_ROW | PIECE_HEAD]
    framer.feed(b"v" * 1000)
    assert framer.messages() == [(codes.DATA_ROW | PIECE_MORE, b"v" * 1000)]
    assert len(framer._tail) == 0
    assert framer.mid_message


def test_short_bulk_comes_whole():
    framer = pieced()
    framer.feed(message(codes.DATA_ROW, b"v" * 96))
    assert framer.messages() == [(codes.DATA_ROW, b"v" * 96)]
