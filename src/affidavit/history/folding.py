"""The state after every change of a log, folded from nothing, each root compared with the recorded one.

A long log is folded by two processes: this one reads the changes and applies them, another one hashes (`Roots`).
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence

from affidavit.errors import Corruption
from affidavit.history.asof import Records, apply_ops, apply_record, check_root, ops_of, wrong_root
from affidavit.history.roots import Roots
from affidavit.limits import ROOTS_APART_MIN, ROOTS_BATCH, ROOTS_BATCHES_AHEAD
from affidavit.record.read import Record
from affidavit.state.change import Op
from affidavit.state.fold import State, entries_of

_log = logging.getLogger(__name__)
_Taken = tuple[Record, Sequence[Op]]


def fold(reader: Records, changes: Sequence[int], found: Callable[[Record, Sequence[Op]], None]) -> State:
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
    reader: Records, changes: Sequence[int], found: Callable[[Record, Sequence[Op]], None], roots: Roots
) -> State:
    state, waiting = State(), deque[list[_Taken]]()

    def settle(left: int) -> None:
        """Take answers until no more than `left` batches wait for one."""
        while len(waiting) > left:
            batch = waiting.popleft()
            right = roots.right()
            for record, ops in batch[:right]:
                found(record, ops)
            if right < len(batch):
                raise wrong_root(batch[right][0])

    def give(batch: list[_Taken]) -> None:
        roots.give([(entries_of(ops), record.header.root or "") for record, ops in batch])
        waiting.append(batch)

    for start in range(0, len(changes), ROOTS_BATCH):
        batch: list[_Taken] = []
        try:
            for at in changes[start : start + ROOTS_BATCH]:
                record = reader.record(at)
                ops = ops_of(record)
                apply_ops(state, record, ops)
                batch.append((record, ops))
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
