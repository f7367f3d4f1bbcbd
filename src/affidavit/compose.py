"""The one place that knows concrete classes: makes a log, opens it, and runs it with its API and gateways.

Threads. The ledger has two of its own (writer, publisher). Everything else, HTTP, gateways, lapses and copies of
checkpoints, runs in one event loop; the HTTP server reads the log in the loop's worker threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import pwd
import re
import signal
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from affidavit.capture.administration import Administration, ReadOnly
from affidavit.capture.gateway.server import Gateway, GatewaySecrets
from affidavit.capture.gateway.target import Target
from affidavit.capture.lapses import Lapses
from affidavit.capture.outside import OutsideFolder, check_not_behind
from affidavit.capture.producer import Producer
from affidavit.capture.tokens import Tokens, TokenStore
from affidavit.clock import Clock, SystemClock, boot_id, kernel_clock_status
from affidavit.config import CONFIG_NAME, SOCKET_NAME, Config, GatewayConfig, ServerConfig, check_origin, load_config
from affidavit.config import render_config as render
from affidavit.durable import PUBLIC, Disk, OsDisk, clear_temporary, write_whole
from affidavit.errors import AffidavitError, InvalidInput
from affidavit.evidence.explain import Explainer
from affidavit.evidence.export import Bounds
from affidavit.evidence.readiness import Outside
from affidavit.history.live import FOLLOWED_KINDS, Live
from affidavit.history.shared import SharedRecords
from affidavit.ledger.genesis import create_log
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.publisher import read_checkpoint
from affidavit.ledger.reader import Reader
from affidavit.ledger.signer import FileSigner
from affidavit.limits import NOTE_BYTES_MAX, PUBLISH_INTERVAL_S, SECRET_BYTES_MAX
from affidavit.record.body import SALT_BYTES, salt_text
from affidavit.record.moment import format_moment
from affidavit.server.app import make_app
from affidavit.server.identity import host_name
from affidavit.server.peer import LocalServer, bind_socket, make_server
from affidavit.server.services import Services
from affidavit.state.change import encode_ops
from affidavit.state.changing import genesis_ops, strongest
from affidavit.state.fold import State

_STREAM_BYTES = 16
_IDENTITY_BYTES = 8
_HANDLE_CHARS_MAX = 63
_LOOK_S = 0.2
_SWITCH_INTERVAL_S = 0.0002
_MOCK_LABEL = b"affidavit scram for unknown users"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """A log that was made: its public key, and who administers it."""

    verifier_key: str
    handle: str
    uid: int


def create(root: Path, origin: str, handle: str | None, name: str) -> Made:
    """Make the log `origin` in `root`; the user who runs this is its first administrator, as `handle`.

    Raises `InvalidInput` where `root` holds anything, or the origin or handle cannot be one.
    """
    check_origin(origin)
    uid = os.getuid()
    chosen = handle if handle is not None else _user_name(uid)
    administrator = f"u-{os.urandom(_IDENTITY_BYTES).hex()}"
    ops = genesis_ops(
        administrator=administrator,
        handle=chosen,
        name=name or chosen,
        mail="",
        host=host_name(),
        uid=uid,
        salt=lambda: salt_text(os.urandom(SALT_BYTES)),
    )
    change = {
        "reason": "The log was made.",
        "objects": encode_ops(ops),
        "approvals": [],
        "via": {"method": "genesis", "credential": f"uid-{host_name()}-{uid}", "file_access": True},
    }
    disk, config = OsDisk(), Config(origin, ServerConfig(root.absolute() / SOCKET_NAME))
    text = render(config, root).encode()
    secrets = create_log(
        root,
        disk,
        SystemClock(),
        origin,
        boot_id(),
        os.urandom,
        kernel_clock_status,
        administrator,
        change,
        strongest(ops),
        State().preview(ops).root,
    )
    temporary = root / "unfinished" / "config"
    clear_temporary(disk, temporary)
    write_whole(disk, temporary, [(root / CONFIG_NAME, text)], PUBLIC)
    return Made(secrets.verifier.to_text(), chosen, uid)


class _Site:
    """A data folder with what every way of opening it needs."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.config = load_config(self.root)
        self.disk: Disk = OsDisk()
        self.clock: Clock = SystemClock()
        self.layout = Layout(self.root)
        self.secrets = Secrets.load(self.disk, self.layout.secrets)
        if self.secrets.origin != self.config.origin:
            raise InvalidInput(
                "secrets.origin",
                f"{CONFIG_NAME} names the log {self.config.origin}, its keys belong to {self.secrets.origin}.",
                "Put back the configuration or the secrets that belong to this log.",
            )
        self.boot = boot_id()
        self.outside = tuple(
            OutsideFolder(self.disk, item.folder, self.secrets.verifier) for item in self.config.outside
        )

    def open_ledger(self) -> Ledger:
        """The log, open for writing. Raises `Corruption` where a folder outside knows more than it."""
        published = read_checkpoint(self.disk, self.layout, FileSigner(self.secrets.signer))
        for folder in self.outside:
            kept = folder.look()
            if kept is not None:
                check_not_behind(self.disk, self.layout.log, published, kept, folder.folder)
        return Ledger.open(
            self.root,
            self.disk,
            self.clock,
            self.secrets,
            self.config.origin,
            self.boot,
            os.urandom,
            kernel_clock_status,
        )

    def read_only(self) -> SharedRecords:
        """The records as they are now, without taking the writer's lock."""
        keys = self.secrets.body_keys_by_id
        return SharedRecords(Reader.of_folder(self.root, self.disk, keys, self.secrets.verifier))

    def producer(self, ledger: Ledger, loop: asyncio.AbstractEventLoop) -> Producer:
        """A producer of its own stream, that answers in `loop`."""
        return Producer(ledger, os.urandom(_STREAM_BYTES).hex(), self.boot, loop.call_soon_threadsafe)

    def services(
        self,
        live: Live,
        records: SharedRecords,
        appender: Producer | None,
        ending: threading.Event,
        *,
        file_access: bool,
    ) -> Services:
        """What the API is given. Without `appender` it only reads."""
        administration = Administration(live, records, appender or ReadOnly(), self.clock, os.urandom)
        bounds = Bounds(records)
        store = TokenStore(self.layout.secrets / "scram")
        return Services(
            origin=self.config.origin,
            verifier_key=self.secrets.verifier.to_text(),
            host=host_name(),
            file_access=file_access,
            live=live,
            records=records,
            clock=self.clock,
            randomness=os.urandom,
            tokens=Tokens(live, store, administration, os.urandom),
            administration=administration,
            writes=appender is not None,
            bounds=bounds,
            explainer=Explainer(records, live.name_of, bounds),
            outside=self._outside,
            status=self._status,
            stopping=ending.is_set,
        )

    def _outside(self) -> tuple[Outside, ...]:
        for folder in self.outside:
            if folder.size is None:
                with contextlib.suppress(AffidavitError):
                    folder.look()
        return tuple(Outside(str(folder.folder), folder.size, folder.problem) for folder in self.outside)

    def _status(self) -> dict[str, Any]:
        published = read_checkpoint(self.disk, self.layout, FileSigner(self.secrets.signer))
        return {
            "published": {"size": published.size, "root": published.root.hex()},
            "gateways": [
                {"system": item.system, "listen": str(item.listen), "database": item.database}
                for item in self.config.gateways
            ],
        }


