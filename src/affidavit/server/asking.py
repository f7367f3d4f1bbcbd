"""Endpoints that answer by evaluating: who could, who did, and what if. Each needs the right to read the log.

What reads a range of the log streams: a line of JSON now and then that says how far it has got, and in the last line
the `answer`, or the `error` with the `status` that it would have had.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from affidavit.archive.log import LogFiles
from affidavit.capture.administration import Wish
from affidavit.errors import AffidavitError, InvalidInput
from affidavit.evidence.asking import TABLE, Resource, facts_given, resource_named
from affidavit.evidence.beside import beside
from affidavit.evidence.could import Question, who_could
from affidavit.evidence.did import Reader, Reading, who_did
from affidavit.evidence.explain import context_difference
from affidavit.evidence.sentence import sentence
from affidavit.evidence.whatif import Chosen, Compared, Other, WhatIf
from affidavit.history.asof import index_at_time
from affidavit.record.moment import format_moment, parse_moment
from affidavit.record.read import Record
from affidavit.server.bodies import JsonResponse, error_response, json_bytes, json_object
from affidavit.server.positions import Place, place
from affidavit.server.reading import reader_of
from affidavit.server.services import Services
from affidavit.state.context import build_context
from affidavit.state.hidden import ErasedContent
from affidavit.state.policy import LOG_SYSTEM
from affidavit.state.view import StateView

_STREAM = "application/x-ndjson"
_HEADERS = {"cache-control": "no-store"}


async def could(request: Request) -> Response:
    """GET /v1/who/could?action=&resource=&at=&facts=: who may do `action` on `resource`, decided for every identity.

    `resource`: `SYSTEM`, `SYSTEM/schema.table`, `log`, `KIND/` or the name of an object. `at`: an index, a UTC time or
    `now`. `facts`: a JSON object of texts, what is taken as known. The answer: `people`, each with `answer` (`yes`,
    `depends`, `no`), `by`, `against` and `on` (names of facts); `inactive`, `counts`, `at`, `moment`, `state`,
    and `erased`: changes that may have put identities nobody knows any more.
    """
    services = reader_of(request)
    asked = _asked(request, ("action", "resource", "at", "facts"))
    return JsonResponse(await run_in_threadpool(_could, services, asked))


async def did(request: Request) -> Response:
    """GET /v1/who/did?resource=&from=&to=&action=&could=: who touched `resource`, by the records of a range; streamed.

    `from` (default: the beginning) and `to` (default: now) are an index or a UTC time. With `could`, a moment as above,
    also who may do `action` then, as `could`, and both as one table, `beside`. The answer: `people` (`allowed`,
    `denied`, `first`, `last`, `names`, `accounts`, `behind`), `not_told`, `unread`, `erased` (the
    first of those, each with `by`), `range`, and `log` (its published
    `size` and `root`, and how many records of the range lie `beyond`).
    """
    services = reader_of(request)
    asked = _asked(request, ("resource", "from", "to", "action", "could", "facts"))
    reading = await run_in_threadpool(_Did, services, asked)
    return streamed(reading.lines())


async def what_if(request: Request) -> Response:
    """POST /v1/what-if: decide recorded accesses again under the state of another moment, or under a declaration laid
    over the present state. Nothing is recorded or changed; streamed.

    Members: `index`, or `from` and `to` with `actor`?, `system`?, `action`?; `at`? (default: now) or `objects`? (as of
    a change). Lines before the last hold `cases`, those that do not come out the same. The answer: `total`, `counts`
    (by `same` `denied` `allowed` `undecided` `failed`), `groups`, `failed_then`, `range`, `log`, `under`; for an index
    also `case`, `sentence` and `differences` between the two contexts (or `differences_unknown`: why not).
    """
    services = reader_of(request)
    members: dict[str, type | tuple[type, ...]] = {
        "index": int, "from": str, "to": str, "actor": str, "system": str, "action": str, "at": str, "objects": dict,
    }  # fmt: skip
    asked = await json_object(request, members)
    trying = await run_in_threadpool(_Trying, services, asked)
    return streamed(trying.lines())


def _could(services: Services, asked: Mapping[str, str]) -> dict[str, Any]:
    where = place(services, asked.get("at", "now"))
    state = _then(services, where)
    resource = resource_named(_needed(asked, "resource"), state)
    question = Question(_needed(asked, "action"), resource, _facts(asked), parse_moment(where.at))
    return {**who_could(state, question), "moment": where.view()}


class _Did:
    """One question of who did, checked when it is built, read as `lines` are taken."""

    def __init__(self, services: Services, asked: Mapping[str, str]) -> None:
        self._services = services
        self._asked = asked
        self._first, self._stop = _range(services, asked)
        state = services.history.at(self._stop)
        self._action = asked.get("action")
        self._resource = _named_ever(services, _needed(asked, "resource"), state)
        self._could = None
        if self._action is not None:
            self._resource.request(self._action)  # refuses what is none
        if "could" in asked:
            wanted = {"action": _needed(asked, "action"), "resource": asked["resource"], "at": asked["could"]}
            self._could = _could(services, {**wanted, **{key: asked[key] for key in ("facts",) if key in asked}})

    def lines(self) -> Iterator[dict[str, Any]]:
        """How far it has got, and the answer."""
        services, resource = self._services, self._resource
        key = services.tag_key_of(f"{resource.system}|table|{resource.table}") if resource.type == TABLE else None
        reader = Reader(services.records, resource, self._action, key)
        told = Reading()
        for done in reader.read(self._first, self._stop, told):
            yield {"done": done, "of": self._stop - self._first}
        people = who_did(told, self._stop, services.history.at, services.live.name_of, services.records)
        answer = {
            "resource": {"type": resource.type, "id": resource.id, "system": resource.system},
            "action": self._action,
            "people": people,
            "not_told": told.not_told,
            "unread": told.unread,
            "erased": [{"index": index, "by": by} for index, by in told.erased],
            "by_tags": told.by_tags,
            "range": {"first": self._first, "stop": self._stop},
            "log": _log(services, self._stop),
        }
        if self._could is not None:
            answer |= {"could": self._could, "beside": beside(self._could, people)}
        yield {"answer": answer}


class _Trying:
    """One question of what if, checked when it is built, decided as `lines` are taken."""

    def __init__(self, services: Services, asked: Mapping[str, Any]) -> None:
        self._services = services
        self._record: Record | None = None
        if "index" in asked:
            if not 0 <= asked["index"] < services.records.size or isinstance(asked["index"], bool):
                raise InvalidInput(
                    "record.index", f"There is no record {asked['index']}.", f"The log holds {services.records.size}."
                )
            self._record = services.records.record(asked["index"])
            self._first, self._stop = asked["index"], asked["index"] + 1
            self._chosen = Chosen(system=self._record.header.system or LOG_SYSTEM)
            if not self._chosen.holds(self._record.header):
                kind = self._record.header.kind
                raise InvalidInput(
                    "whatif.kind",
                    f"Record {asked['index']} ({kind}) is not one in which a permission was decided.",
                    f"See it with `affidavit show {asked['index']}`.",
                )
        else:
            self._first, self._stop = _range(services, asked)
            actor = asked.get("actor")
            self._chosen = Chosen(
                None if actor is None else services.live.resolve(actor), asked.get("system"), asked.get("action")
            )
        self._other, self._under = self._laid(asked)

    def _laid(self, asked: Mapping[str, Any]) -> tuple[Other, dict[str, Any]]:
        """The other state, and what it is in words of JSON."""
        if "objects" in asked:
            if "at" in asked:
                raise InvalidInput(
                    "whatif.moment", "A declaration is laid over the present state.", "Leave the moment out."
                )
            planned, _ = self._services.administration.preview(Wish(asked["objects"], ""))
            state, at_ns = self._services.live.snapshot(), self._services.clock.now_ns()
            laid = state.preview(planned.ops) if planned.ops else state
            objects = [item.shown for item in planned.differences]
            under = {"at": format_moment(at_ns), "state": state.index, "objects": objects}
            return Other(laid, at_ns), under
        where = place(self._services, asked.get("at", "now"))
        then = _then(self._services, where)
        return Other(then, parse_moment(where.at)), {"at": where.at, "state": then.index, "objects": []}

    def lines(self) -> Iterator[dict[str, Any]]:
        """How far it has got with the cases that differ, and the answer."""
        services, told = self._services, Compared()
        trying = WhatIf(services.records, self._other, services.live.name_of)
        for cases in trying.over(self._first, self._stop, self._chosen, told):
            shown = [case.as_dict(services.live.name_of) for case in cases]
            yield {"done": told.looked_at, "of": self._stop - self._first, "cases": shown}
        answer = {
            **told.as_dict(services.live.name_of),
            "range": {"first": self._first, "stop": self._stop},
            "log": _log(services, self._stop),
            "under": self._under,
        }
        if self._record is not None:
            answer |= self._one(self._record, trying)
        yield {"answer": answer}

    def _one(self, record: Record, trying: WhatIf) -> dict[str, Any]:
        services, header = self._services, record.header
        actor, system = header.actor or "", header.system or LOG_SYSTEM
        differences, unknown = [], ""
        try:
            then = build_context(services.history.at(header.decided or 0), actor, system)
            differences = context_difference(then, build_context(self._other.state, actor, system))
        except ErasedContent as error:
            unknown = error.reason
        return {
            "case": trying.case(record).as_dict(services.live.name_of),
            "sentence": sentence(record, services.live.name_of, services.bounds(header)),
            "differences": differences,
            "differences_unknown": unknown,
        }


def streamed(lines: Iterator[dict[str, Any]]) -> Response:
    """The lines as they come: how far it has got, and in the last one the `answer`, or the `error`."""
    return StreamingResponse(_streamed(lines), media_type=_STREAM, headers=_HEADERS)


def _streamed(lines: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """Each as one line. An error becomes the last one: the status of the answer has gone out before."""
    try:
        for line in lines:
            yield json_bytes(line) + b"\n"
    except AffidavitError as error:
        refused = error_response(error)
        yield json_bytes({"error": json.loads(bytes(refused.body)), "status": refused.status_code}) + b"\n"


def _then(services: Services, where: Place) -> StateView:
    """The state at a position; of the present without reading the store."""
    if where.index == services.records.size:
        return services.live.snapshot()
    return services.history.at(where.index)


def _range(services: Services, asked: Mapping[str, str]) -> tuple[int, int]:
    """The records from a moment on, which is a time's beginning, and up to one, which is a time's end."""
    first, stop = 0, services.records.size
    if "from" in asked:
        where = place(services, asked["from"])
        first = where.index
        if where.read is not None:
            first = index_at_time(services.records, format_moment(parse_moment(where.read.first) - 1))
    if "to" in asked:
        stop = place(services, asked["to"]).index
    if first > stop:
        raise InvalidInput(
            "who.range", f"The range from {asked.get('from', '0')} to {asked.get('to', 'now')} ends before it begins."
        )
    return first, stop


def _log(services: Services, stop: int) -> dict[str, Any]:
    """The published checkpoint that the records read stand under."""
    published = services.keys().open(LogFiles(services.public_log).checkpoint())[0]
    return {
        "origin": published.origin,
        "size": published.size,
        "root": published.root.hex(),
        "beyond": max(0, stop - published.size),
    }


def _named_ever(services: Services, text: str, state: StateView) -> Resource:
    """The resource by the names at the end of the range, or by those of today."""
    try:
        return resource_named(text, state)
    except InvalidInput:
        return resource_named(text, services.live.snapshot())


def _asked(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    asked = dict(request.query_params)
    for name in asked:
        if name not in known:
            raise InvalidInput("http.member", f"Unknown parameter {name[:40]!r}.", f"Known: {', '.join(known)}.")
    return asked


def _needed(asked: Mapping[str, str], name: str) -> str:
    if not asked.get(name):
        raise InvalidInput("http.member", f"The parameter {name!r} is missing.", "See docs/reference/http.md.")
    return asked[name]


def _facts(asked: Mapping[str, str]) -> dict[str, Any]:
    try:
        pairs = json.loads(asked.get("facts", "{}"))
    except (ValueError, RecursionError):
        pairs = None
    if not isinstance(pairs, dict) or not all(isinstance(value, str) for value in pairs.values()):
        raise InvalidInput("who.facts", "Facts are a JSON object of texts.", 'For example {"tls": "true"}.')
    return dict(facts_given(pairs))
