"""The page of one record: what was done, by whom and how that is known, why it was allowed, when, and the proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from affidavit.errors import InvalidInput, VerificationError
from affidavit.evidence.inclusion import Inclusion, inclusion
from affidavit.limits import CONSOLE_NEIGHBOURS
from affidavit.server.bodies import JsonResponse, path_index
from affidavit.server.console.pages import page
from affidavit.server.console.rows import Row, row, tag_of
from affidavit.server.console.showing import as_json
from affidavit.server.console.visiting import console_of, frame, visitor
from affidavit.server.reading import explained, whole_record
from affidavit.server.services import Services
from affidavit.server.views import record_view

_NOT_DECIDED = "explain.kind"
_NS_PER_MS = 1_000_000
_RESULT_WORDS = {
    "outcome": "Outcome",
    "rows": "Rows",
    "bytes": "Bytes",
    "sqlstate": "Error code",
    "message": "Error",
    "tag": "Answered",
    "digest": "Digest of the rows",
    "withheld": "Withheld",
}


@dataclass(frozen=True)
class Explained:
    """Why it was decided so: the API's answer; or why nothing explains it. Both are None where nothing was decided."""

    answer: Mapping[str, Any] | None
    why_not: str | None


@dataclass(frozen=True)
class Proof:
    """That it stands in the published log; or what speaks against that."""

    found: Inclusion | None
    against: str


async def record(request: Request) -> Response:
    """One record, reconstructed."""
    console, session = console_of(request), visitor(request)
    services, index = console.services, path_index(request)
    view = await run_in_threadpool(whole_record, services, index)
    await services.readings.note(session.actor, "record", {"index": index})

    def make() -> HTMLResponse:
        return page(
            "record.html",
            frame=frame(console, session),
            view=view,
            tag=tag_of(view["header"]),
            statement=_statement(view),
            result=_result(view),
            objects=_objects(view),
            fields=as_json({"header": view["header"], "body": view["body"]}, indent=2),
            why=_why(services, index),
            around=_around(services, index),
            proof=_proof(services, index),
        )

    return await run_in_threadpool(make)


async def record_json(request: Request) -> Response:
    """One record, as the API answers it."""
    console, session, index = console_of(request), visitor(request), path_index(request)
    view = await run_in_threadpool(whole_record, console.services, index)
    await console.services.readings.note(session.actor, "record", {"index": index})
    return JsonResponse(view)


def _why(services: Services, index: int) -> Explained:
    try:
        return Explained(explained(services, index), None)
    except InvalidInput as error:
        return Explained(None, None if error.code == _NOT_DECIDED else error.message)


def _around(services: Services, index: int) -> list[Row]:
    """The record between its neighbours in the log, in the order of the log."""
    records = services.records
    first, stop = max(0, index - CONSOLE_NEIGHBOURS), min(records.size, index + CONSOLE_NEIGHBOURS + 1)
    return [row(record_view(records.record(at), services)) for at in range(first, stop)]


def _proof(services: Services, index: int) -> Proof:
    try:
        return Proof(inclusion(services.public_log, services.keys(), services.records.record(index)), "")
    except VerificationError as error:
        return Proof(None, f"{error}")


def _statement(view: Mapping[str, Any]) -> dict[str, Any] | None:
    """The statement of an access whole, with its parameters; None of another record."""
    action = (view["body"] or {}).get("action")
    if not isinstance(action, dict) or "statement" not in action:
        return None
    given = action.get("parameters") or ()
    parameters = [_text(one.get("value", "kept as a digest")) for one in given if isinstance(one, dict)]
    return {"text": action["statement"], "form": action.get("form"), "parameters": parameters}


def _result(view: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What came back, as pairs of a word and a value."""
    result = (view["body"] or {}).get("result")
    if not isinstance(result, dict):
        return []
    found = [(words, _text(result[name])) for name, words in _RESULT_WORDS.items() if result.get(name) is not None]
    duration_ns = str(result.get("duration_ns", ""))
    if duration_ns.isdigit():
        found.append(("Took", f"{int(duration_ns) / _NS_PER_MS:,.1f} ms"))
    return found


def _objects(view: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a change did to each object."""
    ops = (view["body"] or {}).get("objects")
    if not isinstance(ops, list):
        return []
    return [
        {
            "name": one.get("name"),
            "op": "deleted" if one.get("op") == "delete" else "added" if one.get("based") is None else "changed",
            "based": one.get("based"),
            "value": None if one.get("value") is None else as_json(one["value"], indent=2),
        }
        for one in ops
        if isinstance(one, dict)
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else as_json(value)
