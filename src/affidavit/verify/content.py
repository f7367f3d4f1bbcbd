"""What follows from the bodies: state, changes, contexts, decisions, capture, each line in order (duties 14 to 18)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import msgspec

from affidavit.limits import DECISIONS_CACHED_MAX, VERIFY_STATES_MAX
from affidavit.record.kinds import STATE_KINDS
from affidavit.state.fold import State
from affidavit.state.hidden import kind_at
from affidavit.verify.agreement import check_agreement
from affidavit.verify.capture import Asked, check_capture, check_either, is_captured_as_asked, under_way
from affidavit.verify.changes import Changes
from affidavit.verify.counters import gap_streams
from affidavit.verify.decisions import UNREAD_DECISION, Decisions
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.erasures import erased_reason, hidden_reason
from affidavit.verify.folding import Folding
from affidavit.verify.keys import Keys
from affidavit.verify.line import Line
from affidavit.verify.quiet_content import weigh_content
from affidavit.verify.run import Run, Settle
from affidavit.verify.sift import Shape

_DECIDED = frozenset({"access", "access.intent", "session.open"})
UNREAD_CONTEXT = "the context that it needs does not hold or was not read"
UNREAD_OUTCOME = "the body of an outcome, or of its intent, could not be read"
_ADMINISTRATION = frozenset({"change", "proposal", "approval"})
#: Kinds of hidden objects that may have set how somebody's accesses are captured; None: a membership.
_BEAR_ON_CAPTURE = frozenset({"settings", None})
_ON_THE_LOG = frozenset({"log.key", "erase"})


class Content:
    """Takes every line in order, when content was asked for."""

    def __init__(self, notes: Notebook, keys: Keys) -> None:
        self.notes = notes
        self.folding = Folding(notes)
        self._changes = Changes(notes, keys)
        self.decisions = Decisions(notes)
        self._states: OrderedDict[int, State] = OrderedDict({0: self.folding.state.copy()})
        self._captured: dict[tuple[Any, ...], bool] = {}
        self._hidden_until = ""  # when a change was sealed before which settings may have been hidden
        self.intents: dict[int, Asked] = {}  # what the settings asked of an intent's outcome

    def hole(self) -> None:
        """An entry could not be read."""
        self.folding.hole()

    def take(self, line: Line) -> None:
        """Check one line."""
        check_agreement(line, self.notes)
        kind = line.header.kind
        if kind in STATE_KINDS or kind in _ADMINISTRATION:
            self._take_change(line)
        elif kind == "context":
            state, unknown = self._state_at(line)
            self.decisions.take_context(line, state, unknown)
        elif kind in _ON_THE_LOG:
            state, unknown = self._state_at(line)
            self._changes.take_log_admin(line, state, unknown)
        elif kind == "review":
            state, unknown = self._state_at(line)
            self._changes.take_review(line, state, unknown)
        elif kind in _DECIDED:
            self._take_decision(line)
        elif kind == "access.outcome":
            self._take_outcome(line)
        elif kind == "log.gap" and (line.content is None or gap_streams(line.content)):
            self.intents.clear()  # those of streams that ended, as all do with their process; references are duty 9

    def weigh(self, run: Run) -> Settle | None:
        """See `run.py`."""
        return weigh_content(self, run)

    def captured_as_asked(self, shape: Shape, case: bytes, asked: Asked) -> bool:
        """Whether records of this shape and case hold what the settings ask."""
        question = (asked, shape.kind, shape.action, shape.guarantee, shape.decision, shape.outcome, case)
        if question not in self._captured:
            if len(self._captured) >= DECISIONS_CACHED_MAX:
                self._captured.clear()
            line = Line(-1, shape.header(""), msgspec.json.decode(case), "", "")
            self._captured[question] = is_captured_as_asked(line, asked)
        return self._captured[question]

    def skip_unread(self, decided: int, completed: Sequence[int]) -> None:
        """As many decisions, and the outcomes of these intents, could not be looked at."""
        unknown = self.folding.unknown
        if decided:
            self.notes.skip(Duty.DECISIONS, unknown or UNREAD_DECISION, decided)
            self.notes.skip(Duty.CAPTURE, unknown or UNREAD_CONTEXT, decided)
        for index in completed:
            self.intents.pop(index, None)
            self.notes.skip(Duty.CAPTURE, UNREAD_OUTCOME)

    def _take_change(self, line: Line) -> None:
        kind = line.header.kind
        ops = None if kind == "approval" else self.folding.operations(line)
        if kind in _ADMINISTRATION:
            self._changes.take(line, ops, self.folding.state, self.folding.unknown)
        if kind not in STATE_KINDS:
            return
        if any(kind_at(path) in _BEAR_ON_CAPTURE for path in self.folding.state.hidden):
            self._hidden_until = line.header.log.at
        if line.erased is not None:
            self.folding.apply_stub(line)
        elif ops is None:
            self.folding.skip_unread(line)
            return
        else:
            self.folding.apply(line, ops)
        self.decisions.changed_at = line.header.log.at
        self._states[self.folding.state.index] = self.folding.state.copy()
        if len(self._states) > VERIFY_STATES_MAX:
            self._states.popitem(last=False)

    def _take_decision(self, line: Line) -> None:
        if line.header.basis != "observed":
            self.notes.remark(Duty.DECISIONS, "decisions that an application asserts are not ours to make again")
            return
        state, unknown = self._state_at(line)
        view = self.decisions.take(line, state, unknown)
        if line.header.kind == "session.open":
            return
        if view is None:
            self.notes.skip(Duty.CAPTURE, unknown or UNREAD_CONTEXT)
            return
        asked = view.asked
        if self._hidden_until and under_way(line, self._hidden_until) and not is_captured_as_asked(line, asked):
            self.notes.skip(Duty.CAPTURE, "it may have begun under settings that were erased")
        elif view.before is not None and under_way(line, view.since):
            asked = check_either(line, view.asked, view.before, self.notes)
        else:
            check_capture(line, asked, self.notes)
        if line.header.kind == "access.intent":
            self.intents[line.index] = asked

    def _take_outcome(self, line: Line) -> None:
        asked = None if line.header.ref is None else self.intents.pop(line.header.ref, None)
        if asked is None or line.content is None:
            self.notes.skip(Duty.CAPTURE, erased_reason(line) or UNREAD_OUTCOME)
            return
        check_capture(line, asked, self.notes)

    def _state_at(self, line: Line) -> tuple[State, str]:
        """The state that a line was decided under, or why there is none that it can be decided under again."""
        state, unknown = self._state_then(line)
        return state, unknown or erased_reason(line) or hidden_reason(state, line.header.actor, line.header.system)

    def _state_then(self, line: Line) -> tuple[State, str]:
        current = self.folding.state
        decided = line.header.decided
        if self.folding.unknown or decided is None or decided == current.index:
            return current, self.folding.unknown
        state = self._states.get(decided)
        if state is not None:
            return state, ""
        if decided in range(next(iter(self._states)), current.index):
            return current, f"no change made the state {decided} that it was decided under"
        return current, "it was decided under a state too far back"
