"""A session as one story: its opening, every record in it, and what changed in the state meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from affidavit.errors import InvalidInput
from affidavit.history.asof import Records
from affidavit.limits import SCAN_RECORDS_MAX
from affidavit.record.kinds import STATE_KINDS


@dataclass(frozen=True)
class Session:
    """Indexes of the records of a session, oldest first, and of the changes between them.

    `closed` is the record that ended it, None while it is open or was not found. `whole` is False where the search
    stopped at its bound.
    """

    opened: int
    closed: int | None
    records: tuple[int, ...]
    meanwhile: tuple[int, ...]
    whole: bool


def session_of(records: Records, index: int) -> Session:
    """The session that record `index` opened or stands in. Raises `InvalidInput` where it is in none."""
    if not 0 <= index < records.size:
        raise InvalidInput(
            "record.index", f"There is no record {index}: the log holds {records.size}.", "Count from 0."
        )
    header = records.header(index)
    opened = index if header.kind == "session.open" else header.session
    if opened is None:
        raise InvalidInput(
            "session.index", f"Record {index} is not in a session.", "List sessions with `affidavit session`."
        )
    found, meanwhile, closed = [opened], [], None
    stop = min(records.size, opened + SCAN_RECORDS_MAX)
    for at in range(opened + 1, stop):
        header = records.header(at)
        if header.session == opened:
            found.append(at)
            if header.kind == "session.close":
                closed = at
                break
        elif header.kind in STATE_KINDS:
            meanwhile.append(at)
        elif header.kind == "log.open":
            # The writer started again: sessions do not outlive it. What ended them stands in the gap before it.
            break
    else:
        return Session(opened, None, tuple(found), tuple(meanwhile), stop == records.size)
    return Session(opened, closed, tuple(found), tuple(meanwhile), whole=True)
