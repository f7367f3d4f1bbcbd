"""The console on a real socket: who sends too much, too slowly or under a foreign name gets nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest
from office import Office, office
from talking import talk

from affidavit.compose.console import Console
from affidavit.compose.site import Site
from affidavit.config import Address, ConsoleConfig
from affidavit.server import publicserver


def served(desk: Office, ask: Callable[[Console], Awaitable[None]]) -> None:
    """Serve the console of `desk` while `ask` asks it."""

    async def run() -> None:
        console = Console(Site(desk.root), ConsoleConfig(Address("127.0.0.1", 0)), desk.services)
        task = asyncio.create_task(console.serve())
        try:
            await ask(console)
        finally:
            console.stop()
            await task

    asyncio.run(run())


def port_of(console: Console) -> int:
    return int(console.url.rpartition(":")[2])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("office")) as one:
        yield one


def test_whoever_runs_it_is_let_in_by_the_link_that_it_says(desk: Office) -> None:
    async def ask(console: Console) -> None:
        link = console.words()[1].strip()
        async with httpx.AsyncClient(base_url=console.url, headers={"origin": console.url}) as browser:
            assert 200 == (await browser.get(link)).status_code
            sent = await browser.post("/login", data={"link": link.rpartition("=")[2]})
            assert (303, "/") == (sent.status_code, sent.headers["location"])
            home = await browser.get("/")
            assert (200, True, False) == (
                home.status_code,
                "office.example/audit" in home.text,
                "server" in home.headers,
            )

    served(desk, ask)


def test_too_much_and_too_slow_are_cut_off(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(console: Console) -> None:
        host = console.url.removeprefix("http://").encode()
        head = b"POST /login HTTP/1.1\r\nHost: " + host + b"\r\nOrigin: " + console.url.encode() + b"\r\n"
        assert b"" == await talk(port_of(console), head + b"X: " + b"a" * publicserver.PUBLIC_REQUEST_BYTES_MAX)
        both = head + b"Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n"
        assert b" 413 " in await talk(port_of(console), both + b"Content-Length: 9999\r\n\r\n")
        monkeypatch.setattr(publicserver, "PUBLIC_REQUEST_TIMEOUT_S", 0.05)
        assert b"" == await talk(port_of(console), head)
        assert b"" == await talk(port_of(console), both + b"Content-Length: 99\r\n\r\nlink=")

    served(desk, ask)


def test_a_name_that_is_not_ours_and_none_at_all_are_refused(desk: Office) -> None:
    async def ask(console: Console) -> None:
        port = console.url.rpartition(":")[2].encode()
        for hosts in (b"", b"Host: evil.example:" + port + b"\r\n", b"Host: 127.0.0.1:" + port + b"\r\nHost: a\r\n"):
            said = await talk(port_of(console), b"GET / HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
            assert b"HTTP/1.1 4" in said[:11]
            assert b"office.example" not in said

    served(desk, ask)
