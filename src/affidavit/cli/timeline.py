"""`affidavit timeline [QUERY]`: everything that happened, newest first."""

from __future__ import annotations

import json
from typing import Annotated, Any

from cyclopts import Parameter

from affidavit.cli.client import Client, connect
from affidavit.cli.lines import print_record
from affidavit.cli.options import DEFAULTS, Common, Words, joined
from affidavit.cli.output import print_json, say
from affidavit.cli.summary import show_summary
from affidavit.errors import InvalidInput, Unavailable
from affidavit.limits import TIMELINE_LIMIT_MAX

_LIMIT = 50


def timeline(
    query: Words = (),
    /,
    *,
    limit: Annotated[int, Parameter(help="How many records at most.")] = _LIMIT,
    follow: Annotated[
        bool, Parameter(negative="", show_default=False, help="Then show new records as they come.")
    ] = False,
    count: Annotated[
        bool, Parameter(negative="", show_default=False, help="Only how many: certainly, and possibly.")
    ] = False,
    facet: Annotated[
        str | None, Parameter(show_default=False, help="How many by the values of a field, such as actor or table.")
    ] = None,
    histogram: Annotated[
        str | None, Parameter(show_default=False, help="How many in each step of time: 15m, 1h, 1d.")
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """Accesses, permissions, configuration and the log's own administration, in one sequence, newest first.

    A query joins terms: field:value, field:A..B, field>value, and words or "phrases" that the statement or the reason
    contains. Commas give alternatives, value* a beginning; OR, NOT (or a minus) and parentheses join terms. See
    "The query" in docs/reference/cli.md for the fields, docs/howto/search.md for examples.

    Where a clock was not sure enough of the time that was asked for, a record is marked as possibly a match.
    """
    if not 1 <= limit <= TIMELINE_LIMIT_MAX:
        raise InvalidInput(
            "timeline.limit", f"--limit is from 1 to {TIMELINE_LIMIT_MAX}.", "Or use `affidavit export`."
        )
    if count or facet is not None or histogram is not None:
        if follow:
            raise InvalidInput("cli.usage", "What still comes cannot be counted.", "Leave --follow out.")
        return show_summary(joined(query), facet, histogram, common)
    with connect(common) as client:
        if follow and not client.server_runs:
            raise Unavailable("timeline.follow", "Nothing writes this log now.", "Start it with `affidavit up`.")
        found = find_records(client, joined(query), limit)
        if follow:
            return _follow(client, joined(query), found, common)
    if common.json:
        print_json({"records": found})
        return 0
    for view in found:
        _print(view)
    if not found:
        say("No record matches.")
    return 0


def find_records(client: Client, query: str, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` matching records, newest first. Each request looks at a part of the log; this goes on."""
    found: list[dict[str, Any]] = []
    before: dict[str, int] = {}
    while len(found) < limit:
        answer = client.get("/v1/records", query=query, limit=limit - len(found), **before)
        found += answer["records"]
        if answer["next"] is None:
            break
        before = {"before": answer["next"]}
    return found


def _follow(client: Client, query: str, found: list[dict[str, Any]], common: Common) -> int:
    """Oldest first from here on: what was found, then what comes."""
    for view in reversed(found):
        _show(view, common)
    after = found[0]["index"] + 1 if found else 0
    try:
        # Ends when the server stops; people end it before that.
        for line in client.lines("/v1/follow", query=query, after=after):
            _show(json.loads(line), common)
    except KeyboardInterrupt:
        return 0
    raise Unavailable("timeline.follow", "The server stopped.", "Follow again once `affidavit up` runs.")


def _show(view: dict[str, Any], common: Common) -> None:
    if common.json:
        print_json(view)
    else:
        _print(view)


def _print(view: dict[str, Any]) -> None:
    print_record(view, "possibly then" if view["match"] == "possibly" else "")
