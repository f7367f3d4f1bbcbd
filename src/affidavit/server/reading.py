"""Endpoints that read: records, explanations, sessions, state, readiness. Each needs the right to read the log."""

from __future__ import annotations

from typing import Any

from anyio import from_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

import affidavit
from affidavit.capture.administration import Actor
from affidavit.errors import InvalidInput
from affidavit.evidence import clocks
from affidavit.evidence.behind import Behind
from affidavit.evidence.ordering import ordered
from affidavit.evidence.publishing import publication
from affidavit.evidence.readiness import Finding, index_kept, readiness
from affidavit.evidence.sentence import sentence
from affidavit.evidence.session import session_of
from affidavit.evidence.sessionstory import story
from affidavit.evidence.watching import watching
from affidavit.evidence.when import when_view
from affidavit.record.read import Record
from affidavit.search.language import Query
from affidavit.search.parsing import parse_query
from affidavit.search.showing import show
from affidavit.server.bodies import JsonResponse, path_index, query_limit, query_number
from affidavit.server.identity import actor_of, check_may_read
from affidavit.server.services import Services
from affidavit.server.views import match_view, record_view

_LIMIT_DEFAULT = 50


def reader_of(request: Request) -> Services:
    """The services, once the actor is proved and may read. Raises `Denied`."""
    services: Services = request.app.state.services
    check_may_read(actor_of(request, services), services)
    return services


def query_of(request: Request, services: Services) -> Query:
    """The query in `query`; all records where there is none. Raises `InvalidInput`."""
    return parse_query(request.query_params.get("query", ""), services.live.resolve, services.clock.now_ns())


