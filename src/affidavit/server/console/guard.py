"""What stands before every page: the name it is asked under, where a form comes from, what a browser may do with it.

The duties:
1. The request's Host is a name of this console; else a foreign name was made to point at this machine (DNS rebinding).
2. GET, HEAD and POST only; a POST comes from a page of ours, by its Origin, and is a small form.
3. Each answer forbids script and style that are not files of ours, foreign frames and keeping; so also refusals.

How many connections there are, how large a request is and how long it takes is bounded by the server
(`publicserver.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from affidavit.limits import CONSOLE_FORM_BYTES_MAX

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Not `no-referrer`: under it browsers send `Origin: null` with our own forms too (Fetch, "append a request `Origin`
    # header"), and where a form comes from could not be checked. No other place learns anything under either.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_METHODS = frozenset({"GET", "HEAD", "POST"})
_FORM = "application/x-www-form-urlencoded"


def names_of(host: str, port: int) -> frozenset[str]:
    """What a browser on this machine may call the console that listens on `host` (as in a URL) and `port`."""
    return frozenset(f"{name}:{port}" for name in (host, "localhost", "127.0.0.1", "[::1]"))


class Guard:
    """The application behind the duties above."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app, self._names = app, frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, method: str, headers: Headers) -> Response | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._names:
            return _refused(421, "This console is not served under that name.")
        if method not in _METHODS:
            return _refused(405, "Only GET, HEAD and POST are served here.")
        if method != "POST":
            return None
        if headers.getlist("origin") != [f"http://{hosts[0].lower()}"]:
            return _refused(403, "This form does not come from a page of this console.")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            return _refused(415, "Only forms are taken here.")
        length = headers.get("content-length", "")
        if "transfer-encoding" in headers or not (length.isascii() and length.isdigit() and len(length) <= 6):
            return _refused(411, "A form says how long it is.")
        if int(length) > CONSOLE_FORM_BYTES_MAX:
            return _refused(413, f"A form has at most {CONSOLE_FORM_BYTES_MAX} bytes.")
        return None


def _refused(status: int, why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status)
