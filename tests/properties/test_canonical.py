"""Canonical JSON against a plain implementation of RFC 8785, and both ways of reading against each other."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affidavit import canonical
from affidavit.errors import InvalidInput
from affidavit.limits import INTEGER_MAX, NESTING_MAX

KEYS = st.text(st.characters(max_codepoint=127), max_size=6)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_MAX, INTEGER_MAX)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
ESCAPES = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 0x22: '\\"', 0x5C: "\\\\"}


def plain(value: object) -> str:
    """RFC 8785 §3.2, written down once more without regard to speed."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]  # type: ignore[index]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(ESCAPES.get(ord(c), c if ord(c) >= 32 else f"\\u{ord(c):04x}") for c in value) + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(plain, value)) + "]"
    assert isinstance(value, dict)
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join(f"{plain(key)}:{plain(value[key])}" for key in keys) + "}"


@given(VALUES)
def test_encoding_is_rfc_8785(value) -> None:
    assert plain(value).encode() == canonical.encode(value)


@given(VALUES)
def test_decoding_gives_the_value_back(value) -> None:
    assert value == canonical.decode(canonical.encode(value))


@given(VALUES, st.data())
def test_any_other_spelling_is_refused(value, data) -> None:
    encoded = canonical.encode(value)
    spelled = data.draw(
        st.sampled_from(
            [
                json.dumps(value).encode(),
                json.dumps(value, ensure_ascii=False, indent=1).encode(),
                encoded + b" ",
                b" " + encoded,
                encoded + encoded,
                encoded.replace(b'"', b'"\\u0041', 1),
            ]
        )
    )
    if spelled != encoded:
        try:
            found = canonical.decode(spelled)
        except InvalidInput:
            return
        assert canonical.encode(found) == spelled, "accepted bytes that are not canonical"


@given(st.binary(max_size=80) | st.text('{}[]":,-.0123456789eE\\u truefalsn', max_size=80).map(str.encode))
def test_rubbish_is_refused_or_canonical(data) -> None:
    try:
        value = canonical.decode(data)
    except InvalidInput:
        return
    assert plain(value).encode() == data


@given(VALUES)
def test_the_quick_reader_agrees_with_the_careful_one(value) -> None:
    encoded = canonical.encode(value)
    quick = canonical._decode_plain(encoded)
    if quick is not canonical._NOT_PLAIN:
        assert quick == canonical._decode_any(encoded)


@pytest.mark.parametrize(
    "data",
    [b"1.0", b"1e3", b"-0", b'{"a":1.5}', b'{"a":1,"a":2}', b'{"b":1,"a":2}', b"9007199254740993", b"[-9007199254740993]",
     b'{"\xc3\xa9":1}', b'"\\u0041"', b'"\\/"', b'"\xed\xa0\x80"', b'"\\ud800"', b"", b"nul", b"[1, 2]", b"\xef\xbb\xbf1",
     b"[" * (NESTING_MAX + 1) + b"]" * (NESTING_MAX + 1), b"[" * 100_000],
)  # fmt: skip
def test_refused(data) -> None:
    with pytest.raises(InvalidInput):
        canonical.decode(data)


@pytest.mark.parametrize("value", [1.0, float("nan"), 2**53 + 1, {"é": 1}, {1: 2}, "\ud800", b"x", {"a": {1}}])
def test_outside_the_domain(value) -> None:
    with pytest.raises(InvalidInput):
        canonical.encode(value)


def test_the_edges_of_the_domain() -> None:
    assert [2**53, -(2**53)] == canonical.decode(b"[9007199254740992,-9007199254740992]")
    deep: object = 1
    for _ in range(NESTING_MAX):
        deep = [deep]
    assert deep == canonical.decode(canonical.encode(deep))
