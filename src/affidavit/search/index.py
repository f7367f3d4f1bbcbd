"""The index of one log: volumes over stretches of it. An accelerator that is never trusted, and may be deleted.

What a question gets from it are candidates: indexes of records that may match, newest first, and every index of a
stretch that it does not hold yet. Whoever asked reads each record from the log and judges it. So answers are what a
scan of the log gives, however far the index goes; it only spares reading.

The newest records are held in memory until there are enough of them to be worth the disk's time. One process writes:
the one that holds the log's lock. Others only read, and a volume that changes under their eyes is one that they do
without.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from affidavit.durable import Disk
from affidavit.errors import AffidavitError
from affidavit.limits import (
    SEARCH_PAGE_MAX,
    SEARCH_PAGE_MIN,
    SEARCH_RECENT_HEAP_BYTES,
    SEARCH_RECENT_RECORDS,
    SEARCH_VOLUME_RECORDS,
)
from affidavit.search.answers import Records
from affidavit.search.blinding import Blinding
from affidavit.search.entry import MADE_BY, Entry, entry_of
from affidavit.search.matching import BoundOf
from affidavit.search.plan import Candidate, Plan
from affidavit.search.stand import clear_folder

if TYPE_CHECKING:
    from affidavit.search.engine import Recent, View
    from affidavit.search.volume import Volume

_log = logging.getLogger(__name__)
_KEY_BYTES = 32
_ERASURE_LOOK_S = 0.02


class Index:
    """The index in `folder`. Safe to use from any thread."""

    def __init__(
        self,
        folder: Path,
        key: bytes,
        identity: str,
        records: Records,
        disk: Disk,
        volume_records: int = SEARCH_VOLUME_RECORDS,
        recent_records: int = SEARCH_RECENT_RECORDS,
    ) -> None:
        """`key` is one of the log's secrets; `identity` names the log and its keys. Nothing is read before
        it is needed."""
        self.blinding = Blinding(_derived(key, b"terms"))
        self._code_key = _derived(key, b"stand")
        self._folder = folder
        self._identity = f"{identity} {MADE_BY}"
        self._records = records
        self._disk = disk
        self._volume_records = volume_records
        self._recent_records = recent_records
        self._volumes: dict[int, Volume] = {}
        self._recent: Recent | None = None
        self._opening = threading.Lock()
        self._writing = threading.Lock()
        self._forgetting = 0  # how many erasures wait for what is being written, or are under way

    @property
    def held(self) -> int:
        """How many records the index holds, as far as it was opened."""
        views = self._views()
        return sum(view.span.stop - view.span.first for view in views)

    def candidates(self, plan: Plan, first: int, before: int) -> Iterator[Candidate]:
        """The records from `first` up to `before` that may match `plan`, newest first: none that matches is left out.

        `before` is at most the log's size.
        """
        recent = self._recent
        if recent is not None:
            yield from _candidates(recent.view, plan, max(first, recent.view.span.first), before)
            before = min(before, recent.view.span.first)
        while before > first:
            volume = self._volume((before - 1) // self._volume_records)
            low = max(first, volume.first)
            yield from _candidates(volume.view, plan, low, before)
            before = low

    def mend(self) -> None:
        """For the one process that writes: open each volume, and remove what is not what was written. Raises
        `Unavailable`."""
        with self._writing:
            count = -(-self._records.size // self._volume_records)
            for number in range(count):
                volume = self._volume(number)
                if volume.view.index is None and self._disk.names(self._path(number)):
                    _log.warning("%s is not what was written there: it is built again.", self._path(number))
                volume.own()
            known = {self._path(number).name for number in range(count)}
            for name in self._disk.names(self._folder):
                if name not in known:
                    clear_folder(self._disk, self._folder / name)
                    self._disk.unlink(self._folder / name)

    def add_newest(self, bound_of: BoundOf, ending: Callable[[], bool]) -> bool:
        """Bring the newest stretch that lacks records up to the log, or until `ending`; False where none lacks any.

        Call `mend` first. Raises `Unavailable`, and `Corruption` where a record cannot be read.
        """
        while self._forgetting and not ending():
            time.sleep(_ERASURE_LOOK_S)  # an erasure goes first
        with self._writing:
            size = self._records.size
            newest = (size - 1) // self._volume_records
            for number in range(newest, -1, -1):
                volume = self._volume(number)
                start, stop = volume.view.span.stop, min(size, volume.first + self._volume_records)
                if number == newest and stop - start < self._recent_records:
                    recent = self._recent_from(start)
                    start = recent.view.span.stop
                    if start < stop:
                        recent.add(self._entries(start, stop, bound_of, ending), SEARCH_RECENT_HEAP_BYTES)
                        return True
                elif start < stop:
                    volume.add(self._entries(start, stop, bound_of, ending))
                    return True
        return False

    @contextmanager
    def forgetting(self, index: int) -> Iterator[None]:
        """While a body is erased, no file of the index holds anything of the volume that its record is in; it is built
        again after: so whatever stops in between, nothing of what is gone is left. Raises `Unavailable`."""
        with self._opening:
            self._forgetting += 1  # what is being written ends after its next record
        try:
            with self._writing:
                with self._opening:
                    self._recent = None
                    number = index // self._volume_records
                    volume = self._volumes.get(number)
                    if volume is None:
                        clear_folder(self._disk, self._path(number))
                    else:
                        volume.clear()
                yield
        finally:
            with self._opening:
                self._forgetting -= 1

    def _recent_from(self, start: int) -> Recent:
        """The newest records in memory, which follow those on disk."""
        from affidavit.search.engine import Recent  # noqa: PLC0415  tantivy is loaded by those only who search

        recent = self._recent
        if recent is None or recent.view.span.first != start:
            recent = self._recent = Recent(start)
        return recent

    def _entries(self, start: int, stop: int, bound_of: BoundOf, ending: Callable[[], bool]) -> Iterator[Entry]:
        """The entries from `start` up to `stop`, until `ending` or until an erasure waits, but one at least."""
        for at in range(start, stop):
            yield entry_of(self._records.record(at), self.blinding, bound_of)
            if ending() or self._forgetting:
                return

    def _views(self) -> list[View]:
        views = [volume.view for volume in list(self._volumes.values())]
        recent = self._recent
        return views if recent is None else [*views, recent.view]

    def _volume(self, number: int) -> Volume:
        volume = self._volumes.get(number)
        if volume is None:
            with self._opening:
                volume = self._volumes.get(number)
                if volume is None:
                    volume = self._new_volume(number)
                    volume.open(self._raw)
                    self._volumes[number] = volume
        return volume

    def _new_volume(self, number: int) -> Volume:
        from affidavit.search.volume import Volume  # noqa: PLC0415  tantivy is loaded by those only who search

        first = number * self._volume_records
        return Volume(self._path(number), first, self._code_key, self._identity, self._disk)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}"

    def _raw(self, index: int) -> bytes | None:
        if not 0 <= index < self._records.size:
            return None
        try:
            return self._records.record(index).raw
        except AffidavitError:
            return None


def _candidates(view: View, plan: Plan, low: int, before: int) -> Iterator[Candidate]:
    """The candidates from `low` up to `before`: every record that the view does not hold, and of the others those that
    it names. Where it fails, those too are all of them."""
    stop = min(max(low, view.span.stop), before)
    yield from _each(stop, before)
    before, most = stop, SEARCH_PAGE_MIN
    while before > low and view.may_hold(plan):
        try:
            found = view.newest(plan, before, most)
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            # Whatever tantivy finds wrong with files that were altered under it.
            _log.warning("The search index could not be read: %s", error)
            yield from _each(low, before)
            return
        for at in found:
            if at < low:
                return
            yield Candidate(at, True)
        if len(found) < most:
            return
        before, most = found[-1], min(most * 4, SEARCH_PAGE_MAX)


def _each(low: int, before: int) -> Iterator[Candidate]:
    return (Candidate(at, False) for at in range(before - 1, low - 1, -1))


def _derived(key: bytes, use: bytes) -> bytes:
    return hashlib.blake2b(b"affidavit search " + use, digest_size=_KEY_BYTES, key=key).digest()
