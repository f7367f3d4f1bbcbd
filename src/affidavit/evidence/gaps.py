"""Gaps: what a `log.gap` says in words, which sources are silent, and what the last days lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from affidavit.evidence.wording import count_words, list_words
from affidavit.history.asof import Records, index_at_time
from affidavit.history.sources import heard_before
from affidavit.limits import GAPS_LOOK_BACK_DAYS, SCAN_RECORDS_MAX
from affidavit.record.moment import NS, format_moment, parse_moment
from affidavit.state.fold import State
from affidavit.state.sources import expected_sources

_DAY_NS = 86_400 * NS
_NAMED_MAX = 5
#: Gaps of somebody else: no record of the log's own is missing.
_NOTHING_LOST = frozenset({"silence", "unguarded", "past_gateway", "unwatched"})
#: A check as `readiness` shows it: name, whether it holds, what was found, what to do.
Check = tuple[str, bool, str, str]


def gap_words(content: Mapping[str, Any]) -> str:
    """What a gap says, as a clause: `the log has a gap from … to …: the writer stopped without closing the log`."""
    cause, start, end = content.get("cause"), content.get("start"), content.get("end")
    if cause == "silence":
        if end is None:
            return f"nothing has been heard of the source {content.get('source')} since {_moment(start)}"
        return f"the source {content.get('source')} is heard of again; it was silent{_span(start, end)}"
    if cause == "past_gateway":
        return _direct_words(content)
    missing = content.get("missing")
    if cause == "counter" and isinstance(missing, dict):
        first, last = missing.get("first"), missing.get("last")
        which = f"record {first}" if first == last else f"records {first} to {last}"
        return f"{which} of the source {str(missing.get('stream'))[:8]} never arrived"
    if cause == "unwatched":
        said = f"the database was not watched{_span(start, end)}"
    elif cause == "unguarded":
        said = f"the log was unguarded{_span(start, end)}"
    else:
        said = f"the log has a gap{_span(start, end)} ({cause or 'unknown cause'})"
    detail, streams = content.get("detail"), content.get("streams")
    if isinstance(detail, str) and detail:
        said += f": {detail[:1].lower()}{detail[1:].removesuffix('.')}"
    if isinstance(streams, list) and streams:
        said += f"; {count_words(len(streams), 'source')} ended with it"
    return said


def _direct_words(content: Mapping[str, Any]) -> str:
    """`backup@10.0.0.9 is connected past the gateway since …, as it may be by declaration`."""
    found = content.get("backend")
    one: Mapping[str, Any] = found if isinstance(found, dict) else {}
    who = f"{one.get('role', 'somebody')}@{one.get('address') or 'local'}"
    if one.get("application"):
        who += f" with an application that calls itself {one['application']!r}"
    to = f" to {one['database']}" if one.get("database") else ""
    start, end = content.get("start"), content.get("end")
    if end is None:
        said = f"{who} is connected{to} past the gateway since {_moment(start)}"
    else:
        said = f"{who} is not connected{to} past the gateway any more; it was{_span(start, end)}"
    return f"{said}, as is declared ({content['declared']})" if content.get("declared") else said


def silent_sources(records: Records, state: State) -> Check:
    """The check that every source that declares a heartbeat is heard of, as far as the log's last records tell."""
    sources = expected_sources(state)
    if not sources:
        return "sources", True, "No source declares a heartbeat, so none can be missed.", ""
    size = records.size
    heard = heard_before(records, size, sources, max(0, size - SCAN_RECORDS_MAX))
    silent = [f"{name} since {_moment(one.start)} (record {one.gap})" for name, one in heard.items() if one.silent]
    unheard = sorted(name for name in sources if name not in heard)
    if silent or unheard:
        said = [f"Silent: {list_words(sorted(silent), most=_NAMED_MAX)}."] if silent else []
        said += [f"Not heard of yet: {list_words(unheard, most=_NAMED_MAX)}."] if unheard else []
        fix = "See that they run and reach the log; where one is gone for good, delete its `source/…`."
        return "sources", False, " ".join(said), fix
    return "sources", True, f"{count_words(len(sources), 'source')} declared, none silent.", ""


def recent_gaps(records: Records) -> Check:
    """The check that nothing is missing from the last days. A silence or an unguarded start is no gap of the log's."""
    name, size = "gaps", records.size
    if not size:
        return name, True, "The log is empty.", ""
    since_ns = max(0, parse_moment(records.header(size - 1).log.at) - GAPS_LOOK_BACK_DAYS * _DAY_NS)
    first = index_at_time(records, format_moment(since_ns))
    looked = max(first, size - SCAN_RECORDS_MAX)
    found = [index for index in range(looked, size) if records.header(index).kind == "log.gap"]
    contents = {index: records.record(index).content for index in found}
    causes = Counter(
        str(content.get("cause")) for content in contents.values() if content.get("cause") not in _NOTHING_LOST
    )
    span = f"the last {GAPS_LOOK_BACK_DAYS} days" if looked == first else f"the last {size - looked:,} records"
    if not causes:
        return name, True, f"No gap in {span}.", ""
    last = max(index for index, content in contents.items() if content.get("cause") not in _NOTHING_LOST)
    said = list_words([f"{count} by {cause}" for cause, count in sorted(causes.items())], most=_NAMED_MAX)
    detail = f"{count_words(causes.total(), 'gap')} in {span}: {said}; the last is record {last}."
    return name, False, detail, f"Look what was going on then: affidavit show {last}, affidavit timeline kind:log.gap"


def _span(start: object, end: object) -> str:
    return f" from {_moment(start)} to {_moment(end)}" if start and end else ""


def _moment(at: object) -> str:
    text = str(at)
    return f"{text[:10]} {text[11:19]} UTC"
