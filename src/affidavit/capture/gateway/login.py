"""A client's way in: first packets, TLS, and the proof of who it is.

What comes out is who proved what; whether they may in is decided afterwards, under the state.
"""

from __future__ import annotations

import base64
import secrets as randomness
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from affidavit.capture.gateway.channel import Channel
from affidavit.capture.gateway.target import Target
from affidavit.clock import Clock
from affidavit.errors import Denied, InvalidInput
from affidavit.limits import AUTH_MESSAGE_BYTES_MAX
from affidavit.wire.postgres import backend_messages as backend
from affidavit.wire.postgres import codes, startup
from affidavit.wire.postgres import frontend_messages as frontend
from affidavit.wire.postgres.auth import MECHANISM, ScramServer
from affidavit.wire.postgres.framing import Framer

_FIRST_PACKETS_MAX = 3  # GSSENCRequest, SSLRequest, StartupMessage
_NONCE_BYTES = 18


class Directory(Protocol):
    """Who may prove to be whom: read from the live state."""

    def identity_by_handle(self, handle: str) -> str | None:
        """The identity that this handle names, or None."""

    def tokens_of(self, identity: str, at_ns: int) -> list[str]:
        """The names (`token-…`) of an identity's token credentials that have not ended by `at_ns`, newest first."""


@dataclass(frozen=True)
class Login:
    """A proved login. `credential` is the object's name without `credential/`."""

    identity: str
    handle: str
    credential: str
    parameters: tuple[tuple[str, str], ...]


class LoginFailed(Denied):
    """A login that did not succeed, with what is known of it for the record."""

    def __init__(self, sqlstate: str, message: str, stage: str, handle: str, identity: str | None) -> None:
        super().__init__("gateway.login", message)
        self.sqlstate, self.stage, self.handle, self.identity = sqlstate, stage, handle, identity


async def first_packet(channel: Channel, target: Target) -> startup.StartupMessage | startup.CancelRequest:
    """The client's real first packet, after TLS where it asked for it. Raises `InvalidInput`, `Unavailable`."""
    for _ in range(_FIRST_PACKETS_MAX):
        head = await channel.read_exactly(startup.LENGTH_BYTES)
        packet = head + await channel.read_exactly(startup.packet_bytes(head) - startup.LENGTH_BYTES)
        first = startup.decode_first(packet)
        if isinstance(first, startup.SSLRequest):
            if channel.unread:
                # Someone in between may have slipped this in, in clear, before the handshake (CVE-2021-23214).
                raise InvalidInput("gateway.tls", "Data in clear came behind the request for TLS.")
            if target.tls is None or channel.tls() is not None:
                channel.write(startup.NO_ENCRYPTION)
            else:
                channel.write(startup.ENCRYPT)
                await channel.start_tls(target.tls)
        elif isinstance(first, startup.GSSENCRequest):
            channel.write(startup.NO_ENCRYPTION)
        else:
            return first
    raise InvalidInput("gateway.startup", "The client asks for encryption again and again.")


def check_startup(channel: Channel, target: Target, asked: startup.StartupMessage) -> None:
    """Refuse what this gateway cannot serve. Raises `LoginFailed`."""
    if target.require_tls and channel.tls() is None:
        raise _failed(asked, "28000", "This gateway asks for TLS: connect with sslmode=require or stricter.")
    if asked.replication:
        raise _failed(asked, "0A000", "Replication through Affidavit is not supported: it could not be recorded.")
    if asked.database != target.database:
        raise _failed(
            asked, "3D000", f'This gateway serves the database "{target.database}", not "{asked.database[:63]}".'
        )


def _failed(asked: startup.StartupMessage, sqlstate: str, message: str, identity: str | None = None) -> LoginFailed:
    return LoginFailed(sqlstate, message, "startup", asked.user, identity)


class Authenticator:
    """Checks personal tokens by SCRAM against the verifiers in `folder`, named by credential."""

    def __init__(self, directory: Directory, folder: Path, mock_secret: bytes, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._folder = folder
        self._mock_secret = mock_secret

    async def prove(self, channel: Channel, asked: startup.StartupMessage) -> Login:
        """Let the client prove that it holds a token of the identity behind its user name.

        Raises `LoginFailed` when it does not, `Unavailable` when the connection ends, `InvalidInput` for rubbish.
        The successful answer is not sent yet: the caller sends it with the rest, once the session is recorded.
        """
        identity = self._directory.identity_by_handle(asked.user)
        credential = ""
        verifier = ""
        for name in self._directory.tokens_of(identity, self._clock.now_ns()) if identity else ():
            found = self._verifier(name)
            if found:
                credential, verifier = name, found
                break
        nonce = base64.b64encode(randomness.token_bytes(_NONCE_BYTES)).decode()
        scram = ScramServer(asked.user, lambda _: verifier, self._mock_secret, nonce)
        framer = Framer(codes.FRONTEND_LOGIN, AUTH_MESSAGE_BYTES_MAX)
        channel.write(startup.negotiation(asked) + backend.encode_authentication_sasl((MECHANISM,)))
        try:
            initial = frontend.decode_sasl_initial(await _answer(channel, framer))
            if initial.mechanism != MECHANISM or initial.data is None:
                raise _failed(asked, "28000", f"Log in with {MECHANISM}.", identity)
            channel.write(backend.encode_authentication_sasl_continue(scram.first(initial.data)))
            proof = scram.final(await _answer(channel, framer))
        except Denied:
            raise LoginFailed(
                "28P01", f'The token for "{asked.user[:63]}" is wrong, or there is no such person.',
                "authentication", asked.user, identity,
            ) from None  # fmt: skip
        if identity is None:
            raise LoginFailed("28P01", "There is no such person.", "authentication", asked.user, None)
        channel.write(backend.encode_authentication_sasl_final(proof))
        return Login(identity, asked.user, credential, asked.parameters)

    def _verifier(self, credential: str) -> str:
        path = self._folder / credential.removeprefix("token-")
        try:
            return path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""


async def _answer(channel: Channel, framer: Framer) -> bytes:
    while True:
        framer.feed(await channel.read())
        found = framer.messages()
        if len(found) > 1:
            raise InvalidInput("gateway.startup", "The client sends more than one answer at a time while logging in.")
        if found:
            return found[0][1]
