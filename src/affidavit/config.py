"""Where things run: `DIR/affidavit.toml` as frozen values. Nothing here influences a decision; state does that.

Every key is known: an unknown one is an error that names the nearest known key, so that a misspelt line never
silently keeps a default.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affidavit.errors import InvalidInput
from affidavit.limits import (
    AUTHORITIES_MAX,
    CONFIG_BYTES_MAX,
    CONFIG_ENTRIES_MAX,
    ID_CHARS_MAX,
    NOTE_NAME_BYTES_MAX,
    SOCKET_PATH_BYTES_MAX,
    TIMESTAMP_INTERVAL_MAX_S,
    TIMESTAMP_INTERVAL_MIN_S,
    TIMESTAMP_INTERVAL_S,
    URL_CHARS_MAX,
    WATCH_INTERVAL_MAX_S,
    WATCH_INTERVAL_MIN_S,
    WATCH_INTERVAL_S,
)
from affidavit.tlog.keys import ED25519, VerifierKey

CONFIG_NAME = "affidavit.toml"
SOCKET_NAME = "affidavit.sock"
POSTGRESQL_PORT = 5432
_PREFIX = re.compile(r"/(?:[A-Za-z0-9._~-]+/)*")
_URL = re.compile(r"https?://[^\s/@?#]+(/[\x21-\x7e]*)?")
_WITNESS_URL = re.compile(
    r"https?://(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?(?:/[A-Za-z0-9._~!$&'()*+,;=:%-]+)*/?"
)
_PORT_MAX = 65_535
_SYSTEM = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_TOP_KEYS = (
    "origin",
    "policy",
    "unguarded",
    "signer",
    "server",
    "gateway",
    "outside",
    "witness",
    "public",
    "console",
    "time_authority",
)
_SERVER_KEYS = ("socket",)
_GATEWAY_KEYS = (
    "system",
    "listen",
    "upstream",
    "database",
    "upstream_user",
    "tls_certificate",
    "tls_key",
    "require_tls",
    "watch_interval_s",
)
_OUTSIDE_KEYS = ("folder",)
_AUTHORITY_KEYS = ("name", "url", "certificates", "interval_s")
_WITNESS_KEYS = ("name", "key", "url")
_UNGUARDED = ("start", "refuse")
_SIGNER = "unix:"
_PUBLIC_KEYS = ("listen", "prefix")
_CONSOLE_KEYS = ("listen",)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Address:
    """A host (name or address, without brackets) and a TCP port from 0 to 65535. Port 0 listens on any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class ServerConfig:
    """The local socket that commands speak to, as an absolute path."""

    socket: Path


@dataclass(frozen=True)
class GatewayConfig:
    """One PostgreSQL gateway: where it listens, and whom it connects to for its `system`.

    The upstream user's password, where it needs one, is the file `secrets/upstream/<system>`. The upstream is looked at
    every `watch_interval_s` seconds, and at each login.
    """

    system: str
    listen: Address
    upstream: Address
    database: str
    upstream_user: str
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    require_tls: bool = False
    watch_interval_s: int = WATCH_INTERVAL_S


@dataclass(frozen=True)
class OutsideConfig:
    """A folder outside this one that gets a copy of each published checkpoint."""

    folder: Path


@dataclass(frozen=True)
class AuthorityConfig:
    """A time-stamp authority (RFC 3161): where it is asked, how often, and the PEM file of certificates it is
    verified with."""

    name: str
    url: str
    certificates: Path
    interval_s: int = TIMESTAMP_INTERVAL_S


@dataclass(frozen=True)
class PublicConfig:
    """Where the public log is served over HTTP, and below which path: `prefix` begins and ends with a slash."""

    listen: Address
    prefix: str = "/"


@dataclass(frozen=True)
class ConsoleConfig:
    """Where the console is served, without TLS: an address that only this machine reaches."""

    listen: Address


@dataclass(frozen=True)
class WitnessConfig:
    """A witness that is asked to cosign each published checkpoint: what it is called here, its key, its URL prefix."""

    name: str
    key: VerifierKey
    url: str


@dataclass(frozen=True)
class Config:
    """All of `affidavit.toml`. `policy` is a file that says how many witnesses must have cosigned; `unguarded` what is
    done at a start when one of the places that keep checkpoints does not answer: `start` or `refuse`; `signer` the
    socket of the agent that holds the log's key, none where the key is a file."""

    origin: str
    server: ServerConfig
    gateways: tuple[GatewayConfig, ...] = ()
    outside: tuple[OutsideConfig, ...] = ()
    public: PublicConfig | None = None
    authorities: tuple[AuthorityConfig, ...] = ()
    witnesses: tuple[WitnessConfig, ...] = ()
    policy: Path | None = None
    unguarded: str = "start"
    signer: Path | None = None
    console: ConsoleConfig | None = None


