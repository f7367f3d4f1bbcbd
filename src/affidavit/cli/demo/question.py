"""The question, asked of both: what PostgreSQL's own log can say about a moment, and what Affidavit can."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.text import Text

from affidavit.cli.demo.site import Site
from affidavit.cli.demo.stage import QUIET, Stage
from affidavit.errors import VerificationError
from affidavit.evidence.wording import bound_words, duration_words
from affidavit.record.moment import parse_moment

_LOG_BYTES_MAX = 4 * 1024 * 1024
_SHOWN_SETTINGS = ("capture.statement", "capture.parameters", "capture.result", "guarantee.read")
_PREFIX = re.compile(r"^(\S+ \S+ UTC) \[(\d+)\] (\S+)@(\S+) (LOG|DETAIL|ERROR):  (.*)$")


def ask(stage: Stage, site: Site, postgres_log: Path, access: int, change: int) -> None:
    """Print the question about the access and both answers. Raises VerificationError where one of them is missing."""
    record = _one(site, access)
    at = str(record["header"]["time"]["at"])
    stage.chapter(f"What happened at {_clock_time(at)}?")
    stage.columns(
        ("PostgreSQL's own log", _postgres_says(postgres_log, at)),
        ("Affidavit", _affidavit_says(site, record, _one(site, change))),
    )
    said = site.run("explain", str(access), "--json").json()
    again = said["again"]
    if not again["same"]:
        raise VerificationError("demo.again", f"Deciding record {access} again gives {again['decision']}.")
    stage.note(
        f"Decided again from the log alone: {again['decision']}, the same. `affidavit explain {access}` has it all."
    )


def _affidavit_says(site: Site, record: Mapping[str, Any], change: Mapping[str, Any]) -> Text:
    body, header = record["body"], record["header"]
    said = site.run("explain", str(record["index"]), "--json").json()
    names = _names(site)
    result, action = body["result"], body["action"]
    subjects = body.get("data_subjects", {}).get("values", ())
    parameters = ", ".join(str(item["value"]) for item in action.get("parameters", ()))
    approvers = ", ".join(names.get(a["approver"], a["approver"]) for a in change["body"]["approvals"])
    before_ns = parse_moment(header["time"]["at"]) - parse_moment(change["header"]["time"]["at"])
    rows = [
        ("who", f"{body['actor']['name']} ({body['actor']['kind']}), {header['actor']}"),
        ("proved by", f"{body['actor']['authenticated']['how']}, session {header['session']}"),
        ("ran", f"{action['statement']}"),
        ("with", f"$1 = {parameters}"),
        ("came back", f"{result['rows']} row, {result['bytes']} bytes, in {int(result['duration_ns']) / 1e6:.1f} ms"),
        ("whose data", ", ".join(f"{s['table']}.{s['column']} = {s['value']}" for s in subjects) or "not declared"),
        ("decision", f"{said['decision']}, under state {said['state']} and context {header['context']}"),
        *(("by the rule", _rule_text(rule, names)) for rule in said["rules"]),
        ("because", f"“{change['body']['reason']}” ({change['body']['ticket']})"),
        ("asked by", names.get(change["header"]["actor"], change["header"]["actor"])),
        ("approved by", approvers),
        ("that was", f"record {change['index']}, {duration_words(before_ns)} before"),
        *(("setting", line) for line in _settings(said)),
        ("when", f"{header['time']['at']} {bound_words(_bound(site, header))}"),
        ("where", f"record {record['index']} of the log"),
    ]
    return _aligned(rows)


def _rule_text(rule: Mapping[str, Any], names: Mapping[str, str]) -> str:
    value = rule["value"] or {}
    if rule["name"].startswith("grant/"):
        who = names.get(rule["name"].split("/")[1], rule["name"].split("/")[1])
        actions = ", ".join(value["actions"])
        until = f"until {value['end'][11:19]}" if value["end"] else "without end"
        return f"grant to {who}: {actions} on {value['resource']['id']}, {until}"
    return " ".join(str(rule["text"]).split())


def _settings(said: Mapping[str, Any]) -> list[str]:
    chosen = [s for s in said["settings"] if s["name"] in _SHOWN_SETTINGS]
    return [f"{s['name']} = {s['value']}   (from: {s['scope']})" for s in chosen]


def _postgres_says(log: Path, at: str) -> Text:
    """The lines of the server's log about the statement whose record's moment is `at`, the last before and after it."""
    with log.open("rb") as file:
        text = file.read(_LOG_BYTES_MAX).decode("utf-8", "replace")
    said = Text()
    lines = [match for line in text.splitlines() if (match := _PREFIX.match(line))]
    about = [n for n, m in enumerate(lines) if "insurance_number" in m[6] and m[5] == "LOG"]
    if not about:
        raise VerificationError("demo.postgres_log", "PostgreSQL's log does not hold the statement.")
    nearest = min(about, key=lambda n: abs(_postgres_ns(lines[n][1]) - parse_moment(at)))
    for match in lines[nearest : nearest + 2]:
        if match is lines[nearest] or match[5] == "DETAIL":
            said.append(f"{match[1]} [{match[2]}]\n", QUIET)
            said.append(f"{match[3]}@{match[4]} {match[5]}: {match[6]}\n")
    said.append("\nwho:         ", QUIET)
    said.append(f"{lines[nearest][3]}, as everybody\n")
    for name in ("allowed by", "because", "approved by", "settings", "came back"):
        said.append(f"{name + ':':<13}", QUIET)
        said.append("not known\n")
    said.append(f"{'unaltered:':<13}", QUIET)
    said.append("a text file; nobody can tell\n")
    return said


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


def _aligned(rows: list[tuple[str, str]]) -> Text:
    width = max(len(name) for name, _ in rows)
    text = Text()
    for name, value in rows:
        text.append(f"{name:<{width}}  ", QUIET)
        text.append(value + "\n")
    text.rstrip()
    return text
