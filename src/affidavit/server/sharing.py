"""The endpoint that says for what share of a period a setting was in force."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from affidavit.errors import InvalidInput
from affidavit.evidence.shares import shares
from affidavit.server.bodies import JsonResponse
from affidavit.server.positions import period
from affidavit.server.reading import reader_of
from affidavit.server.services import Services
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


def _share(services: Services, who: str, asked: dict[str, str]) -> dict[str, Any]:
    name, system = asked["name"], asked["system"] or "log"
    if name not in SETTINGS and not name.startswith(APP_PREFIX):
        raise InvalidInput("state.setting", f"There is no setting {name[:80]!r}.", f"Known: {', '.join(SETTINGS)}.")
    identity = services.live.resolve(who)
    found = shares(
        services.records, services.history.at, name, (identity, system), period(services, asked["from"], asked["to"])
    )
    return {**found, "who": who, "identity": identity, "system": system}
