"""The witness: cosigns a checkpoint that continues the last one it cosigned, and keeps it before it says so.

    POST /add-checkpoint                      the specification's answers (tlog/witness.py)
    GET  /<SHA-256 of the origin>/checkpoint  the newest one that was cosigned, with the lines that were verified

Checking and keeping are one step: for each log one request at a time. A failed write ends the witness for good, as it
ends a log: what is on the disk is then known only to a new start, which reads it. Until the answer is sent nobody has
the cosignature, so a crash between keeping and answering costs the log one conflict and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections import defaultdict
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from affidavit.clock import Clock
from affidavit.errors import AffidavitError, Unavailable
from affidavit.limits import WITNESS_BODY_TIMEOUT_S, WITNESS_REQUEST_BYTES_MAX
from affidavit.server.witness_folder import WitnessFolder
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.witness import ADD_CHECKPOINT, SIZE_TYPE, Refusal, check_continues, encode_size, read_request

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
_LOG_ID = re.compile(r"[0-9a-f]{64}")
_TEXT = "text/plain; charset=utf-8"
_OURS = "This witness cannot answer now; its own log says why."


class Witness:
    """Judges and cosigns, for the logs in its folder. `add_checkpoint` may be called from any thread."""

    def __init__(self, folder: WitnessFolder, signers: Sequence[SignerKey], clock: Clock) -> None:
        """Raises `Corruption` where what was cosigned of a log is gone or not what it was."""
        self._folder = folder
        self._signers = signers
        self._keys = [signer.verifier for signer in signers]
        self._clock = clock
        self._guard = threading.Lock()
        self._one_at_a_time: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        #: Why it stopped for good, or None.
        self.failure: AffidavitError | None = None
        for origin in folder.logs():
            folder.latest(origin, self._keys)

    def add_checkpoint(self, body: bytes) -> str | Refusal:
        """The cosignature lines, durable with their checkpoint; or why there are none.

        Raises `Unavailable`, `InvalidInput` or `Corruption` where the witness itself cannot go on.
        """
        request = read_request(body, self._folder.logs())
        if isinstance(request, Refusal):
            return request
        origin = request.checkpoint.origin
        with self._lock_of(origin):
            if self.failure is not None:
                raise self.failure
            refusal = check_continues(request, self._folder.latest(origin, self._keys))
            if refusal is not None:
                return refusal
            time_s = self._clock.now_ns() // _NS
            text = request.checkpoint.format()
            lines = "".join(signer.line(text, time_s).to_text() for signer in self._signers)
            try:
                self._folder.cosigned(origin, request.note + lines)
            except AffidavitError as error:
                self.failure = error
                raise
        _log.info("cosigned %s at size %d", origin, request.checkpoint.size)
        return lines

    def shown(self, log: str) -> bytes | None:
        """The newest cosigned checkpoint of the log of that id."""
        if self.failure is not None:
            raise self.failure
        return self._folder.shown(log)

    def _lock_of(self, origin: str) -> threading.Lock:
        with self._guard:
            return self._one_at_a_time[origin]


def make_witness_app(witness: Witness) -> Starlette:
    """The witness over HTTP. Every answer is text; what is wrong here is not told to strangers."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            async with asyncio.timeout(WITNESS_BODY_TIMEOUT_S):
                body = await _read(request)
        except TimeoutError:
            return _text(408, "The request did not arrive in time.")
        answer = await run_in_threadpool(witness.add_checkpoint, body)
        if isinstance(answer, str):
            return Response(answer, 200, media_type=_TEXT)
        _log.info("refused with %d: %s", answer.status, answer.why)
        if answer.size is not None:
            return Response(encode_size(answer.size), answer.status, {"content-type": SIZE_TYPE})
        return _text(answer.status, answer.why)

    async def checkpoint(request: Request) -> Response:
        log = request.path_params["log"]
        note = await run_in_threadpool(witness.shown, log) if _LOG_ID.fullmatch(log) else None
        if note is None:
            return _text(404, "Nothing was cosigned of a log of that name.")
        return Response(note, 200, {"cache-control": "no-store"}, media_type=_TEXT)

    return Starlette(
        routes=[
            Route(f"/{ADD_CHECKPOINT}", add_checkpoint, methods=["POST"]),
            Route("/{log}/checkpoint", checkpoint, methods=["GET"]),
        ],
        exception_handlers={AffidavitError: _own_trouble, ClientDisconnect: _gone, Exception: _own_trouble},
    )


async def _read(request: Request) -> bytes:
    """The body, or a little more than may be read of it: then it is refused as too long."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > WITNESS_REQUEST_BYTES_MAX:
            break
    return bytes(data[: WITNESS_REQUEST_BYTES_MAX + 1])


async def _own_trouble(_: Request, error: Exception) -> Response:
    _log.error("%s", error, exc_info=None if isinstance(error, AffidavitError) else error)
    return _text(503 if isinstance(error, Unavailable) else 500, _OURS)


async def _gone(_: Request, __: Exception) -> Response:
    return _text(400, "The request did not arrive whole.")


def _text(status: int, why: str) -> Response:
    return Response(f"{why}\n", status, media_type=_TEXT)
