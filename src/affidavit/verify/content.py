"""What follows from the bodies: state, changes, contexts, decisions, capture, each line in order (duties 14 to 18)."""

from __future__ import annotations

from collections import OrderedDict

from affidavit.limits import VERIFY_STATES_MAX
from affidavit.record.kinds import STATE_KINDS
from affidavit.state.fold import State
from affidavit.verify.agreement import check_agreement
from affidavit.verify.capture import Asked, check_capture, check_either, under_way
from affidavit.verify.changes import Changes
from affidavit.verify.decisions import Decisions
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.folding import Folding
from affidavit.verify.line import Line

_DECIDED = frozenset({"access", "access.intent", "session.open"})
_ADMINISTRATION = frozenset({"change", "proposal", "approval"})


class Content:
    """Takes every line in order, when content was asked for."""

    def __init__(self, notes: Notebook) -> None:
        self._notes = notes
        self._folding = Folding(notes)
        self._changes = Changes(notes)
        self._decisions = Decisions(notes)
        self._states: OrderedDict[int, State] = OrderedDict({0: self._folding.state.copy()})
        self._intents: dict[int, Asked] = {}  # what the settings asked of an intent's outcome

    def hole(self) -> None:
        """An entry could not be read."""
        self._folding.hole()

    def take(self, line: Line) -> None:
        """Check one line."""
        check_agreement(line, self._notes)
        kind = line.header.kind
        if kind in STATE_KINDS or kind in _ADMINISTRATION:
            self._take_change(line)
        elif kind == "context":
            state, unknown = self._state_at(line)
            self._decisions.take_context(line, state, unknown)
        elif kind in _DECIDED:
            self._take_decision(line)
        elif kind == "access.outcome":
            self._take_outcome(line)
        elif kind == "log.gap":
            self._intents.clear()  # whichever it ended; references are duty 9

    def _take_change(self, line: Line) -> None:
        kind = line.header.kind
        ops = None if kind == "approval" else self._folding.operations(line)
        if kind in _ADMINISTRATION:
            self._changes.take(line, ops, self._folding.state, self._folding.unknown)
        if kind not in STATE_KINDS:
            return
        if ops is None:
            self._folding.skip_unread(line)
            return
        self._folding.apply(line, ops)
        self._decisions.changed_at = line.header.log.at
        self._states[self._folding.state.index] = self._folding.state.copy()
        if len(self._states) > VERIFY_STATES_MAX:
            self._states.popitem(last=False)

    def _take_decision(self, line: Line) -> None:
        if line.header.basis != "observed":
            self._notes.remark(Duty.DECISIONS, "decisions that an application asserts are not ours to make again")
            return
        state, unknown = self._state_at(line)
        view = self._decisions.take(line, state, unknown)
        if line.header.kind == "session.open":
            return
        if view is None:
            self._notes.skip(Duty.CAPTURE, unknown or "the context that it needs does not hold or was not read")
            return
        asked = view.asked
        if view.before is not None and under_way(line, view.since):
            asked = check_either(line, view.asked, view.before, self._notes)
        else:
            check_capture(line, asked, self._notes)
        if line.header.kind == "access.intent":
            self._intents[line.index] = asked

    def _take_outcome(self, line: Line) -> None:
        asked = None if line.header.ref is None else self._intents.pop(line.header.ref, None)
        if asked is None or line.content is None:
            self._notes.skip(Duty.CAPTURE, "the body of an outcome, or of its intent, could not be read")
            return
        check_capture(line, asked, self._notes)

    def _state_at(self, line: Line) -> tuple[State, str]:
        """The state that a line was decided under, or why there is none."""
        current = self._folding.state
        decided = line.header.decided
        if self._folding.unknown or decided is None or decided == current.index:
            return current, self._folding.unknown
        state = self._states.get(decided)
        if state is not None:
            return state, ""
        if decided in range(next(iter(self._states)), current.index):
            return current, f"no change made the state {decided} that it was decided under"
        return current, "it was decided under a state too far back"
