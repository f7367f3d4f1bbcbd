"""However the bytes of a stream are split, the same messages come out, and the relayed bytes are the stream."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from affidavit.errors import InvalidInput
from affidavit.wire.postgres import codes
from affidavit.wire.postgres.framing import PIECE_HEAD, Framer, message

WHOLE_MAX = 40

messages = st.lists(
    st.tuples(st.sampled_from(sorted(codes.BACKEND_SESSION)), st.binary(max_size=80)),
    max_size=12,
)
cuts = st.lists(st.integers(0, 600), max_size=20)


def chunks(stream: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(cut for cut in at if cut < len(stream))})
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=200, deadline=None)
@given(messages, cuts, st.booleans())
def test_any_split_gives_the_same_messages(wanted, at, taken_late):
    stream = b"".join(message(*m) for m in wanted)
    framer, got = Framer(codes.BACKEND_SESSION), []
    for chunk in chunks(stream, at):
        framer.feed(chunk)
        if not taken_late:
            got += framer.messages()
    got += framer.messages()
    assert wanted == got


@settings(max_examples=200, deadline=None)
@given(messages, cuts)
def test_pieces_join_to_the_messages_and_spans_to_the_stream(wanted, at):
    stream = b"".join(message(*m) for m in wanted)
    framer = Framer(codes.BACKEND_SESSION, pieced=codes.BULK, whole_bytes_max=WHOLE_MAX)
    relayed, joined = b"", []
    for chunk in chunks(stream, at):
        framer.feed(chunk)
        buffer, spans = framer.spans()
        for code, start, end in spans:
            relayed += buffer[start:end]
            if code <= 0xFF:
                joined.append((code, buffer[start + 5 : end]))
            elif code & PIECE_HEAD:
                joined.append((code & 0xFF, b""))
            else:
                joined[-1] = (code & 0xFF, joined[-1][1] + buffer[start:end])
    assert stream == relayed
    assert wanted == joined


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), cuts)
def test_any_bytes_give_messages_or_one_refusal_wherever_they_are_split(stream, at):
    def outcome(parts):
        framer, got = Framer(codes.FRONTEND_SESSION, bytes_max=64), []
        for part in parts:
            try:
                framer.feed(part)
            except InvalidInput as error:
                return got + framer.messages(), error.code
            got += framer.messages()
        return got, ""

    assert outcome([stream]) == outcome(chunks(stream, at))
