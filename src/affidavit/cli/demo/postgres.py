"""A real PostgreSQL in a folder of its own, started for the demo or a test and gone afterwards.

It listens on one free port of the loopback address and on a socket in its folder, demands SCRAM over TCP with a
generated password, keeps `fsync` on, and logs every statement in the way Debian's default does. It is our child
process: only that process is ever signalled, and the folder goes with it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote

from affidavit.cli.demo.certificate import self_signed
from affidavit.cli.demo.programs import OsUser, Programs, find_programs, reachable, server_user
from affidavit.errors import Unavailable

START_TIMEOUT_S = 60.0  # initdb and the first start on a slow shared machine
STOP_TIMEOUT_S = 15.0
POLL_S = 0.02
_READY_LINE = 7  # postmaster.pid: the eighth line says `ready`

# log_line_prefix is Debian's default: what an ordinary installation would be able to say afterwards.
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
shared_buffers = 32MB
max_connections = 100
fsync = on
logging_collector = off
log_destination = 'stderr'
log_line_prefix = '%m [%p] %q%u@%d '
log_timezone = 'UTC'
log_statement = 'all'
ssl = {ssl}
"""


class ThrowawayPostgres:
    """A context manager around one server. `source`, as in `find_programs`, chooses the programs; `auth` is
    `scram-sha-256`, or `trust` where a test asks for it; `tls` needs a server that was built with it.

    Raises Unavailable from `__enter__` with the end of the server's log when it does not start.
    """

    user = "postgres"

    def __init__(
        self,
        source: str = "any",
        auth: Literal["scram-sha-256", "trust"] = "scram-sha-256",
        tls: Literal["off", "on"] = "off",
    ) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.password = secrets.token_urlsafe(18)
        self.auth = auth
        self.tls = tls
        self.programs: Programs = find_programs(source)
        self._folder: Path | None = None
        self._server = self.programs  # those that the server's user can start; the same or a copy
        self._user: OsUser | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """The server's folder; exists between `__enter__` and `__exit__`."""
        if self._folder is None:
            raise Unavailable("demo.not_started", "This PostgreSQL is not running.", "Use it in a `with` block.")
        return self._folder

    @property
    def psql(self) -> Path:
        return self.programs.psql

    @property
    def pgbench(self) -> Path:
        return self.programs.pgbench

    @property
    def log_path(self) -> Path:
        """What the server itself logs, as text."""
        return self.folder / "postgresql.log"

    @property
    def certificate_path(self) -> Path:
        """The server's self-signed certificate; only where `tls` is on."""
        return self.folder / "server.crt"

    def dsn(self, user: str = "", database: str = "postgres", password: str = "") -> str:
        """A URL for any client. Without a user: the superuser with the generated password."""
        who, secret = (user, password) if user else (self.user, self.password)
        login = f"{quote(who, safe='')}:{quote(secret, safe='')}" if secret else quote(who, safe="")
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(database, safe='')}"

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser, stopping at the first error. Returns what psql printed, unaligned, no headers."""
        done = subprocess.run(
            [self.psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.dsn(database=database)],
            input=sql,
            check=False,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
        )
        if done.returncode != 0:
            raise Unavailable("demo.sql", f"PostgreSQL refused a statement of the set-up: {done.stderr.strip()[:500]}")
        return done.stdout

    def __enter__(self) -> ThrowawayPostgres:
        # A short path: a socket's path has at most 107 bytes. /tmp is reachable for the unprivileged user.
        self._folder = Path(tempfile.mkdtemp(prefix="affidavit-pg-", dir="/tmp"))
        try:
            self._prepare()
            self.launch()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare(self) -> None:
        self._user = server_user()
        if self._user is not None:
            os.chown(self.folder, self._user.uid, self._user.gid)
        self._server = reachable(self.programs, self._user, self.folder)
        self._initialise(self._server, self._user)
        self.port = free_port()
        self._configure(self._user)

    def launch(self) -> None:
        """Start the server process, also again after `crash`, and wait until it takes connections."""
        with self.log_path.open("ab") as log:
            process = subprocess.Popen(
                [self._server.folder / "postgres", "-D", self.folder / "data"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us first, and we stop it in order
                **_as(self._user),
            )
        self._process = process
        self._wait_until_ready(process)

    def _initialise(self, server: Programs, user: OsUser | None) -> None:
        password_file = self.folder / "password"
        _write(password_file, (self.password + "\n").encode(), user)
        command: list[str | Path] = [
            server.folder / "initdb",
            "-D",
            self.folder / "data",
            "-U",
            self.user,
            "-E",
            "UTF8",
            "--locale=C",
        ]
        command += ["--auth-local=trust", f"--auth-host={self.auth}", f"--pwfile={password_file}", "--no-sync"]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=START_TIMEOUT_S, **_as(user)
        )
        password_file.unlink()
        if done.returncode != 0:
            raise Unavailable("demo.initdb", f"initdb failed: {done.stderr.strip()[-500:]}")

    def _configure(self, user: OsUser | None) -> None:
        data = self.folder / "data"
        if self.tls == "on":
            if not self.programs.tls:
                raise Unavailable(
                    "demo.no_tls", "This PostgreSQL was built without TLS.", "Install Debian's `postgresql`."
                )
            certificate, key = self_signed(datetime.now(UTC))
            _write(data / "server.key", key, user)
            _write(data / "server.crt", certificate, user)
            _write(self.certificate_path, certificate, user)
        text = _CONFIGURATION.format(port=self.port, folder=self.folder, ssl=self.tls)
        with (data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write(text)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        status = self.folder / "data" / "postmaster.pid"
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            if status.exists():
                lines = status.read_text(encoding="utf-8").splitlines()
                if len(lines) > _READY_LINE and lines[_READY_LINE].strip() == "ready":
                    return
            time.sleep(POLL_S)
        tail = self.log_path.read_text(encoding="utf-8", errors="replace")[-1_000:]
        raise Unavailable("demo.start", f"PostgreSQL did not start. Its log ends with:\n{tail}")

    def crash(self) -> None:
        """Stop it as a crash would (immediate shutdown): connections are cut, recovery runs at the next `launch`."""
        self._signal(signal.SIGQUIT)

    def stop(self) -> None:
        """Fast shutdown, then the folder goes. Safe to call twice."""
        self._signal(signal.SIGINT)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _signal(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)  # ends its children too, which SIGKILL would orphan
                process.wait(STOP_TIMEOUT_S)
        self._process = None


def _as(user: OsUser | None) -> dict[str, Any]:
    """Arguments for subprocess: run as that user, in a folder that it may enter, with English messages."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    if user is None:
        return {"cwd": "/", "env": environment}
    return {"cwd": "/", "env": environment, "user": user.uid, "group": user.gid, "extra_groups": []}


def _write(path: Path, data: bytes, user: OsUser | None) -> None:
    """A file that only the server's user may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    if user is not None:
        os.chown(path, user.uid, user.gid)


def free_port() -> int:
    """A TCP port of the loopback address that was free a moment ago."""
    # Another process may take it in between; then the server's log says so and the start fails cleanly.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
