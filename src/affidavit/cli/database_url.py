"""A database's URL as people type it, `postgresql://user:password@host:5432/database`, as checked values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from affidavit.config import POSTGRESQL_PORT, Address
from affidavit.errors import InvalidInput

URL_CHARS_MAX = 4_096  # far beyond what a shell line with a password takes
_EXAMPLE = "Write it as postgresql://user@host:5432/database."
_HARMLESS = frozenset({"application_name", "connect_timeout", "gssencmode", "channel_binding"})
_WITHOUT_TLS = frozenset({"disable", "allow", "prefer"})


@dataclass(frozen=True)
class DatabaseUrl:
    """Where a database is and who logs in. `password` None: the URL has none."""

    address: Address
    database: str
    user: str
    password: str | None

    @property
    def system(self) -> str:
        """The system id that stands for it: the database's name, in the characters that ids have."""
        name = re.sub(r"[^a-z0-9._-]+", "-", self.database.lower()).strip("._-")[:63]
        return name if name not in ("", "log") else "database"

    def shown(self) -> str:
        """The URL without its password."""
        return f"postgresql://{self.user}@{self.address}/{self.database}"


def parse_database_url(text: str, default_user: str) -> DatabaseUrl:
    """The database that `text` names; a user that is left out is `default_user`, a database the user's name.

    Raises InvalidInput, also for what the gateway could not do: TLS to the database, Unix sockets, several hosts.
    """
    if len(text) > URL_CHARS_MAX:
        raise InvalidInput("url.size", f"The URL is longer than {URL_CHARS_MAX} characters.", _EXAMPLE)
    if not text.startswith(("postgresql://", "postgres://")):
        raise InvalidInput("url.scheme", "This is no PostgreSQL URL.", _EXAMPLE)
    try:
        parts = urlsplit(text)
        port = parts.port if parts.port is not None else POSTGRESQL_PORT
    except ValueError:
        # The reason is not passed on: it may quote the URL with its password in it.
        raise InvalidInput("url.form", "The URL cannot be read: its host or port is wrong.", _EXAMPLE) from None
    _check_options(parts.query)
    if "," in parts.netloc:
        raise InvalidInput("url.hosts", "The URL names several hosts; a gateway stands before one.", _EXAMPLE)
    host = parts.hostname or "localhost"
    if host.startswith("/") or "%2f" in host.lower():
        raise InvalidInput(
            "url.socket", "The URL names a Unix socket; the gateway reaches databases by TCP.", "Use localhost."
        )
    user = unquote(parts.username or "") or default_user
    database = unquote(parts.path.removeprefix("/")) or user
    for name, value in (("user", user), ("database", database)):
        if not value.isprintable() or "\0" in value:
            raise InvalidInput("url.form", f"The URL's {name} holds characters that cannot be shown.", _EXAMPLE)
    password = unquote(parts.password or "") or None
    return DatabaseUrl(Address(host, port), database, user, password)


def _check_options(query: str) -> None:
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "sslmode" and value not in _WITHOUT_TLS:
            raise InvalidInput(
                "url.tls",
                f"The URL asks for sslmode={value}: this version speaks no TLS to the database.",
                "Run Affidavit beside the database, or through a tunnel, and use sslmode=prefer.",
            )
        if name != "sslmode" and name not in _HARMLESS:
            raise InvalidInput(
                "url.option", f"The URL's option {name!r} is not supported.", "Leave it out; clients may set it."
            )
