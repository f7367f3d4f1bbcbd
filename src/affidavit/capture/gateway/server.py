"""The gateway's shell: the only part of it that owns sockets and tasks."""

from __future__ import annotations

import asyncio
import logging
import secrets as randomness
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from affidavit import __version__
from affidavit.capture.gateway import opening
from affidavit.capture.gateway.catalogue import Backend, Catalogue, read_catalogue
from affidavit.capture.gateway.channel import Channel
from affidavit.capture.gateway.login import Authenticator, Directory, Login, LoginFailed, check_startup, first_packet
from affidavit.capture.gateway.planning import Planner
from affidavit.capture.gateway.recording import Recorder
from affidavit.capture.gateway.rendering import Renderer
from affidavit.capture.gateway.session import Log, Session
from affidavit.capture.gateway.target import Target
from affidavit.capture.gateway.unit import View
from affidavit.capture.gateway.upstream import Upstream, application_of, cancel, connect
from affidavit.capture.watch.direct import Backends
from affidavit.capture.watch.telling import Telling
from affidavit.clock import Clock
from affidavit.errors import AffidavitError, InvalidInput, Unavailable
from affidavit.limits import (
    HOLD_BYTES_MAX,
    LOGIN_TIMEOUT_S,
    MESSAGE_BYTES_MAX,
    SESSION_DRAIN_S,
    SESSIONS_MAX,
    SQL_CACHE_MAX,
    UPSTREAM_MESSAGE_BYTES_MAX,
)
from affidavit.record.moment import format_moment
from affidavit.state.deciding import Decider
from affidavit.state.objects import end_ns, has_ended
from affidavit.wire.postgres import backend_messages as backend
from affidavit.wire.postgres import codes, notices
from affidavit.wire.postgres.framing import Framer
from affidavit.wire.postgres.startup import CancelRequest, StartupMessage
from affidavit.wire.sql.understand import Understanding

_log = logging.getLogger(__name__)


class GatewayLog(Log, opening.AsyncLog, Protocol):
    """The producer that all sessions of a gateway share."""


class GatewayState(opening.LiveState, Directory, Protocol):
    """The live state as a gateway uses it."""

    def system(self, system: str) -> dict[str, Any] | None:
        """The value of `system/ID`, or None."""

    def identity(self, identity: str) -> dict[str, Any] | None:
        """The value of `identity/ID`, or None."""


class Watch(Protocol):
    """The watcher of the gateway's upstream."""

    backends: Backends

    async def look_for_login(self) -> str:
        """Look at the upstream. Empty once what it enforces now stands in the log; else, where it answers too slowly
        for that, of when what stands there is. Raises `Unavailable` where that is not known."""


@dataclass(frozen=True)
class GatewaySecrets:
    """What a gateway knows that stands in no log: the digest key, the folder of token verifiers, a mock secret."""

    digest_key: bytes
    verifiers: Path
    mock_secret: bytes


