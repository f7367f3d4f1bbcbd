"""`affidavit who can ACTION RESOURCE`, `affidavit who did RESOURCE`: rights by evaluating, and uses by reading."""

from __future__ import annotations

import json
from typing import Annotated, Any

from cyclopts import App, Parameter

from affidavit.cli.client import Client, connect
from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, print_table, say
from affidavit.cli.watching import answered
from affidavit.errors import InvalidInput
from affidavit.evidence.beside import FINDINGS
from affidavit.evidence.wording import count_words, list_words

who = App(name="who", help="Who can do something, and who did.")

_Facts = Annotated[
    tuple[str, ...],
    Parameter(negative="", consume_multiple=True, show_default=False, help="What is taken as known, such as tls=true."),
]
_From = Annotated[str | None, Parameter(name="--from", show_default=False, help="Look from this moment on.")]
_To = Annotated[str | None, Parameter(show_default=False, help="Look up to this moment.")]
_SHOWN_MAX = 12  # of people whom nothing allows it; --json has all


@who.command
def can(
    action: str,
    resource: str,
    /,
    *,
    at: Annotated[str, Parameter(help="An index, a UTC time, or now.")] = "now",
    facts: _Facts = (),
    did: Annotated[bool, Parameter(negative="", show_default=False, help="Also who did, as one table.")] = False,
    from_: _From = None,
    to: _To = None,
    common: Common = DEFAULTS,
) -> int:
    """Who may do ACTION on RESOURCE, decided for every identity there was, with the policies and grants of that moment.

    RESOURCE is a system (clinic), a table (clinic/public.patients), log, an object of the log's state with people by
    handle (grant/ana/recall), or a kind of them (grant/). Where a rule asks for facts that come only with an access,
    such as the address, the answer is that it depends on them, unless --facts says what they are.

        affidavit who can read clinic/public.patients --at 2026-11-22T14:17
        affidavit who can read clinic/public.patients --facts tls=true --did
        affidavit who can grant grant/

    With --did, who did it beside: rights that were used, and rights that never were.
    """
    if (from_ or to) and not did:
        raise InvalidInput("cli.usage", "--from and --to say where to look for who did.", "Add --did.")
    asked = {"action": action, "resource": resource, "at": at, "facts": json.dumps(_pairs(facts))}
    with connect(common) as client:
        if not did:
            answer = client.get("/v1/who/could", **asked)
        else:
            del asked["at"]
            answer = _read(client, {**asked, "could": at, "from": from_, "to": to}, common)
    if common.json:
        print_json(answer)
    elif did:
        _show_beside(answer)
    else:
        _show_could(answer)
    return 0


