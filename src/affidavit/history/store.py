"""The state as of any index from a warm store: a follower of the log that can be deleted and is built again.

For each change the store closes the rows of what it ends and opens rows for what it puts: one row for each version of
an object (`object/NAME`), and rows for the lists that answers need (objects of a kind or owner, members of a group,
credentials, handles). A question as of an index reads only the rows that it needs.

The store is never trusted by itself. It belongs to one log and one change of it, whose root stands in that change's
header: another root, another log or damage, and it is built again, which is said in the operational log. It is built
from records whose bodies were checked against their headers, and only up to where the live state of this process has
applied the same records and found every root as the log says it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from affidavit.errors import Corruption, Unavailable
from affidavit.history.asof import (
    Records,
    apply_record,
    changes_before,
    check_position,
    ops_of,
    state_at,
    state_index,
)
from affidavit.history.live import Live
from affidavit.history.shelves import DAMAGED, OPEN, Bucket, Row, Shelves
from affidavit.history.view import HIDDEN, AsOf, hidden_payload, listed_under, object_key, object_payload, value_of
from affidavit.limits import HISTORY_COMMIT_CHANGES, HISTORY_WAIT_S
from affidavit.record.body import Erased
from affidavit.record.kinds import STATE_KINDS
from affidavit.record.read import Record
from affidavit.state.change import Op, Put
from affidavit.state.fold import State
from affidavit.state.hidden import HiddenTake, Step
from affidavit.state.map import path_of
from affidavit.state.trie import EMPTY

_log = logging.getLogger(__name__)
_NAME = "objects.sqlite"
_LOOK_S = 0.002
_T = TypeVar("_T")


class History:
    """As-of answers about one log. Safe to use from any thread.

    `folder` is where the store lies (`DIR/history`); where it cannot be written, the store is kept in memory. `key` is
    one of the log's secrets. `load` comes before every question.
    """

    def __init__(self, records: Records, origin: str, folder: Path, key: bytes) -> None:
        self._records = records
        self._origin = origin
        self._path: Path | None = folder / _NAME
        self._key = key
        self._checked: Callable[[], int] = lambda: 0
        self._failed = False
        self._lock = threading.RLock()
        self._changed: dict[int, Bucket] = {}
        self._pending = 0
        self._shelves = self._opened()
        self._index = self._shelves.index
        self._root = self._shelves.root

    def load(self, progress: Callable[[int, int], None] | None = None) -> Live:
        """The live state of the log. What the store lacks is taken on the way, once its root was checked; where it
        is built from nothing, `progress` hears how many changes of how many.

        Raises `Corruption` where a change does not apply.
        """
        live = Live.load(self._records, self._take_checked, None if self._index else progress)
        self._checked = lambda: live.index
        with self._lock:
            if not self._failed:
                self._catch_up(self._index)
        return live

    @property
    def index(self) -> int:
        """The state index that the store goes up to; a question about a later one lets it catch up."""
        return self._index

    def at(self, index: int) -> AsOf:
        """The state at the state index of the position `index`: every change with a smaller index applied.

        Raises `InvalidInput` for an index beyond the log, `Corruption` where a change cannot be read, `Unavailable`
        where the live state lies behind.
        """
        check_position(self._records, index)
        stand = state_index(self._records, index)
        with self._lock:
            if stand > self._index:
                self._catch_up(stand)
        return AsOf(stand, self.rows, self.all_rows)

    def root_at(self, stand: int) -> str:
        """The root of the state at a state index, as the header of the change before it says: 64 hex digits."""
        return EMPTY.hex() if stand == 0 else self._records.header(stand - 1).root or ""

    def versions(self, name: str) -> list[Row]:
        """Every version that the object `name` had, the oldest first, up to the last change of the log; those that were
        erased are rows of `HIDDEN`."""
        path = path_of(name).hex()
        hidden = [row for row in self.spans(HIDDEN) if row.item == path]
        return sorted([*self.spans(object_key(name)), *hidden], key=lambda row: row.start)

    def spans(self, key: str) -> list[Row]:
        """Every row that there was under `key`, the oldest first, up to the last change of the log."""
        self.at(self._records.size)
        return self._answer(lambda: self._shelves.spans(key))

    def rows(self, key: str, index: int) -> list[Row]:
        """The rows under `key` at the state index `index`."""
        return self._answer(lambda: self._shelves.rows(key, index))

    def all_rows(self, index: int) -> list[Row]:
        """All rows at the state index `index`."""
        return self._answer(lambda: list(self._shelves.all_rows(index)))

    def forget(self) -> None:
        """Delete the store: the next question builds it from what the log holds then."""
        with self._lock:
            self._start_anew()

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """While a change is erased nothing of the store lies on disk, and it is built anew after: so whatever stops in
        between, no file of it holds what is gone. For one at a time."""
        with self._lock:
            path, self._path = self._path, None
            self._start_anew("")
            if path is not None:
                _remove(path)
        try:
            yield
        finally:
            with self._lock:
                self._path = path
                self._start_anew("")

    def close(self) -> None:
        """Close the store's file."""
        with self._lock:
            self._shelves.close()

    def _answer(self, ask: Callable[[], _T]) -> _T:
        """What `ask` finds. Where it finds damage: from the store read anew, as another process may have written it,
        and then from one that is built again."""
        with self._lock:
            stand = self._index
            for mend in (self._reopen, self._start_anew):
                try:
                    return ask()
                except (Corruption, sqlite3.OperationalError) as error:
                    _check_ours(error)
                    mend()
                    self._catch_up(stand)
            return ask()

    def _opened(self) -> Shelves:
        """The store as it lies there, if it is one of this log and can be believed; else an empty one."""
        try:
            shelves = Shelves(self._path, self._key, self._origin)
        except (OSError, sqlite3.OperationalError) as error:
            _log.warning("%s cannot be used (%s): as-of answers are kept in memory.", self._path, error)
            self._path = None
            return Shelves(None, self._key, self._origin)
        except Corruption:
            return self._emptied("is damaged, or was made under another key or by another version")
        if self._belongs(shelves):
            return shelves
        shelves.close()
        return self._emptied("does not belong to this log")

    def _belongs(self, shelves: Shelves) -> bool:
        """Whether the log has, just before the store's index, a change with the root that the store ended at."""
        if shelves.index == 0:
            return True
        if shelves.index > self._records.size:
            return False
        header = self._records.header(shelves.index - 1)
        return header.kind in STATE_KINDS and header.root == shelves.root

    def _emptied(self, why: str) -> Shelves:
        if why:
            _log.warning("The history store %s %s: it is built again from the log.", self._path, why)
        if self._path is not None:
            try:
                _remove(self._path)
                return Shelves(self._path, self._key, self._origin)
            except (OSError, sqlite3.Error, Corruption) as error:
                _log.warning("%s cannot be used (%s): as-of answers are kept in memory.", self._path, error)
                self._path = None
        return Shelves(None, self._key, self._origin)

    def _reopen(self) -> None:
        self._shelves.close()
        self._changed, self._pending = {}, 0
        self._shelves = self._opened()
        self._index = self._shelves.index

    def _start_anew(self, why: str = "does not hold what was written") -> None:
        self._shelves.close()
        self._changed, self._pending = {}, 0
        self._shelves = self._emptied(why)
        self._index = 0

    def _catch_up(self, stand: int) -> None:
        """Take the changes up to the state index `stand`, from a store read anew or built again where need be."""
        self._wait(stand)
        for mend in (self._reopen, self._start_anew, self._keep_in_memory):
            try:
                self._take_between(stand)
                self.commit()
            except (Corruption, sqlite3.OperationalError) as error:
                _check_ours(error)
                mend()
            else:
                return

    def _take_between(self, stand: int) -> None:
        """Take the changes up to `stand`. What an erased one ended, only a state can tell, which is folded then."""
        state: State | None = None
        for at in changes_before(self._records, stand, self._index):
            record = self._records.record(at)
            if state is None and isinstance(record.body, Erased):
                state = state_at(self._records, at)
            self.take(record, ops_of(record) if state is None else apply_record(state, record))

    def _keep_in_memory(self) -> None:
        _log.warning("%s cannot be written: as-of answers are kept in memory.", self._path)
        self._path = None
        self._start_anew()
        self._catch_up(self._checked())

    def _take_checked(self, record: Record, steps: Sequence[Step]) -> None:
        if self._failed:
            return
        try:
            self.take(record, steps)
        except (Corruption, sqlite3.OperationalError):
            # The first question will mend it. Loading the live state must not fail by it.
            self._failed = True
            self._changed, self._pending, self._index = {}, 0, self._shelves.index

    def take(self, record: Record, steps: Sequence[Step]) -> None:
        """Take the change that `record` made, the next one after the store's index; earlier ones are passed over."""
        with self._lock:
            if record.index < self._index:
                return
            for step in steps:
                if isinstance(step, HiddenTake):
                    self._take_hidden(record.index, step)
                else:
                    self._take(record.index, step)
            self._index = record.index + 1
            self._root = record.header.root or ""
            self._pending += 1
            if self._pending >= HISTORY_COMMIT_CHANGES:
                self.commit()

    def commit(self) -> None:
        """Write what was taken."""
        with self._lock:
            if not self._pending:
                return
            changed, self._changed, self._pending = self._changed, {}, 0
            self._shelves.write(changed, self._index, self._root)

    def _take_hidden(self, index: int, step: HiddenTake) -> None:
        """An operation of an erased change: what it ended, and what is hidden from then on."""
        self._end_hidden(index, step.path)
        if step.taken is not None:
            for where, item in self._end(index, step.taken):
                self._bucket(where).close(where, item, index)
        if step.hidden is not None:
            self._bucket(HIDDEN).open(Row(HIDDEN, step.path.hex(), index, OPEN, hidden_payload(step.hidden)))

    def _end_hidden(self, index: int, path: bytes) -> None:
        if path.hex() in self._bucket(HIDDEN).standing.get(HIDDEN, {}):
            self._bucket(HIDDEN).close(HIDDEN, path.hex(), index)

    def _end(self, index: int, name: str) -> set[tuple[str, str]]:
        """Close the row of an object, where it stands; the lists that it stood in."""
        key = object_key(name)
        before = self._bucket(key).standing.get(key, {}).get("")
        if before is None:
            return set()
        self._bucket(key).close(key, "", index)
        return listed_under(name, value_of(before))

    def _take(self, index: int, op: Op) -> None:
        key = object_key(op.name)
        new: set[tuple[str, str]] = set()
        if self._bucket(HIDDEN).standing.get(HIDDEN):
            self._end_hidden(index, path_of(op.name))
        old = self._end(index, op.name)
        if isinstance(op, Put):
            new = listed_under(op.name, op.value)
            self._bucket(key).open(Row(key, "", index, OPEN, object_payload(op)))
        for where, item in old - new:
            self._bucket(where).close(where, item, index)
        for where, item in new - old:
            self._bucket(where).open(Row(where, item, index, OPEN, b""))

    def _bucket(self, key: str) -> Bucket:
        number = self._shelves.place(key)
        bucket = self._changed.get(number)
        if bucket is None:
            bucket = self._changed[number] = self._shelves.bucket_to_change(number)
        return bucket

    def _wait(self, stand: int) -> None:
        """Until the live state has checked every root up to `stand`. It lies behind for moments only."""
        until = time.monotonic() + HISTORY_WAIT_S
        while self._checked() < stand:
            if time.monotonic() > until:
                raise Unavailable("history.behind", f"The live state has not reached {stand}.", "Try again.")
            time.sleep(_LOOK_S)


def _remove(path: Path) -> None:
    """Remove a store's files, durably. Raises `OSError`."""
    for ending in ("", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    if path.parent.exists():
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _check_ours(error: Exception) -> None:
    """Raise what is not the store's fault: the log itself cannot be read."""
    if isinstance(error, Corruption) and error.code != DAMAGED:
        raise error
