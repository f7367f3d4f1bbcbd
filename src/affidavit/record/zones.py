"""Clocks of other zones: which moment a clock showed, and never another zone than the one that was written.

What a zone's clock showed twice, or never, is refused: nobody guesses which one was meant.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from affidavit.errors import InvalidInput
from affidavit.record.moment import NS, format_moment

#: How a zone is written at the end of a time; `zone_of` reads its match.
ZONE = r"(?:(?P<utc>Z|UTC)|(?P<offset>[+-]\d\d:\d\d)|(?P<zone>[A-Z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*))"
#: What a clock shows first and last, where less of it is written.
BEGINNING, END = "00:00:00.000000000", "23:59:59.999999999"
_OFFSET_MINUTES_MAX = 14 * 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def zone_of(match: re.Match[str]) -> tuple[tzinfo, str]:
    """The zone that `ZONE` matched, and what to call it; UTC where none was written. Raises `InvalidInput`."""
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


def today_in(zone: tzinfo, now_ns: int) -> str:
    """The date that the calendar of `zone` shows at `now_ns`."""
    return (_EPOCH + timedelta(seconds=now_ns // NS)).astimezone(zone).date().isoformat()


def shown_ns(date: str, clock: str, zone: tzinfo, called: str) -> int:
    """Nanoseconds since 1970 when the clock of `zone` showed `date` and `clock`, with nine decimals.

    Raises `InvalidInput` where there is no such time, or that clock showed it never or twice.
    """
    try:
        naive = datetime.fromisoformat(f"{date}T{clock[:8]}")
        found = {
            moment
            for fold in (0, 1)
            if (moment := naive.replace(tzinfo=zone, fold=fold).astimezone(UTC)).astimezone(zone).replace(tzinfo=None)
            == naive
        }
    except (ValueError, OverflowError):
        raise InvalidInput(
            "time.text", f"There is no time {date} {clock[:8]} in {called}.", "Look at the day and the hour."
        ) from None
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