def load_config(root: Path) -> Config:
    """The configuration of the data folder `root`.

    Raises `InvalidInput` naming the key and what to write; also where `root` is no data folder.
    """
    path = root / CONFIG_NAME
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
    except FileNotFoundError:
        raise InvalidInput(
            "config.absent",
            f"{root} is no Affidavit data folder: it has no {CONFIG_NAME}.",
            f"Make one with `affidavit init {root} --origin example.com/audit`, or name another with --data.",
        ) from None
    except OSError as error:
        raise InvalidInput("config.unreadable", f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > CONFIG_BYTES_MAX:
        raise InvalidInput("config.size", f"{path} is larger than {CONFIG_BYTES_MAX} bytes.")
    return parse_config(data, root)


def parse_config(data: bytes, root: Path) -> Config:
    """The configuration that the bytes of an `affidavit.toml` in `root` state. Relative paths start at `root`.

    Raises `InvalidInput`.
    """
    try:
        document = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput("config.toml", f"{CONFIG_NAME} is not TOML: {error}.") from None
    _check_keys(document, _TOP_KEYS, "")
    origin = _text(document, "origin", "origin")
    check_origin(origin)
    server = _table(document, "server")
    _check_keys(server, _SERVER_KEYS, "server.")
    socket = root.absolute() / _text(server, "socket", "server.socket", SOCKET_NAME)
    if len(bytes(socket)) > SOCKET_PATH_BYTES_MAX:
        raise InvalidInput(
            "config.socket",
            f"The socket path {socket} is longer than the {SOCKET_PATH_BYTES_MAX} bytes that the system allows.",
            'Set a shorter one: [server] socket = "/run/affidavit.sock".',
        )
    gateways = tuple(_gateway(item, root) for item in _tables(document, "gateway"))
    systems = [gateway.system for gateway in gateways]
    for system in systems:
        if systems.count(system) > 1:
            raise InvalidInput("config.gateway", f"Two [[gateway]] tables name the system {system}.")
    outside = _outsides(document, root)
    public = _public(_table(document, "public")) if "public" in document else None
    authorities = _authorities(document, root)
    witnesses = _witnesses(document, origin)
    policy = root.absolute() / _text(document, "policy", "policy") if "policy" in document else None
    unguarded = document.get("unguarded", _UNGUARDED[0])
    if unguarded not in _UNGUARDED:
        raise InvalidInput("config.unguarded", f"unguarded = {unguarded!r} is not known.", 'Write "start" or "refuse".')
    return Config(
        origin,
        ServerConfig(socket),
        gateways,
        outside,
        public,
        authorities,
        witnesses,
        policy,
        unguarded,
        signer=_signer(document, root),
        console=_console(_table(document, "console")) if "console" in document else None,
    )


def _signer(document: Mapping[str, Any], root: Path) -> Path | None:
    if "signer" not in document:
        return None
    text = _text(document, "signer", "signer")
    path = root.absolute() / text.removeprefix(_SIGNER)
    if not text.startswith(_SIGNER) or path == root.absolute() or len(bytes(path)) > SOCKET_PATH_BYTES_MAX:
        raise InvalidInput(
            "config.signer",
            f"signer = {text[:80]!r} is no agent that holds the log's key.",
            f'Write signer = "unix:/run/affidavit-key.sock", at most {SOCKET_PATH_BYTES_MAX} bytes of path.',
        )
    return path


def check_origin(origin: str) -> None:
    """Raise `InvalidInput` unless `origin` can name a log: a schema-less URL such as example.com/audit."""
    if not origin or len(origin.encode()) > NOTE_NAME_BYTES_MAX or re.search(r"[\s+]|[^\x21-\x7e]", origin):
        raise InvalidInput(
            "config.origin",
            f"{origin!r} cannot name a log: it must be ASCII without spaces and plus signs.",
            "Use a name under a domain of yours, such as example.com/audit.",
        )


def parse_address(text: str, key: str, default_port: int | None = None) -> Address:
    """The address in `HOST:PORT` or `[IPV6]:PORT`. Raises `InvalidInput` naming `key`."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:\[\]/@]+))(?::(\d{1,5}))?", text)
    port = int(match[3]) if match and match[3] else default_port
    if match is None or port is None or port > _PORT_MAX:
        raise InvalidInput("config.address", f"{key} = {text!r} is no address.", 'Write it as "127.0.0.1:6432".')
    return Address(match[1] or match[2], port)


def render_config(config: Config, root: Path) -> str:
    """The text of an `affidavit.toml` that `parse_config` reads as `config`."""
    lines = [
        "# Where Affidavit runs. Who may do what, and what is recorded, is not configured here: it stands in the log.",
        f"origin = {_toml(config.origin)}",
        *([] if config.policy is None else [f"policy = {_toml(_relative(config.policy, root))}"]),
        *([] if config.unguarded == _UNGUARDED[0] else [f"unguarded = {_toml(config.unguarded)}"]),
        *([] if config.signer is None else [f"signer = {_toml(_SIGNER + _relative(config.signer, root))}"]),
        "",
        "[server]",
        f"socket = {_toml(_relative(config.server.socket, root))}",
    ]
    for gateway in config.gateways:
        lines += [
            "",
            "[[gateway]]",
            f"system = {_toml(gateway.system)}",
            f"listen = {_toml(str(gateway.listen))}",
            f"upstream = {_toml(str(gateway.upstream))}",
            f"database = {_toml(gateway.database)}",
            f"upstream_user = {_toml(gateway.upstream_user)}",
        ]
        if gateway.tls_certificate is not None and gateway.tls_key is not None:
            lines.append(f"tls_certificate = {_toml(_relative(gateway.tls_certificate, root))}")
            lines.append(f"tls_key = {_toml(_relative(gateway.tls_key, root))}")
        lines.append(f"require_tls = {'true' if gateway.require_tls else 'false'}")
        if gateway.watch_interval_s != WATCH_INTERVAL_S:
            lines.append(f"watch_interval_s = {gateway.watch_interval_s}")
    for outside in config.outside:
        lines += ["", "[[outside]]", f"folder = {_toml(_relative(outside.folder, root))}"]
    for authority in config.authorities:
        lines += [
            "",
            "[[time_authority]]",
            f"name = {_toml(authority.name)}",
            f"url = {_toml(authority.url)}",
            f"certificates = {_toml(_relative(authority.certificates, root))}",
            f"interval_s = {authority.interval_s}",
        ]
    for witness in config.witnesses:
        lines += ["", "[[witness]]", f"name = {_toml(witness.name)}", f"key = {_toml(witness.key.to_text())}"]
        lines.append(f"url = {_toml(witness.url)}")
    if config.public is not None:
        lines += ["", "[public]", f"listen = {_toml(str(config.public.listen))}"]
        lines.append(f"prefix = {_toml(config.public.prefix)}")
    if config.console is not None:
        lines += ["", "[console]", f"listen = {_toml(str(config.console.listen))}"]
    return "\n".join(lines) + "\n"


def _gateway(table: Mapping[str, Any], root: Path) -> GatewayConfig:
    _check_keys(table, _GATEWAY_KEYS, "gateway.")
    system = _text(table, "system", "gateway.system")
    if not _SYSTEM.fullmatch(system) or system == "log":
        raise InvalidInput(
            "config.gateway", f"gateway.system = {system!r} cannot be a system id.", 'Use a name such as "clinic".'
        )
    certificate, key = (table.get(name) for name in ("tls_certificate", "tls_key"))
    if (certificate is None) != (key is None):
        raise InvalidInput("config.tls", "tls_certificate and tls_key belong together: one of them is missing.")
    require_tls = table.get("require_tls", False)
    if not isinstance(require_tls, bool):
        raise InvalidInput("config.type", "gateway.require_tls must be true or false.")
    if require_tls and certificate is None:
        raise InvalidInput("config.tls", "gateway.require_tls needs tls_certificate and tls_key.")
    return GatewayConfig(
        system=system,
        listen=parse_address(_text(table, "listen", "gateway.listen"), "gateway.listen"),
        upstream=parse_address(_text(table, "upstream", "gateway.upstream"), "gateway.upstream", POSTGRESQL_PORT),
        database=_text(table, "database", "gateway.database"),
        upstream_user=_text(table, "upstream_user", "gateway.upstream_user"),
        tls_certificate=root / _text(table, "tls_certificate", "gateway.tls_certificate") if certificate else None,
        tls_key=root / _text(table, "tls_key", "gateway.tls_key") if key else None,
        require_tls=require_tls,
        watch_interval_s=_watch_interval(table),
    )


def _watch_interval(table: Mapping[str, Any]) -> int:
    interval_s = table.get("watch_interval_s", WATCH_INTERVAL_S)
    whole = isinstance(interval_s, int) and not isinstance(interval_s, bool)
    if not whole or not WATCH_INTERVAL_MIN_S <= interval_s <= WATCH_INTERVAL_MAX_S:
        raise InvalidInput(
            "config.gateway",
            f"gateway.watch_interval_s is whole, from {WATCH_INTERVAL_MIN_S} to {WATCH_INTERVAL_MAX_S}.",
        )
    return int(interval_s)


def _outsides(document: Mapping[str, Any], root: Path) -> tuple[OutsideConfig, ...]:
    outside = tuple(_outside(item, root) for item in _tables(document, "outside"))
    found: set[Path] = set()
    for item in outside:
        real = item.folder.resolve()
        if real in found:
            raise InvalidInput(
                "config.outside",
                f"Two [[outside]] tables name the folder {item.folder}.",
                "Keep one of them; a second copy belongs on another disk or machine.",
            )
        found.add(real)
    return outside


def _outside(table: Mapping[str, Any], root: Path) -> OutsideConfig:
    _check_keys(table, _OUTSIDE_KEYS, "outside.")
    folder = root.absolute() / _text(table, "folder", "outside.folder")
    if folder.resolve().is_relative_to(root.resolve()):
        raise InvalidInput(
            "config.outside",
            f"outside.folder = {str(folder)!r} lies inside the data folder, so it proves nothing.",
            "Name a folder on another disk or machine.",
        )
    return OutsideConfig(folder)


def _authorities(document: Mapping[str, Any], root: Path) -> tuple[AuthorityConfig, ...]:
    authorities = tuple(_authority(item, root) for item in _tables(document, "time_authority"))
    names = [authority.name for authority in authorities]
    if len(set(names)) < len(names) or len(names) > AUTHORITIES_MAX:
        raise InvalidInput(
            "config.time_authority",
            f"Each [[time_authority]] needs a name of its own, and there are at most {AUTHORITIES_MAX}.",
        )
    return authorities


def _authority(table: Mapping[str, Any], root: Path) -> AuthorityConfig:
    _check_keys(table, _AUTHORITY_KEYS, "time_authority.")
    name, url = (_text(table, key, f"time_authority.{key}") for key in ("name", "url"))
    if len(name) > ID_CHARS_MAX or not name.isprintable():
        raise InvalidInput("config.time_authority", f"time_authority.name is longer than {ID_CHARS_MAX} characters.")
    if not _URL.fullmatch(url) or len(url) > URL_CHARS_MAX:
        raise InvalidInput(
            "config.time_authority",
            f"time_authority.url = {url[:80]!r} is no address of an authority.",
            'Write it as "https://tsa.example/tsr".',
        )
    interval_s = table.get("interval_s", TIMESTAMP_INTERVAL_S)
    whole = isinstance(interval_s, int) and not isinstance(interval_s, bool)
    if not whole or not TIMESTAMP_INTERVAL_MIN_S <= interval_s <= TIMESTAMP_INTERVAL_MAX_S:
        raise InvalidInput(
            "config.time_authority",
            f"time_authority.interval_s is whole, from {TIMESTAMP_INTERVAL_MIN_S} to {TIMESTAMP_INTERVAL_MAX_S}.",
        )
    certificates = root.absolute() / _text(table, "certificates", "time_authority.certificates")
    return AuthorityConfig(name, url, certificates, interval_s)


def _witnesses(document: Mapping[str, Any], origin: str) -> tuple[WitnessConfig, ...]:
    witnesses = tuple(_witness(item, origin) for item in _tables(document, "witness"))
    names: set[str] = set()
    keys: dict[bytes, str] = {}
    for witness in witnesses:
        if witness.name in names:
            raise InvalidInput(
                "config.witness",
                f"Two [[witness]] tables have the same name, {witness.name}.",
                "Give each its own: `ready` and the log call it by that.",
            )
        other = keys.setdefault(witness.key.public_key, witness.name)
        if other != witness.name:
            raise InvalidInput(
                "config.witness",
                f"The witnesses {other} and {witness.name} have the same key, so they are one and would count as two.",
                "Keep one of them.",
            )
        names.add(witness.name)
    return witnesses


def _witness(table: Mapping[str, Any], origin: str) -> WitnessConfig:
    _check_keys(table, _WITNESS_KEYS, "witness.")
    name = _text(table, "name", "witness.name")
    if len(name) > ID_CHARS_MAX or not name.isprintable() or name.startswith("/") or name != name.strip():
        raise InvalidInput(
            "config.witness",
            f"witness.name = {name[:80]!r} cannot be a name.",
            f'Write a short one, such as "w1": printable, at most {ID_CHARS_MAX} characters, and no path.',
        )
    try:
        key = VerifierKey.parse(_text(table, "key", f"witness.key of {name}"))
    except InvalidInput as error:
        if error.code.startswith("config."):
            raise
        raise InvalidInput("config.witness", f"The key of the witness {name}: {error.message}", error.hint) from None
    if key.type == ED25519 or key.name == origin:
        raise InvalidInput(
            "config.witness",
            f"The key of the witness {name} is one of a log, not of a witness.",
            "`affidavit witness init` printed the right one; it stands in witness.vkey.",
        )
    return WitnessConfig(name, key, _witness_url(name, _text(table, "url", f"witness.url of {name}")))


def _witness_url(name: str, url: str) -> str:
    """The url, if it is one prefix and nothing more. A refused one is not repeated: it may hold a password."""
    match = _WITNESS_URL.fullmatch(url) if len(url) <= URL_CHARS_MAX else None
    if match is None or not 1 <= int(match[1] or 80) <= _PORT_MAX:
        raise InvalidInput(
            "config.witness",
            f"The url of the witness {name} is no address that it could be asked at.",
            'Write it as "http://HOST:PORT" or "https://HOST/PREFIX": ASCII, without a user name, spaces, query or #.',
        )
    return url


def _public(table: Mapping[str, Any]) -> PublicConfig:
    _check_keys(table, _PUBLIC_KEYS, "public.")
    prefix = _text(table, "prefix", "public.prefix", "/")
    whole = prefix if prefix.endswith("/") else f"{prefix}/"
    if not _PREFIX.fullmatch(whole) or {".", ".."} & set(whole.split("/")):
        raise InvalidInput(
            "config.public",
            f"public.prefix = {prefix!r} is not a path that a log can be served below.",
            'Write it as "/clinic/": letters, digits and ._~- between slashes.',
        )
    return PublicConfig(parse_address(_text(table, "listen", "public.listen"), "public.listen"), whole)


def _console(table: Mapping[str, Any]) -> ConsoleConfig:
    _check_keys(table, _CONSOLE_KEYS, "console.")
    listen = parse_address(_text(table, "listen", "console.listen"), "console.listen")
    if listen.host not in _LOOPBACK:
        raise InvalidInput(
            "config.console",
            f"console.listen = {str(listen)!r} could be reached from other machines, and the console has no TLS.",
            'Write "127.0.0.1:8440", and reach it from elsewhere through ssh -L 8440:127.0.0.1:8440 THIS_MACHINE.',
        )
    return ConsoleConfig(listen)


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], prefix: str) -> None:
    for key in table:
        if key in known:
            continue
        if prefix and key in _TOP_KEYS:
            raise InvalidInput(
                "config.key",
                f"{CONFIG_NAME} has the key {key} inside the table {prefix.rstrip('.')}.",
                f"Move {key} above the first table: in TOML a key belongs to the table above it.",
            )
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        raise InvalidInput(
            "config.key",
            f"{CONFIG_NAME} has an unknown key {prefix}{key}.",
            f"The nearest known key is {prefix}{nearest[0]}." if nearest else "",
        )


def _text(table: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if value is None:
        raise InvalidInput("config.absent_key", f"{CONFIG_NAME} lacks the key {where}.", f'Add {key} = "…" there.')
    if not isinstance(value, str) or not value or "\0" in value:
        raise InvalidInput("config.type", f"{where} must be a text that is not empty.", f'Write it as {key} = "…".')
    return value


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise InvalidInput("config.type", f"{key} must be a table: [{key}].")
    return value


def _tables(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = document.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidInput("config.type", f"{key} must be a list of tables: [[{key}]].")
    if len(value) > CONFIG_ENTRIES_MAX:
        raise InvalidInput("config.size", f"There are more than {CONFIG_ENTRIES_MAX} [[{key}]] tables.")
    return value


def _toml(text: str) -> str:
    # A JSON string is a TOML basic string, but for two things: TOML escapes DEL, and knows no pairs of surrogates.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _relative(path: Path, root: Path) -> str:
    absolute = root.absolute()
    return str(path.relative_to(absolute)) if path.is_relative_to(absolute) else str(path)
