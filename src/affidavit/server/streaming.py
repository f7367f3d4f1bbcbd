"""Streams of records, one JSON document a line: export (what is there) and follow (what comes)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from affidavit.evidence.export import record_fields
from affidavit.limits import EXPORT_PAGE_RECORDS
from affidavit.search.language import Query
from affidavit.search.matching import look
from affidavit.server.bodies import json_bytes, query_number
from affidavit.server.identity import actor_of
from affidavit.server.reading import query_of, reader_of
from affidavit.server.services import Services
from affidavit.server.views import match_view

_HEARTBEAT_S = 10.0
_LOOK_S = 0.1
_MEDIA_TYPE = "application/x-ndjson"
_HEADERS = {"cache-control": "no-store"}


async def export(request: Request) -> Response:
    """GET /v1/export?query=: every matching record with every field, oldest first. `match` as in `GET /v1/records`.

    That it was asked for is a record of the kind `log.read`, before the first line.
    """
    services = reader_of(request)
    query = query_of(request, services)
    size = services.records.size
    stop = size if query.stop is None else min(size, query.stop)
    await services.readings.note(actor_of(request, services), "export", {"query": query.text})
    return StreamingResponse(_export(services, query, stop), media_type=_MEDIA_TYPE, headers=_HEADERS)


async def follow(request: Request) -> Response:
    """GET /v1/follow?query=&after=: matching records from index `after` on, as they become durable.

    An empty line every ten seconds shows that the stream lives. That it was asked for is a record, `log.read`.
    """
    services = reader_of(request)
    query = query_of(request, services)
    start = query_number(request, "after", services.records.size, services.records.size)
    given = "after" in request.query_params
    said = {"query": query.text, "first": start if given else None}
    noted = await services.readings.note(actor_of(request, services), "follow", said)
    if not given and noted is not None:
        start = noted + 1
    return StreamingResponse(_follow(services, query, start), media_type=_MEDIA_TYPE, headers=_HEADERS)


async def _export(services: Services, query: Query, stop: int) -> AsyncIterator[bytes]:
    for first in range(query.first, stop, EXPORT_PAGE_RECORDS):
        page = await run_in_threadpool(_page, services, query, first, min(first + EXPORT_PAGE_RECORDS, stop))
        if page:
            yield page


def _page(services: Services, query: Query, first: int, stop: int) -> bytes:
    lines = []
    for at in range(first, stop):
        matched = look(services.records, query, at, services.bounds)
        if matched is not None:
            record, how = matched
            lines.append(json_bytes({**record_fields(record), "match": how}) + b"\n")
    return b"".join(lines)


async def _follow(services: Services, query: Query, start: int) -> AsyncIterator[bytes]:
    at, quiet_s = start, 0.0
    while not services.stopping():
        # Records are read back from the log, never queued: a slow reader holds nothing here, and looking at the size
        # now and then costs the writer nothing.
        stop = min(services.records.size, at + EXPORT_PAGE_RECORDS)
        lines = await run_in_threadpool(_new, services, query, at, stop) if stop > at else b""
        if lines or quiet_s >= _HEARTBEAT_S:
            yield lines or b"\n"
            quiet_s = 0.0
        if stop == at:
            await asyncio.sleep(_LOOK_S)
            quiet_s += _LOOK_S
        at = stop


def _new(services: Services, query: Query, first: int, stop: int) -> bytes:
    found = []
    for at in range(first, stop):
        matched = look(services.records, query, at, services.bounds)
        if matched is not None:
            found.append(json_bytes(match_view(*matched, services)) + b"\n")
    return b"".join(found)
