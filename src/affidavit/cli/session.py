"""`affidavit session [INDEX]`: sessions, or one of them with everything in it."""

from __future__ import annotations

from typing import Annotated, Any

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

    One session is shown oldest first: what allowed or denied each action, the settings that applied (where they are
    not those of the action before) with their scopes, what changed meanwhile and from which action on it counted, what
    was shown to the user, and how it ended. For example: affidavit session 4711
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
    _print_story(story)
    return 0


def _print_story(story: dict[str, Any]) -> None:
    meanwhile = {view["index"] for view in story["meanwhile"]}
    actions = {one["index"]: one for one in story["actions"]}
    changes = {one["index"]: one for one in story["changes"]}
    told: int | None = None
    for view in sorted(story["records"] + story["meanwhile"], key=lambda item: item["index"]):
        index = view["index"]
        print_record(view, "meanwhile" if index in meanwhile else "")
        if index in changes:
            _below(_change_words(changes[index]))
        elif index in actions:
            action = actions[index]
            _below(action["because"])
            if action["context"] is not None and action["context"] != told:
                told = action["context"]
                _print_context(told, story["contexts"][str(told)])
            if action["shown"]:
                _below(f"was told: {' '.join(action['shown'][:2])}")
    if story["closed"] is None:
        say(
            "Still open, or ended with the writer." if story["whole"] else "The session goes on; this is its beginning."
        )


def _print_context(index: int, context: dict[str, Any]) -> None:
    """The settings that apply from this action on, each with its scope and the record it came from."""
    if not context["readable"]:
        by = context["erased_by"]
        _below(f"the context {index} {'cannot be read' if by is None else f'was erased by record {by}'}")
        return
    parts = [f"{one['name']} {one['value']} ({one['scope']}{_from_record(one)})" for one in context["settings"]]
    _below(f"under context {index}: {', '.join(parts)}")
    if not context["configured"]:
        _below("no settings of their own")


def _change_words(change: dict[str, Any]) -> str:
    said = "in force from" if change["bears"] else "does not touch this session; in force from"
    if change["erased_by"] is not None:
        said = f"may touch this session: what it did was erased by record {change['erased_by']}; in force from"
    at = "no action after it" if change["effective"] is None else f"record {change['effective']} on"
    words = f"{said} {at}"
    for item in change["approvals"]:
        words += f"; approved by {item['by']}" if item["proved"] else f"; approval by {item['by']} only claimed"
    return words


def _below(text: str) -> None:
    if text:
        say(f"         {text}", "dim")


def _from_record(setting: dict[str, Any]) -> str:
    return f", record {setting['version']}" if "version" in setting else ""
