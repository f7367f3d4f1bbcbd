"""Headers, bodies, slots, frames, tags, moments and ids: what is accepted, what is refused, and the exact bytes."""

from __future__ import annotations

import hashlib
import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affidavit import canonical
from affidavit.errors import Corruption, InvalidInput, VerificationError
from affidavit.limits import BODY_BYTES_MAX, TAGS_MAX
from affidavit.record import body, frame
from affidavit.record.header import Header, Log, Source, Time, decode_header, encode_header
from affidavit.record.ids import is_uuid7, uuid7
from affidavit.record.kinds import KINDS
from affidavit.record.moment import format_moment, parse_moment
from affidavit.record.read import stored_header
from affidavit.record.tags import Tagger, tag_under

AT = "2026-11-22T14:17:03.000000001Z"
BEAT = Header(
    v=1, id="019a0000-0000-7000-8000-000000000000", kind="log.heartbeat", source=Source("ab" * 16, 0), time=Time(AT, 1),
    log=Log(AT, 3), basis="observed", body="cd" * 32,
)  # fmt: skip


def changed(**fields: object) -> bytes:
    value = msgspec.to_builtins(BEAT)
    for name, item in fields.items():
        if item is None:
            value.pop(name, None)
        else:
            value[name] = item
    return canonical.encode(value)


def test_a_header_in_exact_bytes() -> None:
    expected = (
        b'{"basis":"observed","body":"'
        + b"cd" * 32
        + b'","id":"019a0000-0000-7000-8000-000000000000","kind":"log.heartbeat",'
        b'"log":{"at":"2026-11-22T14:17:03.000000001Z","state":3},'
        b'"source":{"seq":0,"stream":"abababababababababababababababab"},'
        b'"time":{"at":"2026-11-22T14:17:03.000000001Z","clock":1},"v":1}'
    )
    assert expected == encode_header(BEAT)
    assert decode_header(expected) == BEAT


HOSTILE = {
    "not UTF-8": encode_header(BEAT).replace(b'"cd', b'"\xb1d'),
    "not UTF-8 in an unknown field": changed(later="x").replace(b'"x"', b'"\xff"'),
    "nested very deep": changed(later=0).replace(b'"later":0', b'"later":' + b"[" * 20_000 + b"]" * 20_000),
    "no JSON": b"[",
    "no header": b"{}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_bytes_that_are_no_header_are_refused_and_nothing_raw_comes_through(name: str) -> None:
    with pytest.raises(InvalidInput):
        decode_header(HOSTILE[name])
    with pytest.raises(InvalidInput):
        canonical.decode(HOSTILE[name] if name != "no header" else b"{ }")
    if name != "not UTF-8 in an unknown field":  # passed over unread: a leaf hash tells, and `decode_header`
        with pytest.raises(Corruption, match="header of record 7 cannot be read"):
            stored_header(7, HOSTILE[name])


def test_unknown_fields_and_kinds_pass() -> None:
    assert "log.heartbeat" == decode_header(changed(later="something")).kind
    assert "log.weather" == decode_header(changed(kind="log.weather")).kind


@pytest.mark.parametrize(
    "fields",
    [
        {"v": 2}, {"v": None}, {"id": "x"}, {"id": "019a0000-0000-4000-8000-000000000000"}, {"kind": None},
        {"source": {"stream": "AB" * 16, "seq": 0}}, {"source": {"stream": "ab" * 16, "seq": -1}},
        {"time": {"at": "2026-11-22T14:17:03Z"}}, {"time": {"at": AT, "clock": "1"}}, {"log": {"at": AT}},
        {"basis": "guessed"}, {"decision": "maybe"}, {"outcome": "fine"}, {"action": "look"}, {"guarantee": "later"},
        {"session": -1}, {"context": -1}, {"ref": 1}, {"decided": -1}, {"actor": ""}, {"actor": "x" * 201},
        {"body": "00"}, {"body": "AB" * 32}, {"root": "00" * 32}, {"tags": ["0000000"]}, {"tags": ["00000002", "00000001"]},
        {"tags": ["00000001", "00000001"]}, {"tags": [f"{n:08x}" for n in range(TAGS_MAX + 1)]},
        {"kind": "access"}, {"kind": "change"}, {"session": 1.5 if False else "1"},
    ],
)  # fmt: skip
def test_headers_that_are_refused(fields) -> None:
    with pytest.raises(InvalidInput):
        decode_header(changed(**fields))


def test_a_header_that_is_not_canonical_is_refused() -> None:
    with pytest.raises(InvalidInput):
        decode_header(encode_header(BEAT).replace(b'{"basis"', b'{ "basis"'))


def test_only_what_changes_state_has_a_root() -> None:
    assert {"change", "lapse", "drift"} == {kind for kind, rule in KINDS.items() if rule.state}


# bodies and slots

KEY = body.BodyKey(bytes(range(32)))


def test_a_slot_as_the_specification_says() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    plain = body.encode_body({"reason": "x"}, bytes(16))
    assert b'{"reason":"x","salt":"AAAAAAAAAAAAAAAAAAAAAA"}' == plain
    digest = hashlib.sha256(plain).digest()
    key_id = hashlib.sha256(b"affidavit body key" + KEY.key).digest()[:4]
    secret = hmac.digest(KEY.key, digest, "sha256")
    expected = b"\x01" + key_id + AESGCM(secret).encrypt(bytes(12), plain, b"\x01" + key_id)
    assert expected == body.BodySealer(KEY).seal(plain, digest)
    assert plain == body.open_slot(expected, digest.hex(), {KEY.id: KEY})


@given(st.data())
def test_any_changed_byte_of_a_slot_is_found(data) -> None:
    plain = body.encode_body({"reason": "x"}, bytes(16))
    digest = hashlib.sha256(plain).digest()
    slot = bytearray(body.BodySealer(KEY).seal(plain, digest))
    position = data.draw(st.integers(0, len(slot) - 1))
    slot[position] ^= data.draw(st.integers(1, 255))
    try:
        opened = body.open_slot(bytes(slot), digest.hex(), {KEY.id: KEY})
    except (VerificationError, Corruption):
        return
    assert isinstance(opened, body.Unreadable), "a changed slot was opened"


def test_without_the_key_a_body_is_unreadable_not_wrong() -> None:
    plain = body.encode_body({}, bytes(16))
    slot = body.BodySealer(KEY).seal(plain, hashlib.sha256(plain).digest())
    assert body.Unreadable(KEY.id) == body.open_slot(slot, body.body_digest(plain), {})


def test_a_plain_slot_must_be_the_body_that_is_named() -> None:
    plain = body.encode_body({"a": 1}, bytes(16))
    assert plain == body.open_slot(body.plain_slot(plain), body.body_digest(plain), {})
    with pytest.raises(VerificationError):
        body.open_slot(body.plain_slot(plain), "00" * 32, {})


def test_bodies_are_bounded_and_salted() -> None:
    with pytest.raises(InvalidInput):
        body.encode_body({"a": "x" * BODY_BYTES_MAX}, bytes(16))
    for wrong in (b"[]", b'{"a":1}', b'{"salt":"short"}', b'{"salt":1}'):
        with pytest.raises(InvalidInput):
            body.decode_body(wrong)


# frames and bundles

RECORDS = st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=60)), min_size=1, max_size=6)


