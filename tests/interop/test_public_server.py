"""The public server on loopback: strangers can neither hold it nor exhaust it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from gochecker_build import run_checker
from talking import started, talk

from affidavit.archive.folder import Folder
from affidavit.compose.create import create
from affidavit.errors import Unavailable
from affidavit.server import publicserver
from affidavit.server.peer import LocalServer
from affidavit.server.publiclog import PublicLog
from affidavit.server.publicserver import bind_public, make_public_server

kept: list[LocalServer] = []  # the server under test


@contextlib.asynccontextmanager
async def serving(log: Path) -> AsyncIterator[int]:
    (log / "checkpoint").write_bytes(b"a note\n")
    app, listening = PublicLog(Folder(log)), bind_public("127.0.0.1", 0)
    server = make_public_server(app)
    kept[:] = [server]
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        app.close()


def test_it_answers_get_and_head(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            got, head = await client.get("/checkpoint"), await client.head("/checkpoint")
            assert (200, b"a note\n", 200, b"") == (got.status_code, got.content, head.status_code, head.content)
            assert "7" == head.headers["content-length"]
            assert "date" in got.headers
            assert "server" not in got.headers
            assert 405 == (await client.post("/checkpoint", content=b"x")).status_code

    asyncio.run(run())


def test_an_answer_does_not_wait_for_the_clients_acknowledgement(tmp_path: Path) -> None:
    """Head and body go out in two writes: without TCP_NODELAY each answer but the first takes 40 ms."""

    async def run() -> list[int]:
        async with serving(tmp_path) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await client.get("/checkpoint")
            held = [one.transport.get_extra_info("socket") for one in kept[0].server_state.connections]
            return [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for one in held]

    assert [1] == asyncio.run(run())


def test_who_sends_no_request_in_time_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publicserver, "PUBLIC_REQUEST_TIMEOUT_S", 0.05)

    async def run() -> None:
        async with serving(tmp_path) as port:
            assert b"" == await talk(port, b"")
            assert b"" == await talk(port, b"GET /checkpoint HTTP/1.1\r\nHost: a")

    asyncio.run(run())


def test_who_keeps_a_connection_without_asking_again_is_cut_off(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(publicserver, "PUBLIC_REQUEST_TIMEOUT_S", 0.1)

    async def run() -> None:
        async with serving(tmp_path) as port:
            whole = b"GET /checkpoint HTTP/1.1\r\nHost: a\r\n\r\n"
            assert (await talk(port, whole)).startswith(b"HTTP/1.1 200 OK\r\n")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(whole)
            assert (await reader.readuntil(b"a note\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            writer.write(whole[:20])  # half of another request, and nothing more
            with contextlib.suppress(ConnectionResetError):
                assert b"" == await asyncio.wait_for(reader.read(), 10)
            writer.close()

    asyncio.run(run())


def test_an_endless_head_is_cut_off(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as port:
            head = b"GET /checkpoint HTTP/1.1\r\n" + b"X-A: " + b"a" * publicserver.PUBLIC_REQUEST_BYTES_MAX
            assert b"" == await talk(port, head)

    asyncio.run(run())


def test_connections_beyond_the_bound_are_closed_at_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(publicserver, "PUBLIC_CONNECTIONS_MAX", 3)

    async def run() -> None:
        async with serving(tmp_path) as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            await asyncio.sleep(0)
            assert b"" == await talk(port, b"GET /checkpoint HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            for _, writer in held:
                writer.close()
                await writer.wait_closed()
            said = b""
            for _ in range(50):  # until the server has noticed that they are gone
                said = said or await talk(port, b"GET /checkpoint HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert said.endswith(b"a note\n")

    asyncio.run(run())


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"127\.0\.0\.1 port {port}"):
            bind_public("127.0.0.1", port)
    with pytest.raises(Unavailable):
        bind_public("host.invalid", 80)


def test_up_serves_the_public_log_where_the_configuration_says(tmp_path: Path) -> None:
    root = tmp_path / "data"
    made = create(root, "log.example/up", "ada", "")
    with (root / "affidavit.toml").open("a") as config:
        config.write('[public]\nlisten = "127.0.0.1:0"\nprefix = "/logs/up"\n')
    up = started(root)
    try:
        assert up.stdout is not None
        said = [up.stdout.readline() for _ in range(2)]
        url = said[1].removeprefix("The public log is served on ").removesuffix(".\n")
        assert url.endswith("/logs/up/")
        got = run_checker(url, made.verifier_key)
        assert (0, "") == (got.returncode, got.stderr)
        assert 404 == httpx.get(url.removesuffix("logs/up/") + "checkpoint").status_code
    finally:
        up.send_signal(signal.SIGTERM)
        rest, _ = up.communicate(timeout=60)
    assert (0, "Stopped in order.\n") == (up.returncode, rest)
