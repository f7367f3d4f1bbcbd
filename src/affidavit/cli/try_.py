"""`affidavit try URL`: put Affidavit before a database in one step, and change nothing about the database."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from cyclopts import Parameter

from affidavit.cli.client import connect, listens
from affidavit.cli.database_url import DatabaseUrl, parse_database_url
from affidavit.cli.options import Common
from affidavit.cli.output import say
from affidavit.cli.watching import folding
from affidavit.config import CONFIG_NAME, Address, ConsoleConfig, GatewayConfig, load_config, render_config
from affidavit.errors import InvalidInput, Unavailable
from affidavit.state.policy import observe_all

DEFAULT_FOLDER = Path("affidavit-data")
_FIRST_PORT = 6432  # where connection poolers listen by habit
_PORTS_TRIED = 100
_ANY_PORT = 0  # for the console: its link says which it became
_WANTS_PASSWORD = "gateway.upstream_login"  # noqa: S105 (the code of an error)
_PASSWORD_FILE = "secrets/upstream/"  # noqa: S105 (where the gateway reads it)
_REASON = "affidavit try"


def try_(
    url: Annotated[str, Parameter(name="URL")],
    /,
    *,
    data: Annotated[Path, Parameter(env_var="AFFIDAVIT_DATA", help="The data folder to make.")] = DEFAULT_FOLDER,
) -> int:
    """Put Affidavit before a database: make a log, an identity and a token for you, and run until Ctrl-C.

    URL is postgresql://USER@HOST:PORT/DATABASE. The password comes from the URL, PGPASSWORD, or is asked for.
    Everything is allowed and recorded at first. Nothing about the database is changed.
    """
    wanted = parse_database_url(url, getpass.getuser())
    if (data / CONFIG_NAME).exists():
        gateway = _known(data, wanted)
        if listens(load_config(data).server.socket):
            # A new token here would void the one that the running server's psql line holds.
            raise Unavailable(
                "try.running",
                f"The log in {data} runs already.",
                "Use the psql line that was printed for it, or stop it first.",
            )
        say(f"Continuing with the log in {data}, with a new token: the psql line of an earlier run is void.")
    else:
        wanted = replace(wanted, password=_working_password(wanted, os.environ))
        gateway = _make_whole(data, wanted)
    handle, token = _token(data)
    login = f"{quote(handle, safe='')}:{token}@{gateway.listen}/{quote(gateway.database, safe='')}"
    say(f"Affidavit stands before {wanted.shown()}. Connect through it with:")
    say()
    say(f"  psql 'postgresql://{login}'", "strong")
    say()
    say(f"Then, in another terminal: affidavit timeline --data {data}")
    say("Ctrl-C ends it. The log stays; the database was not changed.", "dim")
    from affidavit.compose.run import run  # noqa: PLC0415  heavy rooms only when needed

    return run(data, say, folding)


def _known(data: Path, wanted: DatabaseUrl) -> GatewayConfig:
    """The gateway of an existing folder for the same database. Raises InvalidInput where it is for another one."""
    config = load_config(data)
    for gateway in config.gateways:
        if (gateway.upstream, gateway.database, gateway.upstream_user) == (
            wanted.address,
            wanted.database,
            wanted.user,
        ):
            return gateway
    raise InvalidInput(
        "try.other",
        f"{data} holds a log for something else than {wanted.shown()}.",
        "Name another folder with --data.",
    )


def _make_whole(data: Path, wanted: DatabaseUrl) -> GatewayConfig:
    """Make everything beside `data` and move it there, so that what failed half-way is never continued."""
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise InvalidInput(
            "try.folder", f"{data} holds something that is no log.", "Name another folder with --data, or move it."
        )
    making = data.with_name(f".{data.name}.making-{os.getpid()}")
    try:
        gateway = _make(making, wanted)
        making.rename(data)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    say(f"A new log in {data}. Its public key, all that a verifier needs to trust:")
    say(f"  {(data / 'secrets' / 'log.vkey').read_text(encoding='ascii').strip()}")
    return gateway


def _make(data: Path, wanted: DatabaseUrl) -> GatewayConfig:
    """The log, its configuration with gateway and console, the upstream's password, the system and the first policy."""
    from affidavit.compose.create import create  # noqa: PLC0415  heavy rooms only when needed

    host = re.sub(r"[^a-z0-9.-]+", "-", socket.gethostname().lower()).strip(".-") or "localhost"
    create(data, f"{host}/{wanted.system}", None, "")
    config = load_config(data)
    gateway = GatewayConfig(
        system=wanted.system,
        listen=Address("127.0.0.1", _free_port()),
        upstream=wanted.address,
        database=wanted.database,
        upstream_user=wanted.user,
    )
    whole = replace(
        config, gateways=(*config.gateways, gateway), console=ConsoleConfig(Address("127.0.0.1", _ANY_PORT))
    )
    text = render_config(whole, data)
    (data / CONFIG_NAME).write_text(text, encoding="utf-8")
    if wanted.password is not None:
        _keep_password(data / "secrets" / "upstream" / wanted.system, wanted.password)
    objects = {
        f"system/{wanted.system}": {"kind": "postgresql", "description": wanted.shown(), "key_columns": []},
        "policy/observe-all": observe_all(),
    }
    with connect(Common(data=data), writes=True) as client:
        client.post("/v1/changes", {"objects": objects, "reason": _REASON, "ticket": ""})
    return gateway


def _token(data: Path) -> tuple[str, str]:
    """The handle of who runs this, and a fresh token: the one of an earlier run was shown once and is not stored."""
    with connect(Common(data=data), writes=True) as client:
        handle = str(client.get("/v1/status")["you"]["handle"])
        made = client.post("/v1/tokens", {"who": handle, "label": "try", "reason": _REASON})
    return handle, str(made["token"])


def _working_password(wanted: DatabaseUrl, environment: Mapping[str, str]) -> str | None:
    """The password that the database accepts for this login, None where it asks for none.

    Raises Unavailable when the database cannot be reached or refuses.
    """
    password = wanted.password or environment.get("PGPASSWORD") or None
    try:
        _log_in(wanted, password)
    except Unavailable as error:
        if password is not None or error.code != _WANTS_PASSWORD or not sys.stdin.isatty():
            # There is no folder yet, so advice about its files would mislead.
            hint = "Give the password in PGPASSWORD or in the URL." if _PASSWORD_FILE in error.hint else error.hint
            raise Unavailable(error.code, error.message, hint) from None
        password = getpass.getpass(f"Password of {wanted.user} at {wanted.address}: ")
        _log_in(wanted, password)
    return password


def _log_in(wanted: DatabaseUrl, password: str | None) -> None:
    from affidavit.capture.gateway import upstream  # noqa: PLC0415  heavy rooms only when needed
    from affidavit.capture.gateway.target import Target  # noqa: PLC0415

    target = Target(
        system=wanted.system,
        listen_host="",
        listen_port=0,
        upstream_host=wanted.address.host,
        upstream_port=wanted.address.port,
        database=wanted.database,
        upstream_user=wanted.user,
        password=password,
        tls=None,
        require_tls=False,
    )

    async def once() -> None:
        (await upstream.connect(target, "affidavit try", ())).channel.close()

    asyncio.run(once())


def _keep_password(path: Path, password: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(password)


def _free_port() -> int:
    """6432, or the next port of the loopback address that nobody listens on."""
    for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS_TRIED):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Unavailable(
        "try.port",
        f"All ports from {_FIRST_PORT} to {_FIRST_PORT + _PORTS_TRIED - 1} are taken.",
        "Free one, or run `affidavit init` and name a port in affidavit.toml.",
    )
