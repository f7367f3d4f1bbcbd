"""Who looks at a page: a session whose identity may still read the log, checked anew at each request."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from affidavit.capture.administration import check_not_ended
from affidavit.errors import Denied
from affidavit.server.console.access import Access, Session
from affidavit.server.console.standing import Standing, Strip
from affidavit.server.identity import check_may_read
from affidavit.server.services import Services


@dataclass(frozen=True)
class Console:
    """What the pages are made from. `cookie` is the name of the session's cookie."""

    services: Services
    access: Access
    standing: Standing
    cookie: str


@dataclass(frozen=True)
class Frame:
    """What stands around each page: of which log, who looks, the token for its forms, and the line on top."""

    origin: str
    who: str
    form_token: str
    strip: Strip


def console_of(request: Request) -> Console:
    """What the application was given."""
    console: Console = request.app.state.console
    return console


def session_of(request: Request) -> Session:
    """The session that the request's cookie names. Raises `Denied`."""
    console = console_of(request)
    return console.access.session(request.cookies.get(console.cookie, ""))


def visitor(request: Request) -> Session:
    """The session, once what proved its actor still counts and they may read the log. Raises `Denied`."""
    console, session = console_of(request), session_of(request)
    services, actor = console.services, session.actor
    credential = services.live.credential(actor.credential)
    if credential is None or credential["identity"] != actor.identity:
        console.access.leave(request.cookies.get(console.cookie, ""))
        raise Denied(
            "auth.console_credential",
            f"What proved you, credential/{actor.credential}, is not in force any more.",
            "Ask an administrator for a new one, then: `affidavit login`.",
        )
    check_not_ended(actor.credential, credential, services.clock.now_ns())
    check_may_read(actor, services)
    return session


def frame(console: Console, session: Session) -> Frame:
    """What stands around a page for that session. It reads the log: call it in a thread."""
    services = console.services
    who = services.live.name_of(session.actor.identity)
    return Frame(services.origin, who, session.form_token, console.standing.strip(services))
