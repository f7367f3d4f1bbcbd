"""The endpoints that say for what share of a period a setting was in force, and objects stood as they are."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from affidavit.errors import InvalidInput
from affidavit.evidence.sentence import named
from affidavit.evidence.shares import shares
from affidavit.evidence.standing import standing as standing_of
from affidavit.limits import STANDING_OBJECTS_MAX
from affidavit.server.asof import full_name
from affidavit.server.bodies import JsonResponse
from affidavit.server.positions import period
from affidavit.server.reading import reader_of
from affidavit.server.services import Services
from affidavit.state.objects import parse_name
from affidavit.state.settings import APP_PREFIX, SETTINGS


async def share(request: Request) -> Response:
    """GET /v1/settings/{who}/share?name=&system=&from=&to=: how long a setting had which value for somebody.

    `from` (default: the beginning of the log) and `to` (default: now) are indexes or times. The answer: `setting`,
    `who`, `system`, `from`, `to`, `ns`, `intervals` (each with `value`, `scope`, `version`, the record it came from,
    `from`, `to`, `ns`, `share` and the `change` that began it) and `values`, the share of each value. A share is a
    decimal from 0 to 1. `value` is null while there was no such identity, or nothing was set.
    """
    services = reader_of(request)
    asked = {name: request.query_params.get(name, "") for name in ("name", "system", "from", "to")}
    return JsonResponse(await run_in_threadpool(_share, services, request.path_params["who"], asked))


async def standing(request: Request) -> Response:
    """GET /v1/state/share?object=&object=&from=&to=: for what share of a period objects stood as at its end.

    `from` and `to` as for a setting. The answer: `from`, `to`, `ns`, `objects` (each with `shown`, `intervals` with
    `version`, the record that put it, null while it was not there, `as_at_end`, `ns`, `share`; whether it is `absent`
    at the end; and `as_at_end`, the sum), and `together`: the share in which all of them stood as at the end.
    """
    services = reader_of(request)
    asked = request.query_params
    names = asked.getlist("object")
    if not 1 <= len(names) <= STANDING_OBJECTS_MAX:
        raise InvalidInput("share.objects", f"1 to {STANDING_OBJECTS_MAX} objects are asked about together.")
    begins, ends = asked.get("from", ""), asked.get("to", "")
    return JsonResponse(await run_in_threadpool(_standing, services, names, begins, ends))


def _standing(services: Services, names: list[str], begins: str, ends: str) -> dict[str, Any]:
    wanted = list(dict.fromkeys(full_name(services, name) for name in names))
    for name in wanted:
        parse_name(name)
    found = standing_of(wanted, services.history.versions, services.records, period(services, begins, ends))
    shown = [{**one, "shown": named(one["name"], services.live.name_of)} for one in found["objects"]]
    return {**found, "objects": shown}


def _share(services: Services, who: str, asked: dict[str, str]) -> dict[str, Any]:
    name, system = asked["name"], asked["system"] or "log"
    if name not in SETTINGS and not name.startswith(APP_PREFIX):
        raise InvalidInput("state.setting", f"There is no setting {name[:80]!r}.", f"Known: {', '.join(SETTINGS)}.")
    identity = services.live.resolve(who)
    found = shares(
        services.records, services.history.at, name, (identity, system), period(services, asked["from"], asked["to"])
    )
    return {**found, "who": who, "identity": identity, "system": system}
