"""The endpoint that counts what a query finds: how many, by the values of a field, and over time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anyio import from_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from affidavit.capture.administration import Actor
from affidavit.errors import InvalidInput
from affidavit.evidence.sentence import named
from affidavit.limits import FACET_VALUES_MAX
from affidavit.record.moment import format_moment
from affidavit.search.fields import FIELDS
from affidavit.search.parsing import parse_query
from affidavit.search.summing import Summing, most_first, read_step, whole
from affidavit.server.asking import streamed
from affidavit.server.bodies import query_number
from affidavit.server.identity import actor_of
from affidavit.server.reading import reader_of
from affidavit.server.services import Services

_ASKED = ("query", "facet", "step", "most")
_MOST = 20


async def summary(request: Request) -> Response:
    """GET /v1/summary?query=&facet=&step=&most=: how many records a query finds, read from the log; streamed.

    The answer: `count` (`certainly`, `possibly`); with `facet`, a field, `values` (the `most` frequent, each with
    `value`, `shown`, `certainly`, `possibly`), `different`, how many there are, and `unsaid`, of records that say
    nothing in it; with `step` (`15m`, `1h`, `1d`), `steps`: each with `at`, where it begins (UTC), and its counts, also
    those without a record between the first and the last. A record stands where its own clock claims. `size`: how long
    the log was. That it was counted is a record of the kind `log.read`, before the answer.
    """
    services = reader_of(request)
    asked = dict(request.query_params)
    unknown = sorted(set(asked) - set(_ASKED))
    if unknown:
        raise InvalidInput("http.member", f"Unknown parameter {unknown[0]:.40}.", f"Known: {', '.join(_ASKED)}.")
    most = query_number(request, "most", _MOST, FACET_VALUES_MAX)
    actor = actor_of(request, services)
    return streamed((await run_in_threadpool(_Reading, services, asked, most, actor)).lines())


class _Reading:
    """One question, checked when it is built, read as `lines` are taken."""

    def __init__(self, services: Services, asked: dict[str, str], most: int, actor: Actor) -> None:
        self._services, self._most, self._size, self._actor = services, most, services.records.size, actor
        self._query = query = parse_query(asked.get("query", ""), services.live.resolve, services.clock.now_ns())
        self._facet = asked.get("facet", "")
        self._step_ns = read_step(asked["step"]) if "step" in asked else 0
        self._told = Summing(query, services.bounds, self._facet, self._step_ns)

    def lines(self) -> Iterator[dict[str, Any]]:
        """How far it has got, and the answer."""
        try:
            for done in self._told.read(self._services.records, self._size):
                yield {"done": done, "of": self._size}
        except InvalidInput:
            self._note()  # that there is too much to be told tells something
            raise
        self._note()
        found = self._told.sum
        answer: dict[str, Any] = {"count": found.all.as_dict(), "size": self._size}
        if self._facet:
            answer |= {
                "facet": self._facet,
                "values": [
                    {"value": value, "shown": self._shown(value), **count.as_dict()}
                    for value, count in most_first(found.values, self._most)
                ],
                "different": len(found.values),
                "unsaid": found.unsaid.as_dict(),
            }
        if self._step_ns:
            answer["steps"] = [
                {"at": format_moment(at), **count.as_dict()} for at, count in whole(found.steps, self._step_ns)
            ]
        yield {"answer": answer}

    def _note(self) -> None:
        said = {"query": self._query.text, **self._told.sum.all.as_dict(), "facet": self._facet or None}
        from_thread.run(self._services.readings.note, self._actor, "count", said)

    def _shown(self, value: Any) -> str:
        people = FIELDS[self._facet].people
        if people == "whole":
            return self._services.live.name_of(value)
        return named(value, self._services.live.name_of) if people == "part" else str(value)
