"""`affidavit state at WHEN [PREFIX]`: the state as it was; with an actor and a system, what governed them then."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from affidavit.cli.apply import short
from affidavit.cli.client import connect
from affidavit.cli.explain import grant_text
from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, print_table, say
from affidavit.cli.prove import prove
from affidavit.cli.statediff import diff
from affidavit.cli.statehistory import history
from affidavit.cli.stateshare import share
from affidavit.errors import InvalidInput
from affidavit.evidence.wording import place_words

state = App(name="state", help="The state as of any moment: identities, permissions, settings, systems.")
state.command(history)
state.command(diff)
state.command(prove)
state.command(share)
_STYLES = {"live": "allow", "over": "dim", "not yet": "dim"}


@state.command
def at(
    when: str,
    prefix: str = "",
    /,
    *,
    actor: Annotated[str, Parameter(help="Show what governed them: a handle or identity id.")] = "",
    system: Annotated[str, Parameter(help="On which system, with --actor; `log` is the log itself.")] = "",
    common: Common = DEFAULTS,
) -> int:
    """The objects as of WHEN: an index (just before that record), a time, or now.

    PREFIX shows only what begins so: grant/ana/, policy/, settings/. A time is UTC unless it says otherwise:
    2026-11-22T14:17, 2026-11-22T14:17+01:00, "2026-11-22 14:17 Europe/Berlin"; 14:17 is today's. With --actor and
    --system: the whole context then, each part with the record that it came from. For example:
    affidavit state at 2026-11-22T14:17 --actor ana --system clinic
    """
    if bool(actor) != bool(system) or (actor and prefix):
        raise InvalidInput("state.whom", "A context is of somebody on a system.", "Give --actor and --system, alone.")
    with connect(common) as client:
        if actor:
            answer = client.get("/v1/state/context", at=when, actor=actor, system=system)
        else:
            answer = client.get("/v1/state", at=when, prefix=prefix)
    if common.json:
        print_json(answer)
        return 0
    say(f"State {answer['state']}, {place_words(answer)}; root {answer['root']}", "dim")
    if actor:
        _print_context(answer)
        return 0
    for item in answer["erased"]:
        what = f"objects of the kind {item['kind']}" if item["kind"] else "a grant, membership or report"
        say(f"Not known: {what}, put by record {item['version']}, which record {item['by']} erased.", "unknown")
    rows = [(item["shown"], str(item["version"]), short(item["value"])) for item in answer["objects"]]
    if rows:
        print_table(("object", "record", "value"), rows)
    else:
        say(f"No object's name begins with {prefix}." if prefix else "No object was there yet.")
    return 0


def _print_context(answer: dict[str, Any]) -> None:
    who = answer["handle"] or answer["actor"]
    identity = answer["identity"]
    if identity is None:
        say(f"{who} did not exist then: everything was denied.", "deny")
    else:
        value = identity["value"]
        attributes = ", ".join(f"{item['name']}={item['value']}" for item in value["attributes"])
        said = f"{who} ({answer['actor']}): {value['kind']}, {value['status']}{f', {attributes}' if attributes else ''}"
        say(f"{said}, record {identity['version']}", "strong")
    _print_permissions(answer)
    _title("Settings, and where each came from")
    if not answer["configured"]:
        say("  No settings of their own: captured at the fullest level.", "unknown")
    width = max((len(item["name"]) for item in answer["settings"]), default=0)
    for item in answer["settings"]:
        put = "" if "version" not in item else f", record {item['version']}"
        say(f"  {item['name']:<{width}}  {item['value']}  ({item['scope']}{put})")
    _title(f"The system {answer['system']}")
    declared = answer["declared"]
    say("  Not declared then." if declared is None else f"  declared by record {declared['version']}:")
    if declared is not None:
        say(f"    {short(declared['value'])}")
    for item in answer["observed"]:
        say(f"  found enforced, {item['shown']}, record {item['version']}:")
        say(f"    {short(item['value'])}")
    _title("The records that this rests on")
    for item in answer["records"]:
        say(f"  {item['index']}: {item['sentence']}")


def _print_permissions(answer: dict[str, Any]) -> None:
    _title("Groups")
    for item in answer["groups"]:
        via = f" through {' in '.join(item['via'])}" if item["via"] else ""
        say(f"  {item['group']}{via}, by record {' and '.join(map(str, item['memberships']))}")
    if not answer["groups"]:
        say("  None.")
    _title(f"Grants, weighed at {answer['weighed_at'][:19].replace('T', ' ')} UTC")
    for item in answer["grants"]:
        through = f" (through the group {' in '.join(item['through'])})" if item["through"] else ""
        say(f"  {item['state']}: {item['shown']}{through}, record {item['version']}", _STYLES[item["state"]])
        say(f"    {grant_text(item.get('value') or {})}")
    if not answer["grants"]:
        say("  None on this system.")
    _title("Policies that could apply")
    for item in answer["policies"]:
        say(f"  {item['name']}, record {item['version']}")
        for line in item["value"]["text"].strip().split("\n"):
            say(f"    {line}")
    if not answer["policies"]:
        say("  None: nothing but grants could allow anything.")


def _title(text: str) -> None:
    say()
    say(text, "strong")