@contextlib.contextmanager
def serving(root: Path, *, writes: bool) -> Iterator[Path]:
    """Serve the log in `root` to this process alone, on a socket in a private folder, while no server runs.

    With `writes` the log is opened for writing, and closed in order at the end. Raises what opening it raises.
    """
    site = _Site(root)
    ledger = site.open_ledger() if writes else None
    try:
        records = SharedRecords(ledger.reader()) if ledger is not None else site.read_only()
        live = Live.load(records)
        if ledger is not None:
            ledger.follow(live.applied, FOLLOWED_KINDS)
        with tempfile.TemporaryDirectory(prefix="affidavit-") as folder:
            path = Path(folder) / SOCKET_NAME
            served = _Served(site, live, records, ledger, path)
            try:
                yield path
            finally:
                served.stop()
    finally:
        if ledger is not None:
            ledger.close("The command is done.")
            _copy_outside(site, ledger)


class _Served:
    """The API in a thread with a loop of its own."""

    def __init__(self, site: _Site, live: Live, records: SharedRecords, ledger: Ledger | None, path: Path) -> None:
        self._ready = threading.Event()
        self._ending = threading.Event()
        self._server: LocalServer | None = None
        listening = bind_socket(path)

        async def serve() -> None:
            appender = None if ledger is None else site.producer(ledger, asyncio.get_running_loop())
            services = site.services(live, records, appender, self._ending, file_access=True)
            self._server = make_server(make_app(services))
            self._ready.set()
            await self._server.serve(sockets=[listening])

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), name="local API", daemon=True)
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End the server and its thread."""
        self._ending.set()
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join()


def run(root: Path, say: Say) -> int:
    """Run the log in `root` until SIGTERM or SIGINT; `say` is given the lines to print. The exit status: 0 when it
    was stopped in order, 3 when the log could not go on."""
    # The ledger's threads and the event loop hand records to each other; at the default of 5 ms each hand-over waits
    # that long while the loop is busy, which is longer than the fsync.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    return uvloop.run(_run(_Site(root), say))


async def _run(site: _Site, say: Say) -> int:
    ledger = await asyncio.to_thread(site.open_ledger)
    try:
        records = SharedRecords(ledger.reader())
        live = await asyncio.to_thread(Live.load, records)
        ledger.follow(live.applied, FOLLOWED_KINDS)
        failed = await _serve(site, ledger, live, records, say)
    finally:
        await asyncio.to_thread(_close, site, ledger)
    if failed is not None:
        raise failed
    say("Stopped in order.")
    return 0


async def _serve(site: _Site, ledger: Ledger, live: Live, records: SharedRecords, say: Say) -> AffidavitError | None:
    """Everything that runs beside the ledger. Ends at a signal (None) or when the ledger has failed (why)."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    appender = site.producer(ledger, loop)
    path = site.config.server.socket
    ending = threading.Event()
    server = make_server(make_app(site.services(live, records, appender, ending, file_access=False)))
    listening = bind_socket(path)
    gateways = [_gateway(site, item, live, site.producer(ledger, loop)) for item in site.config.gateways]
    started: list[Gateway] = []
    tasks = [
        loop.create_task(server.serve(sockets=[listening])),
        loop.create_task(Lapses(live, appender, site.clock, os.urandom).run()),
        loop.create_task(_keep_outside(site, ledger)),
    ]
    try:
        for gateway in gateways:
            await gateway.start()
            started.append(gateway)
        _say_how(site, started, records.size, say)
        while not stopping.is_set() and ledger.failure is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _LOOK_S)
    finally:
        for gateway in started:
            await gateway.stop()
        ending.set()
        server.should_exit = True
        await asyncio.wait(tasks[:1])
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        path.unlink(missing_ok=True)
    return ledger.failure


