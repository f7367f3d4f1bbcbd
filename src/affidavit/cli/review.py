"""`affidavit review INDEX --note …`: say by one's own login that one has looked at a record."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common, index_of
from affidavit.cli.output import print_json, say


def review(
    index: str,
    /,
    *,
    note: Annotated[str, Parameter(help="What was found. It stands in the log.")],
    common: Common = DEFAULTS,
) -> int:
    """Record that you have looked at a record, and what you found: `affidavit review 812 --note "needed, and no more"`.

    A break-glass grant is due for one by somebody else than who made it and who was given it; `affidavit ready` names
    those that have none.
    """
    with connect(common, writes=True) as client:
        result = client.post(f"/v1/records/{index_of(index)}/reviews", {"note": note})
    if common.json:
        print_json(result)
    else:
        say(f"Record {result['index']}: record {result['reviewed']} is reviewed.", "change")
    return 0
