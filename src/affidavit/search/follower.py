"""Follows the log for the index, on a thread of its own: of a quiet log, what is appended is in the index in a second.

It reads what is durable, as any reader does. Making entries takes the interpreter from whoever appends, so while the
log grows it rests three times as long as it works (`Pace`): a busy log gets ahead of its index, and is read where it
does. It begins with what lies there: each file is read once, and what is not what was written is built again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from affidavit.errors import AffidavitError, Unavailable
from affidavit.limits import SEARCH_RECENT_RECORDS
from affidavit.search.answers import Records
from affidavit.search.index import Index
from affidavit.search.matching import BoundOf

_log = logging.getLogger(__name__)
_LOOK_S = 0.5
_AGAIN_S = 30.0  # after the disk refused
_WORK_S = 0.02  # between two looks at whether the log grows
_REST = 3.0  # as long as the work, while it does


class Pace:
    """Leaves the processor to those who append. `size` gives the size of the log."""

    def __init__(
        self,
        size: Callable[[], int],
        wait: Callable[[float], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size, self._wait, self._monotonic = size, wait, monotonic
        self._seen, self._since_s = size(), monotonic()

    def keep(self) -> None:
        """To be called between two pieces of work."""
        spent_s = self._monotonic() - self._since_s
        if spent_s >= _WORK_S:
            size = self._size()
            if size != self._seen:
                self._wait(spent_s * _REST)
            self._seen, self._since_s = size, self._monotonic()


class Follower:
    """Brings an index up to its log, and keeps it there."""

    def __init__(self, index: Index, records: Records, bound_of: BoundOf, say: Callable[[str], None]) -> None:
        """`say` is given a line when much is to be built, and one when that is done."""
        self.index = index
        self._records = records
        self._bound_of = bound_of
        self._say = say
        self._ending = threading.Event()
        self._pace = Pace(lambda: records.size, self._ending.wait)
        self._thread = threading.Thread(target=self._run, name="search index", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End, once what is being written is written. Nothing happens where it was never started."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        begun, building, wait_s = False, False, 0.0
        while not self._ending.wait(wait_s):
            try:
                if not begun:
                    self.index.mend()
                    building, begun = self._told(), True
                lacked = self.index.add_newest(self._bound_of, self._ends)
            except Unavailable as error:
                _log.warning("%s", error)
                wait_s = _AGAIN_S
                continue
            except AffidavitError as error:
                # A record that cannot be read stands in nobody's way: searches read the log from there on.
                _log.error("The search index ends here: %s", error)
                return
            wait_s = 0.0 if lacked else _LOOK_S
            if building and not lacked:
                building = False
                self._say(f"The search index is whole: {self.index.held:,} records.")

    def _ends(self) -> bool:
        self._pace.keep()
        return self._ending.is_set()

    def _told(self) -> bool:
        """Say so where much is to be built, and whether it is."""
        lacking = self._records.size - self.index.held
        if lacking <= SEARCH_RECENT_RECORDS:
            return False
        self._say(f"The search index is built: {lacking:,} records to read. Searches read the log meanwhile.")
        return True
