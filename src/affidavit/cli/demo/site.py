"""An Affidavit of its own in a folder: made, started and spoken to only through the commands that everybody has.

The demo and the tests that need a running gateway share this. Every act of administration is a run of the real
command line, by the operating-system user or as whoever's token is given.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from affidavit.cli.demo.clinic import Clinic
from affidavit.cli.demo.postgres import ThrowawayPostgres, free_port
from affidavit.config import Address, Config, GatewayConfig, load_config, render_config
from affidavit.errors import AffidavitError, Unavailable

ORIGIN = "clinic.example/audit"
COMMAND = [sys.executable, "-c", "from affidavit.cli.main import main; main()"]
COMMAND_TIMEOUT_S = 60.0
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.05


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    status: int
    output: str
    errors: str

    def json(self) -> Any:
        return json.loads(self.output)


class CommandFailed(AffidavitError):
    """A command ended with a status that was not expected; the set-up cannot go on."""


class Site:
    """One data folder with one gateway before one database. A context manager: on leaving, the server stops."""

    def __init__(self, folder: Path, system: str = "clinic") -> None:
        self.folder = folder
        self.system = system
        self.gateway_port = 0
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def output_path(self) -> Path:
        """What the server prints."""
        return self.folder.with_name(self.folder.name + "-server.txt")

    @property
    def verifier_key(self) -> Path:
        return self.folder / "secrets" / "log.vkey"

    def run(self, *arguments: str, token: str = "", expect: Sequence[int] = (0,)) -> Said:
        """Run one `affidavit` command on this folder, as the owner of `token` or as this operating-system user.

        Raises CommandFailed when it ends with a status that is not in `expect`.
        """
        environment = {**os.environ, "AFFIDAVIT_DATA": str(self.folder), "COLUMNS": "120"}
        environment.pop("AFFIDAVIT_TOKEN", None)
        if token:
            environment["AFFIDAVIT_TOKEN"] = token
        done = subprocess.run(
            [*COMMAND, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode not in expect:
            raise CommandFailed(
                "demo.command",
                f"`affidavit {' '.join(arguments)}` ended with {done.returncode}: "
                f"{(done.stderr or done.stdout).strip()[-1_000:]}",
            )
        return Said(done.returncode, done.stdout, done.stderr)

    def create(self, server: ThrowawayPostgres, clinic: Clinic, certificate: tuple[Path, Path] | None = None) -> None:
        """Make the log, point a gateway at the clinic, and declare the clinic as a system."""
        self.run("init", str(self.folder), "--origin", ORIGIN)
        config = load_config(self.folder)
        self.gateway_port = free_port()
        gateway = GatewayConfig(
            system=self.system,
            listen=Address("127.0.0.1", self.gateway_port),
            upstream=Address(server.host, server.port),
            database=clinic.database,
            upstream_user=clinic.user,
            tls_certificate=certificate[0] if certificate else None,
            tls_key=certificate[1] if certificate else None,
        )
        text = render_config(Config(config.origin, config.server, (gateway,), config.outside), self.folder)
        (self.folder / "affidavit.toml").write_text(text, encoding="utf-8")
        self.keep_password(clinic.password)

    def keep_password(self, password: str) -> None:
        """The upstream's password, where the gateway looks for it, readable for its owner alone."""
        path = self.folder / "secrets" / "upstream" / self.system
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(password)

    def records(self, query: str) -> list[dict[str, Any]]:
        """The records that a query finds, oldest first, as `export` gives them."""
        return [json.loads(line) for line in self.run("export", query).output.splitlines()]

    def start(self) -> None:
        """`affidavit up`, until the gateway takes connections. Raises Unavailable with what it printed."""
        with self.output_path.open("ab") as output:
            self._server = subprocess.Popen(
                [*COMMAND, "up"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "AFFIDAVIT_DATA": str(self.folder)},
                start_new_session=True,  # Ctrl-C reaches us first, and we stop it in order
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._server.poll() is None:
            if _takes_connections(self.gateway_port):
                return
            time.sleep(POLL_S)
        said = self.output_path.read_text(encoding="utf-8", errors="replace")[-2_000:]
        self.stop()
        raise Unavailable("demo.up", f"`affidavit up` did not start. It said:\n{said}")

    @property
    def pid(self) -> int:
        """Of the server; 0 where it does not run."""
        return self._server.pid if self._server is not None else 0

    def stop(self) -> int:
        """Stop the server in order. Returns its exit status, 0 where none ran."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Stop it as a power cut would."""
        return self._end(signal.SIGKILL)

    def wait(self) -> int:
        """Wait until the server ends by itself."""
        return self._server.wait() if self._server is not None else 0

    def _end(self, number: signal.Signals) -> int:
        server, self._server = self._server, None
        if server is None:
            return 0
        if server.poll() is None:
            server.send_signal(number)
        try:
            return server.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            return server.wait()

    def __enter__(self) -> Site:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _takes_connections(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False
