"""SCRAM-SHA-256 without I/O, on both sides: our client proves a token to us, we prove a password to the upstream.

Exchange (RFC 5802, RFC 7677, as PostgreSQL uses them):

    client-first    n,,n=…,r=NONCE            →  ScramServer.first
                 ←  r=NONCE+OURS,s=SALT,i=N      server-first
    client-final    c=biws,r=NONCE+OURS,p=…   →  ScramServer.final
                 ←  v=…                          server-final

**Only SCRAM-SHA-256 is offered.** Channel binding (SCRAM-SHA-256-PLUS) is not: behind a TLS-terminating load
balancer it could not hold, and `scramp` would need the certificate here. What that leaves open: whoever holds a
certificate that the client accepts can sit in between during a login. A client with `channel_binding=require`
refuses to log in, which is right. As client we answer "n": we do not support it.

**Unknown users** go through the same steps with a verifier made from a secret of ours and the name: same salt each
time, same iteration count, and a refusal that comes only at the proof and says the same. The mock is always
computed, so that the time does not tell either. (PostgreSQL: `mock_scram_secret`.)

**The name inside SCRAM is ignored**, as PostgreSQL does: libpq sends none, pgjdbc `*`. The user is the one of the
startup packet. `scramp` insists on a name; so it is given a fixed one, and then the client's real words for the proof.

Randomness comes in as `nonce`: at least 18 random bytes as base64 (printable, without comma), fresh for each login.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from scramp import ScramClient as _Client
from scramp import ScramException, ScramMechanism
from scramp.utils import ServerError, saslprep

from affidavit.errors import Denied, InvalidInput
from affidavit.limits import AUTH_MESSAGE_BYTES_MAX, SCRAM_ITERATIONS_MAX

MECHANISM: Final = "SCRAM-SHA-256"
ITERATIONS: Final = 4_096  # PostgreSQL's default; our tokens are random, more rounds would protect nothing
_SALT_BYTES: Final = 16
_KEY_BYTES: Final = 32
_STAND_IN: Final = "user"  # a name for scramp; see the module
_VERIFIER: Final = re.compile(r"SCRAM-SHA-256\$([1-9][0-9]{0,9}):([^$:]+)\$([^$:]+):([^$:]+)")


class ScramVerifier(NamedTuple):
    """What is stored instead of a password. It lets its holder check the password, and pose as the server."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes


