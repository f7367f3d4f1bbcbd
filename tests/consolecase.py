"""A console over a whole office, for tests: pages asked as a browser asks them, and a clock that the test moves."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Any

import httpx
from office import Office, Stepping

from affidavit.capture.administration import Actor
from affidavit.server.console.access import Access
from affidavit.server.console.app import make_console
from affidavit.server.console.guard import names_of

PORT = 8440
HERE = f"http://127.0.0.1:{PORT}"
COOKIE = f"affidavit-{PORT}"


class Later(Stepping):
    """Monotonic time moves with the test too."""

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.ahead_ns


class Browser:
    """Asks the application as a browser does: it keeps cookies, and follows nothing by itself."""

    def __init__(self, app: Any, headers: Mapping[str, str]) -> None:
        self._app, self._headers, self._cookies = app, dict(headers), httpx.Cookies()

    def get(self, path: str, **asked: Any) -> httpx.Response:
        return self.request("GET", path, **asked)

    def post(self, path: str, **asked: Any) -> httpx.Response:
        return self.request("POST", path, **asked)

    def request(self, method: str, path: str, **asked: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url=HERE, headers=self._headers, cookies=self._cookies
            ) as client:
                answer = await client.request(method, path, **asked)
                self._cookies = client.cookies
                return answer

        return asyncio.run(ask())


class Desk:
    """One console and the links into it."""

    def __init__(self, office: Office) -> None:
        self.office, self.clock = office, Later()
        self.access = Access(self.clock, os.urandom)
        self.app = make_console(office.services, self.access, names_of("127.0.0.1", PORT), PORT)

    def browser(self, **headers: str) -> Browser:
        """A browser that nobody is logged in with."""
        return Browser(self.app, headers)

    def link(self, handle: str, credential: str) -> str:
        """The secret of a link for somebody."""
        return self.access.link(Actor(self.office.live.resolve(handle), "uid", credential, file_access=False))

    def root_link(self) -> str:
        """The secret of a link for the administrator, who is this machine's user."""
        return self.link("root", f"uid-{self.office.services.host}-{os.getuid()}")

    def logged_in(self) -> Browser:
        """A browser of the administrator."""
        browser = self.browser()
        assert 303 == post(browser, "/login", {"link": self.root_link()}).status_code
        return browser


def post(browser: Browser, path: str, fields: Mapping[str, str], origin: str | None = HERE) -> httpx.Response:
    """Send a form as a page of `origin` would."""
    headers = {} if origin is None else {"origin": origin}
    return browser.post(path, data=dict(fields), headers=headers)


def form_token(page: str) -> str:
    """The token in the forms of a page."""
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page)
    assert found is not None, page
    return found[1]
