"""Moments as text: UTC, RFC 3339, always nine decimals, so that text order is time order.

`2026-11-22T14:17:03.120000000Z` is 1 795 357 023 120 000 000 nanoseconds since 1970. Leap seconds are not
represented (POSIX time). Years 1970 to 9999.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from affidavit.errors import InvalidInput

NS = 1_000_000_000
_TEXT_CHARS = 30
_ZONED = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|z|[+-]\d\d:\d\d)?", re.ASCII)
_ZONE_MAX = timedelta(hours=14)  # Kiribati; westwards it ends at 12
_WRITE = "Write it with its zone: 2026-11-22T14:17:00Z, or 2026-11-22T15:17:00+01:00."
_MAX_S = 253_402_300_799  # 9999-12-31T23:59:59Z


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=64)  # neighbouring records share their second, and strptime takes most of a header's time
def _seconds(whole: str) -> int:
    seconds = int(datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp())
    if not seconds >= 0 or _second(seconds) != whole:
        raise ValueError
    return seconds


def format_moment(at_ns: int) -> str:
    """The text of `at_ns` (nanoseconds since 1970, UTC). Raises `InvalidInput` outside 1970 to 9999."""
    seconds, rest = divmod(at_ns, NS)
    if not 0 <= seconds <= _MAX_S:
        raise InvalidInput("time.range", f"{at_ns} ns is not a time between 1970 and 9999.")
    return f"{_second(seconds)}.{rest:09d}Z"


@lru_cache(maxsize=64)
def _second_bytes(seconds: int) -> bytes:
    return _second(seconds).encode()


def moment_bytes(at_ns: int) -> bytes:
    """As `format_moment`, as the bytes that stand in a header."""
    seconds, rest = divmod(at_ns, NS)
    if not 0 <= seconds <= _MAX_S:
        raise InvalidInput("time.range", f"{at_ns} ns is not a time between 1970 and 9999.")
    return b"%b.%09dZ" % (_second_bytes(seconds), rest)


def zoned_moment(text: str) -> str:
    """The moment that a person wrote with its zone (`2026-11-22T15:17+01:00`, `2026-11-22 14:17:03Z`), as it stands in
    records. Raises `InvalidInput` where no zone is given, or none that exists: nobody guesses which one was meant."""
    match = _ZONED.fullmatch(text)
    if match is None:
        raise InvalidInput("time.format", f"{text[:80]!r} is not a time.", _WRITE)
    day, clock, fraction, zone = match.groups()
    if zone is None:
        raise InvalidInput("time.zone", f"{text!r} does not say in which zone.", _WRITE)
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        if abs(at.utcoffset() or timedelta()) > _ZONE_MAX:
            raise ValueError
    except ValueError:
        raise InvalidInput("time.format", f"{text!r} is no time of any day and zone.", _WRITE) from None
    return format_moment(int(at.timestamp()) * NS + int((fraction or "").ljust(9, "0")))


def parse_moment(text: str) -> int:
    """Nanoseconds since 1970 of a text that `format_moment` gave. Raises `InvalidInput` for any other spelling."""
    try:
        whole, rest = text[:19], text[20:29]
        if len(text) != _TEXT_CHARS or text[19] != "." or text[29] != "Z" or not rest.isascii() or not rest.isdigit():
            raise ValueError
        seconds = _seconds(whole)
    except ValueError:
        raise InvalidInput("time.format", f"{text!r} is not a time such as 2026-11-22T14:17:03.000000000Z.") from None
    return seconds * NS + int(rest)
