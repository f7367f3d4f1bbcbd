"""The public part of the log over HTTP, read-only, as C2SP tlog-tiles asks: `DIR/log` and nothing beside it.

    GET <prefix>/checkpoint              text/plain; cached for a second
    GET <prefix>/tile/<L>/<N>[.p/<W>]    application/octet-stream; immutable
    GET <prefix>/tile/entries/<N>[.p/<W>]    the same, compressed as the client accepts it
    GET <prefix>/key/<size, 20 digits>   text/plain; a key rotation; immutable
    GET <prefix>/key/sizes               text/plain; which rotations there are; cached for a second

Only these spellings are served, so there is nothing to list and no way to another file. The log removes a partial tile
once the full one is there; whoever fetched a checkpoint before that still gets the partial one, cut from the full one:
the hashes are the same. Ranges are not served (RFC 9110 section 14.2 lets a server answer with the whole).
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import logging
import re
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from affidavit.archive.source import Source
from affidavit.errors import AffidavitError, InvalidInput, Unavailable
from affidavit.limits import BUNDLE_BYTES_MAX, NOTE_BYTES_MAX, PUBLIC_READERS_MAX, TILE_WIDTH
from affidavit.tlog.rotation import SIZES_PATH
from affidavit.tlog.tiles import HASH_BYTES, TileAddress, decode_entries, encode_entries, parse_path, tile_hashes

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_log = logging.getLogger(__name__)
_ALLOW = "GET, HEAD, OPTIONS"
_TEXT, _BYTES = "text/plain; charset=utf-8", "application/octet-stream"
_IMMUTABLE, _FRESH, _NEVER = "public, max-age=31536000, immutable", "public, max-age=1", "no-store"
_CHANGING = frozenset({"checkpoint", SIZES_PATH})
_KEY = re.compile(r"key/[0-9]{20}")
_GZIP_LEVEL, _ZSTD_LEVEL = 6, 1
#: What can be told of an encoding, best first: of equal wishes of the client the first is taken.
_CODINGS = ("zstd", "gzip", "identity")
_EVERYWHERE = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "ETag",
    "accept-ranges": "none",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True)
class _Found:
    """A file of the log: its bytes, and how they are served."""

    data: bytes
    media_type: str
    cache: str
    compresses: bool = False


class PublicLog:
    """An ASGI application over the files of one log. `close` it when it serves no more.

    It reads and compresses in threads of its own, `PUBLIC_READERS_MAX` at a time, so that readers of the log take
    nothing from the threads of those who administer it.
    """

    def __init__(self, source: Source, prefix: str = "/") -> None:
        """`source` holds `checkpoint`, `tile/…` and `key/…`; `prefix` begins and ends with a slash."""
        self._source = source
        self._prefix = prefix.encode("ascii")
        self._readers = ThreadPoolExecutor(PUBLIC_READERS_MAX, "public log")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        loop = asyncio.get_running_loop()
        headers = Headers(scope=scope)
        raw_path: bytes = scope["raw_path"]
        response = await loop.run_in_executor(self._readers, self.respond, scope["method"], raw_path, headers)
        await response(scope, receive, send)

    def close(self) -> None:
        """End the threads."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    def respond(self, method: str, raw_path: bytes, headers: Mapping[str, str]) -> Response:
        """The answer to one request. `raw_path` is as it was sent, undecoded; names in `headers` are lower case."""
        response = self._respond(method, raw_path, headers)
        if method == "HEAD":
            response.body = b""  # its length stays in the header, as the answer to GET has it
        return response

    def _respond(self, method: str, raw_path: bytes, headers: Mapping[str, str]) -> Response:
        if method == "OPTIONS":
            allowed = {"allow": _ALLOW, "access-control-allow-methods": _ALLOW, "access-control-allow-headers": "*"}
            return _answer(204, b"", {**allowed, "access-control-max-age": "86400", "cache-control": _NEVER})
        if method not in ("GET", "HEAD"):
            return _refusal(405, "The log is only read here: GET and HEAD.", {"allow": _ALLOW})
        try:
            found = self._find(raw_path)
        except Unavailable as error:
            _log.error("The public log cannot be read: %s", error)
            return _refusal(503, "This file cannot be read now.", {"retry-after": "5"})
        except AffidavitError as error:
            _log.error("The public log is damaged: %s", error)
            return _refusal(500, "This file is not what a log holds there.")
        if found is None:
            return _refusal(404, "There is no such file in this log.")
        return _select(found, headers)

    def _find(self, raw_path: bytes) -> _Found | None:
        if not raw_path.startswith(self._prefix):
            return None
        try:
            path = raw_path[len(self._prefix) :].decode("ascii")
        except UnicodeDecodeError:
            return None
        if path in _CHANGING or _KEY.fullmatch(path):
            data = self._source.get(path, NOTE_BYTES_MAX)
            return None if data is None else _Found(data, _TEXT, _FRESH if path in _CHANGING else _IMMUTABLE)
        try:
            address = parse_path(path)
        except InvalidInput:
            return None
        data = self._read(address)
        if data is None and address.width < TILE_WIDTH:
            data = _beginning(self._read(TileAddress(address.level, address.index)), address)
        if data is None:
            return None
        return _Found(data, _BYTES, _IMMUTABLE, compresses=address.level is None)

    def _read(self, address: TileAddress) -> bytes | None:
        """A tile's bytes. Raises `VerificationError` where they are cut or too many: that is not served."""
        if address.level is None:
            data = self._source.get(address.path, BUNDLE_BYTES_MAX)
            if data is not None:
                decode_entries(data, address.width)
            return data
        data = self._source.get(address.path, address.width * HASH_BYTES)
        if data is not None:
            tile_hashes(data, address.width)
        return data


