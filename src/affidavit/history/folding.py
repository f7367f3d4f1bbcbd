"""The state after every change of a log, folded from nothing, each root compared with the recorded one.

A long log is folded by two processes: this one reads the changes and applies them, another one hashes (`Roots`).
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence

from affidavit.errors import Corruption
from affidavit.history.asof import Records, apply_change, apply_record, check_root, wrong_root
from affidavit.history.roots import Roots
from affidavit.limits import ROOTS_APART_MIN, ROOTS_BATCH, ROOTS_BATCHES_AHEAD
from affidavit.record.body import Erased
from affidavit.record.read import Record
from affidavit.state.fold import State, entries_of
from affidavit.state.hidden import HiddenTake, Step, decode_hidden
from affidavit.state.map import leaf_hash

_log = logging.getLogger(__name__)
_Taken = tuple[Record, Sequence[Step]]


def fold(reader: Records, changes: Sequence[int], found: Callable[[Record, Sequence[Step]], None]) -> State:
    """The state after these changes, which are all of the log, oldest first.

    `found` is shown each change once its root was found as the log says it; again from the first one on, where the
    other process ends before its time. Raises `Corruption` for the first change that does not apply or whose root
    differs.
    """
    if changes and len(changes) >= ROOTS_APART_MIN and len(os.sched_getaffinity(0)) > 1:
        try:
            with Roots() as roots:
                return _fold_apart(reader, changes, found, roots)
        except OSError as error:
            _log.warning("Roots are hashed in this process alone: %s", error)
    state = State()
    for at in changes:
        record = reader.record(at)
        found(record, apply_record(state, record))
    return state


def _fold_apart(
    reader: Records, changes: Sequence[int], found: Callable[[Record, Sequence[Step]], None], roots: Roots
) -> State:
    state, waiting = State(), deque[list[_Taken]]()

    def settle(left: int) -> None:
        """Take answers until no more than `left` batches wait for one."""
        while len(waiting) > left:
            batch = waiting.popleft()
            right = roots.right()
            for record, steps in batch[:right]:
                found(record, steps)
            if right < len(batch):
                raise wrong_root(batch[right][0])

    def give(batch: list[_Taken]) -> None:
        roots.give([(_entries(record, steps), record.header.root or "") for record, steps in batch])
        waiting.append(batch)

    for start in range(0, len(changes), ROOTS_BATCH):
        batch: list[_Taken] = []
        try:
            for at in changes[start : start + ROOTS_BATCH]:
                record = reader.record(at)
                batch.append((record, apply_change(state, record)))
        except Corruption:
            give(batch)
            settle(0)  # a wrong root before it comes first
            raise
        give(batch)
        settle(ROOTS_BATCHES_AHEAD)
    settle(0)
    # This process has hashed nothing yet. It does so now, all at once, and not when the next change waits for it.
    check_root(state, reader.record(changes[-1]))
    return state


def _entries(record: Record, steps: Sequence[Step]) -> list[tuple[bytes, bytes]]:
    """What a change does to the state map, as `entries_of` has it; of an erased one, what its stub does."""
    if isinstance(record.body, Erased):
        left = decode_hidden(record.body.left)
        return [(op.path, b"" if op.value is None else leaf_hash(op.path, op.value)) for op in left]
    return entries_of([step for step in steps if not isinstance(step, HiddenTake)])
