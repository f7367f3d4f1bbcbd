"""The plainest thing between a client and a database: a relay that reads nothing and records nothing.

    python bench/relay.py LISTEN_PORT UPSTREAM_HOST UPSTREAM_PORT

What it loses against a direct connection is what two more hops through the kernel and an event loop cost on this
machine: no gateway in one Python process can be faster.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop


class Side(asyncio.Protocol):
    """One of two connections; what arrives on it goes out on the other."""

    def __init__(self) -> None:
        self.other: asyncio.Transport | None = None
        self.waiting = b""

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.waiting += data
        else:
            self.other.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.close()


class Front(Side):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.task = asyncio.get_running_loop().create_task(self.connect(transport))

    async def connect(self, transport) -> None:
        upstream, back = await asyncio.get_running_loop().create_connection(Side, sys.argv[2], int(sys.argv[3]))
        back.other = transport
        self.other = upstream
        upstream.write(self.waiting)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Front, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


uvloop.run(main())
