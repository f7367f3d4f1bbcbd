"""The endpoint that says when what somebody may do changed, and by what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from affidavit.errors import InvalidInput
from affidavit.evidence.permitted import Permitted
from affidavit.history.asof import Period
from affidavit.server.asking import streamed
from affidavit.server.positions import period
from affidavit.server.reading import reader_of
from affidavit.server.services import Services
from affidavit.state.policy import LOG_SYSTEM

_ASKED = ("actor", "system", "from", "to")


async def permitted(request: Request) -> Response:
    """GET /v1/state/permitted?actor=&system=&from=&to=: every moment at which what somebody may do changed; streamed.

    `from` (default: the beginning) and `to` (default: now) are indexes or times. The answer: `before`, what held at the
    beginning; `moments`, each with `at`, `cause` (`record`, or `clock`: a grant's start or end), `differences` (each a
    `part`: `identity`, `group`, `grant`, `policy`, `setting`, `enforced`; `change`: `gained`, `lost`, `changed`;
    `before`, `after`) and `about_person`, whether a record names the person (null where its body cannot be read). One
    by a record has `index`, `kind`, `who`, `reason`, `approvals`, `objects` and `reach`: `person`, `group`, `nested
    group`, `policy`, `wider setting`, `system`. One by the clock has `grants`, each with `edge`, the record that `put`
    it, and its `lapse`. Where it rests on what was erased: `unknown`, which records that is, and `known_again` at the
    next moment that is known. Then `before_unknown`, `counts`, `handle`, `from`, `to`.
    """
    services = reader_of(request)
    asked = dict(request.query_params)
    unknown = sorted(set(asked) - set(_ASKED))
    if unknown:
        raise InvalidInput("http.member", f"Unknown parameter {unknown[0]:.40}.", f"Known: {', '.join(_ASKED)}.")
    reading = await run_in_threadpool(_Reading, services, asked)
    return streamed(reading.lines())


class _Reading:
    """One question, checked when it is built, read as `lines` are taken."""

    def __init__(self, services: Services, asked: dict[str, str]) -> None:
        actor, system = asked.get("actor", ""), asked.get("system", "")
        if not actor or not system:
            raise InvalidInput("state.whom", "What may be done is of somebody on a system.", "Give actor and system.")
        self._period: Period = period(services, asked.get("from", ""), asked.get("to", ""))
        last, self._ends = self._period[1]
        then = services.history.at(last)
        self._actor = (
            actor if then.get(f"identity/{actor}") else then.identity_of_handle(actor) or services.live.resolve(actor)
        )
        if system != LOG_SYSTEM and not then.get(f"system/{system}") and not services.live.system(system):
            raise InvalidInput(
                "state.system",
                f"No system {system[:80]!r} is or was declared.",
                "See `affidavit state at now system/`.",
            )
        self._system = system
        self._names = services.live.name_of
        self._told = Permitted(services.records, services.history.at, self._names, self._actor, system)

    def lines(self) -> Iterator[dict[str, Any]]:
        """How far it has got, and the answer."""
        for done, count in self._told.read(self._period):
            yield {"done": done, "of": count}
        heading = {
            "actor": self._actor,
            "handle": self._names(self._actor),
            "system": self._system,
            "from": self._period[0][1],
            "to": self._ends,
        }
        yield {"answer": {**heading, **self._told.as_dict()}}
