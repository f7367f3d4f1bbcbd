"""What a proof of state shows, in words, and what it does not."""

from __future__ import annotations

import json

from affidavit.state.statement import Examined, NoGrant, NoMembership, ObjectWas, Position, Statement, Version

_WRITER = (
    "That the roots follow from the changes, and that each record names the true last change before it: that is the "
    "writer's word under its key, until `affidavit verify` has checked the whole log."
)
_HISTORY = (
    "That everybody is shown this history: compare its checkpoint with one kept elsewhere (--kept), or ask for "
    "cosignatures (--policy)."
)
_CLOCK = "When this was by another clock: positions are certain, times are the log's own."
_ENFORCED = "What systems enforced, and what was done past them: the state says what should hold."


def shown(statement: Statement, recorded_to: str, size: int) -> str:
    """The statement in a sentence; `recorded_to` is the log's time of the record before its last position."""
    when = _when(statement.first, statement.last, recorded_to, size)
    match statement:
        case ObjectWas():
            return _object(statement, when)
        case NoGrant():
            what = "any system" if statement.system is None else f"the system {statement.system}"
            held = f"{statement.principal} held no grant on {what}, neither directly nor through a group"
        case NoMembership():
            held = f"{statement.principal} was not in the group {statement.group}, directly or through other groups"
    return f"{held}, {when}."


def not_shown(statement: Statement, found: Examined, *, compared_elsewhere: bool) -> tuple[str, ...]:
    """What the proof does not show, although somebody may think so."""
    said = [_WRITER]
    if not compared_elsewhere:
        said.append(_HISTORY)
    said.append(_CLOCK)
    match statement:
        case ObjectWas():
            if any(version.hash is not None for version in statement.versions):
                said.append("What the value was where it is withheld: the file holds its salted hash.")
        case NoGrant():
            said += _about(statement.principal, found)
            said.append(
                f"That {statement.principal} could do nothing there: a policy may allow without any grant, and a grant "
                "to somebody who acted for them is not theirs."
            )
        case NoMembership():
            said += _about(statement.principal, found)
    said.append(_ENFORCED)
    return tuple(said)


def _about(principal: str, found: Examined) -> list[str]:
    who = f"Who {principal} is: names stand in profiles; `affidavit state prove profile/{principal}` shows that one."
    absent = [f"`{name}` did not exist at the end: is that the one you mean?" for name in found.absent]
    return [*([] if principal.startswith("group:") else [who]), *absent]


def _object(statement: ObjectWas, when: str) -> str:
    versions = statement.versions
    if len(versions) == 1:
        one = versions[0]
        if one.hash is None and one.value is None:
            return f"`{statement.name}` did not exist, {when}."
        unchanged = "" if statement.first == statement.last else " and did not change"
        return f"`{statement.name}` existed{unchanged}, {when}: {_value(one)}."
    lines = [f"  from position {one.since} on: {_value(one)}" for one in versions]
    return "\n".join([f"`{statement.name}` had {len(versions)} versions and no others, {when}:", *lines])


def _value(version: Version) -> str:
    if version.hash is not None:
        return "with a value that is withheld"
    if version.value is None:
        return "did not exist"
    return json.dumps(version.value, ensure_ascii=False, sort_keys=True)


def _when(first: Position, last: Position, recorded_to: str, size: int) -> str:
    after = f"position {last.index}, after record {last.index - 1} of {recorded_to}"
    if last.index == size:
        after += ", the last that the checkpoint covers"
    end = after if last.time is None else f"{last.time}, which is {after}"
    if first == last:
        return f"at {end}"
    start = "the beginning of the log" if first.index == 0 else f"position {first.index}"
    return f"at any time from {start if first.time is None else f'{first.time}, which is {start},'} to {end}"
