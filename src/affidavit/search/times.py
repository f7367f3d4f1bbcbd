"""Times as people type them in a query: a span, because whoever writes a minute means all of it.

`2026-11-22T14:17` is that minute and `2026-11` that month; a time without a date is of today. Without a zone it is UTC;
a zone is written as an offset or a place's name. `~5m` at the end widens it by five minutes on each side.
"""

from __future__ import annotations

import calendar
import re

from affidavit.errors import InvalidInput
from affidavit.record.moment import parse_moment
from affidavit.record.zones import BEGINNING, END, ZONE, shown_ns, today_in, zone_of
from affidavit.search.quantities import read_number

#: Nanoseconds since 1970, both included; None where nothing ends it.
Span = tuple[int | None, int | None]

_MINUTES = r"(?:[0-5]\d?(?::(?:[0-5]\d?(?:\.\d{0,9})?)?)?)?"
_TEXT = re.compile(
    r"(?:(?P<date>\d{4}(?:-(?:(?:0[1-9]|1[0-2])(?:-(?:\d\d)?)?)?)?)"
    rf"(?:(?<=\d{{4}}-\d\d-\d\d)[T ](?P<time>\d\d(?::{_MINUTES})?)?)?|(?P<today>\d\d:{_MINUTES}))"
    rf" ?{ZONE}?",
    re.ASCII,
)
_DATE_CHARS = len("2026-11-22")
_LAST_NS = parse_moment("9999-12-31T23:59:59.999999999Z")
_WRITE = "Write at:2026-11-22T14:17 or at:FROM..TO, in UTC; +01:00 or Europe/Berlin behind it names another zone."


def read_span(text: str, now_ns: int) -> Span:
    """From when to when `text` is: one time, or `FROM..TO` of which either may be left out, and a tolerance.

    Raises `InvalidInput` with the code `query.time`.
    """
    times, tilde, tolerance = text.partition("~")
    wider_ns = _tolerance_ns(tolerance) if tilde else 0
    begins, dots, ends = times.partition("..")
    if dots:
        first_ns = read_time(begins, now_ns)[0] if begins.strip() else None
        last_ns = read_time(ends, now_ns)[1] if ends.strip() else None
    else:
        first_ns, last_ns = read_time(times, now_ns)
    if first_ns is not None and last_ns is not None and last_ns < first_ns:
        raise InvalidInput("query.time", f"{text[:80]!r} ends before it begins.", "Write the earlier time first.")
    return (
        None if first_ns is None else max(first_ns - wider_ns, 0),
        None if last_ns is None else min(last_ns + wider_ns, _LAST_NS),
    )


def read_time(text: str, now_ns: int) -> tuple[int, int]:
    """The first and last nanosecond of one time. Raises `InvalidInput` with the code `query.time`."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise InvalidInput("query.time", f"{text[:40]!r} is no time or start of one.", _WRITE)
    if match["date"] and len(match["date"]) < _DATE_CHARS and (match["offset"] or match["zone"] or match["utc"]):
        raise InvalidInput("query.time", f"{text[:40]!r} has a zone and no whole date.", _WRITE)
    try:
        zone, called = zone_of(match)
        clock = match["time"] or match["today"] or ""
        first, last = _days(match["date"] or today_in(zone, now_ns))
        return (
            shown_ns(first, clock + BEGINNING[len(clock) :], zone, called),
            shown_ns(last, clock + END[len(clock) :], zone, called),
        )
    except InvalidInput as error:
        outside = error.code == "time.range"
        said = f"{text[:40]!r} lies outside the years 1970 to 9999." if outside else error.message
        raise InvalidInput("query.time", said, error.hint or _WRITE) from None


def _days(date: str) -> tuple[str, str]:
    """The first and the last day of a date, a month or a year."""
    year, month, day = (*date.rstrip("-").split("-"), "", "")[:3]
    if day:
        return date, date
    last_month = month or "12"
    last_day = calendar.monthrange(int(year), int(last_month))[1] if int(year) else 31
    return f"{year}-{month or '01'}-01", f"{year}-{last_month}-{last_day}"


def _tolerance_ns(text: str) -> int:
    try:
        return read_number(text, "duration")
    except InvalidInput as error:
        raise InvalidInput("query.time", f"{error.message} It stands behind ~.", "Write at:14:17~5m.") from None
