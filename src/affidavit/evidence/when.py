"""When a record happened, in plain sentences: its claim with the bound, what is proven and by whom, and whether both
agree. Moments are rounded outwards to the millisecond in sentences; the values beside them are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affidavit.evidence.timing import Timing
from affidavit.evidence.wording import bound_words, span_words
from affidavit.record.moment import format_moment, parse_moment
from affidavit.record.read import Record
from affidavit.timeproof.interval import Interval
from affidavit.timeproof.order import Event
from affidavit.timeproof.stamps import Proven, Stamp
from affidavit.timeproof.when import When

_TOLD_NS = 2_000_000  # a claim that is wider than its bound by more than this is worth a word


def when_view(timing: Timing, record: Record) -> dict[str, Any]:
    """When the record happened, as values for JSON.

    `happened` and what it `rests_on`; `claimed` by whom, `proven` by stamps, `recorded` between which moments;
    `agreement`; and `sentences` that say all of it. Raises what reading raises.
    """
    event, recorded = timing.event(record.index), timing.proven(record.index)
    when = When(event.claimed, event.proven)
    claim = _claim(timing, record, event.claimed)
    return {
        "happened": interval_view(when.happened),
        "rests_on": when.rests_on,
        "claimed": claim,
        "proven": {**interval_view(event.proven), "made_after": event.made_after},
        "recorded": proven_view(recorded),
        "agreement": when.agreement,
        "sentences": [
            _claim_words(claim, event.claimed),
            *_recorded_words(recorded),
            *_made_after_words(event),
            _verdict_words(when),
        ],
    }


def proven_view(proven: Proven) -> dict[str, Any]:
    """When a record was recorded, as far as it is proven, and by whom: for JSON."""
    return {
        **interval_view(proven.recorded),
        "not_before_by": _stamp_view(proven.not_before),
        "not_after_by": _stamp_view(proven.not_after),
    }


def interval_view(interval: Interval) -> dict[str, Any]:
    """Both ends as moments, null where nothing bounds them."""
    return {"earliest": _moment(interval.earliest_ns), "latest": _moment(interval.latest_ns)}


def _claim(timing: Timing, record: Record, interval: Interval) -> dict[str, Any]:
    """Who says when it happened, and how sure: the record's own clock, or the source of what it tells."""
    occurred = record.content.get("occurred")
    if isinstance(occurred, dict):
        width_ns = None
        if interval.earliest_ns is not None and interval.latest_ns is not None:
            width_ns = (interval.latest_ns - interval.earliest_ns) // 2
        by = {"at": str(occurred.get("at")), "by": "source", "source": occurred.get("by"), "clock": None}
        return {**by, "bound_ns": width_ns, **interval_view(interval)}
    time = record.header.time
    note = None if time.clock is None else timing.note(time.clock)
    bound_ns = None if note is None else note.bound_at(parse_moment(time.at))
    by = {"at": time.at, "by": "clock", "source": None, "clock": time.clock}
    return {**by, "bound_ns": bound_ns, **interval_view(interval)}


def _claim_words(claim: Mapping[str, Any], interval: Interval) -> str:
    at = f"{claim['at'][:10]} {claim['at'][11:23]} UTC"
    if claim["by"] == "source":
        named = f" ({claim['source']})" if claim["source"] else ""
        if interval == Interval():
            return f"Its source{named} says {at}, and not how wrong that can be."
        return f"Its source{named} says {at} {bound_words(claim['bound_ns'])}."
    if claim["clock"] is None:
        return f"Its clock said {at}; no clock record tells how wrong that clock was."
    by = f"by clock record {claim['clock']}"
    if interval.earliest_ns is None or interval.latest_ns is None:
        why = "nothing bounds how wrong it was" if claim["bound_ns"] is None else "whether it was set then is not known"
        return f"Its clock said {at}; {why} ({by})."
    said = f"Its clock said {at} {bound_words(claim['bound_ns'])} ({by})"
    if interval.latest_ns - interval.earliest_ns > 2 * (claim["bound_ns"] or 0) + _TOLD_NS:
        said += f"; it was found set soon after, so that is {span_words(interval.earliest_ns, interval.latest_ns)}"
    return f"{said}."


def _recorded_words(proven: Proven) -> list[str]:
    """What each of the two stamps proves of the recording."""
    before, after = proven.not_before, proven.not_after
    if before is not None and after is not None and proven.recorded == Interval():
        first, last = span_words(before.made.earliest_ns, None), span_words(None, after.made.latest_ns)
        return [
            f"Stamps contradict each other: {_by(before)} says {first}, {_by(after)} says {last}. "
            "One of them is wrong, so neither counts."
        ]
    found = []
    if before is not None and before.made.earliest_ns is not None:
        found.append(f"Recorded {span_words(before.made.earliest_ns, None)}: {_by(before)} was there already.")
    if after is not None and after.made.latest_ns is not None:
        found.append(
            f"Recorded {span_words(None, after.made.latest_ns)}: {_by(after)} covers the first {after.size:,} records."
        )
    return found or ["Nobody outside the log proves when it was recorded."]


def _made_after_words(event: Event) -> list[str]:
    if event.made_after is None or event.proven.earliest_ns is None:
        return []
    since = span_words(event.proven.earliest_ns, None)
    return [f"Made {since}: it names record {event.made_after}, which was there already."]


def _verdict_words(when: When) -> str:
    happened = when.happened
    words = span_words(happened.earliest_ns, happened.latest_ns)
    match when.agreement:
        case "agree":
            return f"Claim and proof agree: it happened {words}, if its clock was as good as it said."
        case "contradict":
            return (
                "Claim and proof contradict each other: its clock was wrong by more than its bound, or who stamped "
                f"was. By proof alone it happened {words}."
            )
        case "unbounded":
            return f"By proof alone it happened {words}; its claim has no bound that could be compared."
        case _ if when.rests_on == "nothing":
            return "Nothing bounds or proves when it happened."
        case _:
            return f"It happened {words} if its clock was as good as it said; nothing outside proves that."
    return ""


def _by(stamp: Stamp) -> str:
    if stamp.index is None:
        return f"the cosignature of {stamp.by}"
    return f"the token of {stamp.by} in record {stamp.index}"


def _stamp_view(stamp: Stamp | None) -> dict[str, Any] | None:
    if stamp is None:
        return None
    return {"by": stamp.by, "record": stamp.index, "size": stamp.size, **interval_view(stamp.made)}


def _moment(at_ns: int | None) -> str | None:
    return None if at_ns is None else format_moment(max(at_ns, 0))