async def status(request: Request) -> Response:
    """GET /v1/status: which log, how large, what runs. Anybody who is somebody may ask.

    `search`: how many `records` are in the search index, as far as it is followed or was needed.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    return JsonResponse(
        {
            "origin": services.origin,
            "verifier_key": services.keys().epochs[-1].keys[0].to_text(),
            "version": affidavit.__version__,
            "size": services.records.size,
            "state": services.live.index,
            "you": {
                "identity": actor.identity,
                "handle": services.live.name_of(actor.identity),
                "by": actor.credential,
            },
            "writes": services.writes,
            "search": {"records": services.search.held},
            **services.status(),
        }
    )


async def records(request: Request) -> Response:
    """GET /v1/records?query=&limit=&before=: newest first. `next` is the `before` to go on with, null at the end.

    Each record has `match`: `certainly`, or `possibly` where its clock was not sure enough of the time that was asked
    for. `asked`: the query as it was understood, people as ids and times in UTC. What is shown is itself a record, of
    the kind `log.read`, before it is; so is a search that finds nothing.
    """
    services = reader_of(request)
    query = query_of(request, services)
    limit = query_limit(request, _LIMIT_DEFAULT)
    before = query_number(request, "before", services.records.size, services.records.size)
    return JsonResponse(await run_in_threadpool(find, services, actor_of(request, services), query, limit, before))


async def record(request: Request) -> Response:
    """GET /v1/records/{index}: one record, with what it says in words.

    The answer: `index`, `header`, `body`, `body_state`, `bound_ns`, `sentence`, `headline`, and `when`: the interval in
    which it `happened` and what that `rests_on`, what is `claimed` by whom, `proven` by stamps, between which moments
    it was `recorded`, the `agreement` of claim and proof, and `sentences` that say so. And `behind`: who stands behind
    it (`handle`, `kind`, how it was proved, who `given` the credential, the `human`, `account`), and what is `unknown`.
    """
    services, index = reader_of(request), path_index(request)
    return JsonResponse(await run_in_threadpool(whole_record, services, index))


async def explain(request: Request) -> Response:
    """GET /v1/records/{index}/explain: why a decision came out as it did.

    The answer: `sentence`, `decision`, `because`, `only_observed`, `requests`, `facts`, `rules` (with their text as of
    the decision), `considered`, `errors`, `grants`, `settings`, `configured`, `context` (with what differs from the one
    before), `last_change`, `unseen` (changes that bear on it, which the decision had not seen), `behind` and `when` as
    of a record, `state`, `again` (the decision made again), `outcome` (of an intent).
    """
    services, index = reader_of(request), path_index(request)
    return JsonResponse(await run_in_threadpool(explained, services, index))


async def order(request: Request) -> Response:
    """GET /v1/order?a=&b=: which of two records tells of the earlier event.

    The answer: `result` (`proven` `interval` `ambiguous`), `first` and `recorded_first` (`a` `b` `unknown`), `by`,
    `disputed`, `sentence`, `because`, and for `a` and `b` `index`, `kind`, `sentence` and `when` as of a record.
    """
    services = reader_of(request)
    size = services.records.size
    a, b = (query_number(request, name, size) for name in ("a", "b"))

    def say(record: Record) -> str:
        return sentence(record, services.live.name_of, services.bounds(record.header))

    return JsonResponse(await run_in_threadpool(ordered, services.records, services.timing, say, a, b))


async def session(request: Request) -> Response:
    """GET /v1/sessions/{index}: the session that a record opened or stands in.

    The answer: `opened`, `closed`, `whole`, `records`, and `meanwhile`, what changed in the state during it. And told:
    `actions` (each with `rules`, the grants `counted`, `errors`, `context`, `state`, `completed`, and `shown`, the text
    of a denial), `contexts` (by index: `settings` with their scopes, `configured`, `groups`, `grants`, `policies`),
    `changes` (`who`, `reason`, `approvals`, whether it `bears` on this session, the first action `effective` under it),
    `presented` (what was shown, and when), `ended`.
    """
    services, index = reader_of(request), path_index(request)
    return JsonResponse(await run_in_threadpool(_session, services, index))


async def ready(request: Request) -> Response:
    """GET /v1/ready: the checks: `ready`, and `checks` (list of `{check, holds, detail, fix}`)."""
    services = reader_of(request)
    findings = await run_in_threadpool(checks, services)
    return JsonResponse(
        {"ready": all(item.holds for item in findings), "checks": [item.as_dict() for item in findings]}
    )


def whole_record(services: Services, index: int) -> dict[str, Any]:
    """A record with when it happened and who stands behind it. Raises `InvalidInput` where there is none."""
    if index >= services.records.size:
        raise InvalidInput(
            "record.index", f"There is no record {index}: the log holds {services.records.size}.", "Count from 0."
        )
    record = services.records.record(index)
    behind = Behind(services.records, services.history.at, services.live.name_of).of(record)
    return {**record_view(record, services), "when": when_view(services.timing, record), "behind": behind}


def explained(services: Services, index: int) -> dict[str, Any]:
    """Why a decision came out as it did. Raises `InvalidInput` where nothing was decided, or nothing explains it."""
    answer = services.explainer.explain(index)
    return {**answer, "when": when_view(services.timing, services.records.record(index))}


def checks(services: Services) -> tuple[Finding, ...]:
    """What `ready` found, now."""
    now_ns = services.clock.now_ns()
    timing, statuses = services.timing, services.authorities()
    running = (
        *index_kept(services.search.refused),
        publication(services.publication()),
        clocks.clock(services.records, now_ns),
        clocks.proof(timing, statuses, services.records.size, now_ns),
        *clocks.authorities(timing, statuses, now_ns),
        *watching(services.records, services.watches(), now_ns),
    )
    return readiness(services.records, services.reviews, services.live.snapshot(), services.places(), running)


def find(services: Services, actor: Actor, query: Query, limit: int, before: int) -> dict[str, Any]:
    """Up to `limit` records below `before` that `query` finds, newest first, and where to go on; the log says already
    that `actor` is shown them. Call it on a thread of the server's. Raises `Unavailable` where it cannot say so."""
    page = services.search.newest(query, limit, before)
    found = [match_view(*one, services) for one in page.found]
    indexes = [view["index"] for view in found]
    said = {
        "query": query.text,
        **{how: sum(view["match"] == how for view in found) for how in ("certainly", "possibly")},
        "first": min(indexes, default=None),
        "last": max(indexes, default=None),
    }
    from_thread.run(services.readings.note, actor, "search", said)
    return {"records": found, "next": page.next, "asked": show(query.part)}


def _session(services: Services, index: int) -> dict[str, Any]:
    found = session_of(services.records, index)
    return {
        "opened": found.opened,
        "closed": found.closed,
        "whole": found.whole,
        "records": [record_view(services.records.record(at), services) for at in found.records],
        "meanwhile": [record_view(services.records.record(at), services) for at in found.meanwhile],
        **story(services.records, found, services.live.name_of, services.bounds),
    }
