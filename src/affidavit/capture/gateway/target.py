"""Where one gateway listens, and which PostgreSQL stands behind it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One system behind one listener. `password` None: the upstream trusts us."""

    system: str
    listen_host: str
    listen_port: int
    upstream_host: str
    upstream_port: int
    database: str
    upstream_user: str
    password: str | None
    tls: ssl.SSLContext | None
    require_tls: bool
