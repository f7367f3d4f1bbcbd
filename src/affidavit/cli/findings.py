"""`affidavit findings`: what an auditor would write up, computed from the log."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

from cyclopts import Parameter

from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common, From, duration_s, index_of
from affidavit.cli.output import print_json, say
from affidavit.cli.watching import Watch, progress
from affidavit.errors import AffidavitError, Corruption, InvalidInput, Unavailable
from affidavit.evidence.wording import moment_words

_KINDS: dict[int, type[AffidavitError]] = {1: Corruption, 2: InvalidInput, 3: Unavailable}


def findings(
    *,
    from_: From = None,
    to: Annotated[
        str | None, Parameter(show_default=False, help="Up to this index (not with it) or time; else up to now.")
    ] = None,
    actor: Annotated[str | None, Parameter(show_default=False, help="Only of this person: handle or id.")] = None,
    system: Annotated[str | None, Parameter(show_default=False, help="Only on this system.")] = None,
    session: Annotated[
        str | None, Parameter(show_default=False, help="Only in the session that this record stands in.")
    ] = None,
    before: Annotated[
        str, Parameter(help="What is given, or a group changed, less than this before a use was so shortly before.")
    ] = "15m",
    after: Annotated[str, Parameter(help="What goes not more than this after its last use went soon after.")] = "1h",
    common: Common = DEFAULTS,
) -> int:
    """What an auditor would write up, each with the records that it rests on. Exit status 1 where there is something.

    Used after it was revoked; given shortly before its use and gone soon after; through a nested group that had just
    changed; with a grant that had ended; with a rule that could not be evaluated; without settings of their own; only
    because nothing is restricted; approved by who asked, or by names that nothing proves. Nothing is guessed: whether a
    change mattered is decided again under the states before and after it.

    For example: affidavit findings --from 2026-11-01 --actor ana
    """
    asked = {"from": from_, "to": to, "actor": actor, "system": system}
    params: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if session is not None:
        params["session"] = index_of(session)
    params |= {"before_s": duration_s(before), "after_s": duration_s(after)}
    found: list[dict[str, Any]] = []
    report: dict[str, Any] | None = None
    with connect(common) as client, progress(shown=not common.json and sys.stderr.isatty()) as watch:
        for line in client.lines("/v1/findings", **params):
            said = json.loads(line)
            _raise(said.get("error"))
            if "progress" in said:
                _show(watch, said["progress"])
            elif "finding" in said:
                found.append(said["finding"])
                if not common.json:
                    _print(said["finding"])
            else:
                report = said["report"]
    if report is None:
        raise Unavailable("client.lost", "The answer ended early, so not everything was looked at.", "Try again.")
    if common.json:
        print_json({"findings": found, "report": report})
    else:
        _print_report(report)
    return 1 if found else 0


def _show(watch: Watch | None, at: dict[str, int]) -> None:
    if watch is not None:
        watch("records", at["done"], at["count"])


def _print(finding: dict[str, Any]) -> None:
    mark = "!" if finding["certainty"] == "certain" else "?"
    possibly = "" if finding["certainty"] == "certain" else " (possibly: the clocks do not tell)"
    say(f"{mark} {finding['code']}{possibly}", "deny" if finding["certainty"] == "certain" else "unknown")
    say(f"  {finding['sentence']}")
    for time in finding["times"]:
        say(f"  record {time['record']}: {moment_words(time['at'], time['bound_ns'])}", "dim")


def _print_report(report: dict[str, Any]) -> None:
    stretch, root, seen = report["range"], report["root"], report["looked_at"]
    count = f"{report['found']:,} finding{'' if report['found'] == 1 else 's'}" if report["found"] else "No finding"
    say(
        f"{count} in records {stretch['first']:,} to {max(stretch['stop'] - 1, 0):,} of {root['origin']}: "
        f"{seen['accesses']:,} accesses and {seen['changes']:,} changes looked at."
    )
    say(f"  Published: {root['published_size']:,} records, root {root['published_root']}", "dim")
    say(f"  State {root['state']:,}, root {root['state_root']}", "dim")
    for item in report["not_looked_at"]:
        at = f" (records {', '.join(map(str, item['records']))}…)" if item["records"] else ""
        by = [f"{index} by record {by}" for index, by in zip(item["records"], item.get("by", ()), strict=False)]
        at = f" ({', '.join(by)}{'' if len(by) == item['count'] else '…'})" if by else at
        say(f"  Not looked at, {item['count']:,}: {item['what']}{at}.", "unknown")
    for text in report["left_out"]:
        say(f"  Left out: {text}.", "dim")


def _raise(error: dict[str, Any] | None) -> None:
    if error is not None:
        kind = _KINDS.get(int(error["exit_status"]), Unavailable)
        raise kind(str(error["code"]), str(error["message"]), str(error["hint"]))
