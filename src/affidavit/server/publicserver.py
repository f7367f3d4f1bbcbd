"""Serving the public log, or a witness, on a TCP port: few connections, each request short, all of it within a time.

Whoever connects here is nobody in particular. A connection beyond the bound is closed at once, so that strangers cannot
use up the descriptors that the journal needs; one that has not sent its request and taken its answer in time is cut.
TLS is a proxy's work: what is served here is public and verifies by itself.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from affidavit.errors import Unavailable
from affidavit.limits import PUBLIC_CONNECTIONS_MAX, PUBLIC_REQUEST_BYTES_MAX, PUBLIC_REQUEST_TIMEOUT_S
from affidavit.server.peer import LocalServer

_CLOSE_TIMEOUT_S = 2


class PublicProtocol(HttpToolsProtocol):
    """HTTP with a bound on connections, on a request's bytes, and on the time from one answer to the next."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._request_bytes = 0
        self._deadline = self.loop.call_later(PUBLIC_REQUEST_TIMEOUT_S, transport.abort)
        if len(self.connections) > PUBLIC_CONNECTIONS_MAX:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._request_bytes += len(data)
        if self._request_bytes > PUBLIC_REQUEST_BYTES_MAX:
            self.transport.abort()
        else:
            super().data_received(data)

    def on_response_complete(self) -> None:
        self._request_bytes = 0
        self._deadline.cancel()
        self._deadline = self.loop.call_later(PUBLIC_REQUEST_TIMEOUT_S, self.transport.abort)
        super().on_response_complete()


def make_public_server(app: Any) -> LocalServer:
    """A server for `app` on sockets that are given to `serve(sockets=…)`."""
    return LocalServer(
        uvicorn.Config(
            app,
            http=PublicProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_CLOSE_TIMEOUT_S,
        )
    )


def bind_public(host: str, port: int) -> socket.socket:
    """Listen on TCP. Raises `Unavailable` where the address is not ours or taken."""
    listening: socket.socket | None = None
    try:
        kind = {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP, "flags": socket.AI_PASSIVE}
        found: list[Any] = socket.getaddrinfo(host, port, **kind)
        # Bound by hand, because the event loop switches Nagle's algorithm off only for sockets that say they are TCP,
        # and `socket.create_server` leaves the protocol at 0: each answer would wait for an acknowledgement.
        listening = socket.socket(found[0][0], socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(found[0][4][:2])
        listening.listen(PUBLIC_CONNECTIONS_MAX)
        return listening
    except OSError as error:
        if listening is not None:
            listening.close()
        raise Unavailable(
            "server.public",
            f"Nobody can be served on {host} port {port}: {error.strerror or error}.",
            "Name a free address of this machine.",
        ) from None
