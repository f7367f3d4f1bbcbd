"""The endpoint that computes findings over a stretch of the log, one JSON document a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from affidavit.archive.log import LogFiles
from affidavit.errors import AffidavitError, InvalidInput
from affidavit.evidence.findings.finding import CODES, Finding, Windows
from affidavit.evidence.findings.scan import Chosen, Progress, Scan, not_looked_at
from affidavit.evidence.session import session_of
from affidavit.history.asof import index_at_time, state_index
from affidavit.record.moment import NS
from affidavit.server.bodies import json_bytes, query_number
from affidavit.server.positions import place
from affidavit.server.reading import reader_of
from affidavit.server.services import Services

_MEDIA_TYPE = "application/x-ndjson"
_ASKED = ("from", "to", "actor", "system", "session", "before_s", "after_s")
_SECONDS_MAX = 366 * 86_400


async def findings(request: Request) -> Response:
    """GET /v1/findings?from=&to=&actor=&system=&session=&before_s=&after_s=: what an auditor would write up, computed.

    From an index or a time up to another (default: the whole log), or of the session that a record stands in; of one
    actor, on one system. `before_s` (900) and `after_s` (3600): a permission is *brief* that was given less than
    `before_s` before its use and went not more than `after_s` after; a membership *had just changed* less than
    `before_s` before. A line for each finding: `{finding}` with `code`, `certainty` (`certain`; `possible`, where
    clocks do not tell), `sentence`, `records`, `times` (of each record: `record`, `at`, `bound_ns`), `actor`, `who`,
    `system`, `objects`, `count`. Lines `{progress: {done, count}}` between. The last is `{report}`: `range`, `root`,
    `looked_at`, `not_looked_at` (of erased bodies with `by`), `left_out`, `before_s`, `after_s`, `found`,
    `codes`; or `{error}`.
    """
    services = reader_of(request)
    asked = dict(request.query_params)
    unknown = sorted(set(asked) - set(_ASKED))
    if unknown:
        raise InvalidInput("http.member", f"Unknown parameter {unknown[0]:.40}.", "See docs/reference/http.md.")
    windows = Windows(
        query_number(request, "before_s", 900, _SECONDS_MAX) * NS,
        query_number(request, "after_s", 3_600, _SECONDS_MAX) * NS,
    )
    first, stop, chosen = await run_in_threadpool(_stretch, services, asked)
    lines = _lines(services, first, stop, chosen, windows)
    return StreamingResponse(lines, media_type=_MEDIA_TYPE, headers={"cache-control": "no-store"})


def _stretch(services: Services, asked: dict[str, str]) -> tuple[int, int, Chosen]:
    """First record, the one after the last, and which accesses. Raises `InvalidInput`."""
    actor = services.live.identity_by_handle(asked["actor"]) if "actor" in asked else None
    if "actor" in asked and actor is None:
        actor = services.live.resolve(asked["actor"])
    if "session" in asked:
        if "from" in asked or "to" in asked:
            raise InvalidInput("findings.stretch", "A session has its own beginning and end.", "Leave --from and --to.")
        index = asked["session"]
        if not index.isascii() or not index.isdigit() or len(index) > 16:
            raise InvalidInput("http.number", f"session must be a number, not {index[:40]!r}.")
        found = session_of(services.records, int(index))
        return found.opened, found.records[-1] + 1, Chosen(actor, asked.get("system"), found.opened)
    stop = place(services, asked.get("to", "now")).index
    first = 0
    if "from" in asked:
        begins = place(services, asked["from"])
        # A time is where it begins, so that what happened in its first minute is looked at.
        first = begins.index if begins.read is None else _first_after(services, begins.read.first)
    if first > stop:
        raise InvalidInput("findings.stretch", "The stretch ends before it begins.", "Give the earlier one as from.")
    return first, stop, Chosen(actor, asked.get("system"))


def _first_after(services: Services, at: str) -> int:
    """The first record that was sealed at the moment `at` or later."""
    index = index_at_time(services.records, at)
    while index and services.records.header(index - 1).log.at == at:
        index -= 1
    return index


def _lines(services: Services, first: int, stop: int, chosen: Chosen, windows: Windows) -> Iterator[bytes]:
    names = services.live.name_of
    scan = Scan(services.records, services.timing, services.history.at, names, chosen, windows)
    found = 0
    try:
        for item in scan.run(first, stop):
            if isinstance(item, Progress):
                yield json_bytes({"progress": {"done": item.done, "count": item.count}}) + b"\n"
            else:
                found += 1
                yield json_bytes({"finding": _view(services, item)}) + b"\n"
        yield json_bytes({"report": _report(services, scan, (first, stop), windows, found)}) + b"\n"
    except AffidavitError as error:
        # The status went out long ago: the line says it instead, and that no report follows says it as well.
        said = {"code": error.code, "message": error.message, "hint": error.hint, "exit_status": error.exit_status}
        yield json_bytes({"error": said}) + b"\n"


def _view(services: Services, finding: Finding) -> dict[str, Any]:
    times = []
    for index in finding.records:
        header = services.records.header(index)
        times.append({"record": index, "at": header.time.at, "bound_ns": services.bounds(header)})
    who = None if finding.actor is None else services.live.name_of(finding.actor)
    return {**finding.as_dict(), "times": times, "who": who}


def _report(services: Services, scan: Scan, stretch: tuple[int, int], windows: Windows, found: int) -> dict[str, Any]:
    first, stop = stretch
    records = services.records
    published = services.keys().open(LogFiles(services.public_log).checkpoint())[0]
    stand = state_index(records, stop)
    at = [records.header(index).log.at for index in (first, stop - 1)] if stop > first else [None, None]
    return {
        "range": {"first": first, "stop": stop, "from": at[0], "to": at[1]},
        "root": {
            "origin": services.origin,
            "published_size": published.size,
            "published_root": published.root.hex(),
            "state": stand,
            "state_root": services.history.root_at(stand),
        },
        "looked_at": {
            "records": scan.counts.records,
            "accesses": scan.counts.accesses,
            "changes": scan.counts.changes,
        },
        "not_looked_at": not_looked_at(scan),
        "left_out": [] if scan.chosen.changes else ["findings about changes: they belong to no system and no session"],
        "before_s": windows.before_ns // NS,
        "after_s": windows.after_ns // NS,
        "found": found,
        "codes": CODES,
    }
