"""The endpoint by which applications report the configuration that somebody has there: `app.*` settings."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from affidavit.capture.administration import Result, Wish
from affidavit.server.bodies import JsonResponse, json_object, needed
from affidavit.server.identity import actor_of
from affidavit.server.services import Services
from affidavit.server.views import result_view


async def report(request: Request) -> Response:
    """PUT /v1/reports/{source}/{who}: all `app.*` settings that somebody has in an application, as it knows them now.

    `source` is a declared source, `who` a handle or an identity's id. Members: `values` (mapping from `app.NAME` to
    text; what was reported before and is not in it is gone; empty where there is nothing any more), `reason`?. Policy
    decides, as on every change, with the fact `sources`. The answer is that of a change; `kind` is `nothing`, and
    nothing is recorded, where it was so already.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    asked = await json_object(request, {"values": dict, "reason": str})
    values, source = needed(asked, "values"), request.path_params["source"]
    who = services.live.resolve(request.path_params["who"])
    name = f"reported/{who}/{source}"
    state = services.live.snapshot()
    if not values and state.get(name) is None:
        return JsonResponse(result_view(Result("nothing", None, None, state.index, ())))
    wish = Wish({name: dict(values) if values else None}, asked.get("reason") or f"Reported by {source}")
    return JsonResponse(result_view(await services.administration.change(wish, actor)))
