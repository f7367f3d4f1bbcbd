"""The endpoint that lets somebody into the console."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from affidavit.capture.administration import Actor
from affidavit.errors import InvalidInput
from affidavit.server.bodies import JsonResponse, json_object
from affidavit.server.identity import actor_of, check_may_read
from affidavit.server.services import Services


@dataclass(frozen=True)
class Link:
    """A link into the console that works once, within `seconds`."""

    url: str
    seconds: int


#: Makes a link for somebody.
Invite = Callable[[Actor], Link]


async def login(request: Request) -> Response:
    """POST /v1/login: a link that lets the actor into the console once. It takes the right to read.

    No members. The answer: `url`, `seconds` for which it works. A link that the actor had before works no more.
    """
    services: Services = request.app.state.services
    actor = actor_of(request, services)
    await json_object(request, {})
    check_may_read(actor, services)
    invite: Invite | None = request.app.state.invite
    if invite is None:
        raise InvalidInput(
            "console.absent",
            "This log serves no console.",
            'Add [console] with listen = "127.0.0.1:8440" to affidavit.toml, and start it again.',
        )
    link = invite(actor)
    return JsonResponse({"url": link.url, "seconds": link.seconds})
