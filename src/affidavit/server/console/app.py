"""The console as an application: its routes, its errors as pages, logging in and out."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from affidavit.errors import AffidavitError, Corruption, Denied, InvalidInput
from affidavit.limits import CONSOLE_SECRET_CHARS_MAX, CONSOLE_SESSION_S
from affidavit.server.bodies import status_of
from affidavit.server.console.access import Access
from affidavit.server.console.guard import Guard
from affidavit.server.console.pages import STATIC, page
from affidavit.server.console.reconstruction import record, record_json
from affidavit.server.console.standing import Standing
from affidavit.server.console.timeline import timeline, timeline_json
from affidavit.server.console.visiting import Console, console_of, frame, session_of, visitor
from affidavit.server.services import Services

_log = logging.getLogger(__name__)
_SEE_OTHER = 303
_TYPES = {"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8"}
_FILES = {name: ((STATIC / name).read_bytes(), media_type) for name, media_type in _TYPES.items()}


def make_console(services: Services, access: Access, names: Iterable[str], port: int) -> ASGIApp:
    """The console over `services`, that answers to `names` (`HOST:PORT`)."""
    app = Starlette(
        routes=[
            Route("/", overview, methods=["GET"]),
            Route("/timeline", timeline, methods=["GET"]),
            Route("/timeline.json", timeline_json, methods=["GET"]),
            Route("/record/{index}.json", record_json, methods=["GET"]),
            Route("/record/{index}", record, methods=["GET"]),
            Route("/login", login_page, methods=["GET"]),
            Route("/login", login, methods=["POST"]),
            Route("/logout", logout, methods=["POST"]),
            Route("/static/{name}", static, methods=["GET"]),
        ],
        exception_handlers={AffidavitError: _refused, HTTPException: _not_served, Exception: _failed},
    )
    # A cookie belongs to a host with all its ports: the port in its name keeps two consoles apart.
    app.state.console = Console(services, access, Standing(services.clock), f"affidavit-{port}")
    return Guard(app, names)


async def overview(request: Request) -> Response:
    """The state of the evidence."""
    console, session = console_of(request), visitor(request)

    def make() -> HTMLResponse:
        found = console.standing.overview(console.services)  # first, so that the line on top says the same
        return page("overview.html", frame=frame(console, session), found=found)

    return await run_in_threadpool(make)


async def login_page(request: Request) -> Response:
    """A button that uses the link up: looking at a page changes nothing, so no preview of it can log in instead."""
    secret = request.query_params.get("link", "")
    if len(secret) != CONSOLE_SECRET_CHARS_MAX:
        return page("login.html", 401, origin=console_of(request).services.origin, link=None, said="")
    return page("login.html", origin=console_of(request).services.origin, link=secret, said="")


async def login(request: Request) -> Response:
    """Exchange a link for a session."""
    console, form = console_of(request), await _form(request)
    try:
        cookie, session = console.access.enter(form.get("link", ""), request.cookies.get(console.cookie, ""))
    except Denied:
        _log.info("console: a link let nobody in")
        raise
    _log.info("console: %s logged in, proved by %s", session.actor.identity, session.actor.credential)
    answer = RedirectResponse("/", _SEE_OTHER)
    answer.set_cookie(console.cookie, cookie, CONSOLE_SESSION_S, path="/", httponly=True, samesite="strict")
    return answer


async def logout(request: Request) -> Response:
    """End the session."""
    console, session = console_of(request), session_of(request)
    if not hmac.compare_digest((await _form(request)).get("form_token", "").encode(), session.form_token.encode()):
        raise Denied("console.form", "This form is not one of this session.", "Load the page anew, and send it again.")
    console.access.leave(request.cookies.get(console.cookie, ""))
    _log.info("console: %s logged out", session.actor.identity)
    answer = RedirectResponse("/login", _SEE_OTHER)
    answer.delete_cookie(console.cookie, path="/", httponly=True, samesite="strict")
    return answer


async def static(request: Request) -> Response:
    """Style and script: two files that are known by name."""
    found = _FILES.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return Response(found[0], headers={"content-type": found[1]})


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, whose size the guard has bounded. Raises `InvalidInput`."""
    try:
        fields = parse_qs((await request.body()).decode("ascii"), strict_parsing=True, max_num_fields=8)
    except ValueError:
        raise InvalidInput("console.fields", "This form cannot be read.", "Load the page anew.") from None
    return {name: values[0] for name, values in fields.items()}


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, AffidavitError):
        return await _failed(request, error)
    status, origin = status_of(error), console_of(request).services.origin
    if status == 401 or error.code == "console.link":
        said = "" if error.code == "auth.console" else f"{error.message} {error.hint}"
        return page("login.html", status, origin=origin, link=None, said=said)
    return page("error.html", status, origin=origin, error=error)


async def _not_served(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    said = InvalidInput("console.path", "There is no such page.", "Begin at the state of the evidence.")
    return page("error.html", status, origin=console_of(request).services.origin, error=said)


async def _failed(request: Request, error: Exception) -> Response:
    # The operational log gets the trace; the browser gets no part of it.
    _log.error("A page failed", exc_info=error)
    said = Corruption("server.defect", "The server failed on this request.", "Its log says more.")
    return page("error.html", 500, origin=console_of(request).services.origin, error=said)
