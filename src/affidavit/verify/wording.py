"""A verdict in words: the table's cells, and sentences that say what it is about and what it cannot show."""

from __future__ import annotations

from affidavit.errors import InvalidInput
from affidavit.record.moment import NS, format_moment
from affidavit.verify.verdict import Bodies, Check, Scope, Status, Verdict, Witnessed

STATUS_WORDS: dict[Status, str] = {
    "passed": "passed",
    "failed": "FAILED",
    "not_checked": "not checked",
    "not_applicable": "not applicable",
}
COLUMNS = ("", "check", "result", "what was looked at")


def rows(verdict: Verdict) -> list[tuple[str, str, str, str]]:
    """One row a check, for `COLUMNS`."""
    return [(str(check.number), check.name, STATUS_WORDS[check.status], check.detail) for check in verdict.checks]


def findings(verdict: Verdict) -> list[str]:
    """One line a finding, with its place first; then how many more there are."""
    lines: list[str] = []
    for check in verdict.checks:
        lines += [f"{check.number}. {one.where}: {one.message} [{one.code}]" for one in check.findings]
        more = check.findings_count - len(check.findings)
        if more:
            lines.append(f"{check.number}. and {more} more like these")
    return lines


def conclusion(verdict: Verdict) -> str:
    """The verdict in one sentence."""
    failed = [check for check in verdict.checks if check.status == "failed"]
    if failed:
        return f"DOES NOT HOLD: {_listed(failed)} failed."
    if verdict.exit_status:
        return "Nothing failed, but not everything was checked: see below."
    if verdict.scope.asked == "structure":
        return "The structure holds. What the bodies say was not asked for and not checked."
    return "HOLDS: everything that was asked was checked."


def sentences(scope: Scope) -> list[str]:
    """What the verdict is about, what was not checked, and what no check can show."""
    lines = []
    if scope.size is not None:
        last = f", the last one sealed at {scope.last_record_at}" if scope.last_record_at else ""
        lines.append(f"The log {scope.origin} at {scope.location}, up to its checkpoint of {scope.size} records{last}.")
        lines.append(f"Root {scope.root}.")
    for line in scope.signed_by:
        lines.append(
            f"Signed by {line.name}+{line.key_id}." if line.time_s is None else _cosigned(line.name, line.time_s)
        )
    if scope.witnessed is not None:
        lines += _witnessed(scope.witnessed)
    if scope.kept:
        compared = ", ".join(
            f"size {one.size}: {one.result}" if one.size is not None else one.result for one in scope.kept
        )
        lines.append(f"Compared with checkpoints kept elsewhere: {compared}.")
    elif scope.size is not None:
        lines.append("Compared with no checkpoint kept elsewhere.")
    for proven in scope.proven:
        how = "a cosignature" if proven.record is None else f"the token in record {proven.record}"
        lines.append(
            f"Records up to {proven.size - 1} were recorded not after {proven.not_after}, by {how} of {proven.by}."
        )
    if scope.size is not None and not scope.proven and scope.asked != "structure":
        lines.append("Nothing that was checked proves when records were made: their times are the log's own claims.")
    if scope.size is not None:
        lines.append(_bodies(scope.bodies))
    if scope.journal_beyond:
        lines.append(
            f"The journal holds {scope.journal_beyond} records beyond the checkpoint: no signature covers them."
        )
    if scope.journal_torn:
        lines.append(f"The journal ends in a torn batch at {scope.journal_torn}: it was never acknowledged.")
    if scope.sessions_open or scope.intents_open:
        lines.append(f"Open at the end: {scope.sessions_open} sessions, {scope.intents_open} intents without outcome.")
    lines += scope.notes
    lines += [f"Not checked: {reason}." for reason in scope.not_checked]
    lines += [f"This cannot show: {reason}" for reason in scope.cannot_show]
    return lines


def _listed(checks: list[Check]) -> str:
    return ", ".join(f"{check.number} ({check.name})" for check in checks)


def _cosigned(name: str, time_s: int) -> str:
    return f"Cosigned by {name}, which claims to have seen it at {_time(time_s)}."


def _witnessed(found: Witnessed) -> list[str]:
    """What the policy gave, and who cosigned that checkpoint."""
    if found.size is None:
        lines = [f"The policy is not satisfied: {found.why}"]
    else:
        lines = [f"The policy is satisfied up to size {found.size}: {found.why}"]
    for one in found.cosigned:
        at = "" if one.time_s is None else f", at {_time(one.time_s)} by its own word"
        lines.append(f"Counted: {one.witness} ({one.key_name}){at}.")
    return lines


def _time(time_s: int) -> str:
    """Unix seconds as people read them; what no calendar holds, as it stands."""
    try:
        return f"{format_moment(time_s * NS)[:19].replace('T', ' ')} UTC"
    except InvalidInput:
        return f"{time_s} seconds after 1970"


def _bodies(bodies: Bodies) -> str:
    parts = [
        f"{count} {word}"
        for count, word in (
            (bodies.readable, "read"),
            (bodies.unreadable, "without a key that opens them"),
            (bodies.erased, "erased"),
            (bodies.absent, "absent"),
            (bodies.altered, "altered"),
        )
        if count
    ]
    return f"Records that name a body: {bodies.named}; {', '.join(parts) or 'none looked at'}."
