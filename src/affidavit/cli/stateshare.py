"""`affidavit state share OBJECT…`: for what share of a period what configures a control stood as it does at its end."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common, From, To
from affidavit.cli.output import print_json, print_table, say


def share(
    *names: Annotated[str, Parameter(name="OBJECT")],
    from_: From = None,
    to: To = None,
    common: Common = DEFAULTS,
) -> int:
    """For what share of a period objects stood as they do at its end: each, and all of them together.

    What configures a control is a few objects: its policies, the floor, the settings of a group or system. What a
    setting came to for one person, over all scopes, is affidavit settings share. For example:
    affidavit state share policy/two-people settings/floor --from 2026-11-01
    """
    params = {key: value for key, value in (("from", from_), ("to", to)) if value is not None}
    with connect(common) as client:
        answer = client.get("/v1/state/share", object=list(names), **params)
    if common.json:
        print_json(answer)
        return 0
    rows = [
        (
            item["shown"],
            f"{part['from'][:10]} {part['from'][11:23]} UTC",
            "not there" if part["version"] is None else str(part["version"]),
            "yes" if part["as_at_end"] else "no",
            percent(part["share"]),
        )
        for item in answer["objects"]
        for part in item["intervals"]
    ]
    print_table(("object", "from", "record", "as at the end", "share"), rows)
    until = f"{answer['to'][:19].replace('T', ' ')} UTC"
    for item in answer["objects"]:
        state = "not there, as" if item["absent"] else "as"
        say(f"{item['shown']}: {state} at {until}, for {percent(item['as_at_end']['share'])} of the period.")
    if len(answer["objects"]) > 1:
        say(f"All of them together: for {percent(answer['together']['share'])} of the period.", "strong")
    return 0


def percent(share: str) -> str:
    """A share of the period, cut: less than all is never shown as 100 %."""
    millis = int(share.replace(".", "")[:6])
    return f"{millis // 1_000}.{millis % 1_000:03} %"
