"""`affidavit what-if`: recorded accesses, decided again under another moment or a declaration not yet applied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from affidavit.cli.client import Client, connect
from affidavit.cli.declaration import Declaration, naming_places, read_declaration
from affidavit.cli.options import DEFAULTS, Common, index_of
from affidavit.cli.output import print_json, say
from affidavit.cli.watching import answered
from affidavit.cli.who import say_range
from affidavit.errors import InvalidInput
from affidavit.evidence.whatif import ALLOWED, CLASSES, DENIED, FAILED, SAME, UNDECIDED
from affidavit.evidence.wording import count_words

_WORDS = {
    DENIED: "would be denied",
    ALLOWED: "newly allowed",
    UNDECIDED: "cannot be decided",
    FAILED: "denied by a rule that cannot be evaluated",
    SAME: "the same",
}
_STYLES = {DENIED: "deny", ALLOWED: "allow", UNDECIDED: "unknown", FAILED: "deny", SAME: "dim"}
_INDEXES_SHOWN = 8  # --json has all


def what_if(
    index: str | None = None,
    /,
    *,
    at: Annotated[str | None, Parameter(show_default=False)] = None,
    now: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    policy: Annotated[Path | None, Parameter(name="--policy", show_default=False)] = None,
    from_: Annotated[str | None, Parameter(name="--from", show_default=False)] = None,
    to: Annotated[str | None, Parameter(show_default=False)] = None,
    actor: Annotated[str | None, Parameter(show_default=False)] = None,
    system: Annotated[str | None, Parameter(show_default=False)] = None,
    action: Annotated[str | None, Parameter(show_default=False)] = None,
    common: Common = DEFAULTS,
) -> int:
    """Decide a recorded access again, or those of a range, as if it were asked at another moment.

    Under the state of that moment (its policies, groups, and the grants live then), or under a declaration laid over
    the present state as `apply --dry-run` plans it. Nothing is recorded or changed.

        affidavit what-if 41 --at 2026-11-22T14:17
        affidavit what-if 41 --policy tighter/
        affidavit what-if --from 2026-11-01 --to now --policy tighter.yaml

    Parameters
    ----------
    index
        The record of the access. Without it: --from and --to.
    at
        Under the state of this moment: an index, a UTC time, or now.
    now
        Under the state as it is now. That is the default.
    policy
        Under this apply file or folder, laid over the present state.
    from_
        The accesses from this moment on. Default: the beginning of the log.
    to
        The accesses up to this moment. Default: now.
    actor
        Only those of this person, by handle or id.
    system
        Only those on this system; `log`: changes of the log's state instead.
    action
        Only this action: read, write, define, …
    """
    _check(index, at, now, policy, (from_, to, actor, system, action))
    declared = Declaration({}, {}, "") if policy is None else read_declaration(policy)
    asked: dict[str, Any] = {"at": at, "objects": None if policy is None else declared.objects}
    if index is not None:
        asked["index"] = index_of(index)
    else:
        asked |= {"from": from_, "to": to, "actor": actor, "system": system, "action": action}
    with connect(common) as client, naming_places(declared.places):
        cases, answer = _answer(client, {key: value for key, value in asked.items() if value is not None}, common)
    if common.json:
        print_json({**answer, "cases": cases})
    elif index is not None:
        _show_one(answer)
    else:
        _show_range(answer)
    return 0


def _check(index: str | None, at: str | None, now: bool, policy: Path | None, ranged: tuple[str | None, ...]) -> None:
    """Raise `InvalidInput` unless the options make one question."""
    if sum((at is not None, now, policy is not None)) > 1:
        raise InvalidInput("cli.usage", "Under which state?", "Give one of --at, --now and --policy.")
    if index is None and ranged[0] is None and ranged[1] is None:
        raise InvalidInput("cli.usage", "Which accesses?", "Give a record's index, or --from and --to.")
    if index is not None and any(item is not None for item in ranged):
        raise InvalidInput("cli.usage", "A record's index is one access.", "Leave --from, --to and the filters out.")


def _answer(client: Client, asked: dict[str, Any], common: Common) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    cases: list[dict[str, Any]] = []

    def lines() -> Iterator[dict[str, Any]]:
        for line in client.asked("/v1/what-if", asked):
            cases.extend(line.get("cases", ()) if common.json else ())
            yield line

    return cases, answered(lines(), "Deciding again", shown=not common.json)


def _show_one(answer: dict[str, Any]) -> None:
    case = answer["case"]
    say(answer["sentence"], "strong")
    was = {"allow": "allowed", "deny": "denied"}.get(case["was"], case["was"])
    said = {
        SAME: f"{was.capitalize()} then, and the same {_under(answer)}.",
        DENIED: f"Allowed then, denied {_under(answer)}: {case['because']}.",
        ALLOWED: f"Denied then, allowed {_under(answer)}: {case['because']}.",
        UNDECIDED: f"{was.capitalize()} then; {_under(answer)} it cannot be decided: {case['because']}.",
        FAILED: f"{was.capitalize()} then, denied {_under(answer)}: {case['because']}.",
    }[case["class"]]
    say(said, _STYLES[case["class"]])
    say(f"  rules then: {', '.join(case['rules_then']) or 'none'}")
    say(f"  rules now:  {', '.join(case['rules_now']) or 'none'}")
    for error in case["errors"]:
        say(f"  cannot be evaluated: {error}", "deny")
    if case["failed_then"]:
        say(f"  could not be evaluated then: {', '.join(case['failed_then'])}", "deny")
    differing = [item["what"] for item in answer["differences"]]
    say(f"What differs between the two contexts: {', '.join(differing) or 'nothing'}.")


def _show_range(answer: dict[str, Any]) -> None:
    counts = answer["counts"]
    parts = [f"{counts[name]:,} {_WORDS[name]}" for name in CLASSES if counts[name] or name in (DENIED, ALLOWED, SAME)]
    say(f"Of {answer['total']:,} accesses, {_under(answer)}: {', '.join(parts)}.", "strong")
    last = ""
    for group in answer["groups"]:
        if group["class"] != last:
            last = group["class"]
            say()
            say(f"{_WORDS[last].capitalize()}: {counts[last]:,}", _STYLES[last])
        records = ", ".join(str(index) for index in group["records"][:_INDEXES_SHOWN])
        more = f" and {group['count'] - _INDEXES_SHOWN:,} more" if group["count"] > _INDEXES_SHOWN else ""
        say(f"  {group['count']:>6,}  {group['handle']} on {group['system']}: {group['because']}")
        say(f"          records {records}{more}", "dim")
    say()
    failed = answer["failed_then"]
    if failed:
        some = ", ".join(str(index) for index in failed[:_INDEXES_SHOWN])
        say(f"In {len(failed):,} of them a rule could not be evaluated then, which denied: {some}.", "deny")
    else:
        say("In none of them a rule was skipped then because it could not be evaluated.")
    say_range(answer)


def _under(answer: dict[str, Any]) -> str:
    under = answer["under"]
    moment = f"{under['at'][:10]} {under['at'][11:19]} UTC"
    if under["objects"]:
        return f"with {count_words(len(under['objects']), 'object')} laid over the state of {moment}"
    return f"under the state of {moment}"