def make_verifier(token: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """PostgreSQL's text of a verifier: `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`.

    `salt` are 16 fresh random bytes. Raises `InvalidInput` (`pg.scram_verifier`) for a salt of less than 12 bytes
    or an iteration count outside 4,096 to `SCRAM_ITERATIONS_MAX`.
    """
    _check_cost(iterations, salt)
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(token), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return _verifier_text(iterations, salt, stored_key, server_key)


def _verifier_text(iterations: int, salt: bytes, stored_key: bytes, server_key: bytes) -> str:
    return f"{MECHANISM}${iterations}:{_base64(salt)}${_base64(stored_key)}:{_base64(server_key)}"


def parse_verifier(text: str) -> ScramVerifier:
    """Read PostgreSQL's text of a verifier. Raises `InvalidInput` (`pg.scram_verifier`) if it is none."""
    match = _VERIFIER.fullmatch(text)
    if match is None:
        raise _no_verifier("it does not have the form SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY")
    try:
        salt, stored_key, server_key = (base64.b64decode(part, validate=True) for part in match.groups()[1:])
    except (binascii.Error, ValueError):
        raise _no_verifier("a part is not base64") from None
    if len(stored_key) != _KEY_BYTES or len(server_key) != _KEY_BYTES:
        raise _no_verifier("a key does not have 32 bytes")
    iterations = int(match[1])
    _check_cost(iterations, salt)
    return ScramVerifier(iterations, salt, stored_key, server_key)


def _check_cost(iterations: int, salt: bytes) -> None:
    if not ITERATIONS <= iterations <= SCRAM_ITERATIONS_MAX:
        raise _no_verifier(f"{iterations} iterations are outside {ITERATIONS} to {SCRAM_ITERATIONS_MAX}")
    if len(salt) < 12:
        raise _no_verifier("its salt has less than 12 bytes")


def _no_verifier(problem: str) -> InvalidInput:
    # The text itself is a secret: it stays out of the message.
    return InvalidInput("pg.scram_verifier", f"This is no usable SCRAM verifier: {problem}.", "Make a new token.")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _prepared(password: str) -> bytes:
    """SASLprep of a password, or its plain UTF-8 where SASLprep forbids it: PostgreSQL does the same."""
    try:
        prepared: str = saslprep(password)
    except ScramException:
        prepared = ""
    return (prepared or password).encode("utf-8")


class _Password:
    """Stands in for scramp's own password type, which refuses what PostgreSQL accepts unprepared."""

    def __init__(self, password: str) -> None:
        self._prepared = _prepared(password)

    def __bytes__(self) -> bytes:
        return self._prepared

    def __repr__(self) -> str:
        return "_Password(…)"


def _text(data: bytes) -> str:
    if len(data) > AUTH_MESSAGE_BYTES_MAX:
        raise InvalidInput("pg.scram_malformed", "A SCRAM message is too long.", "Close the connection.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("pg.scram_malformed", "A SCRAM message is not UTF-8.", "Close the connection.") from None


def _malformed(error: Exception) -> InvalidInput:
    return InvalidInput("pg.scram_malformed", f"The SCRAM exchange failed: {error}.", "Log in again.")


class ScramServer:
    """The server's side of one login: `first`, then `final`, once each.

    `lookup` gives the stored text of a user's verifier, or "" for an unknown user. `mock_secret` is random, at
    least 16 bytes, and kept, so that an unknown user's salt stays the same. Raises `InvalidInput`
    (`pg.scram_verifier`) if what is stored is no verifier.
    """

    def __init__(self, user: str, lookup: Callable[[str], str], mock_secret: bytes, nonce: str) -> None:
        stored = lookup(user)
        mock = mock_verifier(user, mock_secret)
        self._known = bool(stored)
        keys = parse_verifier(stored or mock)
        given = (keys.salt, keys.stored_key, keys.server_key, keys.iterations)
        try:
            # scramp has no types: its calls are checked by the tests against RFC 7677's example.
            self._scram: Any = ScramMechanism(MECHANISM).make_server(lambda _: given, s_nonce=nonce)
        except ScramException as error:
            raise _malformed(error) from None

    def first(self, client_first: bytes) -> bytes:
        """The server-first message.

        Raises `InvalidInput` (`pg.scram_malformed`) if the client's message follows no rule, asks for channel
        binding or for an authorization id.
        """
        text = _text(client_first)
        head, bare = _split_first(text)
        _, comma, rest = bare.partition(",")
        try:
            self._scram.set_client_first(f"{head}n={_STAND_IN}{comma}{rest}")
            self._scram.client_first_bare = bare
            return str(self._scram.get_server_first()).encode()
        except (ScramException, ValueError) as error:
            raise _malformed(error) from None

    def final(self, client_final: bytes) -> bytes:
        """The server-final message: the client has proved the password, and this proves us.

        Raises `Denied` (`pg.scram_proof`) for a wrong password and for an unknown user alike, and `InvalidInput`
        (`pg.scram_malformed`). Either way the login has failed.
        """
        try:
            self._scram.set_client_final(_text(client_final))
            answer = str(self._scram.get_server_final()).encode()
        except (ScramException, ValueError) as error:
            if isinstance(error, ScramException) and error.server_error is ServerError.INVALID_PROOF:
                raise _wrong_proof() from None
            raise _malformed(error) from None
        if not self._known:
            # Cannot happen without breaking SHA-256; but a login must not hang on that alone.
            raise _wrong_proof()
        return answer


def _wrong_proof() -> Denied:
    return Denied("pg.scram_proof", "The token is wrong, or there is no such user.", "Log in with a valid token.")


def _split_first(text: str) -> tuple[str, str]:
    """The gs2 header and the bare message, which begins with the name, empty from many clients."""
    parts = text.split(",", 2)
    if len(parts) != 3 or not parts[2].startswith("n="):
        raise InvalidInput("pg.scram_malformed", "The first SCRAM message has no name attribute.", "Log in again.")
    return f"{parts[0]},{parts[1]},", parts[2]


def mock_verifier(user: str, secret: bytes) -> str:
    """A verifier for a user who does not exist, stable for a name and a secret, that no password satisfies."""
    name = user.encode("utf-8", "surrogatepass")
    salt = hmac.digest(secret, b"salt\x00" + name, "sha256")[:_SALT_BYTES]
    stored_key = hmac.digest(secret, b"stored\x00" + name, "sha256")
    server_key = hmac.digest(secret, b"server\x00" + name, "sha256")
    return _verifier_text(ITERATIONS, salt, stored_key, server_key)


class ScramClient:
    """The client's side of one login: `first`, `final`, `finish`, once each.

    `user` is what stands inside SCRAM, which PostgreSQL ignores in favour of the startup packet's.
    """

    mechanism: Final = MECHANISM

    def __init__(self, password: str, nonce: str, user: str = "*") -> None:
        try:
            self._scram: Any = _Client([MECHANISM], user, "password", c_nonce=nonce)
        except ScramException as error:
            raise _malformed(error) from None
        self._scram.password = _Password(password)

    def first(self) -> bytes:
        """The client-first message, for SASLInitialResponse."""
        return str(self._scram.get_client_first()).encode()

    def final(self, server_first: bytes) -> bytes:
        """The client-final message.

        Raises `InvalidInput` (`pg.scram_malformed`) if the server's message follows no rule, repeats another nonce,
        or asks for less than 4,096 or more than `SCRAM_ITERATIONS_MAX` iterations.
        """
        try:
            self._scram.set_server_first(_text(server_first))
            if int(self._scram.iterations) > SCRAM_ITERATIONS_MAX:
                raise ScramException(f"the server asks for more than {SCRAM_ITERATIONS_MAX} iterations")
            return str(self._scram.get_client_final()).encode()
        except (ScramException, ValueError) as error:
            raise _malformed(error) from None

    def finish(self, server_final: bytes) -> None:
        """Check the server's proof. Raises `Denied` (`pg.scram_server`) if it does not know our password's verifier.

        Until this has returned, nobody has proved to be the upstream: send no statement.
        """
        try:
            self._scram.set_server_final(_text(server_final))
        except (ScramException, ValueError) as error:
            raise Denied(
                "pg.scram_server",
                f"The upstream could not prove that it knows our password: {error}.",
                "Check the upstream's address and TLS settings: this may be another server.",
            ) from None
