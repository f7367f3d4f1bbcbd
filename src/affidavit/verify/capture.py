"""Whether what was captured is what the settings in the context ask: no less, nothing left out added (duty 18)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from affidavit.limits import VERIFY_UNDER_WAY_S
from affidavit.record.moment import NS, parse_moment
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.line import Line

_STRENGTH = {"before_action": 2, "before_answer": 1, "after": 0}


@dataclass(frozen=True, slots=True)
class Asked:
    """The settings of a context that say how an access is captured."""

    statement: str
    parameters: str
    result: str
    read: str
    write: str


def asked_of(context: dict[str, Any]) -> Asked:
    """The settings that a context holds; one that it lacks asks for the fullest."""
    values = {item["name"]: item["value"] for item in context["settings"]}
    return Asked(
        values.get("capture.statement", "full"),
        values.get("capture.parameters", "full"),
        values.get("capture.result", "digest"),
        values.get("guarantee.read", "before_action"),
        values.get("guarantee.write", "before_action"),
    )


def check_capture(line: Line, asked: Asked, notes: Notebook) -> None:
    """An access, an intent or an outcome whose body was read."""
    notes.looked(Duty.CAPTURE)
    for message in _differences(line, asked):
        notes.fail(Duty.CAPTURE, "capture.settings", line.where, f"Record {line.index} {message}.", line.index)


def check_either(line: Line, asked: Asked, before: Asked, notes: Notebook) -> Asked:
    """As `check_capture`, for a statement that may have begun under earlier settings. Returns those that it keeps."""
    kept = before if _differences(line, asked) and not _differences(line, before) else asked
    check_capture(line, kept, notes)
    return kept


def under_way(line: Line, since: str) -> bool:
    """Whether a statement could have begun before the change that was sealed at `since`: it is decided again when its
    record finds a newer state, but it has been captured as the settings were when it began."""
    return parse_moment(line.header.time.at) - parse_moment(since) < VERIFY_UNDER_WAY_S * NS


def is_captured_as_asked(line: Line, asked: Asked) -> bool:
    """Whether `check_capture` would find nothing."""
    return not _differences(line, asked)


def _differences(line: Line, asked: Asked) -> list[str]:
    content = line.content or {}
    action, result = content.get("action"), content.get("result")
    found: list[str] = []
    if isinstance(action, dict):
        found += _action(action, asked)
        found += _guarantee(line, asked)
    if isinstance(result, dict):
        found += _result(line, result, asked)
    return found


def _action(action: dict[str, Any], asked: Asked) -> Iterator[str]:
    """What cannot be parsed is captured whole, with its literals masked where it names a credential."""
    form = action.get("form")
    if form != asked.statement and not (form == "full" and action.get("parsed") is False):
        yield f"holds its statement as {form!r}, the settings ask {asked.statement!r}"
    if action.get("parameters_count") and action.get("parameters_form") != asked.parameters:
        yield f"holds its parameters as {action.get('parameters_form')!r}, the settings ask {asked.parameters!r}"


def _guarantee(line: Line, asked: Asked) -> Iterator[str]:
    header = line.header
    wanted = asked.read if header.action in ("read", "session") else asked.write
    got = header.guarantee or ""
    if header.kind == "access" and (header.decision != "allow" or header.outcome in ("error", "none")):
        return  # it had no effect that a record could have gone before
    if _STRENGTH.get(got, -1) < _STRENGTH.get(wanted, 2):
        yield f"was recorded under the guarantee {got or 'none'!r}, the settings ask {wanted!r}"
    if header.kind == "access" and got == "before_action":
        yield "says before_action, but no intent went before it"


def _result(line: Line, result: dict[str, Any], asked: Asked) -> Iterator[str]:
    captured, digest = result.get("captured"), result.get("digest")
    limit = int(asked.result.removeprefix("rows:")) if asked.result.startswith("rows:") else 0
    if captured is not None and (not isinstance(captured, list) or len(captured) > limit):
        yield f"holds rows of the result, the settings ask {asked.result!r}"
    if digest is not None and asked.result in ("off", "count"):
        yield f"holds a digest of the result, the settings ask {asked.result!r}"
    counted = line.header.action == "read" and line.header.outcome == "ok"
    if counted and asked.result != "off" and not isinstance(result.get("rows"), int):
        yield f"does not count its rows, the settings ask {asked.result!r}"