class Gateway:
    """Listens for clients of one system. `start`, then `stop`."""

    def __init__(
        self, target: Target, log: GatewayLog, live: GatewayState, watch: Watch, secrets: GatewaySecrets, clock: Clock
    ) -> None:
        self._target, self._log, self._live, self._watch, self._clock = target, log, live, watch, clock
        self._renderer = Renderer(secrets.digest_key)
        self._authenticator = Authenticator(live, secrets.verifiers, secrets.mock_secret, clock)
        self._understanding = Understanding(SQL_CACHE_MAX)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._channels: set[Channel] = set()
        self._sessions: dict[Session, backend.KeyData] = {}
        self._backends: dict[Session, Backend] = {}
        self._telling = Telling(log, live, lambda: self._sessions)
        self._telling_task: asyncio.Task[None] | None = None
        self._empty = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that is listened on: the one asked for, or the one that the system gave for 0."""
        if self._server is None:
            raise Unavailable("gateway.stopped", "The gateway does not listen.")
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen. Raises `Unavailable` where the address is taken, `InvalidInput` for a system nobody declared."""
        target = self._target
        if self._live.system(target.system) is None:
            raise InvalidInput(
                "gateway.system",
                f"The system {target.system!r} is not declared in the log.",
                f"Apply a file with system/{target.system}: {{kind: postgresql}}.",
            )
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Channel(self._accept), target.listen_host, target.listen_port
            )
        except OSError as error:
            raise Unavailable(
                "gateway.listen",
                f"Cannot listen on {target.listen_host}:{target.listen_port}: {error.strerror or error}.",
                "Choose another address in affidavit.toml.",
            ) from None
        self._telling_task = loop.create_task(self._telling.run())

    async def stop(self) -> None:
        """Accept nobody more, end all sessions, and wait until each is recorded."""
        if self._server is not None:
            self._server.close()
        if self._telling_task is not None:
            self._telling_task.cancel()
        for session in list(self._sessions):
            session.fail("server", "57P01", "Affidavit is shutting down.")
        for channel in list(self._channels):
            channel.abort()
        try:
            async with asyncio.timeout(SESSION_DRAIN_S):
                while self._tasks or self._sessions:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            _log.warning("%d sessions did not end in time", len(self._sessions))

    # connections

    def _accept(self, channel: Channel) -> None:
        if len(self._sessions) + len(self._tasks) >= SESSIONS_MAX:
            channel.write(notices.error("FATAL", "53300", f"Affidavit serves at most {SESSIONS_MAX} sessions here."))
            channel.close()
            return
        self._channels.add(channel)
        self._spawn(self._serve(channel))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._empty.set()
        if not task.cancelled() and task.exception() is not None:
            _log.error("a connection failed", exc_info=task.exception())

    async def _serve(self, channel: Channel) -> None:
        handed_over = False
        try:
            async with asyncio.timeout(LOGIN_TIMEOUT_S):
                handed_over = await self._login(channel)
        except LoginFailed as error:
            await self._record_failure(channel, error)
            channel.write(notices.error("FATAL", error.sqlstate, error.message, hint=error.hint))
        except TimeoutError:
            channel.write(notices.error("FATAL", "57014", "The login took too long."))
        except InvalidInput as error:
            channel.write(notices.error("FATAL", "08P01", error.message, hint=error.hint))
        except Unavailable as error:
            state = "58030" if error.code == "gateway.log" else "08006"
            channel.write(notices.error("FATAL", state, error.message, hint=error.hint))
        except AffidavitError as error:
            channel.write(notices.error("FATAL", "XX000", error.message, hint=error.hint))
        finally:
            self._channels.discard(channel)
            if not handed_over:
                channel.close()

    async def _login(self, channel: Channel) -> bool:
        """Bring a connection to the point where its session drives it. False where there is no session."""
        first = await first_packet(channel, self._target)
        if isinstance(first, CancelRequest):
            await self._cancel(first)
            return False
        check_startup(channel, self._target, first)
        login = await self._authenticator.prove(channel, first)
        recorder = self._recorder(channel, login.identity, login.handle, login.credential, first)
        try:
            upstream, catalogue, looked = await self._reach(login)
        except (Unavailable, TimeoutError) as error:
            await self._record_upstream_failure(channel, recorder, first, str(error))
            raise
        try:
            return await self._open(channel, first, login, recorder, upstream, catalogue, looked)
        except BaseException:
            upstream.channel.abort()
            self._watch.backends.left(catalogue.backend)
            raise

    async def _reach(self, login: Login) -> tuple[Upstream, Catalogue, str]:
        """A connection to the upstream for a login, once what is enforced there stands in the log, or of when that
        is."""
        backends = self._watch.backends
        with backends.arriving():
            application = application_of(login.handle, login.parameters)
            upstream = await connect(self._target, application, login.parameters)
            catalogue = await self._catalogue(upstream)
            backends.opened(catalogue.backend)
        try:
            looked = await self._watch.look_for_login()
        except BaseException:
            upstream.channel.abort()
            backends.left(catalogue.backend)
            raise
        return upstream, catalogue, looked

    async def _catalogue(self, upstream: Upstream) -> Catalogue:
        declared = self._live.system(self._target.system) or {}
        try:
            return await read_catalogue(upstream, declared.get("key_columns", ()))
        except BaseException:
            upstream.channel.abort()
            raise

    async def _open(
        self, channel: Channel, asked: StartupMessage, login: Login, recorder: Recorder, upstream: Upstream,
        catalogue: Catalogue, looked: str,
    ) -> bool:  # fmt: skip
        facts = self._facts(channel, asked)
        about = self._about(channel, login.identity, login.handle, login.credential, asked)
        about["upstream"]["server_version"] = upstream.parameters.get("server_version", "")
        about["upstream"]["backend"] = {"pid": catalogue.backend.pid, "started": catalogue.backend.started}
        if looked:
            about["upstream"]["looked"] = looked
        opened = await opening.open_session(self._log, self._live, recorder, facts, about)
        if opened.authorization.decision != "allow":
            channel.write(
                notices.error(
                    "FATAL", "42501", f"login denied by Affidavit (record {opened.index})",
                    hint=f"affidavit explain {opened.index} tells which rules and facts decided.",
                )
            )  # fmt: skip
            upstream.channel.close()
            self._watch.backends.left(catalogue.backend)
            return False
        recorder.session = opened.index
        lines = opening.what_is_recorded(self._target.system, opened)
        content = {"how": "notice", "text": lines}
        answer = await self._log.append((recorder.draft("presented", self._clock.now_ns(), content),))
        if answer.refusal is not None:
            raise Unavailable("gateway.log", "Affidavit cannot record, so nothing may pass.", answer.refusal.message)
        session = self._session(channel, recorder, upstream, catalogue, facts)
        session.judge.seen(opened.view, opened.decider)
        key = backend.KeyData(randomness.randbits(31), randomness.token_bytes(4))
        self._sessions[session] = key
        self._backends[session] = catalogue.backend
        self._telling.begin(session, opened.content)
        self._greet(channel, upstream, key, lines)
        self._drive(session, channel, upstream)
        return True

    def _session(
        self,
        channel: Channel,
        recorder: Recorder,
        upstream: Upstream,
        catalogue: Catalogue,
        facts: dict[str, str | bool],
    ) -> Session:
        planner = Planner(
            self._target.system, self._understanding, catalogue.schema_of, catalogue.default_schema, facts
        )
        if upstream.parameters.get("standard_conforming_strings") == "off":
            planner.strings_changed()
        if upstream.parameters.get("client_encoding") != "UTF8":
            planner.encoding_changed()
        return Session(
            log=self._log,
            head=self._live,
            recorder=recorder,
            planner=planner,
            catalogue=catalogue,
            client=channel,
            client_framer=Framer(codes.FRONTEND_SESSION, MESSAGE_BYTES_MAX),
            upstream=upstream,
            session_facts=facts,
            current=lambda: self._current(recorder),
            refresh=self._refresh,
            ended=self._ended,
        )

    def _greet(self, channel: Channel, upstream: Upstream, key: backend.KeyData, lines: list[str]) -> None:
        parts = [backend.AUTHENTICATION_OK]
        parts += [backend.encode_parameter_status(name, value) for name, value in upstream.parameters.items()]
        parts.append(backend.encode_backend_key_data(key))
        parts.append(notices.notice("NOTICE", "00000", "\n".join(lines)))
        parts.append(backend.encode_ready_for_query(codes.IDLE))
        channel.write(b"".join(parts))

    def _drive(self, session: Session, channel: Channel, upstream: Upstream) -> None:
        upstream.framer.expect(
            codes.BACKEND_SESSION, UPSTREAM_MESSAGE_BYTES_MAX, pieced=codes.BULK, whole_bytes_max=HOLD_BYTES_MAX
        )
        upstream.channel.drive(session.from_upstream, session.upstream_lost, session.upstream_slow)
        channel.drive(session.from_client, session.client_lost, session.client_slows)

    # views

    def _current(self, recorder: Recorder) -> tuple[View, Decider] | None:
        context = self._live.context(recorder.actor, recorder.system)
        if context.recorded is None or self._withdrawn(recorder):
            return None
        return opening.view_of(context, context.recorded, self._ends(recorder)), context.decider

    def _withdrawn(self, recorder: Recorder) -> bool:
        """Whether the credential that a session logged in with is gone or has ended: then it speaks for nobody."""
        held = self._live.version(f"credential/{recorder.credential}")
        return held is None or has_ended(held.value, self._clock.now_ns())

    def _ends(self, recorder: Recorder) -> int | None:
        held = self._live.version(f"credential/{recorder.credential}")
        return None if held is None else end_ns(held.value)

    def _refresh(self, session: Session, state: int) -> None:
        self._spawn(self._make_view(session, state))

    async def _make_view(self, session: Session, state: int) -> None:
        try:
            view, context = await opening.current_view(self._log, self._live, session.recorder, state)
        except AffidavitError as error:
            session.not_viewed(error.message)
            return
        except Exception:  # whatever it is, the session must not wait for ever
            _log.exception("a context could not be recorded")
            session.not_viewed("an unexpected error; the server's log says which")
            return
        if self._withdrawn(session.recorder):
            session.fail(
                "revoked", "28000", "The token of this session was revoked or has ended.", "Log in with a valid one."
            )
        session.viewed(view, context.decider)

    # the end

    def _ended(self, session: Session) -> None:
        self._sessions.pop(session, None)
        self._telling.end(session)
        owned = self._backends.pop(session, None)
        if owned is not None:
            self._watch.backends.left(owned)
        content = {
            "reason": session.closing,
            "accesses": session.accesses,
            "received": session.received_bytes,
            "sent": session.sent_bytes,
        }
        clean = session.closing in ("client", "server")
        draft = session.recorder.draft(
            "session.close", self._clock.now_ns(), content, outcome="ok" if clean else "error"
        )
        self._spawn(self._append((draft,)))

    async def _append(self, drafts: tuple[Any, ...]) -> None:
        answer = await self._log.append(drafts)
        if answer.refusal is not None:
            _log.error("not recorded: %s", answer.refusal.message)

    async def _cancel(self, asked: CancelRequest) -> None:
        for session, key in self._sessions.items():
            if key.pid == asked.pid and randomness.compare_digest(key.secret, asked.secret):
                if session.upstream.key is not None:
                    await cancel(self._target, session.upstream.key)
                return

    # what records say of a connection

    def _facts(self, channel: Channel, asked: StartupMessage) -> dict[str, str | bool]:
        facts: dict[str, str | bool] = {
            "application": asked.get("application_name")[:200],
            "database": self._target.database,
            "tls": channel.tls() is not None,
        }
        address = channel.peer().rpartition(":")[0].partition("%")[0]
        if address:  # none on a local socket: a policy that asks for one then errs, which is a deny
            facts["client_address"] = address
        return facts

    def _about(
        self, channel: Channel, identity: str, handle: str, credential: str, asked: StartupMessage
    ) -> dict[str, Any]:
        value = self._live.identity(identity) or {}
        target = self._target
        return {
            "actor": {
                "id": identity,
                "issuer": "affidavit",
                "sub": identity,
                "name": handle,
                "kind": value.get("kind", "human"),
                "authenticated": {
                    "how": "scram-sha-256",
                    "at": format_moment(self._clock.now_ns()),
                    "credential": credential,
                    "strength": "token",
                },
            },
            "client": {
                "address": channel.peer(),
                "application": asked.get("application_name")[:200],
                "tls": channel.tls(),
            },
            "upstream": {
                "address": f"{target.upstream_host}:{target.upstream_port}",
                "database": target.database,
                "role": target.upstream_user,
            },
            "gateway": {"software": f"affidavit {__version__}", "listen": f"{target.listen_host}:{self.port}"},
        }

    def _recorder(
        self, channel: Channel, identity: str, handle: str, credential: str, asked: StartupMessage
    ) -> Recorder:
        about = self._about(channel, identity, handle, credential, asked)
        return Recorder(self._clock, self._renderer, self._target.system, about["actor"], about["client"])

    async def _record_failure(self, channel: Channel, failure: LoginFailed) -> None:
        asked = StartupMessage(0, (("user", failure.handle),))
        identity = failure.identity
        about = self._about(channel, identity or "unknown", failure.handle, "", asked)
        recorder = Recorder(self._clock, self._renderer, self._target.system, about["actor"], about["client"])
        await self._record_no_session(recorder, about, failure.stage, failure.message, "deny", "none", identity)

    async def _record_upstream_failure(
        self, channel: Channel, recorder: Recorder, asked: StartupMessage, reason: str
    ) -> None:
        about = self._about(channel, recorder.actor, asked.user, "", asked)
        await self._record_no_session(recorder, about, "upstream", reason, "none", "error", recorder.actor)

    async def _record_no_session(
        self, recorder: Recorder, about: dict[str, Any], stage: str, reason: str, decision: str, outcome: str,
        identity: str | None,
    ) -> None:  # fmt: skip
        about["failure"] = {"stage": stage, "reason": reason[:500]}
        if identity is None:
            del about["actor"]["id"], about["actor"]["sub"]
        draft = recorder.draft(
            "session.open", self._clock.now_ns(), about, action="login", decision=decision, outcome=outcome
        )
        await self._append((draft if identity is not None else msgspec.structs.replace(draft, actor=None),))
