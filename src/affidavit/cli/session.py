"""`affidavit session [INDEX]`: sessions, or one of them with everything in it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from affidavit.cli.client import connect
from affidavit.cli.lines import print_record
from affidavit.cli.options import DEFAULTS, Common, index_of
from affidavit.cli.output import print_json, say
from affidavit.cli.timeline import find_records

_LIMIT = 20


def session(
    index: str | None = None,
    /,
    *,
    limit: Annotated[int, Parameter(help="How many sessions to list.")] = _LIMIT,
    common: Common = DEFAULTS,
) -> int:
    """Sessions, newest first; or the one that record INDEX opened or stands in.

    One session is shown oldest first, with what changed in permissions and configuration meanwhile.
    """
    with connect(common) as client:
        if index is None:
            found = find_records(client, "kind:session.open", limit)
            if common.json:
                print_json({"records": found})
            else:
                for view in found:
                    print_record(view)
                if not found:
                    say("No session yet.")
            return 0
        story = client.get(f"/v1/sessions/{index_of(index)}")
    if common.json:
        print_json(story)
        return 0
    meanwhile = {view["index"] for view in story["meanwhile"]}
    for view in sorted(story["records"] + story["meanwhile"], key=lambda item: item["index"]):
        print_record(view, "meanwhile" if view["index"] in meanwhile else "")
    if story["closed"] is None:
        say(
            "Still open, or ended with the writer." if story["whole"] else "The session goes on; this is its beginning."
        )
    return 0
