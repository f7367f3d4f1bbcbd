"""Canonical JSON: RFC 8785 on the value domain that records use.

The domain: objects with ASCII keys, arrays, strings without lone surrogates, integers within ±2^53, true, false,
null. No floats. On this domain the sorted output of msgspec *is* RFC 8785 (tests/properties/test_canonical.py
compares it with a plain implementation of the RFC): keys sort alike by code point and by UTF-16 unit because they
are ASCII, strings take the same escapes, and numbers have one spelling.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from affidavit.errors import InvalidInput
from affidavit.limits import INTEGER_MAX, NESTING_MAX

_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()
_LONG_NUMBER = re.compile(
    rb"(?:^|[:,\[])-?[0-9]{16}"
)  # 2^53 has 16 digits; canonical bytes have no space before a number

_ALIKE = bytes.maketrans(b"123456789{", b"000000000[")  # every digit a 0, every opening bracket a [
_DIGITS = b"0" * 16


def _no_float(text: str) -> Any:
    raise ValueError(f"the number {text} is not an integer")


_plain_decoder = msgspec.json.Decoder(float_hook=_no_float)

#: What msgspec raises for bytes that are no JSON of the wanted form: it lets the last two of them through raw.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

#: Encode a value that is known to lie in the domain (typed structs, values we built). No check is made.
encode_trusted = _encoder.encode


def check_domain(value: object, depth: int = 0) -> None:
    """Raise `InvalidInput` if `value` has no canonical form here: floats, large integers, odd keys, depth."""
    if depth > NESTING_MAX:
        raise InvalidInput("canonical.depth", f"JSON is nested deeper than {NESTING_MAX} levels.")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidInput("canonical.surrogate", "A string holds a lone surrogate, which is not Unicode text.")
    elif isinstance(value, int):
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise InvalidInput("canonical.integer", f"The integer {value} is beyond ±2^53; write it as a string.")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise InvalidInput("canonical.key", f"The key {key!r} is not an ASCII string.")
            check_domain(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            check_domain(item, depth + 1)
    else:
        raise InvalidInput("canonical.type", f"A {type(value).__name__} has no canonical form; use integers or text.")


def encode(value: object) -> bytes:
    """The canonical bytes of `value`. Raises `InvalidInput` outside the domain."""
    check_domain(value)
    return _encoder.encode(value)


def decode(data: bytes) -> Any:
    """The value of canonical bytes. Raises `InvalidInput` unless encoding it again gives exactly these bytes."""
    plain = _decode_plain(data)
    return _decode_any(data) if plain is _NOT_PLAIN else plain


_NOT_PLAIN = object()


def _decode_plain(data: bytes) -> Any:
    """The value of bytes that show their domain at a glance: ASCII (so keys are, and no surrogate stands there), few
    brackets (so no depth), no long number, no float. Else `_NOT_PLAIN`: then each part is looked at, or refused."""
    if not data.isascii() or not shows_domain(data):
        return _NOT_PLAIN
    try:
        value = _plain_decoder.decode(data)
    except (*UNREADABLE, ValueError):
        return _NOT_PLAIN
    return value if _encoder.encode(value) == data else _NOT_PLAIN


def shows_domain(data: bytes) -> bool:
    """Whether canonical ASCII bytes show at a glance that no number in them is long and nothing nests deep. (Floats are
    the decoder's to refuse.) Most bytes have no sixteen digits in a row: the pattern is for those that do."""
    alike = data.translate(_ALIKE)
    return alike.count(b"[") < NESTING_MAX and (_DIGITS not in alike or not _LONG_NUMBER.search(data))


def _decode_any(data: bytes) -> Any:
    # A deep nest would exhaust the decoder's stack before check_domain sees it: count openers first.
    if data.count(b"[") + data.count(b"{") > NESTING_MAX and _depth(data) > NESTING_MAX:
        raise InvalidInput("canonical.depth", f"JSON is nested deeper than {NESTING_MAX} levels.")
    try:
        value = _decoder.decode(data)
    except UNREADABLE as error:
        raise InvalidInput("canonical.json", f"Not JSON: {error}") from None
    check_domain(value)
    if _encoder.encode(value) != data:
        raise InvalidInput("canonical.bytes", "The JSON is not in canonical form (RFC 8785).")
    return value


def _depth(data: bytes) -> int:
    """The deepest nesting of brackets outside strings."""
    deepest = depth = 0
    in_string = escaped = False
    for byte in data:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x5B, 0x7B):
            depth += 1
            deepest = max(deepest, depth)
        elif byte in (0x5D, 0x7D):
            depth -= 1
    return deepest
