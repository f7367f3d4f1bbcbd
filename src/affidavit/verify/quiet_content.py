"""What the bodies of a run of quiet records say, weighed together (duties 17 and 18; see `run.py`).

Equal shapes and cases under one view have one decision and one capture, so each is decided again once. The bodies
themselves, and that they agree with their headers, the sieve has looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from affidavit.verify.capture import Asked
from affidavit.verify.decisions import Quiet
from affidavit.verify.duties import Duty
from affidavit.verify.erasures import hidden_reason
from affidavit.verify.run import Run, Settle
from affidavit.verify.sift import Shape

if TYPE_CHECKING:
    from affidavit.verify.content import Content

_DECIDED = frozenset({"access", "access.intent"})
_OUTCOMES = frozenset({"access.outcome"})
_INTENTS = frozenset({"access.intent", "access.outcome"})


def weigh_content(content: Content, run: Run) -> Settle | None:
    """What is to be done where nothing in the run is worth more than a remark."""
    if content.folding.unknown or all(case is None for case in run.cases):
        return _weigh_unread(content, run)
    if None in run.cases:
        return None
    found: dict[tuple[Shape, bytes | None], Quiet] = {}
    for shape, case in run.by_case:
        if shape.kind in _DECIDED:
            quiet = _weigh_decision(content, shape, case or b"", run.made_between)
            if quiet is None:
                return None
            found[shape, case] = quiet
    intents = _weigh_outcomes(content, run, found)
    if intents is None:
        return None
    opened, completed = intents
    decided = sum(count for (shape, _), count in run.by_case.items() if shape.kind in _DECIDED)
    outcomes = sum(count for shape, count in run.by_shape.items() if shape.kind in _OUTCOMES)

    def settle() -> None:
        content.notes.looked(Duty.DECISIONS, decided)
        content.notes.looked(Duty.CAPTURE, decided + outcomes)
        for quiet in found.values():
            for remark in quiet.remarks:
                content.notes.remark(Duty.DECISIONS, remark)
        for index in completed:
            del content.intents[index]
        content.intents.update(opened)

    return settle


def _weigh_decision(content: Content, shape: Shape, case: bytes, made: tuple[str, str]) -> Quiet | None:
    state = content.folding.state
    if shape.basis != "observed" or shape.decided != state.index:
        return None
    if hidden_reason(state, shape.actor, shape.system):
        return None
    quiet = content.decisions.weigh(shape, case, state, made)
    if quiet is None:
        return None
    # What is as the settings ask now is right, whatever they asked while the statement was under way.
    return quiet if content.captured_as_asked(shape, case, quiet.view.asked) else None


def _weigh_outcomes(
    content: Content, run: Run, found: dict[tuple[Shape, bytes | None], Quiet]
) -> tuple[dict[int, Asked], list[int]] | None:
    """What was asked of the intents that stay open after the run, and those from before it that it completes."""
    opened: dict[int, Asked] = {}
    completed: dict[int, None] = {}
    for at in run.of_kinds(_INTENTS):
        shape, case, ref = run.shapes[at], run.cases[at], run.refs[at]
        if shape.kind == "access.intent":
            opened[run.first + at] = found[shape, case].view.asked
            continue
        asked = opened.pop(ref, None)
        if asked is None:
            asked = content.intents.get(ref)
            if asked is None or ref in completed:
                return None
            completed[ref] = None
        if not content.captured_as_asked(shape, case or b"", asked):
            return None
    return opened, list(completed)


def _weigh_unread(content: Content, run: Run) -> Settle | None:
    """Decisions without a body that could be read, or without a state: each is counted as not looked at."""
    state, unknown = content.folding.state.index, content.folding.unknown
    for shape in run.by_shape:
        if shape.kind in _DECIDED and (shape.basis != "observed" or not (unknown or shape.decided == state)):
            return None
    outcomes = run.of_kinds(_OUTCOMES)
    if any(run.cases[at] is not None and run.refs[at] in content.intents for at in outcomes):
        return None
    decided = sum(count for shape, count in run.by_shape.items() if shape.kind in _DECIDED)
    completed = [run.refs[at] for at in outcomes]
    return lambda: content.skip_unread(decided, completed)
