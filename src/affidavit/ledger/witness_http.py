"""One exchange with a witness over HTTP, bounded in bytes and in time, whatever the other side does.

An event loop of its own for each exchange gives one deadline over all of it, name look-up and headers included; a
client without one can only bound the time between two reads, and a server that drips holds it for ever.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from affidavit.errors import Unavailable
from affidavit.limits import WITNESS_ANSWER_BYTES_MAX, WITNESS_CONNECT_TIMEOUT_S, WITNESS_TIMEOUT_S

_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body of at most `WITNESS_ANSWER_BYTES_MAX`."""

    status: int
    body: bytes


class WitnessHttp:
    """Exchanges below one URL prefix, which the configuration has checked. `transport` is for tests."""

    def __init__(self, url: str, transport: Callable[[], httpx.AsyncBaseTransport] | None = None) -> None:
        self._prefix = httpx.URL(url if url.endswith("/") else f"{url}/")
        self._transport = transport
        # Made once: reading the authorities' certificates costs more than the exchange.
        self._tls: ssl.SSLContext | bool = ssl.create_default_context() if self._prefix.scheme == "https" else False

    def post(self, path: str, body: bytes) -> Answer:
        """The answer to `body`. Raises `Unavailable` where there is none that could be one."""
        return self._exchange("POST", path, body)

    def get(self, path: str) -> Answer:
        """What is at `path`."""
        return self._exchange("GET", path, b"")

    def _exchange(self, method: str, path: str, body: bytes) -> Answer:
        try:
            return asyncio.run(self._bounded(method, path, body))
        except TimeoutError:
            raise self._unavailable(f"it did not answer within {WITNESS_TIMEOUT_S:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from None

    async def _bounded(self, method: str, path: str, body: bytes) -> Answer:
        async with (
            asyncio.timeout(WITNESS_TIMEOUT_S),
            httpx.AsyncClient(
                transport=None if self._transport is None else self._transport(),
                timeout=httpx.Timeout(WITNESS_TIMEOUT_S, connect=WITNESS_CONNECT_TIMEOUT_S),
                follow_redirects=False,
                verify=self._tls,
                headers={"Accept-Encoding": "identity", "Connection": "close"},
            ) as client,
            client.stream(method, self._prefix.join(path), content=body) as response,
        ):
            if response.status_code in _REDIRECTS:
                raise self._unavailable("it redirects, and whom it would name was not configured")
            data = bytearray()
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) > WITNESS_ANSWER_BYTES_MAX:
                    raise self._unavailable(f"its answer is longer than {WITNESS_ANSWER_BYTES_MAX} bytes")
            return Answer(response.status_code, bytes(data))

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(
            "witness.unreachable",
            f"The witness at {self._prefix} cannot be asked: {why.rstrip('.')}.",
            "Check its URL, and that it runs.",
        )
