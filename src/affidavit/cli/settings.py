"""`affidavit settings show|set`: what is recorded of whom, and from which scope each value comes."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from cyclopts import App, Parameter

from affidavit.cli.apply import print_result
from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common, From, Reason, Ticket, To
from affidavit.cli.output import print_json, print_table, say
from affidavit.cli.stateshare import percent
from affidavit.errors import InvalidInput
from affidavit.evidence.wording import moment_words

settings = App(name="settings", help="Show and set what is recorded: of the organisation, a system, a group, a person.")


@settings.command
def show(
    who: str,
    /,
    *,
    system: Annotated[str, Parameter(help="Resolve for this system.", show_default=False)] = "log",
    common: Common = DEFAULTS,
) -> int:
    """The settings of WHO: a handle, organisation, floor, system:ID or group:NAME.

    For a person also what applies, and which scope each value comes from.
    """
    with connect(common) as client:
        answer = client.get(f"/v1/settings/{quote(who, safe='')}", system=system)
    if common.json:
        print_json(answer)
        return 0
    if "effective" not in answer and not answer["values"]:
        say(f"Nothing is set for {who}.")
        return 0
    if "effective" not in answer:
        print_table(("setting", "value"), [(item["name"], item["value"]) for item in answer["values"]])
        return 0
    rows = [
        (item["name"], item["value"], item["scope"], "" if "version" not in item else str(item["version"]))
        for item in answer["effective"]
    ]
    print_table(("setting", "value", "scope", "record"), rows)
    if not answer["configured"]:
        say(f"{who} has no settings of their own: captured at the fullest level.", "unknown")
    return 0


@settings.command(name="set")
def set_(
    who: str,
    /,
    *values: Annotated[str, Parameter(name="NAME=VALUE")],
    reason: Reason,
    ticket: Ticket = "",
    common: Common = DEFAULTS,
) -> int:
    """Set values for WHO; `NAME=` takes one away. The others stay."""
    wanted: dict[str, str | None] = {}
    for item in values:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise InvalidInput("settings.form", f"{item!r} sets nothing.", "Write NAME=VALUE: capture.result=count.")
        wanted[name] = value or None
    if not wanted:
        raise InvalidInput("settings.form", "No value is given.", "Write NAME=VALUE, for example capture.result=count.")
    with connect(common, writes=True) as client:
        wish = {"values": wanted, "reason": reason, "ticket": ticket}
        result = client.post(f"/v1/settings/{quote(who, safe='')}", wish)
    return print_result(result, common, f"settings of {who} are set")


@settings.command
def share(
    name: str,
    /,
    *,
    who: Annotated[str, Parameter(help="For this person: handle or id.")],
    system: Annotated[str, Parameter(help="On this system.")] = "log",
    from_: From = None,
    to: To = None,
    common: Common = DEFAULTS,
) -> int:
    """For what share of a period the setting NAME had which value for somebody, from which scope and by which record.

    The floor counts: where it raises a value, the scope is floor. For policies and other objects see affidavit state
    share. For example: affidavit settings share capture.statement --who ana --system clinic --from 2026-11-01
    """
    params = {key: value for key, value in (("from", from_), ("to", to)) if value is not None}
    with connect(common) as client:
        answer = client.get(f"/v1/settings/{quote(who, safe='')}/share", name=name, system=system, **params)
    if common.json:
        print_json(answer)
        return 0
    rows = [
        (
            f"{moment_words(one['from'], None)[:23]} UTC",
            "-" if one["value"] is None else one["value"],
            one["scope"] or "-",
            "" if one["version"] is None else str(one["version"]),
            percent(one["share"]),
        )
        for one in answer["intervals"]
    ]
    print_table(("from", "value", "scope", "record", "share"), rows)
    sums = ", ".join(
        f"{'nothing' if one['value'] is None else one['value']} {percent(one['share'])}" for one in answer["values"]
    )
    say(f"{name} for {who} on {system} until {answer['to'][:19].replace('T', ' ')} UTC: {sums}.")
    return 0
