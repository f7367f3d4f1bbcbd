"""The upstream server: connecting, logging in, and asking it a question of our own before the session begins."""

from __future__ import annotations

import asyncio
import base64
import secrets as randomness
from dataclasses import dataclass, field

from affidavit.capture.gateway.channel import Channel
from affidavit.capture.gateway.target import Target
from affidavit.errors import AffidavitError, InvalidInput, Unavailable
from affidavit.limits import MESSAGE_BYTES_MAX, UPSTREAM_CONNECT_TIMEOUT_S
from affidavit.wire.postgres import backend_messages as backend
from affidavit.wire.postgres import codes, notices, startup
from affidavit.wire.postgres import frontend_messages as frontend
from affidavit.wire.postgres.auth import ScramClient
from affidavit.wire.postgres.framing import Framer

_NONCE_BYTES = 18
_APPLICATION_CHARS = 63  # NAMEDATALEN - 1: PostgreSQL cuts what is longer


@dataclass
class Upstream:
    """A logged-in connection, between messages and idle."""

    channel: Channel
    framer: Framer
    key: backend.KeyData | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    notices: list[bytes] = field(default_factory=list)


def application_of(person: str, client_parameters: tuple[tuple[str, str], ...]) -> str:
    """What the upstream is told a person's session is: it can then be recognised in the database's own views."""
    application = next((value for name, value in client_parameters if name == "application_name"), "")
    return f"{person} via affidavit" + (f" ({application})" if application else "")


async def connect(target: Target, application: str, client_parameters: tuple[tuple[str, str], ...]) -> Upstream:
    """Log in to the upstream as its configured role, as `application`.

    Raises `Unavailable` when it cannot be reached or refuses us.
    """
    channel = Channel()
    where = f"{target.upstream_host}:{target.upstream_port}"
    try:
        async with asyncio.timeout(UPSTREAM_CONNECT_TIMEOUT_S):
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: channel, target.upstream_host, target.upstream_port)
            upstream = Upstream(channel, Framer(codes.BACKEND_LOGIN, MESSAGE_BYTES_MAX))
            channel.write(startup.encode_startup(_parameters(target, application, client_parameters)))
            await _login(upstream, target)
    except (OSError, TimeoutError) as error:
        channel.abort()
        reason = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
        raise Unavailable(
            "gateway.upstream", f"The database at {where} cannot be reached: {reason}.", "Check that it runs."
        ) from None
    except AffidavitError:
        channel.abort()
        raise
    return upstream