def _gateway(site: _Site, config: GatewayConfig, live: Live, producer: Producer) -> Gateway:
    digest_key = site.secrets.digest_key
    secrets = GatewaySecrets(
        digest_key=digest_key,
        verifiers=site.layout.secrets / "scram",
        mock_secret=hmac.digest(digest_key, _MOCK_LABEL, "sha256"),
    )
    target = Target(
        system=config.system,
        listen_host=config.listen.host,
        listen_port=config.listen.port,
        upstream_host=config.upstream.host,
        upstream_port=config.upstream.port,
        database=config.database,
        upstream_user=config.upstream_user,
        password=_password(site, config.system),
        tls=_tls(config),
        require_tls=config.require_tls,
    )
    return Gateway(target, producer, live, secrets, site.clock)


def _password(site: _Site, system: str) -> str | None:
    data = site.disk.read_private(site.layout.secrets / "upstream" / system, SECRET_BYTES_MAX)
    if data is None:
        return None
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise InvalidInput("gateway.password", f"secrets/upstream/{system} is not UTF-8 text.") from None


def _tls(config: GatewayConfig) -> ssl.SSLContext | None:
    if config.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            "config.tls",
            f"The certificate {config.tls_certificate} and its key cannot be used: {error}.",
            "Both must be PEM files, and belong together.",
        ) from None
    return context


async def _keep_outside(site: _Site, ledger: Ledger) -> None:
    """Copy each new checkpoint to the folders outside, until cancelled."""
    size = -1
    while site.outside:
        if ledger.published.size != size:
            size = ledger.published.size
            await asyncio.to_thread(_copy_outside, site, ledger)
        await asyncio.sleep(PUBLISH_INTERVAL_S / 2)


def _copy_outside(site: _Site, ledger: Ledger) -> None:
    size, at = ledger.published.size, format_moment(site.clock.now_ns())
    note = site.disk.read(site.layout.checkpoint, NOTE_BYTES_MAX) if site.outside else None
    for folder in site.outside:
        if note is not None:
            folder.keep(note, size, at)


def _close(site: _Site, ledger: Ledger) -> None:
    if ledger.failure is None:
        ledger.close("Stopped in order.")
        _copy_outside(site, ledger)
    else:
        with contextlib.suppress(AffidavitError):
            ledger.close("The log could not go on.")


def _say_how(site: _Site, gateways: list[Gateway], size: int, say: Say) -> None:
    say(f"{site.config.origin} runs: {size:,} records; API on {site.config.server.socket}.")
    for gateway, config in zip(gateways, site.config.gateways, strict=True):
        host = config.listen.host if config.listen.host not in ("0.0.0.0", "::") else "localhost"  # noqa: S104
        say(f"{config.system}, recorded (the password is a personal token, see `affidavit token create`):")
        say(f'  psql "host={host} port={gateway.port} dbname={config.database} user=HANDLE"')


def _user_name(uid: int) -> str:
    """The name of this machine's user, as a handle."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid-{uid}"
    handle = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).lstrip("._-")[:_HANDLE_CHARS_MAX]
    return handle or f"uid-{uid}"
