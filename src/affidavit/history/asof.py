"""Positions and times in a log, and the state there by folding the changes before it: what the store is built by.

Each header says the index after the last change before it (`log.state`), so the changes form a chain that is walked
back from any record without reading what lies between them.
"""

from __future__ import annotations

from typing import Protocol

from affidavit.errors import AffidavitError, Corruption, InvalidInput
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.kinds import STATE_KINDS
from affidavit.record.read import Record
from affidavit.state.change import Op, decode_ops
from affidavit.state.fold import State
from affidavit.state.hidden import Step, decode_hidden

#: Two positions of a log, each with the moment that it stands for.
Period = tuple[tuple[int, str], tuple[int, str]]


class Records(Protocol):
    """Reads records of one log by index. `size` is the count of records that can be read now."""

    @property
    def size(self) -> int: ...

    def record(self, index: int) -> Record:
        """The record at `index`, its body checked against its header."""

    def header(self, index: int) -> Header:
        """The header of the record at `index`, without its body."""


def state_at(reader: Records, index: int) -> State:
    """The whole state at the position `index`, folded from nothing: for proofs, which need the tree of its hashes.

    Questions are answered by `History.at`. Raises `InvalidInput` for an index beyond the log, `Corruption` where a
    change does not apply or its body is gone.
    """
    check_position(reader, index)
    state = State()
    for at in changes_before(reader, index):
        apply_record(state, reader.record(at))
    return state


def check_position(reader: Records, index: int) -> None:
    """Raise `InvalidInput` unless the log has the position `index`: from 0 to its size."""
    if not 0 <= index <= reader.size:
        raise InvalidInput(
            "state.index",
            f"The log has no position {index}: it holds {reader.size} records.",
            "Ask for an earlier one.",
        )


def state_index(reader: Records, index: int) -> int:
    """The state index at the position `index`: the index after the last change before it, 0 where there is none."""
    if index == 0:
        return 0
    last = reader.header(index - 1)
    return index if last.kind in STATE_KINDS else last.log.state


def changes_before(reader: Records, index: int, start: int = 0) -> list[int]:
    """The indexes of the state-changing records from `start` on and before `index`, oldest first."""
    found: list[int] = []
    after = state_index(reader, index)
    while after > start:
        at = after - 1
        found.append(at)
        after = reader.header(at).log.state
        if after > at:
            raise Corruption("state.chain", f"Record {at} claims a state that lies after it.")
    found.reverse()
    return found


def ops_of(record: Record) -> tuple[Op, ...]:
    """What a state-changing record does. Raises `Corruption` where its body cannot be read."""
    if not isinstance(record.body, dict):
        raise Corruption(
            "state.body", f"The body of the change {record.index} cannot be read.", "Is secrets/body.keys complete?"
        )
    try:
        return decode_ops(record.body["objects"])
    except (AffidavitError, KeyError) as error:
        raise Corruption("state.change", f"The change {record.index} does not apply: {error}") from None


def apply_record(state: State, record: Record) -> tuple[Step, ...]:
    """Apply a state-changing record to `state`; what it does. Raises `Corruption` where it does not apply or its root
    differs."""
    steps = apply_change(state, record)
    check_root(state, record)
    return steps


def apply_change(state: State, record: Record) -> tuple[Step, ...]:
    """Apply what a record does to `state`, and give it; of an erased one the stub, which leads to the same root. Raises
    `Corruption` where it does not apply; the root is not looked at."""
    ops = () if isinstance(record.body, Erased) else ops_of(record)
    try:
        if isinstance(record.body, Erased):
            left = decode_hidden(record.body.left)
            return state.apply_hidden(left, record.index, record.body.by, record.header.system)
        state.apply(ops, record.index)
    except AffidavitError as error:
        raise Corruption("state.change", f"The change {record.index} does not apply: {error}") from None
    return ops


def check_root(state: State, record: Record) -> None:
    """Raise `Corruption` unless the root of `state` is the one that is recorded with its last change."""
    if state.root != record.header.root:
        raise wrong_root(record)


def wrong_root(record: Record) -> Corruption:
    """The error for a state whose root is not the recorded one."""
    return Corruption("state.root", f"After the change {record.index} the state's root is not the recorded one.")


def index_at_time(reader: Records, at: str) -> int:
    """The count of records that the sequencer sealed up to the moment `at` (text as in headers), by bisection."""
    low, high = 0, reader.size
    while low < high:
        middle = (low + high) // 2
        if reader.header(middle).log.at <= at:
            low = middle + 1
        else:
            high = middle
    return low
