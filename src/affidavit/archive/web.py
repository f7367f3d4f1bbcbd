"""A source over HTTP: a log served as files below a URL, with every answer bounded in bytes and in time."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Iterator

import httpx

from affidavit.archive.source import path_parts, too_large
from affidavit.errors import Corruption, InvalidInput, Unavailable
from affidavit.limits import (
    WEB_CONNECT_TIMEOUT_S,
    WEB_FILE_TIMEOUT_S,
    WEB_READ_TIMEOUT_S,
    WEB_REDIRECTS_MAX,
)

_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to ask for a gzip header
_PLAIN = re.compile(r"[A-Za-z0-9._/-]+", re.ASCII)
_OK, _ABSENT, _REDIRECTS = 200, (404, 410), (301, 302, 303, 307, 308)


class Web:
    """The files below an http or https URL, without a user name, query or fragment (else `InvalidInput`).

    `transport` and `monotonic` are for tests. Redirects are followed on the same host alone, and never from
    https to http: a log's place is part of what the caller named.
    """

    def __init__(
        self,
        url: str,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base = _parse_base(url)
        self._monotonic = monotonic
        self._client = httpx.Client(
            transport=transport,
            timeout=httpx.Timeout(WEB_READ_TIMEOUT_S, connect=WEB_CONNECT_TIMEOUT_S),
            follow_redirects=False,
            headers={"Accept-Encoding": "gzip"},
        )

    @property
    def name(self) -> str:
        """The URL."""
        return str(self._base)

    def get(self, path: str, limit: int) -> bytes | None:
        """As `Source.get` promises. Absent means 404 or 410; each other answer but 200 is `Unavailable`."""
        path_parts(path)
        if not _PLAIN.fullmatch(path):  # "x:y", "?" and "%2e" would mean something else in a URL
            raise InvalidInput("archive.path", f"{path[:100]!r} is not a path that a log serves.")
        deadline_s = self._monotonic() + WEB_FILE_TIMEOUT_S
        url = self._base.join(path)
        for _ in range(WEB_REDIRECTS_MAX + 1):
            try:
                with self._client.stream("GET", url) as response:
                    if response.status_code in _ABSENT:
                        return None
                    if response.status_code == _OK:
                        return self._read(response, path, limit, deadline_s)
                    if response.status_code not in _REDIRECTS:
                        raise self._unavailable(path, f"the server answered {response.status_code}")
                    url = self._redirect(url, response, path)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._unavailable(path, str(error) or type(error).__name__) from None
        raise self._unavailable(path, "the server redirects without end")

    def paths(self) -> Iterator[str] | None:
        """None: a web server does not list what it holds, so extra files are not seen here."""
        return None

    def close(self) -> None:
        """Close the connections; the source is not used afterwards."""
        self._client.close()

    def _read(self, response: httpx.Response, path: str, limit: int, deadline_s: float) -> bytes:
        # Raw bytes, decompressed here: httpx would inflate a small answer to any size before we could bound
        # it.
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise self._unavailable(path, f"the server sent the content encoding {encoding[:40]!r}, not asked for")
        raw = bytearray()
        for chunk in response.iter_raw():
            raw += chunk
            if len(raw) > limit:
                raise too_large(self.name, path, limit)
            if self._monotonic() > deadline_s:
                raise self._unavailable(path, f"it took longer than {WEB_FILE_TIMEOUT_S:.0f} s")
        return bytes(raw) if encoding == "identity" else self._inflate(bytes(raw), path, limit)

    def _inflate(self, raw: bytes, path: str, limit: int) -> bytes:
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        try:
            data = inflater.decompress(raw, limit + 1)
        except zlib.error:
            raise Corruption("archive.encoding", f"{path} at {self.name} is not the gzip that it says.") from None
        if len(data) > limit:
            raise too_large(self.name, path, limit)
        if not inflater.eof or inflater.unused_data:
            raise self._unavailable(path, "the answer was cut")
        return data

    def _redirect(self, url: httpx.URL, response: httpx.Response, path: str) -> httpx.URL:
        target = url.join(response.headers.get("Location", ""))
        same = target.host == url.host and (target.scheme, target.port) == (url.scheme, url.port)
        upgrade = target.host == url.host and (url.scheme, target.scheme) == ("http", "https")
        if not same and not (upgrade and target.port is None):
            raise Unavailable(
                "archive.redirect",
                f"{path} at {self.name} redirects to {target.scheme}://{target.host}, another place.",
                "If you trust that place, give its URL.",
            )
        return target

    def _unavailable(self, path: str, why: str) -> Unavailable:
        return Unavailable(
            "archive.unreachable",
            f"{path} at {self.name} cannot be read: {why}.",
            "Check the URL and the connection, and try again.",
        )


def _parse_base(url: str) -> httpx.URL:
    try:
        base = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        base = httpx.URL("")
    if base.scheme not in ("http", "https") or not base.host or base.userinfo or base.query or base.fragment:
        raise InvalidInput(
            "archive.url",
            "A log's URL is http or https, with a host and without a user name, query or fragment.",
            "Give it as https://HOST/PATH.",
        )
    return base if base.path.endswith("/") else base.copy_with(path=base.path + "/")
