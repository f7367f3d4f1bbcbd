"""Personal tokens: made here, shown once, kept only as SCRAM verifiers beside the other secrets.

A token is `aff_` and 32 random bytes in base64url. Its *thumbprint*, the first 16 hex digits of its SHA-256, names
the credential object `credential/token-THUMBPRINT` and the file `secrets/scram/THUMBPRINT`. The file holds what the
gateway needs for SCRAM and what the local socket needs to check a bearer token; the log holds the thumbprint alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affidavit.capture.administration import Actor, Administration, Result, Wish, check_not_ended
from affidavit.clock import Clock
from affidavit.durable import Disk
from affidavit.errors import Denied, InvalidInput, Unavailable
from affidavit.history.live import Live
from affidavit.limits import TOKEN_CHARS_MAX
from affidavit.wire.postgres.auth import make_verifier, parse_verifier

PREFIX = "aff_"
_TOKEN_BYTES = 32
_SALT_BYTES = 16
_VERIFIER_BYTES_MAX = 1_024
_THUMBPRINT = re.compile(r"[0-9a-f]{16}")


def thumbprint_of(token: str) -> str:
    """16 hex digits that name a token without giving it away."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


class TokenStore:
    """The folder of verifiers, `secrets/scram`."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder

    def write(self, thumbprint: str, verifier: str) -> None:
        """Keep a verifier, durable and readable for this user alone. Raises `Unavailable` where it cannot."""
        path = self._path(thumbprint)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(verifier + "\n")
                file.flush()
                os.fsync(file.fileno())
            _sync_folder(self._folder)
        except OSError as error:
            raise Unavailable("token.store", f"{path} cannot be written: {error.strerror}.") from None

    def read(self, thumbprint: str) -> str | None:
        """The verifier's text; None where there is none. Raises as `Disk.read_private`."""
        data = self._disk.read_private(self._path(thumbprint), _VERIFIER_BYTES_MAX)
        return None if data is None else data.decode("ascii", "replace").strip()

    def remove(self, thumbprint: str) -> None:
        """Forget a verifier; nothing happens where there is none."""
        self._path(thumbprint).unlink(missing_ok=True)

    def _path(self, thumbprint: str) -> Path:
        if not _THUMBPRINT.fullmatch(thumbprint):
            raise InvalidInput("token.thumbprint", f"{thumbprint!r} is no thumbprint.", "It has 16 hex digits.")
        return self._folder / thumbprint


@dataclass(frozen=True)
class NewToken:
    """A token that was made. `token` is shown once and stored nowhere."""

    token: str
    thumbprint: str
    result: Result


class Tokens:
    """Makes, revokes and checks personal tokens."""

    def __init__(
        self,
        live: Live,
        store: TokenStore,
        administration: Administration,
        clock: Clock,
        randomness: Callable[[int], bytes],
    ) -> None:
        self._live = live
        self._clock = clock
        self._store = store
        self._administration = administration
        self._randomness = randomness
        self._known: set[tuple[str, str]] = set()

    async def create(self, handle: str, label: str, reason: str, actor: Actor, end: str | None = None) -> NewToken:
        """A new token for whom `handle` names, until `end` where that is given. Raises as `Administration.change`."""
        token = PREFIX + base64.urlsafe_b64encode(self._randomness(_TOKEN_BYTES)).rstrip(b"=").decode()
        thumbprint = thumbprint_of(token)
        value = {"identity": self._live.resolve(handle), "type": "token", "label": label, "end": end}
        # The verifier first: a credential in the log without one would be a token that nobody can use.
        self._store.write(thumbprint, make_verifier(token, self._randomness(_SALT_BYTES)))
        try:
            wish = Wish({f"credential/token-{thumbprint}": value}, reason)
            result = await self._administration.change(wish, actor)
        except BaseException:
            self._store.remove(thumbprint)
            raise
        return NewToken(token, thumbprint, result)

    async def revoke(self, thumbprint: str, reason: str, actor: Actor) -> Result:
        """Take a token away: from the next statement on nobody gets in by it. Its verifier goes once that is so."""
        name = f"credential/token-{thumbprint}"
        if self._live.credential(f"token-{thumbprint}") is None:
            raise InvalidInput("token.unknown", f"There is no token {thumbprint}.", "See `affidavit token list`.")
        result = await self._administration.change(Wish({name: None}, reason), actor)
        if result.kind == "change":
            self._store.remove(thumbprint)
            self._known = {(known, digest) for known, digest in self._known if known != thumbprint}
        return result

    def listed(self, identity: str | None) -> list[dict[str, Any]]:
        """The tokens of one identity, or of all: thumbprint, identity, label, end and the record that put each."""
        state = self._live.snapshot()
        found = []
        for name in state.names("credential/token-"):
            version = state.get(name)
            if version is None or identity not in (None, version.value["identity"]):
                continue
            found.append(
                {
                    "thumbprint": name.removeprefix("credential/token-"),
                    "identity": version.value["identity"],
                    "handle": state.handle_of(version.value["identity"]),
                    "label": version.value["label"],
                    "end": version.value.get("end"),
                    "version": version.version,
                }
            )
        found.sort(key=lambda item: int(item["version"]))
        return found

    def identify(self, token: str) -> Actor:
        """Whom a bearer token proves. Raises `Denied` for a wrong or revoked one."""
        thumbprint = thumbprint_of(token)
        credential = self._live.credential(f"token-{thumbprint}")
        if len(token) > TOKEN_CHARS_MAX or credential is None or not self._is_right(thumbprint, token):
            raise Denied(
                "auth.token", "The token is wrong or was revoked.", "Ask for a new one: `affidavit token create`."
            )
        check_not_ended(f"token-{thumbprint}", credential, self._clock.now_ns())
        return Actor(credential["identity"], "token", f"token-{thumbprint}", file_access=False)

    def _is_right(self, thumbprint: str, token: str) -> bool:
        # The thumbprint alone is 64 bits, too short to trust; SCRAM's key derivation is slow, so answers are kept.
        known = (thumbprint, hashlib.sha256(token.encode()).hexdigest())
        if known in self._known:
            return True
        text = self._store.read(thumbprint)
        if text is None:
            return False
        verifier = parse_verifier(text)
        if not hmac.compare_digest(make_verifier(token, verifier.salt, verifier.iterations), text):
            return False
        self._known.add(known)
        return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