def _parameters(
    target: Target, application: str, client_parameters: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    ours = {"user", "database", "application_name", "replication"}
    kept = tuple((name, value) for name, value in client_parameters if name not in ours)
    return (
        ("user", target.upstream_user),
        ("database", target.database),
        ("application_name", application[:_APPLICATION_CHARS]),
        *kept,
    )


async def _login(upstream: Upstream, target: Target) -> None:
    login = _Login(upstream.channel, target)
    while True:
        for code, payload in await _messages(upstream):
            if code == codes.AUTHENTICATION:
                login.asked(backend.decode_authentication(payload))
            elif code == codes.ERROR_RESPONSE:
                raise _refused(target, payload)
            elif code == codes.PARAMETER_STATUS:
                name, value = backend.decode_parameter_status(payload)
                upstream.parameters[name] = value
            elif code == codes.BACKEND_KEY_DATA:
                upstream.key = backend.decode_backend_key_data(payload)
            elif code == codes.NOTICE_RESPONSE:
                upstream.notices.append(payload)
            elif code == codes.READY_FOR_QUERY:
                upstream.framer.expect(codes.BACKEND_SESSION, MESSAGE_BYTES_MAX)
                return


class _Login:
    """Our side of the upstream's authentication: SCRAM, or nothing where it trusts us."""

    def __init__(self, channel: Channel, target: Target) -> None:
        self._channel, self._target = channel, target
        self._scram: ScramClient | None = None
        self._proved = False

    def asked(self, request: backend.Authentication) -> None:
        """Answer a request. Raises `Unavailable` for what cannot be answered, `Denied` for a false server."""
        if isinstance(request, backend.AuthenticationOk):
            if self._scram is not None and not self._proved:
                raise Unavailable("gateway.upstream_login", "The database let us in without proving that it knows us.")
        elif isinstance(request, backend.AuthenticationSASL):
            self._begin(request)
        elif isinstance(request, backend.AuthenticationSASLContinue) and self._scram is not None:
            self._channel.write(frontend.encode_sasl_response(self._scram.final(request.data)))
        elif isinstance(request, backend.AuthenticationSASLFinal) and self._scram is not None:
            self._scram.finish(request.data)
            self._proved = True
        else:
            raise Unavailable(
                "gateway.upstream_login",
                "The database asks for a password in clear or as MD5, which is not sent.",
                "Let it use scram-sha-256 for this login (pg_hba.conf, password_encryption).",
            )

    def _begin(self, request: backend.AuthenticationSASL) -> None:
        target = self._target
        if target.password is None:
            raise Unavailable(
                "gateway.upstream_login",
                f"The database asks for a password of {target.upstream_user}, and there is none.",
                f"Write it to secrets/upstream/{target.system} (mode 0600).",
            )
        if ScramClient.mechanism not in request.mechanisms:
            raise Unavailable("gateway.upstream_login", f"The database does not offer {ScramClient.mechanism}.")
        self._scram = ScramClient(target.password, base64.b64encode(randomness.token_bytes(_NONCE_BYTES)).decode())
        initial = frontend.SaslInitial(ScramClient.mechanism, self._scram.first())
        self._channel.write(frontend.encode_sasl_initial(initial))


def _refused(target: Target, payload: bytes) -> Unavailable:
    fields = notices.decode_fields(payload)
    state, text = notices.field(fields, notices.SQLSTATE), notices.field(fields, notices.MESSAGE)
    hint = ""
    if state.startswith("28"):
        hint = f"Check secrets/upstream/{target.system} and the database's pg_hba.conf."
    return Unavailable("gateway.upstream_login", f"The database refuses the login ({state}): {text}.", hint)


async def _messages(upstream: Upstream) -> list[tuple[int, bytes]]:
    while True:
        upstream.framer.feed(await upstream.channel.read())
        found = upstream.framer.messages()
        if found:
            return found


async def ask(
    upstream: Upstream, query: str, timeout_s: float = UPSTREAM_CONNECT_TIMEOUT_S
) -> list[tuple[str | None, ...]]:
    """The rows of a simple query of our own, as text.

    Raises `Unavailable` when the server reports an error, `TimeoutError` where it does not answer within `timeout_s`.
    """
    upstream.channel.write(frontend.encode_query(query.encode()))
    rows: list[tuple[str | None, ...]] = []
    failure: notices.Fields | None = None
    async with asyncio.timeout(timeout_s):
        while True:
            for code, payload in await _messages(upstream):
                if code == codes.DATA_ROW:
                    values = backend.decode_data_row(payload)
                    rows.append(tuple(None if v is None else v.decode("utf-8", "backslashreplace") for v in values))
                elif code == codes.ERROR_RESPONSE:
                    failure = notices.decode_fields(payload)
                elif code == codes.PARAMETER_STATUS:
                    name, value = backend.decode_parameter_status(payload)
                    upstream.parameters[name] = value
                elif code == codes.READY_FOR_QUERY:
                    if failure is not None:
                        text = notices.field(failure, notices.MESSAGE)
                        raise Unavailable("gateway.catalogue", f"The database's catalogue cannot be read: {text}.")
                    return rows


async def cancel(target: Target, key: backend.KeyData) -> None:
    """Ask the upstream to cancel what the session with this key runs. There is no answer; failures are ignored."""
    channel = Channel()
    try:
        async with asyncio.timeout(UPSTREAM_CONNECT_TIMEOUT_S):
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: channel, target.upstream_host, target.upstream_port)
            channel.write(startup.encode_cancel_request(startup.CancelRequest(key.pid, key.secret)))
            try:
                await channel.read()
            except Unavailable:
                return
    except (OSError, TimeoutError, InvalidInput):
        return
    finally:
        channel.close()
