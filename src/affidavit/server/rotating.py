"""Endpoints about the log's key: which it is, and giving it the next one."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from affidavit.errors import Denied, InvalidInput
from affidavit.limits import REASON_CHARS_MAX
from affidavit.record.moment import format_moment
from affidavit.server.bodies import JsonResponse, json_object, needed
from affidavit.server.identity import actor_of
from affidavit.server.services import Services
from affidavit.state.logadmin import decide_log_admin


async def show(request: Request) -> Response:
    """GET /v1/key: the log's public keys, and when each came into force. Anybody who is somebody may ask.

    The answer: `origin`, `keys` (list of `{after, last, keys}`, oldest first: the verifier keys that sign checkpoints
    of more than `after` and at most `last` records; `last` is null for those in force).
    """
    services: Services = request.app.state.services
    actor_of(request, services)
    epochs = [
        {"after": epoch.after, "last": epoch.last, "keys": [key.to_text() for key in epoch.keys]}
        for epoch in services.keys().epochs
    ]
    return JsonResponse({"origin": services.origin, "keys": epochs})


async def rotate(request: Request) -> Response:
    """POST /v1/key/rotation: give the log a new key; the old private one is forgotten. Takes the right to administer:
    a denied attempt is a `log.key` record, too.

    Members: `reason`, `post_quantum`? (whether an ML-DSA-44 key signs beside the Ed25519 key; else as before). The
    answer: `index` of the `log.key` record, and the new `keys`.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    asked = await json_object(request, {"reason": str, "post_quantum": bool})
    reason = needed(asked, "reason")
    if not reason.strip() or len(reason) > REASON_CHARS_MAX:
        raise InvalidInput("key.reason", "A rotation needs a reason of a reasonable length.", "Say why with --reason.")
    state, at = services.live.snapshot(), services.clock.now_ns()
    authorization = decide_log_admin(state, actor.identity, at)
    content = {"authorization": authorization.block(), "decided_at": format_moment(at), "via": actor.via()}
    fields = {"actor": actor.identity, "action": "admin", "decision": authorization.decision, "decided": state.index}
    if not authorization.allowed:
        index = await asyncio.to_thread(services.rotation_denied, reason, content, fields)
        raise Denied(
            "key.denied",
            f"Policy does not let you rotate the log's key; the attempt is record {index}.",
            f"See `affidavit explain {index}`, or ask an administrator of the log.",
        )
    index = await asyncio.to_thread(services.rotate, asked.get("post_quantum"), reason, content, fields)
    keys = services.keys().epochs[-1].keys
    return JsonResponse({"index": index, "keys": [key.to_text() for key in keys]})
