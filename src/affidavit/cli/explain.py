"""`affidavit explain INDEX`: why it was allowed or denied, from the log alone."""

from __future__ import annotations

import json
from typing import Any

from affidavit.cli.client import connect
from affidavit.cli.lines import say_behind, say_when
from affidavit.cli.options import DEFAULTS, Common, index_of
from affidavit.cli.output import print_json, say


def explain(index: str, /, *, common: Common = DEFAULTS) -> int:
    """Why an access or change was allowed or denied.

    The rules' text as it was, the facts and grants they were asked with, the settings in force and where each came
    from, the last change before, and whether deciding again gives the same.
    """
    with connect(common) as client:
        answer = client.get(f"/v1/records/{index_of(index)}/explain")
    if common.json:
        print_json(answer)
        return 0
    say(answer["sentence"], "strong")
    say_when(answer["when"])
    _title("Who stands behind it")
    say_behind(answer["behind"])
    _rules(answer)
    _facts(answer)
    _settings(answer)
    _context(answer)
    _before(answer)
    _again(answer)
    return 0


def _rules(answer: dict[str, Any]) -> None:
    _title("Why it was " + {"allow": "allowed", "deny": "denied"}.get(answer["decision"], "decided so"))
    for request in answer["requests"]:
        say(f"  asked: {request['action']} on {request['type']} {request['id']}")
    for rule in answer["rules"]:
        put = "" if rule["version"] is None else f" (put by record {rule['version']})"
        say(f"  rule {rule['shown']}{put}", "allow" if answer["decision"] == "allow" else "deny")
        text = rule["text"] if rule["text"] is not None else grant_text(rule["value"] or {}, rule["erased_by"])
        for line in text.strip().splitlines():
            say(f"    {line}")
        if rule["agrees"] is False:
            say("    This is not the text whose digest was recorded.", "deny")
    if answer["errors"]:
        for error in answer["errors"]:
            say(f"  could not be evaluated: {error['policy']}: {error['message']}", "deny")
        say("  That denies, whatever other rules say: it is never passed over.", "deny")
    elif not answer["rules"]:
        names = ", ".join(answer["considered"]) or "there were none"
        say(f"  No rule allows it. Rules that could have matched: {names}.", "deny")
    if not answer["errors"]:
        say("  No rule was skipped because of an error.")
    decided = {rule["name"] for rule in answer["rules"]}
    for grant in answer["grants"]:
        if grant["name"] not in decided:
            counted = "counted too" if grant["counted"] else "did not count at that moment"
            say(f"  {grant['shown']} (put by record {grant['version']}): {counted}")
            say(f"    {grant_text(grant['value'] or {}, grant['erased_by'])}")


def grant_text(value: dict[str, Any], erased_by: int | None = None) -> str:
    """A grant as a person says it."""
    if erased_by is not None:
        return f"What it said was erased by record {erased_by}."
    resource = value.get("resource", {})
    text = f"{', '.join(value.get('actions', ()))} on {resource.get('type', '')} {resource.get('id', '')}"
    text += f", from {value.get('start') or 'ever'} until {value.get('end') or 'taken away'}"
    return text + "".join(f"; {value[member]}" for member in ("reason", "ticket") if value.get(member))


def _facts(answer: dict[str, Any]) -> None:
    _title("Facts that the rules read")
    for fact in answer["facts"]:
        say(f"  {fact['name']} = {json.dumps(fact['value'], ensure_ascii=False)}")
    if not answer["facts"]:
        say("  None of the rules reads any.")


def _settings(answer: dict[str, Any]) -> None:
    _title("Settings in force, and where each came from")
    if not answer["configured"]:
        say("  No settings of their own: captured at the fullest level.", "unknown")
    width = max((len(item["name"]) for item in answer["settings"]), default=0)
    for item in answer["settings"]:
        put = "" if "version" not in item else f", record {item['version']}"
        say(f"  {item['name']:<{width}}  {item['value']}  ({item['scope']}{put})")


def _context(answer: dict[str, Any]) -> None:
    context = answer["context"]
    if context is None:
        return
    if context["previous"] is None:
        _title(f"Context: record {context['index']}, the first of this person on this system")
        return
    _title(f"Context: record {context['index']}, compared with the one before, record {context['previous']}")
    for item in context["differences"]:
        say(f"  {item['what']}: {_brief(item['before'])} -> {_brief(item['after'])}", "change")
    if context["erased_by"] is not None:
        say(f"  Not known: one of the two was erased by record {context['erased_by']}.", "unknown")
    elif not context["differences"]:
        say("  No difference.")


def _before(answer: dict[str, Any]) -> None:
    _title("Last change before that bears on it")
    last = answer["last_change"]
    if last is None:
        say("  None since the log began.")
        return
    say(f"  Record {last['index']}: {last['sentence']}", "change")
    for change in answer["unseen"]:
        say(f"  The decision had not seen record {change['index']}: {change['sentence']}", "deny")
    if not answer["unseen"]:
        say("  The decision had seen every change before it that bears on it.", "allow")


def _again(answer: dict[str, Any]) -> None:
    _title(f"Decided again, under the state at {answer['state']}")
    again = answer["again"]
    if again["same"]:
        say(f"  The same: {again['decision']}, with {again['engine']}.", "allow")
    else:
        say(f"  Not the same: {again['decision']}. {again['why']}".rstrip(), "deny")
    if answer["outcome"] is not None:
        say(f"  Its outcome is record {answer['outcome']['index']}: {answer['outcome']['outcome']}.")


def _title(text: str) -> None:
    say()
    say(text, "strong")


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        if "value" in value:
            return f"{value['value']} ({value['scope']})"
        if "version" in value:
            return f"version {value['version']}"
        return "present"
    return "absent" if value is None else str(value).lower()
