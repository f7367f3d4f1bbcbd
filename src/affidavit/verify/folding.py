"""The state folded again from genesis, and whether each record that changes it may and does (duty 14).

Once a change could not be read (no key, altered, an entry that is gone) nothing that rests on the state can be said any
more; `unknown` then holds the reason, and everything after counts as not looked at. Of an erased change the stub is
folded: it leads to the same root, and the objects that it put are *hidden* until later changes put them again.
"""

from __future__ import annotations

from affidavit.errors import AffidavitError
from affidavit.record.kinds import STATE_KINDS
from affidavit.record.moment import parse_moment
from affidavit.state.change import Op, decode_ops
from affidavit.state.changing import check_drift, check_lapse
from affidavit.state.fold import State
from affidavit.state.hidden import ErasedContent, Hidden, decode_hidden, erased_words
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.line import Line

REASONS = {
    "unread": "a change could not be read: no key was given that opens it",
    "erased": "a change was erased, and its stub does not hold",
    "absent": "the archive does not hold the body of a change",
    "altered": "a change was altered",
}


class Folding:
    """Takes the state-changing lines in order."""

    def __init__(self, notes: Notebook) -> None:
        self.state = State()
        self.unknown = ""
        self._notes = notes

    def hole(self) -> None:
        """An entry could not be read, and may have been a change."""
        self.unknown = self.unknown or "an entry before it could not be read"

    def operations(self, line: Line) -> tuple[Op, ...] | None:
        """The operations of a line that holds objects; None where they cannot be read, and then that is said."""
        if line.content is None:
            if line.header.kind in STATE_KINDS and line.erased is None:
                self.unknown = self.unknown or REASONS.get(line.why, "a change has no body")
            return None
        try:
            return decode_ops(line.content.get("objects"))
        except AffidavitError as error:
            self._fail(line, "state.objects", f"The objects of record {line.index} cannot be: {error}")
            if line.header.kind in STATE_KINDS:
                self.unknown = self.unknown or "a change holds objects that cannot be"
            return None

    def apply(self, line: Line, ops: tuple[Op, ...]) -> None:
        """Apply a line's operations; the root afterwards must be the one that its header says."""
        if self.unknown:
            self._notes.skip(Duty.STATE, self.unknown)
            return
        self._notes.looked(Duty.STATE)
        self._check_kind(line, ops)
        try:
            self.state.apply(ops, line.index)
        except AffidavitError as error:
            self._fail(
                line, "state.follows", f"Record {line.index} does not follow from the changes before it: {error}"
            )
            self.unknown = f"the change {line.index} does not follow"
            return
        self._check_root(line)

    def apply_stub(self, line: Line) -> None:
        """Apply what is left of an erased change. Only its root tells whether it did that, and only where the state
        before it is known."""
        if line.erased is None or self.unknown:
            self.skip_unread(line)
            return
        erased = Hidden(line.index, line.erased.by, line.header.system)
        self._notes.looked(Duty.STATE)
        try:
            ops = decode_hidden(line.erased.left)
            self.state.apply_hidden(ops, line.index, erased.by, line.header.system)
        except AffidavitError as error:
            self._fail(line, "state.stub", f"The stub of record {line.index} is not what is left of it: {error}")
            self.unknown = f"the stub of the erased change {line.index} does not follow"
            return
        self._check_root(line)
        kinds = {"lapse": "deleted only what had expired", "drift": "put only what its system reports"}
        if line.header.kind in kinds:
            reason = f"{erased_words([erased])}: that it {kinds[line.header.kind]} cannot be told"
            self._notes.skip(Duty.STATE, reason)

    def _check_root(self, line: Line) -> None:
        if self.state.root != line.header.root:
            message = (
                f"After record {line.index} the state has the root {self.state.root}; its header says "
                f"{line.header.root}."
            )
            self._fail(line, "state.root", message)

    def skip_unread(self, line: Line) -> None:
        """A state-changing line whose operations could not be read."""
        del line
        self._notes.skip(Duty.STATE, self.unknown)

    def _check_kind(self, line: Line, ops: tuple[Op, ...]) -> None:
        """A lapse deletes only what has expired, a drift puts only what its system reports."""
        content = line.content or {}
        try:
            if line.header.kind == "lapse":
                expired = parse_moment(str(content.get("expired")))
                if expired > parse_moment(line.header.log.at):
                    message = f"The lapse {line.index} says {content.get('expired')}, later than it was sealed."
                    self._fail(line, "state.lapse", message)
                check_lapse(self.state, ops, expired)
            elif line.header.kind == "drift":
                check_drift(self.state, ops, line.header.system or "")
        except ErasedContent as error:
            self._notes.skip(Duty.STATE, error.reason)
        except AffidavitError as error:
            self._fail(line, f"state.{line.header.kind}", f"Record {line.index}: {error}")

    def _fail(self, line: Line, code: str, message: str) -> None:
        self._notes.fail(Duty.STATE, code, line.where, message, line.index)
