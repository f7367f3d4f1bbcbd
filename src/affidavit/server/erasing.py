"""The endpoint that erases a record's body."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from affidavit.capture.erasing import ErasureWish
from affidavit.server.bodies import JsonResponse, json_object, needed, path_index
from affidavit.server.identity import actor_of
from affidavit.server.services import Services


async def erase(request: Request) -> Response:
    """POST /v1/records/{index}/erasure: erase a record's body. Takes the right to administer the log: a denied attempt
    is an `erase` record, too.

    Members: `reason`, `ticket`?, `legal_basis`?. The answer: `index` of the `erase` record, `erased` and its `kind`,
    and `also`: records that hold some of the same and still have their bodies.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    asked = await json_object(request, {"reason": str, "ticket": str, "legal_basis": str})
    wish = ErasureWish(
        path_index(request), needed(asked, "reason"), asked.get("ticket", ""), asked.get("legal_basis", "")
    )
    done = await asyncio.to_thread(services.erasing.erase, wish, actor)
    return JsonResponse({"index": done.index, "erased": done.erased, "kind": done.kind, "also": list(done.also)})
