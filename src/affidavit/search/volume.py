"""One volume of the index: an index of its own over one stretch of the log, in a folder of its own.

Volumes are what is built, checked and thrown away: a file that is not what was written costs one of them, and so does
an erased body, of which nothing may be left on disk.

Each call of `add` opens a writer and waits for it to end, so that between two calls no thread of tantivy's changes a
file, and the stand that was written last speaks of what lies there. Killed in between, the volume is built again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import tantivy

from affidavit.durable import PRIVATE, PRIVATE_FOLDER, Disk
from affidavit.errors import Unavailable
from affidavit.limits import SEARCH_HEAP_BYTES
from affidavit.search.engine import SCHEMA, Span, View, write
from affidavit.search.entry import Entry
from affidavit.search.stand import (
    FORMAT,
    STAND_NAME,
    Stand,
    clear_folder,
    digest_of,
    mark_of,
    read_stand,
    write_stand,
)

_log = logging.getLogger(__name__)
_META, _MANAGED = "meta.json", ".managed.json"
#: Gives the bytes of a record's header, None where the log holds no such record.
RawOf = Callable[[int], bytes | None]


class Volume:
    """The volume of the records from `first` on. One thread at a time opens, adds and clears; any may search."""

    def __init__(self, folder: Path, first: int, key: bytes, identity: str, disk: Disk) -> None:
        self.first = first
        self._folder = folder
        self._key = key
        self._identity = identity
        self._disk = disk
        self._files: dict[str, tuple[int, str]] = {}
        #: What the volume holds now.
        self.view = self._nothing()

    def open(self, raw_of: RawOf) -> None:
        """Take what lies in the folder, where all of it is what was written, about these records; else the volume is
        empty, whatever lies there."""
        self._close()
        stand = read_stand(self._disk, self._folder, self._key)
        if stand is None or not self._agrees(stand, raw_of):
            return
        try:
            index = tantivy.Index.open(str(self._folder))
            index.config_reader("manual")
        except (ValueError, OSError) as error:
            _log.warning("%s cannot be opened: %s", self._folder, error)
            return
        span = Span(stand.first, stand.stop, stand.from_s, stand.to_s)
        self.view, self._files = View(span, index), dict(stand.files)

    def own(self) -> None:
        """Before what was opened is written to. What the stand does not name is removed; and tantivy is told which
        files are its own, as it would remove what an altered list names. Raises `Unavailable`."""
        if self.view.index is None:
            self.clear()
            return
        for name in self._disk.names(self._folder):
            path = self._folder / name
            if name not in self._files and name != STAND_NAME and not self._disk.is_folder(path):
                self._disk.unlink(path)
        self._disk.write_synced([(self._folder / _MANAGED, json.dumps(sorted(self._files)).encode())], PRIVATE)

    def clear(self) -> None:
        """Remove all that lies in the folder, durably. Raises `Unavailable`."""
        self._close()
        clear_folder(self._disk, self._folder)

    def add(self, entries: Iterable[Entry]) -> None:
        """Add the records that follow, at least one, durably. Raises `Unavailable` where that cannot be written now,
        and what `entries` raises; the volume is empty then."""
        self._disk.make_folder(self._folder, PRIVATE_FOLDER)
        try:
            self._add(entries)
        except (ValueError, OSError) as error:
            self.clear()
            raise Unavailable(
                "search.write", f"The search index cannot be written: {error}", "See to the disk that it is on."
            ) from None
        except BaseException:
            self.clear()
            raise

    def _add(self, entries: Iterable[Entry]) -> None:
        index = self.view.index
        if index is None:
            self.clear()
            index = tantivy.Index(SCHEMA, path=str(self._folder), reuse=False)
            index.config_reader("manual")
        span = write(index, self.view.span, entries, SEARCH_HEAP_BYTES)
        files = self._written()
        mark = mark_of(span.raw)
        stand = Stand(FORMAT, self._identity, span.first, span.stop, mark, span.from_s, span.to_s, files)
        write_stand(self._disk, self._folder, self._key, stand)
        self.view, self._files = View(span, index), files

    def _written(self) -> dict[str, tuple[int, str]]:
        """Length and digest of each file that the index is. Those of a segment never change once they are there."""
        meta = json.loads((self._folder / _META).read_bytes())
        segments = {segment["segment_id"].replace("-", "") for segment in meta["segments"]}
        names = [name for name in self._disk.names(self._folder) if name.partition(".")[0] in segments]
        found = {name: self._files.get(name) or digest_of(self._folder / name) for name in names}
        return found | {_META: digest_of(self._folder / _META)}

    def _agrees(self, stand: Stand, raw_of: RawOf) -> bool:
        if (stand.format, stand.identity, stand.first) != (FORMAT, self._identity, self.first):
            return False
        raw = raw_of(stand.stop - 1)
        if raw is None or mark_of(raw) != stand.last:
            return False
        try:
            return all(digest_of(self._folder / name) == known for name, known in stand.files.items())
        except OSError:
            return False

    def _nothing(self) -> View:
        return View(Span(self.first, self.first), None)

    def _close(self) -> None:
        self.view, self._files = self._nothing(), {}
