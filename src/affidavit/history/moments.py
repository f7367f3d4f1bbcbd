"""A time as people type it, and which moment that is: never another zone than the one that was written.

`14:17` names a whole minute, so a text is read as a span: `first` is where it begins, `last` its last nanosecond. A
text without a zone is UTC, and the answer says so. With an offset (`+01:00`) or a zone's name (`Europe/Berlin`) it is
that place's clock; what that clock showed twice, or never, is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from affidavit.errors import InvalidInput
from affidavit.record.moment import format_moment
from affidavit.record.zones import BEGINNING, END, ZONE, shown_ns, today_in, zone_of

_TIME = r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_TEXT = re.compile(
    rf"(?:(?P<date>\d{{4}}-\d\d-\d\d)(?:[T ](?P<time>{_TIME}))?|(?P<today>{_TIME}))"
    rf" ?{ZONE}?",
    re.ASCII,
)


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
    zone, called = zone_of(match)
    date = match["date"] or today_in(zone, now_ns)
    clock = match["time"] or match["today"] or ""
    first_ns, last_ns = (shown_ns(date, clock + filled[len(clock) :], zone, called) for filled in (BEGINNING, END))
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


def _no_time(text: str) -> InvalidInput:
    return InvalidInput(
        "time.text",
        f"{text[:40]!r} is no index and no time.",
        "Write 2026-11-22T14:17, 14:17 (today), each with +01:00 or Europe/Berlin if not in UTC; or now.",
    )
