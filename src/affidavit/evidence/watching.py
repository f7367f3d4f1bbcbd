"""What watching the upstreams found: whether it works, who is connected past us, drift that nothing explains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from affidavit.capture.watch.direct import Direct
from affidavit.capture.watch.status import WatchStatus
from affidavit.evidence.clocks import Found
from affidavit.evidence.drifts import unexplained
from affidavit.evidence.wording import count_words, duration_words, list_words, moment_of_ns
from affidavit.history.asof import Records
from affidavit.limits import GAPS_LOOK_BACK_DAYS, SCAN_RECORDS_MAX
from affidavit.record.moment import NS, format_moment, parse_moment
from affidavit.record.read import Record

_NAMED_MAX = 5
_LATE = 3
_DAY_NS = 86_400 * NS


def watching(records: Records, statuses: Sequence[WatchStatus], now_ns: int) -> list[Found]:
    """The checks on what is watched: of each upstream whether it is, and who is connected past us; then drift."""
    found: list[Found] = []
    for one in statuses:
        found += [_watched(one, now_ns), _direct(one)]
    return [*found, _drift(records)] if statuses else found


def _watched(one: WatchStatus, now_ns: int) -> Found:
    check = f"watching {one.system}"
    if not one.runs:
        return check, False, f"{one.system} is not watched: no server runs here.", "Start it: affidavit up"
    if one.problem:
        since = "" if one.failing_since_ns is None else f" since {moment_of_ns(one.failing_since_ns)}"
        looks = f", {count_words(one.failures, 'look')} failed" if one.failures else ""
        said = f"{one.system} is not watched{since}{looks}: {one.problem.rstrip('.')}."
        return check, False, said, "See that the database runs and lets the gateway's role in."
    if one.looked_ns is None or one.sees is None:
        return check, False, f"{one.system} was not looked at yet.", "Ask again in a moment."
    age_ns = now_ns - one.looked_ns
    looked = f"{one.system} was looked at {duration_words(max(age_ns, 0))} ago, which is done every {one.interval_s} s"
    if age_ns > _LATE * one.interval_s * NS:
        return check, False, f"{looked}.", "The server is overloaded, or the database answers slowly."
    if not one.sees:
        hidden = count_words(one.hidden, "connection") + " of other roles" if one.hidden else "connections of others"
        said = f"{looked}; the role {one.role} may not see where {hidden} come from, so they are not recorded."
        return check, False, said, f"In the database: GRANT pg_read_all_stats TO {_quoted(one.role)};"
    if one.hidden:
        said = f"{looked}; {count_words(one.hidden, 'connection')} could not be listed: there are too many."
        return check, False, said, "See in pg_stat_activity who they are."
    return check, True, f"{looked}.", ""


def _direct(one: WatchStatus) -> Found:
    check = f"past the gateway of {one.system}"
    if one.looked_ns is None or one.sees is None:
        return check, False, f"Nobody has looked who is connected to {one.database} directly.", "See above."
    undeclared = [item for item in one.direct if not item.declared]
    declared = len(one.direct) - len(undeclared)
    let = f" {count_words(declared, 'connection')} as declared." if declared else ""
    if one.hidden:
        let += f" {count_words(one.hidden, 'connection')} of which nothing is known."
    if one.hidden and not undeclared:
        return check, False, f"Who is connected to {one.database} is not known.{let}", f"See `watching {one.system}`."
    if not undeclared:
        missed = "What connects and leaves between two looks is not seen."
        return check, True, f"Nobody else is connected to {one.database} past the gateway.{let} {missed}", ""
    who = list_words([_direct_words(item) for item in undeclared], most=_NAMED_MAX)
    return (
        check,
        False,
        f"Connected to {one.database} past the gateway: {who}.{let}",
        "Let the database accept the gateway only (pg_hba.conf, docs/howto/watching.md); or declare who may: "
        f"past_gateway in system/{one.system}.",
    )


def _direct_words(one: Direct) -> str:
    who = one.stranger
    since = f"{who.backend.started[:10]} {who.backend.started[11:19]} UTC"
    return f"{who.role}@{who.address or 'local'} since {since} (record {one.index})"


def _drift(records: Records) -> Found:
    """That every drift of the last days has a record of ours that explains it."""
    check = "drift"
    found = [(record.index, fields) for record in _recent_drifts(records) if (fields := unexplained(record.content))]
    span = f"the last {GAPS_LOOK_BACK_DAYS} days"
    if not found:
        return check, True, f"What the databases enforce did not change in {span} without a record that says why.", ""
    index, fields = found[0]
    detail = (
        f"{count_words(len(found), 'drift')} in {span} that no record of ours explains; "
        f"the last is record {index}: {list_words(fields, most=_NAMED_MAX)}."
    )
    return check, False, detail, f"Find out who did it, in the database's own log: affidavit show {index}"


def _recent_drifts(records: Records) -> Iterator[Record]:
    """The `drift` records of the last days, newest first, along the chain of changes."""
    if not records.size:
        return
    last = records.header(records.size - 1)
    since = format_moment(max(0, parse_moment(last.log.at) - GAPS_LOOK_BACK_DAYS * _DAY_NS))
    after = records.size if last.root is not None else last.log.state
    for _ in range(SCAN_RECORDS_MAX):
        if after == 0:
            return
        header = records.header(after - 1)
        if header.log.at < since:
            return
        if header.kind == "drift":
            yield records.record(after - 1)
        after = header.log.state


def _quoted(role: str) -> str:
    return role if role.isidentifier() and role == role.lower() else '"' + role.replace('"', '""') + '"'