def _beginning(full: bytes | None, address: TileAddress) -> bytes | None:
    if full is None:
        return None
    if address.level is None:
        return encode_entries(decode_entries(full, TILE_WIDTH)[: address.width])
    return full[: address.width * HASH_BYTES]


def _select(found: _Found, headers: Mapping[str, str]) -> Response:
    """The representation that fits the request, or 304 or 412 where its conditions say so (RFC 9110 section 13.2.2)."""
    coding = choose_coding(headers.get("accept-encoding")) if found.compresses else "identity"
    digest = hashlib.sha256(found.data).hexdigest()[:32]
    tag = f'"{digest}"' if coding == "identity" else f'"{digest}-{coding}"'
    said = {"content-type": found.media_type, "cache-control": found.cache, "etag": tag}
    if found.compresses:
        said["vary"] = "accept-encoding"
    if "if-match" in headers and not _names(headers["if-match"], tag, weak=False):
        return _refusal(412, "This file is not the one that the request names.")
    if "if-none-match" in headers and _names(headers["if-none-match"], tag, weak=True):
        return _answer(304, b"", {name: value for name, value in said.items() if name != "content-type"})
    if coding == "identity":
        return _answer(200, found.data, said)
    if coding == "gzip":
        data = gzip.compress(found.data, _GZIP_LEVEL, mtime=0)
    else:
        data = zstd.compress(found.data, _ZSTD_LEVEL)
    return _answer(200, data, {**said, "content-encoding": coding})


def choose_coding(accepted: str | None) -> str:
    """Which of zstd, gzip and identity an Accept-Encoding header wants most (RFC 9110 section 12.5.3).

    Without the header identity: a client that says nothing may be one that cannot inflate. Where a client refuses all
    three it gets gzip, which tlog-tiles lets a log send without asking.
    """
    if accepted is None:
        return "identity"
    wishes: dict[str, float] = {}
    for item in accepted.lower().split(","):
        name, *parameters = [part.strip() for part in item.split(";")]
        wishes[name] = _weight(parameters)
    others = wishes.get("*", 0.0)
    # Identity is acceptable unless refused by name or by `*`; where it is not named it comes last.
    weights = {
        "zstd": wishes.get("zstd", others),
        "gzip": wishes.get("gzip", wishes.get("x-gzip", others)),
        "identity": wishes.get("identity", 0.0 if wishes.get("*") == 0.0 else 0.0001),
    }
    best = max(_CODINGS, key=lambda coding: weights[coding])
    return best if weights[best] > 0 else "gzip"


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        match = re.fullmatch(r"q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", parameter)
        if match:
            return float(match[1])
        if parameter.startswith("q"):
            return 0.0  # a weight that cannot be read wants nothing
    return 1.0


def _names(header: str, tag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags, or `*`, names `tag`; with `weak` also as `W/"…"`."""
    listed = [item.strip() for item in header.split(",")]
    return listed == ["*"] or tag in ([item.removeprefix("W/") for item in listed] if weak else listed)


def _answer(status: int, data: bytes, headers: Mapping[str, str]) -> Response:
    return Response(data, status, {**_EVERYWHERE, **headers})


def _refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    # Never cached: a tile that is not there yet may be there in a second.
    said = {"content-type": _TEXT, "cache-control": _NEVER, **(headers or {})}
    return _answer(status, f"{text}\n".encode(), said)
