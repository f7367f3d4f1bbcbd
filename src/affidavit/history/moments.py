"""A time as people type it, and which moment that is: never another zone than the one that was written.

`14:17` names a whole minute, so a text is read as a span: `first` is where it begins, `last` its last nanosecond. A
text without a zone is UTC, and the answer says so. With an offset (`+01:00`) or a zone's name (`Europe/Berlin`) it is
that place's clock; what that clock showed twice, or never, is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from affidavit.errors import InvalidInput
from affidavit.record.moment import NS, format_moment

_TIME = r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_TEXT = re.compile(
    rf"(?:(?P<date>\d{{4}}-\d\d-\d\d)(?:[T ](?P<time>{_TIME}))?|(?P<today>{_TIME}))"
    r" ?(?:(?P<utc>Z|UTC)|(?P<offset>[+-]\d\d:\d\d)|(?P<zone>[A-Z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*))?",
    re.ASCII,
)
_BEGINNING, _END = "00:00:00.000000000", "23:59:59.999999999"
_OFFSET_MINUTES_MAX = 14 * 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Moment:
    """What a text names: from `first` up to and with `last` (UTC, as in headers), and how it was read, in words."""

    first: str
    last: str
    words: str


def read_moment(text: str, now_ns: int) -> Moment:
    """The moment that `text` names. A time without a date is of today, in the zone that was written, else UTC.

    Raises `InvalidInput` for what is no time, was never or twice shown by that zone's clock, or has not come yet.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise _no_time(text)
    zone, called = _zone(match, text)
    date = match["date"] or (_EPOCH + timedelta(seconds=now_ns // NS)).astimezone(zone).date().isoformat()
    clock = match["time"] or match["today"] or ""
    first_ns, last_ns = (
        _utc_ns(date, clock + filled[len(clock) :], zone, called, text) for filled in (_BEGINNING, _END)
    )
    if first_ns > now_ns:
        raise InvalidInput(
            "time.future",
            f"{text[:40]!r} has not come yet: read as {called}, it is {format_moment(first_ns)[:19]}Z.",
            "Write the date too, or `now`.",
        )
    shown = f"{date} {clock}".strip()
    said = f"{shown} in {called}" if called != "UTC" else f"{shown} UTC"
    if not match["utc"] and called == "UTC":
        said += " (no zone was written)"
    return Moment(format_moment(first_ns), format_moment(last_ns), said)


def _zone(match: re.Match[str], text: str) -> tuple[tzinfo, str]:
    """The zone of a text, and what to call it."""
    if match["offset"]:
        hours, minutes = int(match["offset"][1:3]), int(match["offset"][4:])
        away = hours * 60 + minutes
        if away > _OFFSET_MINUTES_MAX or minutes > 59 or match["offset"] == "-00:00":
            raise InvalidInput("time.zone", f"{match['offset']} is no offset from UTC.", "Offsets go up to 14:00.")
        sign = -1 if match["offset"][0] == "-" else 1
        return timezone(timedelta(minutes=sign * away)), f"UTC{match['offset']}"
    name = match["zone"]
    if not name:
        return UTC, "UTC"
    if "/" not in name:
        # CET, EST, IST: each names several clocks, or one that is not the place's in summer.
        raise InvalidInput("time.zone", f"{name[:40]!r} may mean several zones.", "Write Europe/Berlin, or +01:00.")
    try:
        return ZoneInfo(name), name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            "time.zone", f"This machine knows no zone {name[:40]!r}.", "Write an offset: +01:00."
        ) from None


def _utc_ns(date: str, clock: str, zone: tzinfo, called: str, text: str) -> int:
    """Nanoseconds since 1970 when the clock of `zone` showed this."""
    try:
        naive = datetime.fromisoformat(f"{date}T{clock[:8]}")
        found = {
            moment
            for fold in (0, 1)
            if (moment := naive.replace(tzinfo=zone, fold=fold).astimezone(UTC)).astimezone(zone).replace(tzinfo=None)
            == naive
        }
    except (ValueError, OverflowError):
        raise InvalidInput("time.text", f"There is no time {text[:40]!r}.", "Look at the day and the hour.") from None
    if len(found) != 1:
        often = "twice" if found else "never"
        raise InvalidInput(
            "time.zone",
            f"The clocks of {called} showed {date} {clock[:8]} {often}: they were set then.",
            "Write it with an offset: +01:00.",
        )
    since = found.pop() - _EPOCH
    ns = (since.days * 86_400 + since.seconds) * NS + int(clock[9:])
    format_moment(ns)  # raises outside the years that a log can know
    return ns


def _no_time(text: str) -> InvalidInput:
    return InvalidInput(
        "time.text",
        f"{text[:40]!r} is no index and no time.",
        "Write 2026-11-22T14:17, 14:17 (today), each with +01:00 or Europe/Berlin if not in UTC; or now.",
    )
