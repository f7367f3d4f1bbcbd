"""Follows the log for the index, on a thread of its own: what is appended is in the index within a second."""

from __future__ import annotations

import logging
import threading

from affidavit.errors import AffidavitError, Unavailable
from affidavit.search.index import Index
from affidavit.search.matching import BoundOf

_log = logging.getLogger(__name__)
_LOOK_S = 0.5
_AGAIN_S = 30.0  # after the disk refused


class Follower:
    """Brings an index up to its log, and keeps it there. It reads what is durable and holds nobody up."""

    def __init__(self, index: Index, bound_of: BoundOf) -> None:
        self._index = index
        self._bound_of = bound_of
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="search index", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End, once what is being written is written."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        mended, wait_s = False, 0.0
        while not self._ending.wait(wait_s):
            try:
                if not mended:
                    self._index.mend()
                    mended = True
                wait_s = 0.0 if self._index.add_newest(self._bound_of, self._ending.is_set) else _LOOK_S
            except Unavailable as error:
                _log.warning("%s", error)
                wait_s = _AGAIN_S
            except AffidavitError as error:
                # A record that cannot be read stands in nobody's way: searches read the log from there on.
                _log.error("The search index ends here: %s", error)
                return
