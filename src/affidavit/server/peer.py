"""Serving on the local socket, with the peer's uid from the kernel beside each request.

SO_PEERCRED is what the kernel noted when the client connected: it cannot be forged by what the client sends. It
reaches the application in the ASGI scope's `state`, which no request can write.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import struct
from collections.abc import Generator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from affidavit.errors import InvalidInput, Unavailable
from affidavit.limits import HTTP_CONCURRENCY_MAX

PEER_UID = "peer_uid"
_UCRED = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)
_CLOSE_TIMEOUT_S = 2
#: Who may connect is decided by the folder's mode, who may act by their credential: as PostgreSQL's own socket.
_SOCKET_MODE = 0o666


class PeerProtocol(HttpToolsProtocol):
    """HTTP on a unix socket; adds `peer_uid` to the scope's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        uid = peer_uid(transport.get_extra_info("socket"))
        self.app_state = {**self.app_state, PEER_UID: uid}


class LocalServer(uvicorn.Server):
    """A server that leaves signals to the process that composed it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def make_server(app: Any) -> LocalServer:
    """A server for `app` on sockets that are given to `serve(sockets=…)`."""
    return LocalServer(
        uvicorn.Config(
            app,
            http=PeerProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=HTTP_CONCURRENCY_MAX,
            timeout_graceful_shutdown=_CLOSE_TIMEOUT_S,
        )
    )


def bind_socket(path: Path) -> socket.socket:
    """Listen on `path`, replacing the socket that a dead server left. Call it while holding the log's lock.

    Raises `InvalidInput` where something other than a socket lies there, `Unavailable` where it cannot be bound.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise InvalidInput("server.socket", f"{path} is not a socket.", "Move it away.")
            path.unlink()
        listening.bind(str(path))
        path.chmod(_SOCKET_MODE)
        listening.listen(HTTP_CONCURRENCY_MAX)
    except OSError as error:
        listening.close()
        raise Unavailable(
            "server.socket", f"The socket {path} cannot be made: {error.strerror}.", "Check the folder's mode."
        ) from None
    except InvalidInput:
        listening.close()
        raise
    return listening


def peer_uid(connection: Any) -> int | None:
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)
