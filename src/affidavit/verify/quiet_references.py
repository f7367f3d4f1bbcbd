"""References of a run of quiet records, weighed together (duty 9; see `run.py`).

What `References` says about such a record is worth no word where: its clock is the last one of the boot that its stream
has; its session is open and of its actor and system; its context is one of theirs; an outcome completes an intent of
its session that is still open; a transaction lists accesses after the beginning of its session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from affidavit.record.kinds import KINDS
from affidavit.verify.run import Run, Settle
from affidavit.verify.sift import LEFT, Shape

if TYPE_CHECKING:
    from affidavit.verify.references import References

_INTENTS = frozenset({"access.intent", "access.outcome"})
_TRANSACTIONS = frozenset({"transaction"})
_ACCESSES = frozenset({"access", "access.intent"})


def weigh_references(references: References, run: Run) -> Settle | None:
    """What is to be done where nothing in the run is worth a word."""
    boots = _weigh_clocks(references, run)
    if boots is None or not all(_names_its_own(references, shape) for shape in run.by_shape):
        return None
    intents = _weigh_intents(references, run)
    if intents is None or not all(_lists_accesses(references, run, at) for at in run.of_kinds(_TRANSACTIONS)):
        return None
    opened, completed = intents

    def settle() -> None:
        references.take_quiet(run, boots, opened, completed)

    return settle


def _names_its_own(references: References, shape: Shape) -> bool:
    session = None if shape.session is None else references.sessions.get(shape.session)
    if session is None or shape.actor not in (None, session.actor) or shape.system not in (None, session.system):
        return False
    return shape.context is None or references.context_of(shape.context) == (shape.actor, shape.system)


def _weigh_clocks(references: References, run: Run) -> dict[str, str | None] | None:
    """The boot of each stream of the run; None stands for a stream whose boot is not known, or has no clock yet."""
    boots: dict[str, str | None] = {}
    clocks: dict[str, int | None] = {}
    for shape in run.by_shape:
        if clocks.setdefault(shape.stream, shape.clock) != shape.clock:
            return None
        if shape.stream in boots:
            continue
        found = references.quiet_boot(shape.stream, shape.clock)
        if found is False:
            return None
        boots[shape.stream] = found
    return boots


def _weigh_intents(references: References, run: Run) -> tuple[dict[int, Shape], list[int]] | None:
    """The intents that stay open after the run, and those from before it that it completes."""
    opened: dict[int, Shape] = {}
    completed: dict[int, None] = {}
    for at in run.of_kinds(_INTENTS):
        shape, ref = run.shapes[at], run.refs[at]
        if shape.kind == "access.intent":
            opened[run.first + at] = shape
        elif ref in opened:
            if opened.pop(ref).session != shape.session:
                return None
        else:
            intent = references.intents.get(ref)
            if intent is None or intent.session != shape.session or ref in completed:
                return None
            completed[ref] = None
    return opened, list(completed)


def _lists_accesses(references: References, run: Run, at: int) -> bool:
    """Whether a transaction refers to an access, and lists accesses of its session."""
    index, shape, ref, case = run.first + at, run.shapes[at], run.refs[at], run.cases[at]
    if ref != LEFT and not (0 <= ref < index and _kind(references, run, ref) in KINDS["transaction"].ref):
        return False
    listed = None if case is None else msgspec.json.decode(case).get("accesses")
    since = index if shape.session is None else shape.session
    return not isinstance(listed, list) or all(
        isinstance(one, int) and since < one < index and _kind(references, run, one) in _ACCESSES for one in listed
    )


def _kind(references: References, run: Run, index: int) -> str | None:
    return run.shapes[index - run.first].kind if index >= run.first else references.kind_at(index)
