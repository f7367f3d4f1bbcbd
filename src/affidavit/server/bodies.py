"""Requests read within bounds, answers and errors written the same way everywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from affidavit.errors import (
    AffidavitError,
    Conflict,
    Corruption,
    Denied,
    InvalidInput,
    Unavailable,
    VerificationError,
)
from affidavit.limits import HTTP_BODY_BYTES_MAX, INTEGER_MAX, TIMELINE_LIMIT_MAX

_STATUS: tuple[tuple[type[AffidavitError], int], ...] = (
    (InvalidInput, 400),
    (Denied, 403),
    (Conflict, 409),
    (VerificationError, 422),
    (Unavailable, 503),
    (Corruption, 500),
)
_NOT_FOUND = frozenset({"record.index", "http.path"})


class JsonResponse(Response):
    """Compact JSON that is never cached."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200) -> None:
        super().__init__(json_bytes(content), status_code, {"cache-control": "no-store"})


def json_bytes(value: Any) -> bytes:
    """One JSON document on one line, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def status_of(error: AffidavitError) -> int:
    """The HTTP status that fits what the caller should do."""
    if error.code in _NOT_FOUND:
        return 404
    if error.code.startswith("auth."):
        return 401
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def error_response(error: AffidavitError) -> JsonResponse:
    """`{code, message, hint}` with the status that fits what the caller should do."""
    return JsonResponse(
        {"code": error.code, "message": error.message, "hint": error.hint, "exit_status": error.exit_status},
        status_of(error),
    )


async def json_object(request: Request, members: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """The request's body: a JSON object with no other members than `members`, each of its type or absent.

    Reads at most `HTTP_BODY_BYTES_MAX`. Raises `InvalidInput`.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > HTTP_BODY_BYTES_MAX:
            raise InvalidInput("http.size", f"A request's body has at most {HTTP_BODY_BYTES_MAX} bytes.")
    try:
        value = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        raise InvalidInput("http.json", "The request's body is not JSON.") from None
    if not isinstance(value, dict):
        raise InvalidInput("http.json", "The request's body must be a JSON object.")
    for name, item in value.items():
        if name not in members:
            raise InvalidInput("http.member", f"Unknown member {name!r}.", f"Members: {', '.join(sorted(members))}.")
        if item is not None and not isinstance(item, members[name]):
            raise InvalidInput("http.member", f"The member {name!r} has the wrong type.")
    return {name: item for name, item in value.items() if item is not None}


def needed(value: Mapping[str, Any], name: str) -> Any:
    """A member that must be there. Raises `InvalidInput`."""
    if name not in value:
        raise InvalidInput("http.member", f"The member {name!r} is missing.")
    return value[name]


def path_index(request: Request) -> int:
    """The record index in the path. Raises `InvalidInput`."""
    return _number(request.path_params["index"], "index")


def query_number(request: Request, name: str, default: int, most: int = INTEGER_MAX) -> int:
    """A number from the query string, at most `most`. Raises `InvalidInput`."""
    text = request.query_params.get(name)
    return default if text is None else min(_number(text, name), most)


def query_limit(request: Request, default: int) -> int:
    """`limit` from the query string, within `TIMELINE_LIMIT_MAX`."""
    return query_number(request, "limit", default, TIMELINE_LIMIT_MAX)


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 16:
        raise InvalidInput("http.number", f"{name} must be a number, not {text[:40]!r}.")
    return int(text)
