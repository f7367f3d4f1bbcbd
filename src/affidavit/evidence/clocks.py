"""What `ready` says of time: the machine's clock, what proves the time from outside, and each time-stamp authority."""

from __future__ import annotations

from collections.abc import Sequence

from affidavit.errors import InvalidInput
from affidavit.evidence.timing import Timing
from affidavit.evidence.wording import bound_words, duration_words, moment_of_ns
from affidavit.history.asof import Records
from affidavit.ledger.timestamping import AuthorityStatus
from affidavit.limits import PLACE_RETRY_S_MAX
from affidavit.record.moment import NS, parse_moment
from affidavit.record.read import Record
from affidavit.timeproof.claim import ClockNote
from affidavit.timeproof.stamps import Stamp

#: Name, whether it holds, what was found, what to do: the members of a finding.
Found = tuple[str, bool, str, str]
_LATE = 2  # intervals without a token or cosignature, before who gives them counts as silent


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


def proof(timing: Timing, statuses: Sequence[AuthorityStatus], size: int, now_ns: int) -> Found:
    """Whether somebody outside proves when records were made, up to now: a time-stamp authority or a witness, of which
    either is enough. `size` is the log's."""
    check = "proved time"
    told = [*_tokens(timing, statuses, now_ns), *_cosignatures(timing, size, now_ns)]
    if any(fine for fine, _ in told):
        words = "; ".join(words for _, words in sorted(told, key=lambda one: not one[0]))
        return check, True, f"When records were made is proven from outside: {words}.", ""
    fix = "Add [[time_authority]] or [[witness]] to affidavit.toml: see docs/howto/time.md."
    if not told:
        return check, False, "Nothing outside proves when records were made.", fix
    words = "; ".join(words for _, words in told)
    fix = "See why none came since: the checks of authorities and of checkpoints outside say it."
    return check, False, f"What proves from outside when records were made has grown old: {words}.", fix


def authorities(timing: Timing, statuses: Sequence[AuthorityStatus], now_ns: int) -> list[Found]:
    """Each configured authority: how old its last token is, the problem since when, and whether its time can be
    right."""
    newest: dict[str, Record] = {}
    for record in timing.anchors():
        newest.setdefault(_name(record), record)
    return [_authority(timing, status, newest.get(status.name), now_ns) for status in statuses]


def _tokens(timing: Timing, statuses: Sequence[AuthorityStatus], now_ns: int) -> list[tuple[bool, str]]:
    """Of each authority, the newest token that holds: whether it is on schedule, and its age."""
    schedules = {status.name: status.interval_s for status in statuses}
    told: dict[str, tuple[bool, str]] = {}
    for record in timing.anchors():
        name, stamp = _name(record), timing.stamp_of(record.index)
        if stamp is None or name in told or name not in schedules or not timing.claimed(record).meets(stamp.made):
            continue
        age_ns, due_ns = now_ns - (stamp.made.latest_ns or 0), int(schedules[name] * NS)
        words = (
            f"{name}, by a token {duration_words(age_ns)} old (record {record.index}), one is due every "
            f"{duration_words(due_ns)}"
        )
        told[name] = age_ns < _LATE * due_ns, words
    return list(told.values())


def _cosignatures(timing: Timing, size: int, now_ns: int) -> list[tuple[bool, str]]:
    """Of each witness, the newest cosignature: whether it covers all but the last records, and its age."""
    widest: dict[str, Stamp] = {}
    for stamp in timing.witnessed():
        if stamp.by not in widest or stamp.size >= widest[stamp.by].size:
            widest[stamp.by] = stamp
    told = []
    for stamp in widest.values():
        age_ns = now_ns - (stamp.made.latest_ns or 0)
        covers = "all records" if stamp.size >= size else f"the first {stamp.size:,} of {size:,} records"
        words = f"the witness {stamp.by}, which cosigned {covers} {duration_words(age_ns)} ago (not after, only)"
        told.append((stamp.size >= size or age_ns < _LATE * PLACE_RETRY_S_MAX * NS, words))
    return told


def _name(anchor: Record) -> str:
    authority = anchor.content.get("authority")
    return str(authority.get("name")) if isinstance(authority, dict) else ""


def _authority(timing: Timing, status: AuthorityStatus, anchor: Record | None, now_ns: int) -> Found:
    check = f"time authority {status.name}"
    since = "" if status.failing_since_ns is None else f", failing since {moment_of_ns(status.failing_since_ns)}"
    problem = f"{since}: {status.problem.rstrip('.')}" if status.problem else ""
    fix = status.fix or "Ask the authority's address by hand, and compare certificates: see docs/howto/time.md."
    if anchor is None:
        return check, False, f"{status.name} gave no token yet{problem}.", fix
    age_ns = now_ns - parse_moment(anchor.header.log.at)
    words = f"{status.name} gave its last token {duration_words(age_ns)} ago (record {anchor.index})"
    stamp = timing.stamp_of(anchor.index)
    if stamp is None:
        return check, False, f"{words}, which the configured certificates do not verify{problem}.", fix
    claim = timing.claimed(anchor)
    if not claim.meets(stamp.made):
        apart = "later" if claim.surely_before(stamp.made) else "earlier"
        said = f"{words}, whose time is {apart} than this machine's clock allows: one of them is wrong."
        return check, False, said, "Compare this machine's clock with a third one."
    holds = not problem and age_ns < _LATE * status.interval_s * NS
    late = "" if holds or problem else f", one is due every {duration_words(int(status.interval_s * NS))}"
    return check, holds, f"{words}{late}{problem}.", "" if holds else fix
