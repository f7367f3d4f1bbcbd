"""`affidavit state history`: every version of an object, or each moment at which what somebody may do changed."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from affidavit.cli.apply import short
from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, say
from affidavit.cli.permitted import show_permitted
from affidavit.errors import InvalidInput
from affidavit.evidence.wording import moment_words

_STYLES = {
    "added": "allow",
    "changed": "change",
    "removed": "deny",
    "lapsed": "deny",
    "none": "dim",
    "erased": "unknown",
}
_WORDS = {"none": "put again as it was", "erased": "put (and erased since)"}


def history(
    name: str = "",
    /,
    *,
    all_: Annotated[
        bool,
        Parameter(name="--all", negative="", help="Of an identity: also profile, groups, grants, settings, logins."),
    ] = False,
    actor: Annotated[str, Parameter(help="When what they may do changed: a handle or identity id.")] = "",
    system: Annotated[str, Parameter(help="On which system, with --actor; `log` is the log itself.")] = "",
    from_: Annotated[
        str | None, Parameter(name="--from", show_default=False, help="From this index or time, with --actor.")
    ] = None,
    to: Annotated[str | None, Parameter(show_default=False, help="Up to this index or time, with --actor.")] = None,
    common: Common = DEFAULTS,
) -> int:
    """Every version of the object NAME, the oldest first: what changed, and the record that did it.

    A person may be named by a handle that they have or had: grant/ana/g-1, settings/user/ana. Deletions and lapses are
    shown too. For example: affidavit state history identity/ana --all

    With --actor and --system instead of a name: each moment at which what somebody may do there changed (groups, grants
    in force, policies, settings), with its cause: a record about them; a record that reached them through a group, a
    nested group, a policy or a wider setting (marked !); or no record, because a grant began or ended by the clock (!).
    For example: affidavit state history --actor ana --system clinic --from 2026-11-01
    """
    if bool(actor) != bool(system) or bool(actor) == bool(name) or (actor and all_):
        raise InvalidInput("state.whom", "A history is of an object, or of somebody on a system.", "Give one of both.")
    if actor:
        return show_permitted(actor, system, from_, to, common)
    if from_ is not None or to is not None:
        raise InvalidInput(
            "state.whom", "The history of an object is told whole.", "Give --from and --to with --actor."
        )
    with connect(common) as client:
        answer = client.get("/v1/state/history", object=name, all="1" if all_ else "0")
    if common.json:
        print_json(answer)
        return 0
    say(answer["shown"], "strong")
    for event in answer["versions"]:
        _print_event(event, answer["object"])
    for item in answer["erased"]:
        by = f"put by record {item['version']}, which record {item['by']} erased"
        say(f"Not known: a grant, membership or report {by}.", "unknown")
    return 0


def _print_event(event: dict[str, Any], asked: str) -> None:
    change = event["change"]
    other = "" if event["object"] == asked else f" {event['shown']}"
    by = f" by {event['who']}" if event["who"] else "" if event["kind"] in ("lapse", "drift") else " by the log"
    found = {"lapse": " (it had expired)", "drift": " (found so on the system)"}.get(event["kind"], "")
    when = moment_words(event["at"], event["bound_ns"])
    say(f"{event['index']:>6}  {when}  {_WORDS.get(change, change)}{other}{by}{found}", _STYLES[change])
    why = [f"“{event['reason']}”"] if event["reason"] else []
    why += [f"ticket {event['ticket']}"] if event["ticket"] else []
    why += [f"proposal {event['proposal']}"] if event["proposal"] is not None else []
    for item in event["approvals"]:
        why.append(
            f"approved by {item['by']} (record {item['record']})"
            if item["proved"]
            else f"approval by {item['by']} only claimed"
        )
    why += ["file access"] if event["file_access"] else []
    if event["erased_by"] is not None:
        why.append(f"the record's body was erased by record {event['erased_by']}")
    if why:
        say(f"        {', '.join(why)}", "dim")
    for item in event["difference"]:
        say(f"        {difference_text(item, change)}")


def difference_text(item: dict[str, Any], change: str) -> str:
    """One member's difference on a line."""
    if change == "added":
        return f"{item['member']}: {short(item['after'])}"
    if change in ("removed", "lapsed"):
        return f"{item['member']}: {short(item['before'])}, until then"
    return f"{item['member']}: {short(item['before'])} -> {short(item['after'])}"
