"""`affidavit state history --actor NAME --system NAME`: when what somebody may do changed, and by what."""

from __future__ import annotations

from typing import Any

from affidavit.cli.apply import short
from affidavit.cli.client import connect
from affidavit.cli.options import Common
from affidavit.cli.output import print_json, say
from affidavit.cli.watching import answered
from affidavit.evidence.wording import count_words, list_words

_SIGNS = {"gained": "+", "lost": "-", "changed": "~"}
_STYLES = {"gained": "allow", "lost": "deny", "changed": "change"}
_BY = {
    "group": "through a group",
    "nested group": "through a nested group",
    "policy": "through a policy",
    "wider setting": "through a setting at a wider scope",
    "system": "through what the system was found to enforce",
}


def show_permitted(actor: str, system: str, from_: str | None, to: str | None, common: Common) -> int:
    """Ask and print. Returns the exit status."""
    asked: dict[str, Any] = {"actor": actor, "system": system, "from": from_, "to": to}
    given = {name: value for name, value in asked.items() if value is not None}
    with connect(common) as client:
        answer = answered(client.asked("/v1/state/permitted", **given), "Reading the changes", shown=not common.json)
    if common.json:
        print_json(answer)
        return 0
    who = answer["handle"]
    say(f"What {who} may do on {system}, from {_time(answer['from'])} to {_time(answer['to'])}", "strong")
    unknown = answer["before_unknown"]
    say(f"At the beginning: {f'not known; it rests on what {unknown}.' if unknown else _held(answer['before'])}")
    for moment in answer["moments"]:
        _print_moment(moment, who)
    counts = answer["counts"]
    say()
    if not counts["moments"]:
        say("It never changed.")
        return 0
    say(
        f"It changed at {count_words(counts['moments'], 'moment')}: {counts['without_record_about']} without a record "
        f"about {who} (!), of which {counts['by_clock']} without any record, by the clock alone."
        + (f" From {count_words(counts['unknown'], 'moment')} on it is not known." if counts["unknown"] else "")
    )
    return 0


def _print_moment(moment: dict[str, Any], who: str) -> None:
    mark = "!" if moment["about_person"] is False else "?" if moment["about_person"] is None else " "
    say()
    if moment["cause"] == "clock":
        say(f"{mark} {_time(moment['at'])}  by the clock: no record", "strong")
        for grant in moment["grants"]:
            lapse = "" if grant["lapse"] is None else f"; its lapse is record {grant['lapse']}"
            said = "began" if grant["edge"] == "start" else "ended"
            say(f"      {grant['shown']}, put by record {grant['put']}, {said}{lapse}", "dim")
    else:
        by = "the log" if moment["who"] is None else moment["who"]
        reason = f" (“{moment['reason']}”)" if moment["reason"] else ""
        say(f"{mark} {_time(moment['at'])}  record {moment['index']}, by {by}{reason}", "strong")
        shown = list_words([item["shown"] for item in moment["objects"]])
        reach = moment["reach"]
        if reach is None:
            say("      what it changed cannot be read", "unknown")
        elif moment["about_person"]:
            say(f"      {shown}", "dim")
        else:
            say(f"      {shown}: {_BY[reach]}; no record about {who}", "dim")
    if moment["unknown"]:
        say(f"    from here on it is not known: it rests on what {moment['unknown']}", "unknown")
    if moment["known_again"]:
        say("    known again; compared with what was known last:", "unknown")
    for item in moment["differences"]:
        say(f"    {_SIGNS[item['change']]} {_words(item)}", _STYLES[item["change"]])


def _words(item: dict[str, Any]) -> str:
    part, name = item["part"], item["shown"]
    if part == "setting":
        before, after = (None if one is None else f"{one['value']} ({one['scope']})" for one in _both(item))
        values = " -> ".join(value for value in (before, after) if value is not None)
        return f"setting {name}: {values}"
    if part == "identity":
        return f"identity {name}: {' -> '.join(short(one) for one in _both(item) if one is not None)}"
    via = (item["after"] or item["before"] or {}).get("via")
    if via:
        return f"group {name}, through {' in '.join(via)}"
    said = {"grant": "in force: ", "policy": "can apply: ", "enforced": "enforced: ", "group": "group "}[part]
    return f"{said}{name}"


def _both(item: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    return item["before"], item["after"]


def _held(before: list[dict[str, Any]]) -> str:
    if not before:
        return "nothing, there was no such identity."
    names = [item["shown"] for item in before if item["part"] in ("group", "grant", "policy")]
    return f"{list_words(names, most=8)}." if names else "no group, no grant in force, no policy."


def _time(at: str) -> str:
    return f"{at[:10]} {at[11:23]} UTC"
