"""How commands reach the log: over the local socket of the running server, else by opening the log's files here.

Both speak the same HTTP API, so each command exists once. A log that is opened here is served to this one command on a
socket in a private folder, and what it records is marked as *file access*.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpcore

from affidavit.cli.options import Common
from affidavit.config import load_config
from affidavit.errors import (
    AffidavitError,
    Conflict,
    Corruption,
    Denied,
    InvalidInput,
    Unavailable,
    VerificationError,
)
from affidavit.limits import HTTP_BODY_BYTES_MAX

_TIMEOUT_S = 120.0
_TIMEOUTS = {"connect": _TIMEOUT_S, "read": _TIMEOUT_S, "write": _TIMEOUT_S, "pool": _TIMEOUT_S}
_STATUS_ERRORS: dict[int, type[AffidavitError]] = {
    401: Denied,
    403: Denied,
    409: Conflict,
    422: VerificationError,
    500: Corruption,
    503: Unavailable,
}


class Client:
    """The HTTP API on one socket, as one actor."""

    def __init__(self, path: Path, token: str | None, *, server_runs: bool) -> None:
        self.server_runs = server_runs
        self._headers: dict[bytes | str, bytes | str] = {"Host": "affidavit", "Accept": "*/*"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._pool = httpcore.ConnectionPool(uds=str(path))

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """The answer to a GET. Raises the error that the server names."""
        return self._call("GET", path, params)

    def post(self, path: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a POST of a JSON object."""
        return self._call("POST", path, {}, value)

    def delete(self, path: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a DELETE with a JSON object."""
        return self._call("DELETE", path, {}, value)

    def lines(self, path: str, **params: Any) -> Iterator[str]:
        """The lines of a stream, without the empty ones that only show that it lives."""
        return self._lines("GET", path, params)

    def asked(self, path: str, value: Mapping[str, Any] | None = None, **params: Any) -> Iterator[dict[str, Any]]:
        """The lines of an answer that takes long, as it comes: how far it has got, and in the last one `answer`.

        With `value` it is posted. Raises the error that the server names, also one that comes on the way.
        """
        line: dict[str, Any] = {}
        for text in self._lines("GET" if value is None else "POST", path, params, value):
            line = json.loads(text)
            if "error" in line:
                raise _named(line["status"], line["error"])
            yield line
        if "answer" not in line:
            raise Unavailable("client.lost", "The server stopped before it had answered.", "Ask again.")

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _lines(
        self, method: str, path: str, params: Mapping[str, Any], value: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        with self._exchange(method, path, params, value) as response:
            rest = b""
            for part in response.iter_stream():
                *whole, rest = (rest + part).split(b"\n")
                for line in whole:
                    if line:
                        yield line.decode()
            if rest:
                yield rest.decode()

    def _call(
        self, method: str, path: str, params: Mapping[str, Any], value: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        with self._exchange(method, path, params, value) as response:
            answer: dict[str, Any] = json.loads(response.read())
            return answer

    @contextmanager
    def _exchange(
        self, method: str, path: str, params: Mapping[str, Any], value: Mapping[str, Any] | None
    ) -> Iterator[httpcore.Response]:
        """An answer of the status 200. Raises the error that the server names, else `Unavailable`."""
        headers, content = self._headers, None
        if value is not None:
            headers = {**headers, "Content-Type": "application/json"}
            content = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        asked = urlencode([(name, _text(one)) for name, given in params.items() for one in _each(given)])
        try:
            with self._pool.stream(
                method,
                f"http://affidavit{path}?{asked}".removesuffix("?"),
                headers=headers,
                content=content,
                extensions={"timeout": _TIMEOUTS},
            ) as response:
                if response.status != 200:
                    raise _error(response.status, response.read())
                yield response
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise _lost(error) from None


@contextmanager
def connect(common: Common, *, writes: bool = False) -> Iterator[Client]:
    """A client of the log in `common.data`. `writes`: the command may record something.

    Raises `InvalidInput` where the folder is none, `Unavailable` where the log cannot be opened.
    """
    config = load_config(common.data)
    if listens(config.server.socket):
        client = Client(config.server.socket, common.token, server_runs=True)
        try:
            yield client
        finally:
            client.close()
        return
    # Imported only here: a command that finds the server running needs none of the rooms below.
    from affidavit.compose.serving import serving  # noqa: PLC0415

    with serving(common.data, writes=writes) as path:
        client = Client(path, common.token, server_runs=False)
        try:
            yield client
        finally:
            client.close()


def listens(path: Path) -> bool:
    """Whether a server answers on the socket `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _named(status: int, said: Mapping[str, Any]) -> AffidavitError:
    kind = _STATUS_ERRORS.get(status, InvalidInput)
    return kind(str(said["code"]), str(said["message"]), str(said["hint"]))


def _error(status: int, content: bytes) -> AffidavitError:
    try:
        return _named(status, json.loads(content[:HTTP_BODY_BYTES_MAX]))
    except (ValueError, RecursionError, KeyError, TypeError):
        return Unavailable("client.answer", f"The server answered {status} and nothing that can be read.")


def _lost(error: Exception) -> AffidavitError:
    return Unavailable("client.lost", f"The server could not be spoken to: {error}.", "Is `affidavit up` running?")


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    """A parameter as the API reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