@who.command(name="did")
def did_(
    resource: str,
    /,
    *,
    action: Annotated[str | None, Parameter(show_default=False, help="Only this action.")] = None,
    from_: _From = None,
    to: _To = None,
    could: Annotated[
        str | None, Parameter(show_default=False, help="Also who could at this moment, as one table; takes --action.")
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """Who touched RESOURCE, by every record of a range of the log: how often, first and last, allowed and denied.

    Says which range was read, under which root of the log, and what could not be read. Of services and agents it says
    which human gave them their credentials, and through which account of the connected system everybody came.

        affidavit who did clinic/public.patients --from 2026-11-01
        affidavit who did clinic/public.patients --action read --could now
        affidavit who did grant/
    """
    if could is not None and action is None:
        raise InvalidInput("cli.usage", "Who could do what?", "Add --action, such as --action read.")
    asked = {"resource": resource, "action": action, "from": from_, "to": to, "could": could}
    with connect(common) as client:
        answer = _read(client, asked, common)
    if common.json:
        print_json(answer)
    elif could is not None:
        _show_beside(answer)
    else:
        _show_did(answer)
    return 0


def _read(client: Client, asked: dict[str, Any], common: Common) -> dict[str, Any]:
    given = {name: value for name, value in asked.items() if value is not None}
    return answered(client.asked("/v1/who/did", **given), "Reading the log", shown=not common.json)


def _pairs(facts: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in facts:
        name, equals, value = text.partition("=")
        if not equals or name in pairs:
            raise InvalidInput("cli.usage", f"{text[:60]!r} is no fact.", "Write NAME=VALUE, each name once.")
        pairs[name] = value
    return pairs


def _show_could(answer: dict[str, Any]) -> None:
    counts, what = answer["counts"], f"{answer['action']} {answer['shown']}"
    moment = f"{answer['at'][:10]} {answer['at'][11:19]} UTC"
    say(f"Who may {what}, as of {moment}, by state {answer['state']}", "strong")
    for fact in answer["facts"]:
        say(f"  taken as known: {fact['name']} = {json.dumps(fact['value'], ensure_ascii=False)}")
    groups = {name: [item for item in answer["people"] if item["answer"] == name] for name in ("yes", "depends", "no")}
    _title(f"May: {counts['yes']}")
    for item in groups["yes"]:
        _person(item, answer)
    if groups["depends"]:
        _title(f"Depends on facts: {counts['depends']}")
        for item in groups["depends"]:
            _person(item, answer)
    _title(f"May not: {counts['no']}")
    for item in groups["no"][:_SHOWN_MAX]:
        _person(item, answer)
    if len(groups["no"]) > _SHOWN_MAX:
        say(f"  and {len(groups['no']) - _SHOWN_MAX} more; --json has all")
    if answer["inactive"]:
        names = list_words([item["handle"] for item in answer["inactive"]], most=8)
        say(f"Not active, so nothing is allowed to them: {names}.", "dim")
    for item in answer["erased"]:
        say(
            f"There may be others: record {item['version']} put identities, and record {item['by']} erased it.",
            "unknown",
        )
    if answer["beyond_policy"]:
        say(answer["beyond_policy"], "dim")


def _person(item: dict[str, Any], answer: dict[str, Any]) -> None:
    style = {"yes": "allow", "depends": "unknown", "no": ""}[item["answer"]]
    kind = "" if item["kind"] == "human" else f" ({item['kind']})"
    say(f"  {item['handle']}{kind}", style)
    _rules(item, "    ")
    login = item.get("login")
    if login is not None and item["answer"] != "no" and login["answer"] != "yes":
        on = f" unless it depends on {', '.join(login['on'])}" if login["answer"] == "depends" else ""
        say(f"    but may not open a session on {answer['resource']['system']}{on}", "deny")
    for way, words in (("with_approval", "with another's approval"), ("may_approve", "approving another's")):
        found = item.get(way)
        if found is not None and found["answer"] != "no":
            say(f"    {words}: {found['answer']}{_on(found)}", "change")


def _rules(item: dict[str, Any], indent: str) -> None:
    verb = {"yes": "by", "depends": "perhaps by", "no": "forbidden by"}[item["answer"]]
    for rule in item["by"]:
        say(f"{indent}{verb} {_rule(rule)}")
    for rule in item["against"]:
        say(f"{indent}unless {_rule(rule)} forbids it")
    if item["on"]:
        say(f"{indent}depends on {', '.join(item['on'])}", "unknown")
    for error in item["errors"]:
        say(f"{indent}{error['policy']} cannot be evaluated: {error['message']}", "deny")


def _rule(rule: dict[str, Any]) -> str:
    text = str(rule["shown"]) + ("" if rule["version"] is None else f" (record {rule['version']})")
    if rule.get("end"):
        text += f", until {rule['end'][:10]} {rule['end'][11:19]} UTC"
    ways = [" in ".join((*group["via"], group["group"])) for group in rule["groups"]]
    return text + (f", through {' and '.join(ways)}" if ways else "")


def _on(found: dict[str, Any]) -> str:
    return f" on {', '.join(found['on'])}" if found["on"] else ""


def _show_did(answer: dict[str, Any]) -> None:
    what = "touched" if answer["action"] is None else f"did {answer['action']} on"
    say(f"Who {what} {answer['resource']['id']}", "strong")
    rows = [
        (
            item["handle"] or "somebody unknown",
            item["kind"],
            f"{item['allowed']:,}",
            f"{item['denied']:,}",
            f"{item['first']}  {_moment(item['first_at'])}",
            f"{item['last']}  {_moment(item['last_at'])}",
            ", ".join(item["accounts"]),
        )
        for item in answer["people"]
    ]
    if rows:
        print_table(("who", "kind", "allowed", "denied", "first record", "last record", "through"), rows)
    else:
        say("Nobody, in what was read.")
    for item in answer["people"]:
        for behind in item["behind"]:
            by = (
                f"given by {behind['given_by']} in record {behind['record']}"
                if behind["given_by"]
                else "of unknown hand"
            )
            say(f"{item['handle']} used {behind['credential']} {behind['label']}".rstrip() + f", {by}.")
    _completeness(answer)


def _show_beside(answer: dict[str, Any]) -> None:
    could = answer["could"]
    moment = f"{could['at'][:10]} {could['at'][11:19]} UTC"
    say(f"Who could {could['action']} {could['shown']} as of {moment}, beside who did", "strong")
    rows = [
        (
            item["handle"] or "somebody unknown",
            item["finding"],
            f"{item['allowed']:,}",
            f"{item['denied']:,}",
            "" if item["first"] is None else str(item["first"]),
            "" if item["last"] is None else str(item["last"]),
        )
        for item in answer["beside"]
    ]
    if rows:
        print_table(("who", "finding", "allowed", "denied", "first", "last"), rows)
    counted = [(name, sum(row["finding"] == name for row in answer["beside"])) for name in FINDINGS]
    say("; ".join(f"{count} {name}" for name, count in counted if count) or "Nobody could, and nobody did.")
    _completeness(answer)


def _completeness(answer: dict[str, Any]) -> None:
    say_range(answer)
    unread = [f"{count:,} {reason}" for reason, count in sorted(answer["unread"].items())]
    if unread:
        say(f"Counted by header and tags alone, their bodies could not be read: {', '.join(unread)}.", "unknown")
    if answer["not_told"]:
        some = list_words([str(index) for index in answer["not_told"]], most=8)
        say(f"Nobody can tell without their bodies whether these are about it: {some}.", "unknown")
    if answer["erased"]:
        some = list_words([f"{item['index']} (by record {item['by']})" for item in answer["erased"]], most=8)
        say(f"Erased: {some}.", "unknown")
    if not answer["unread"] and not answer["not_told"]:
        say("All that concerns it could be read.", "dim")


def say_range(answer: dict[str, Any]) -> None:
    """Which records were read, and under which root they stand."""
    span, log = answer["range"], answer["log"]
    size = span["stop"] - span["first"]
    beyond = f", {count_words(log['beyond'], 'record')} not published yet" if log["beyond"] else ""
    said = f"records {span['first']} to {span['stop'] - 1}" if size else "no record"
    say(f"Read: {said}, of the log of {log['size']:,} records with the root {log['root']}{beyond}.", "dim")


def _moment(at: str) -> str:
    return f"{at[:10]} {at[11:19]} UTC"


def _title(text: str) -> None:
    say()
    say(text, "strong")
