"""The timeline: what a query finds, newest first. The query is the page: its address, its command line, its JSON."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from affidavit.errors import InvalidInput
from affidavit.limits import CONSOLE_ROWS, QUERY_CHARS_MAX
from affidavit.search.fields import FIELDS
from affidavit.server.bodies import JsonResponse, query_number
from affidavit.server.console.pages import page
from affidavit.server.console.rows import row
from affidavit.server.console.visiting import Console, console_of, frame, visitor
from affidavit.server.reading import find, query_of

_COLUMN = re.compile(r"Column (\d{1,5}): (.*)", re.DOTALL)
_EXAMPLES = (
    ("decision:deny", "what was refused"),
    ("kind:change", "what changed, and who changed it"),
    ("kind:log.gap", "when nobody can say what happened"),
    ("has:error", "what failed"),
)


@dataclass(frozen=True)
class Wrong:
    """A query that cannot be read: as it was typed, where (spaces up to that column), why, and what to write."""

    query: str
    spaces: str | None
    why: str
    hint: str


async def timeline(request: Request) -> Response:
    """What a query finds, as a page."""
    console, session = console_of(request), visitor(request)
    text = request.query_params.get("query", "")
    try:
        query = query_of(request, console.services)
    except InvalidInput as error:
        if not error.code.startswith("query."):
            raise
        wrong = _wrong(text, error)

        def refuse() -> HTMLResponse:
            around = frame(console, session)
            return page("timeline.html", 400, frame=around, wrong=wrong, **_asked(text), examples=_EXAMPLES)

        return await run_in_threadpool(refuse)
    before = _before(request, console)

    def make() -> HTMLResponse:
        found = find(console.services, session.actor, query, CONSOLE_ROWS, before)
        values: dict[str, Any] = {
            "rows": [row(view) for view in found["records"]],
            "older": None if found["next"] is None else _path(text, found["next"]),
            "reached": found["next"],
            "newest": None if "before" not in request.query_params else _path(text),
            "understood": found["asked"],
            "size": console.services.records.size,
        }
        around = frame(console, session)
        return page("timeline.html", frame=around, wrong=None, **_asked(text), examples=_EXAMPLES, **values)

    return await run_in_threadpool(make)


async def timeline_json(request: Request) -> Response:
    """What a query finds, as the API answers it."""
    console, actor = console_of(request), visitor(request).actor
    query, before = query_of(request, console.services), _before(request, console)
    return JsonResponse(await run_in_threadpool(find, console.services, actor, query, CONSOLE_ROWS, before))


def command_line(query: str) -> str:
    """The command that asks the same."""
    ends = ["--"] if query.startswith("-") else []  # of options, which a minus would be taken for
    return shlex.join(["affidavit", "timeline", *ends, *([query] if query else [])])


def _before(request: Request, console: Console) -> int:
    return query_number(request, "before", console.services.records.size, console.services.records.size)


def _asked(text: str) -> dict[str, Any]:
    return {
        "query": text[:QUERY_CHARS_MAX],
        "command": command_line(text[:QUERY_CHARS_MAX]),
        "link": _path(text[:QUERY_CHARS_MAX]),
        "json": _path(text[:QUERY_CHARS_MAX], at="/timeline.json"),
        "fields": tuple(field for field in FIELDS.values() if field.example),
    }


def _path(query: str, before: int | None = None, at: str = "/timeline") -> str:
    asked = ([("query", query)] if query else []) + ([] if before is None else [("before", str(before))])
    return f"{at}?{urlencode(asked)}".removesuffix("?")


def _wrong(text: str, error: InvalidInput) -> Wrong:
    """Where the query cannot be read. Each white space takes one column, so the mark stands below its place."""
    shown = re.sub(r"\s", " ", text[:QUERY_CHARS_MAX])
    match = _COLUMN.fullmatch(error.message)
    if match is None:
        return Wrong(shown, None, error.message, error.hint)
    return Wrong(shown, " " * (int(match[1]) - 1), match[2], error.hint)
