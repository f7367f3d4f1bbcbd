"""Makes a log: its folder, its keys, its first records and its configuration."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affidavit.clock import SystemClock, boot_id
from affidavit.config import CONFIG_NAME, SOCKET_NAME, Config, ServerConfig, check_origin
from affidavit.config import render_config as render
from affidavit.durable import PUBLIC, OsDisk, clear_temporary, write_whole
from affidavit.ledger.genesis import create_log
from affidavit.record.body import SALT_BYTES, salt_text
from affidavit.server.identity import host_name
from affidavit.state.change import encode_ops
from affidavit.state.changing import genesis_ops, strongest
from affidavit.state.fold import State
from affidavit.timekeeping.sources import clock_sources
from affidavit.tlog.keys import ED25519

_IDENTITY_BYTES = 8
_HANDLE_CHARS_MAX = 63


@dataclass(frozen=True)
class Made:
    """A log that was made: its public keys, and who administers it."""

    verifier_key: str
    verifier_keys: tuple[str, ...]
    handle: str
    uid: int


def create(
    root: Path,
    origin: str,
    handle: str | None,
    name: str,
    previous: Mapping[str, Any] | None = None,
    types: Sequence[int] = (ED25519,),
) -> Made:
    """Make the log `origin` in `root`; the user who runs this is its first administrator, as `handle`.

    `previous` names the log that it goes on from, as its first record holds it (docs/spec/record.md). `types` are those
    of the keys that it signs with.

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
        clock_sources(os.urandom),
        administrator,
        change,
        strongest(ops),
        State().preview(ops).root,
        previous,
        types,
    )
    temporary = root / "unfinished" / "config"
    clear_temporary(disk, temporary)
    write_whole(disk, temporary, [(root / CONFIG_NAME, text)], PUBLIC)
    return Made(secrets.verifier.to_text(), tuple(key.to_text() for key in secrets.verifiers), chosen, uid)


def _user_name(uid: int) -> str:
    """The name of this machine's user, as a handle."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid-{uid}"
    handle = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).lstrip("._-")[:_HANDLE_CHARS_MAX]
    return handle or f"uid-{uid}"
