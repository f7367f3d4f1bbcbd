"""What `ready` says of time: the machine's clock, and each time-stamp authority."""

from __future__ import annotations

from collections.abc import Sequence

from affidavit.errors import InvalidInput
from affidavit.evidence.timing import Timing
from affidavit.evidence.wording import bound_words, duration_words
from affidavit.history.asof import Records
from affidavit.ledger.timestamping import AuthorityStatus
from affidavit.record.moment import NS, parse_moment
from affidavit.record.read import Record
from affidavit.timeproof.claim import ClockNote

#: Name, whether it holds, what was found, what to do: the members of a finding.
Found = tuple[str, bool, str, str]
_LATE = 2  # intervals without a token, before an authority counts as silent


def clock(records: Records, now_ns: int) -> Found:
    """The clock as its last record says: source, bound, and how old that record is."""
    index = records.header(records.size - 1).time.clock if records.size else None
    record = None if index is None else records.record(index)
    try:
        note = None if record is None else ClockNote.of(record.content)
    except InvalidInput:
        note = None
    fix = "Run a time service such as chrony or systemd-timesyncd on this machine."
    if record is None or note is None:
        return "clock", False, "No clock record says how good this machine's clock is.", fix
    age = f"record {index}, {duration_words(now_ns - parse_moment(record.header.time.at))} old"
    if note.strays:
        detail = f"The clock was set, or ran at a rate that no clock has, by {(note.step_ns or 0) / NS:+.3f} s ({age})."
        return "clock", False, detail, "See docs/howto/time.md; the next clock record, in ten minutes, clears this."
    if note.bound_ns is None or not record.content.get("synchronized"):
        return "clock", False, f"The clock is not synchronised: nothing bounds how wrong the times are ({age}).", fix
    source = record.content.get("source")
    return "clock", True, f"The clock is synchronised, {bound_words(note.bound_ns)} by {source} ({age}).", ""


def authorities(timing: Timing, statuses: Sequence[AuthorityStatus], now_ns: int) -> Found:
    """Each configured authority: how old its last token is, the problem, and whether its time can be right."""
    check = "time authority"
    if not statuses:
        return (
            check,
            False,
            "No time-stamp authority is configured: nothing outside proves when records were made.",
            "Add [[time_authority]] to affidavit.toml: see docs/howto/time.md.",
        )
    newest: dict[str, Record] = {}
    for record in timing.anchors():
        authority = record.content.get("authority")
        if isinstance(authority, dict):
            newest.setdefault(str(authority.get("name")), record)
    told = [_authority(timing, status, newest.get(status.name), now_ns) for status in statuses]
    holds = all(fine for fine, _ in told)
    fix = "" if holds else "Ask the authority's address by hand, and compare certificates: see docs/howto/time.md."
    return check, holds, f"{'; '.join(words for _, words in told)}.", fix


def _authority(timing: Timing, status: AuthorityStatus, anchor: Record | None, now_ns: int) -> tuple[bool, str]:
    problem = f": {status.problem.rstrip('.')}" if status.problem else ""
    if anchor is None:
        return False, f"{status.name} gave no token yet{problem}"
    age_ns = now_ns - parse_moment(anchor.header.log.at)
    words = f"{status.name} gave its last token {duration_words(age_ns)} ago (record {anchor.index})"
    stamp = timing.stamp_of(anchor.index)
    if stamp is None:
        return False, f"{words}, which the configured certificates do not verify{problem}"
    claim = timing.claimed(anchor.header)
    if not claim.meets(stamp.made):
        apart = "later" if claim.surely_before(stamp.made) else "earlier"
        return False, f"{words}, whose time is {apart} than this machine's clock allows: one of them is wrong"
    return not problem and age_ns < _LATE * status.interval_s * NS, f"{words}{problem}"