@given(st.integers(0, 2**40), RECORDS, st.integers(0, 100))
def test_frames_come_back(first, records, zeros) -> None:
    segment = frame.segment_header(first, "example.com/log") + frame.encode_frame(first, records) + bytes(zeros)
    frame.check_segment_header(segment, first, "example.com/log")
    [found] = frame.read_frames(segment)
    assert isinstance(found, frame.Frame)
    assert (first, tuple(records)) == (found.first, found.records)


@given(RECORDS, st.data())
def test_any_changed_byte_of_a_frame_is_damage(records, data) -> None:
    whole = bytearray(frame.encode_frame(7, records))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    found = list(frame.read_frames(bytes(frame.SEGMENT_HEADER_BYTES) + bytes(whole)))
    assert all(isinstance(item, frame.Damage) for item in found) and found


@given(RECORDS, st.data())
def test_a_cut_frame_is_damage(records, data) -> None:
    whole = frame.encode_frame(7, records)
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    [found] = frame.read_frames(bytes(frame.SEGMENT_HEADER_BYTES) + cut)
    assert isinstance(found, frame.Damage)


def test_damage_in_the_middle_is_told_from_a_torn_tail() -> None:
    one, two = frame.encode_frame(0, [(b"a", b"")]), frame.encode_frame(1, [(b"b", b"")])
    torn = b"x" + one[1:]
    assert len(one) == frame.frame_after(torn + two, 0)
    assert frame.frame_after(torn, 0) is None


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=8))
def test_bundles_hold_exactly_their_slots(slots) -> None:
    data = frame.encode_bundle(slots)
    assert slots == frame.decode_bundle(data, len(slots))
    for wrong, count in ((data + b"\0", len(slots)), (data[:-1], len(slots)), (data, len(slots) + 1)):
        with pytest.raises(Corruption):
            frame.decode_bundle(wrong, count)


# tags, moments, ids


def test_a_tag_as_the_specification_says() -> None:
    key = hmac.digest(b"k" * 32, b"clinic|table|public.patients", "sha256")
    expected = hmac.digest(key, BEAT.id.encode(), "sha256")[:4].hex()
    assert expected == tag_under(key, BEAT.id)
    assert ((expected,), False) == Tagger(b"k" * 32).tags(BEAT.id, ["clinic|table|public.patients"])


def test_tags_differ_between_records_and_say_when_they_overflow() -> None:
    tagger = Tagger(b"k" * 32)
    assert tagger.tags(BEAT.id, ["a"]) != tagger.tags("019a0000-0000-7000-8000-000000000001", ["a"])
    tags, overflow = tagger.tags(BEAT.id, [str(n) for n in range(TAGS_MAX + 1)])
    assert (TAGS_MAX, True) == (len(tags), overflow)


@given(st.integers(0, 253_402_300_799 * 10**9))
def test_moments_come_back_and_sort_as_text(at_ns) -> None:
    text = format_moment(at_ns)
    assert (30, at_ns) == (len(text), parse_moment(text))
    assert text < format_moment(at_ns + 1)


@pytest.mark.parametrize(
    "text", ["", "2026-11-22T14:17:03Z", "2026-11-22T14:17:03.0Z", "2026-02-30T00:00:00.000000000Z",
             "2026-11-22T24:00:00.000000000Z", "2026-11-22t14:17:03.000000000Z", "2026-11-22T14:17:60.000000000Z",
             "1969-12-31T23:59:59.999999999Z", " 026-11-22T14:17:03.000000000Z", "2026-1-022T14:17:03.000000000Z"],
)  # fmt: skip
def test_other_spellings_of_time_are_refused(text) -> None:
    with pytest.raises(InvalidInput):
        parse_moment(text)


@given(st.integers(0, 2**60), st.binary(min_size=10, max_size=10))
def test_ids_are_uuid7_and_carry_their_millisecond(at_ns, randomness) -> None:
    text = uuid7(at_ns, randomness)
    assert is_uuid7(text)
    assert at_ns // 1_000_000 == int(text.replace("-", "")[:12], 16)
