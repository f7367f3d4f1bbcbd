"""Genesis and order: what the position of a record demands of its header (duties 7 and 8)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from affidavit.record.kinds import DECIDED_KINDS, STATE_KINDS
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.line import Line
from affidavit.verify.previous import check_previous
from affidavit.verify.run import Run, Settle
from affidavit.verify.seen_ids import SeenIds

GENESIS_KINDS = ("log.open", "clock", "change")


class Order:
    """Takes every line in order. `state` is the state index after the lines taken so far.

    `in_force` gives the texts of the keys in force when a record was written, none where the verifier does not know.

    After a hole (an entry that could not be read) the state index is known again only as far as headers say it.
    """

    def __init__(self, origin: str, in_force: Callable[[int], Collection[str]], notes: Notebook) -> None:
        self.state = 0
        self.last_at = ""
        self._origin = origin
        self._in_force = in_force
        self._notes = notes
        self._ids = SeenIds()
        self._state_known = True
        self._last_kind = ""
        self._administrator: str | None = None  # as log.open names it, where its body could be read

    def hole(self, index: int) -> None:
        """The entry at `index` could not be read."""
        del index
        self._state_known = False
        self._last_kind = ""

    def take(self, line: Line) -> None:
        """Check one line."""
        header, index = line.header, line.index
        self._notes.looked(Duty.ORDER)
        if not self._ids.add(header.id):
            self._fail(line, "order.id", f"Record {index} has the id {header.id}, which an earlier record has.")
        if header.log.at < self.last_at:
            self._fail(line, "order.time", f"Record {index} is sealed at {header.log.at}, before {self.last_at}.")
        self.last_at = max(self.last_at, header.log.at)
        if not self._state_known:
            self.state = max(self.state, min(header.log.state, index))
            self._state_known = True
        if header.log.state != self.state:
            message = f"Record {index} says state {header.log.state}; the last change before it makes it {self.state}."
            self._fail(line, "order.state", message)
        self._check_decided(line)
        self._check_genesis(line)
        if header.kind in STATE_KINDS:
            self.state = index + 1
        elif header.root is not None:
            self._fail(line, "order.root", f"Record {index} carries a root, but a {header.kind} changes no state.")
        self._last_kind = header.kind

    def weigh(self, run: Run) -> Settle | None:
        """See `run.py`."""
        sealed = run.sealed
        if run.first < len(GENESIS_KINDS) or self._last_kind == "log.close" or not self._state_known:
            return None
        if any(shape.state != self.state or shape.decided not in (None, self.state) for shape in run.by_shape):
            return None
        if sealed[0] < self.last_at or sealed != sorted(sealed) or not self._ids.are_new(run.ids):
            return None

        def settle() -> None:
            self._notes.looked(Duty.ORDER, run.count)
            self._ids.add_all(run.ids)
            self.last_at = sealed[-1]
            self._last_kind = run.shapes[-1].kind

        return settle

    def _check_decided(self, line: Line) -> None:
        header = line.header
        decided, state = header.decided, header.log.state
        if decided is None:
            return
        lagging = header.kind not in STATE_KINDS and (
            header.guarantee == "after" or header.basis != "observed" or header.kind not in DECIDED_KINDS
        )
        if decided > state or (decided != state and not lagging):
            message = f"Record {line.index} was decided under state {decided}, but state {state} applied to it."
            self._fail(line, "order.decided", message)

    def _check_genesis(self, line: Line) -> None:
        header, index, content = line.header, line.index, line.content
        if index < len(GENESIS_KINDS):
            self._notes.looked(Duty.GENESIS)
            if header.kind != GENESIS_KINDS[index]:
                message = f"Record {index} of a log is a {GENESIS_KINDS[index]}; here it is a {header.kind}."
                self._genesis(line, "genesis.kind", message)
        if index == 0 and content is not None:
            self._administrator = str(content.get("administrator"))
            check_previous(line, self._origin, self._notes)
        if index == len(GENESIS_KINDS) - 1 and self._administrator not in (None, header.actor):
            message = f"The first change is by {header.actor}; log.open names {self._administrator} as administrator."
            self._genesis(line, "genesis.administrator", message)
        if header.kind == "log.open" and content is not None:
            wanted = "genesis" if index == 0 else "start"
            if content.get("reason") != wanted:
                self._genesis(line, "genesis.open", f"Record {index} opens the log for another reason than {wanted}.")
            self._check_key(line, content)
            if content.get("origin") != self._origin:
                self._genesis(line, "genesis.origin", f"Record {index} opens the log {content.get('origin')!r}.")
        if index and header.kind == "log.open" and self._last_kind not in ("log.close", "log.gap", ""):
            message = f"Record {index} opens the log, but no log.close or log.gap stands before it."
            self._genesis(line, "genesis.open", message)
        if self._last_kind == "log.close" and header.kind not in ("log.open", "log.gap"):
            message = f"Record {index} follows a log.close, which only a log.open or log.gap may."
            self._genesis(line, "genesis.close", message)
        if header.kind == "change" and content is not None:
            via = content.get("via")
            if (isinstance(via, dict) and via.get("method") == "genesis") != (index == len(GENESIS_KINDS) - 1):
                message = f"Record {index}: the change that needs no policy is record 2, and no other."
                self._genesis(line, "genesis.change", message)

    def _check_key(self, line: Line, content: dict[str, Any]) -> None:
        """The log says under which keys it was opened: those that sign, as far as they are known."""
        known, index = self._in_force(line.index), line.index
        said = [content[name] for name in ("key", "post_quantum") if name in content]
        if not known:
            self._notes.remark(
                Duty.GENESIS, "under which key the log was opened before the oldest given key is not judged"
            )
        elif not set(known) <= set(map(str, said)):
            message = (
                f"Record {index} opens the log under the key {str(content.get('key'))[:100]!r}, not the given one."
            )
            self._genesis(line, "genesis.key", message)

    def _fail(self, line: Line, code: str, message: str) -> None:
        self._notes.fail(Duty.ORDER, code, line.where, message, line.index)

    def _genesis(self, line: Line, code: str, message: str) -> None:
        self._notes.fail(Duty.GENESIS, code, line.where, message, line.index)
