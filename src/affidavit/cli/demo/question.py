"""The question, asked of both: what PostgreSQL's own log can say about a moment, and what Affidavit can."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from affidavit.cli.demo.site import Site
from affidavit.cli.demo.stage import Facts, Stage
from affidavit.errors import VerificationError
from affidavit.evidence.wording import bound_words, duration_words
from affidavit.record.moment import parse_moment

_LOG_BYTES_MAX = 4 * 1024 * 1024
_SHOWN_SETTINGS = ("capture.statement", "capture.parameters", "capture.result", "guarantee.read")
_PREFIX = re.compile(r"^(\S+ \S+ UTC) \[(\d+)\] (\S+)@(\S+) (LOG|DETAIL|ERROR):  (.*)$")


def ask(stage: Stage, site: Site, postgres_log: Path, access: int, change: int) -> None:
    """Print the question about the access and both answers. Raises VerificationError where one of them is missing."""
    record, granted = _one(site, access), _one(site, change)
    said = site.run("explain", str(access), "--json").json()
    at = str(record["header"]["time"]["at"])
    stage.chapter(f"What happened at {_clock_time(at)}?")
    stage.columns(
        ("PostgreSQL's own log", _postgres_says(postgres_log, at)),
        ("Affidavit", _affidavit_says(said, record, granted, _names(site), _bound(site, record["header"]))),
    )
    again = said["again"]
    if not again["same"]:
        raise VerificationError("demo.again", f"Deciding record {access} again gives {again['decision']}.")
    stage.note(f"Decided again from the log alone: {again['decision']}, as then. More: affidavit explain {access}")


def _affidavit_says(
    said: Mapping[str, Any],
    record: Mapping[str, Any],
    change: Mapping[str, Any],
    names: Mapping[str, str],
    bound_ns: int | None,
) -> Facts:
    body, header, index = record["body"], record["header"], record["index"]
    result, action = body["result"], body["action"]
    subjects = body.get("data_subjects", {}).get("values", ())
    approvers = ", ".join(_named(names, approval["approver"]) for approval in change["body"]["approvals"])
    before_ns = parse_moment(header["time"]["at"]) - parse_moment(change["header"]["time"]["at"])
    return [
        ("who", f"{_named(names, header['actor'])}, {body['actor']['kind']}, logged in as {body['actor']['name']}"),
        ("proved by", f"personal token ({body['actor']['authenticated']['how']}), session {header['session']}"),
        ("ran", f"{action['statement']}"),
        ("with", ", ".join(f"${n} = {p['value']}" for n, p in enumerate(action.get("parameters", ()), 1))),
        ("came back", f"{result['rows']} row, {result['bytes']} bytes, in {int(result['duration_ns']) / 1e6:.1f} ms"),
        ("whose data", ", ".join(f"{s['table']}.{s['column']} = {s['value']}" for s in subjects)),
        ("decision", f"{said['decision']}, on state {said['state']}, in context {header['context']}"),
        *(("by the rule", _rule_text(rule, names)) for rule in said["rules"]),
        ("because", f"“{change['body']['reason']}” ({change['body']['ticket']})"),
        ("asked by", _named(names, change["header"]["actor"])),
        ("approved by", f"{approvers}, by record {change['body']['approvals'][0]['approval']}"),
        ("changed", f"{duration_words(before_ns)} before, by record {change['index']}"),
        ("settings", _settings(said)),
        ("when", f"{header['time']['at']} {bound_words(bound_ns)}"),
        ("unaltered", f"record {index}, under a signed checkpoint; see below"),
    ]


def _named(names: Mapping[str, str], identity: str) -> str:
    return names.get(identity, identity)


def _rule_text(rule: Mapping[str, Any], names: Mapping[str, str]) -> str:
    value = rule["value"] or {}
    if rule["name"].startswith("grant/"):
        who = names.get(rule["name"].split("/")[1], rule["name"].split("/")[1])
        actions = ", ".join(value["actions"])
        until = f"until {value['end'][11:19]}" if value["end"] else "without end"
        return f"grant to {who}: {actions} on {value['resource']['id']}, {until}"
    return " ".join(str(rule["text"]).split())


def _settings(said: Mapping[str, Any]) -> str:
    chosen = [s for s in said["settings"] if s["name"] in _SHOWN_SETTINGS]
    width = max(len(f"{s['name']} = {s['value']}") for s in chosen)
    return "\n".join(f"{s['name']} = {s['value']}".ljust(width) + f"  from: {s['scope']}" for s in chosen)


def _postgres_says(log: Path, at: str) -> Facts:
    """What the server's log says of the statement that ran nearest to the moment `at`."""
    with log.open("rb") as file:
        text = file.read(_LOG_BYTES_MAX).decode("utf-8", "replace")
    lines = [match for line in text.splitlines() if (match := _PREFIX.match(line))]
    about = [n for n, match in enumerate(lines) if "insurance_number" in match[6] and match[5] == "LOG"]
    if not about:
        raise VerificationError("demo.postgres_log", "PostgreSQL's log does not hold the statement.")
    nearest = min(about, key=lambda n: abs(_postgres_ns(lines[n][1]) - parse_moment(at)))
    line = lines[nearest]
    detail = [match[6] for match in lines[nearest + 1 : nearest + 2] if match[5] == "DETAIL"]
    return [
        ("who", f"{line[3]}, as everybody"),
        ("proved by", "not known"),
        ("ran", line[6]),
        ("with", "".join(detail) or "not known"),
        ("came back", "not known"),
        ("whose data", "not known"),
        ("decision", "not known"),
        ("by the rule", "not known"),
        ("approved by", "not known"),
        ("changed", "not known"),
        ("settings", "not known"),
        ("when", line[1]),
        ("unaltered", "a text file: nobody can tell"),
    ]


def _postgres_ns(moment: str) -> int:
    return int(datetime.strptime(moment, "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC).timestamp() * 1e9)


def _names(site: Site) -> dict[str, str]:
    """Names by identity id, from the changes in the log."""
    found = {}
    for record in site.records("kind:change"):
        for item in record["body"]["objects"]:
            if item["op"] == "put" and item["name"].startswith("profile/"):
                found[item["name"].removeprefix("profile/")] = str(item["value"]["name"])
    return found


def _bound(site: Site, header: Mapping[str, Any]) -> int | None:
    clock = header["time"].get("clock")
    if clock is None:
        return None
    bound = _one(site, clock)["body"]["bound_ns"]
    return None if bound is None else int(bound)


def _one(site: Site, index: int) -> dict[str, Any]:
    found = site.records(f"index:{index}")
    if len(found) != 1:
        raise VerificationError("demo.record", f"Record {index} cannot be exported.")
    return found[0]


def _clock_time(at: str) -> str:
    """As people ask: `10:14:07 p.m. UTC`."""
    hour, rest = int(at[11:13]), at[13:19]
    return f"{(hour + 11) % 12 + 1}{rest} {'a.m.' if hour < 12 else 'p.m.'} UTC"
