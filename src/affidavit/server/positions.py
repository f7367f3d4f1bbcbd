"""Positions of the log as people name them: an index, a time with or without a zone, or `now`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from affidavit.history.asof import Period, check_position, index_at_time
from affidavit.history.moments import Moment, read_moment
from affidavit.record.moment import format_moment
from affidavit.server.services import Services


@dataclass(frozen=True)
class Place:
    """A position: the state there is what stood just before the record `index`.

    `at` is the moment that it stands for, as in headers: of a time its end, of an index that record's, of `now` and of
    the log's end the present. `read` is how a time was read, None for an index and for `now`.
    """

    index: int
    at: str
    read: Moment | None

    def view(self) -> dict[str, Any]:
        """As JSON: `index`, `utc`, and `read` in words, null where no time was given."""
        return {"index": self.index, "utc": self.at, "read": None if self.read is None else self.read.words}


def place(services: Services, text: str) -> Place:
    """The position that `text` names: an index, a time (every record up to its end), or `now`.

    Raises `InvalidInput`.
    """
    size, now_ns = services.records.size, services.clock.now_ns()
    if text == "now":
        return Place(size, format_moment(now_ns), None)
    if text.isascii() and text.isdigit():
        index = int(text) if len(text) <= 16 else size + 1
        check_position(services.records, index)
        at = format_moment(now_ns) if index == size else services.records.header(index).log.at
        return Place(index, at, None)
    read = read_moment(text, now_ns)
    return Place(index_at_time(services.records, read.last), read.last, read)


def period(services: Services, begins: str, ends: str) -> Period:
    """From one place to another, as `place` names them; empty texts are the beginning of the log, and now.

    A time begins where it begins: the state there is what was sealed before it, and not what stood at its end.
    Raises `InvalidInput`.
    """
    last = place(services, ends or "now")
    if not begins:
        first = (0, services.records.header(0).log.at)
    else:
        start = place(services, begins)
        if start.read is None:
            first = (start.index, start.at)
        else:
            first = (index_at_time(services.records, start.read.first), start.read.first)
    return first, (last.index, last.at)
