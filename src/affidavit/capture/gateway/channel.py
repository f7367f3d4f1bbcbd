"""A connection as the gateway uses it: read at leisure while logging in, then driven by callbacks.

The login is a conversation, so it reads as one (`await channel.read()`). A session is a state machine that both
sides feed, so from `drive` on bytes go straight to it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from affidavit.errors import Unavailable
from affidavit.limits import STARTUP_BYTES_MAX

_LOGIN_BUFFER_BYTES_MAX = 16 * STARTUP_BYTES_MAX


class Channel(asyncio.Protocol):
    """One TCP connection. Writes never block; `on_pressure` tells when the peer reads too slowly."""

    def __init__(self, connected: Callable[[Channel], None] | None = None) -> None:
        self._connected = connected
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._wake: asyncio.Future[None] | None = None
        self._lost = False
        self._on_data: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[], None] | None = None
        self._on_pressure: Callable[[bool], None] | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        first = self._transport is None
        self._transport = transport  # type: ignore[assignment]  # a stream transport, as create_server gives
        if first and self._connected is not None:
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        if self._on_data is not None:
            self._on_data(data)
            return
        self._buffer += data
        if len(self._buffer) > _LOGIN_BUFFER_BYTES_MAX:
            self.abort()
        self._awake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._awake()
        if self._on_lost is not None:
            self._on_lost()

    def pause_writing(self) -> None:
        if self._on_pressure is not None:
            self._on_pressure(True)

    def resume_writing(self) -> None:
        if self._on_pressure is not None:
            self._on_pressure(False)

    # the login

    async def read(self) -> bytes:
        """Whatever has arrived, at least one byte. Raises `Unavailable` when the peer is gone."""
        while not self._buffer:
            if self._lost:
                raise Unavailable("gateway.peer_gone", "The connection was closed during the login.")
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    async def read_exactly(self, count: int) -> bytes:
        """Exactly `count` bytes; what arrives behind them stays for the next read."""
        data = b""
        while len(data) < count:
            data += await self.read()
        self._buffer[:0] = data[count:]
        return data[:count]

    @property
    def unread(self) -> bool:
        """Whether the peer has sent more than was read."""
        return bool(self._buffer)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS as the server from here on. Raises `Unavailable` when the handshake fails."""
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(self.transport, self, context, server_side=True)
        except (OSError, ssl.SSLError) as error:
            raise Unavailable("gateway.tls", f"The TLS handshake failed: {error}") from None
        if upgraded is None:
            raise Unavailable("gateway.peer_gone", "The connection was closed during the TLS handshake.")
        self._transport = upgraded

    def _awake(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # the session

    def drive(
        self, on_data: Callable[[bytes], None], on_lost: Callable[[], None], on_pressure: Callable[[bool], None]
    ) -> None:
        """Hand all further bytes to `on_data`, beginning with those already here."""
        self._on_data, self._on_lost, self._on_pressure = on_data, on_lost, on_pressure
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            on_data(data)
        if self._lost:
            on_lost()

    # both

    @property
    def transport(self) -> asyncio.Transport:
        if self._transport is None:
            raise Unavailable("gateway.peer_gone", "The connection was never made.")
        return self._transport

    @property
    def lost(self) -> bool:
        return self._lost

    def write(self, data: bytes) -> None:
        if not self._lost:
            self.transport.write(data)

    def pause(self) -> None:
        if not self._lost:
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self._lost:
            self.transport.resume_reading()

    def close(self) -> None:
        """Close when what was written is out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    def peer(self) -> str:
        """The peer's address as we see it, `host:port`."""
        name = self.transport.get_extra_info("peername")
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "local socket"

    def tls(self) -> dict[str, str] | None:
        """TLS version and cipher of this connection, None in clear."""
        tls = self.transport.get_extra_info("ssl_object")
        if tls is None:
            return None
        cipher = tls.cipher()
        return {"version": str(tls.version()), "cipher": str(cipher[0] if cipher else "")}
