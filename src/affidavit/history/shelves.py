"""Where the history store keeps its rows: sealed buckets in one SQLite file, written whole or not at all.

A *row* says that under `key` the `item` stood from the change `start` until the change `stop`. Which bucket a key lies
in follows from a keyed hash, so nothing of a name can be read off the file. A bucket holds its open rows and the ones
that were closed last; older ones move to *chunks*, each with the changes between which its rows lie.

Everything is encrypted under a key of this log's secrets, as bodies are. Each bucket knows the authentication tags of
its chunks, and one head knows those of all buckets, the log and the change it ends at. So a row that was altered, added
or taken away is found when it is read, and what is old is old as a whole: the log's own header says whether it belongs.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from affidavit.canonical import UNREADABLE
from affidavit.errors import Corruption
from affidavit.limits import HISTORY_BUCKETS, HISTORY_CACHED_MAX, HISTORY_CLOSED_MAX

_FORMAT = 1
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEAD = -1  # its place in the table; buckets count from 0, chunks from HISTORY_BUCKETS
_TABLE = "CREATE TABLE IF NOT EXISTS blob (id INTEGER PRIMARY KEY, data BLOB NOT NULL)"
_T = TypeVar("_T")
#: Code of the error that says so.
DAMAGED = "history.damaged"
OPEN = -1  # `stop` of a row that stands


class Row(msgspec.Struct, array_like=True, gc=False):
    """`item` stood under `key` after the change `start` up to and with the change `stop` (`OPEN`: it still stands)."""

    key: str
    item: str
    start: int
    stop: int
    payload: bytes

    def holds(self, index: int) -> bool:
        """Whether it stood at the state index `index`."""
        return self.start < index and (self.stop == OPEN or index <= self.stop)


class _Chunk(msgspec.Struct, array_like=True, gc=False):
    """Where older rows lie: a blob, its tag, and the changes between which they stood."""

    id: int
    tag: bytes
    first: int
    last: int


class _Stored(msgspec.Struct, array_like=True):
    """A bucket as it is written."""

    chunks: list[_Chunk]
    rows: list[Row]


class _Head(msgspec.Struct):
    """What the store is: of which log, up to which change, and the tag of each bucket that is not empty."""

    format: int
    origin: str
    index: int
    root: str
    chunks: int
    tags: dict[int, bytes]


class Bucket:
    """A bucket in memory. `standing`: key, item and open row."""

    __slots__ = ("chunks", "closed", "standing")

    def __init__(self, stored: _Stored) -> None:
        self.chunks = stored.chunks
        self.standing: dict[str, dict[str, Row]] = {}
        self.closed: dict[str, list[Row]] = {}
        for row in stored.rows:
            if row.stop == OPEN:
                self.standing.setdefault(row.key, {})[row.item] = row
            else:
                self.closed.setdefault(row.key, []).append(row)

    def open(self, row: Row) -> None:
        """A new row stands."""
        self.standing.setdefault(row.key, {})[row.item] = row

    def close(self, key: str, item: str, stop: int) -> None:
        """What stood ends with the change `stop`. Raises `Corruption` where nothing stands."""
        row = self.standing.get(key, {}).pop(item, None)
        if row is None:
            raise damaged()
        if not self.standing[key]:
            del self.standing[key]
        row.stop = stop
        self.closed.setdefault(key, []).append(row)


def damaged() -> Corruption:
    """The store's rows are not what was written. Never leaves `history/`: it is built again."""
    return Corruption(DAMAGED, "The history store is damaged.", "Delete DIR/history: it is built again.")


_Held = TypeVar("_Held", Bucket, list[Row])


class Shelves:
    """One store. Not for several threads at a time. Every method raises `Corruption` where it finds damage, and
    `sqlite3.OperationalError` where the file cannot be read or written now."""

    def __init__(self, path: Path | None, key: bytes, origin: str) -> None:
        """Open or make the store at `path`; None keeps it in memory only."""
        self._cipher = AESGCM(hashlib.sha256(b"affidavit history store" + key).digest())
        self._place_key = hashlib.sha256(b"affidavit history place" + key).digest()
        self._origin = origin
        self._head_tag = b""
        self._cache: OrderedDict[int, tuple[bytes, Bucket | list[Row]]] = OrderedDict()
        if path is not None:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._database = sqlite3.connect(
            ":memory:" if path is None else path, isolation_level=None, check_same_thread=False
        )
        try:
            with _sound():
                self._database.execute("PRAGMA secure_delete=ON")
                self._database.execute("PRAGMA synchronous=NORMAL")
                self._database.execute(_TABLE)
            self._head = self._read_head()
        except BaseException:
            self._database.close()
            raise

    @property
    def index(self) -> int:
        """The state index that the rows go up to, 0 for an empty store."""
        return self._head.index

    @property
    def root(self) -> str:
        """The state's root there, as the log's header says."""
        return self._head.root

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def place(self, key: str) -> int:
        """The number of the bucket that `key` lies in."""
        digest = hashlib.blake2b(key.encode(), digest_size=4, key=self._place_key).digest()
        return int.from_bytes(digest, "big") % HISTORY_BUCKETS

    def bucket(self, number: int) -> Bucket:
        """The bucket `number` as it was written last. To be read only."""
        tag = self._head.tags.get(number)
        if tag is None:
            return Bucket(_Stored([], []))
        held = self._cached(number, tag)
        if not isinstance(held, Bucket):
            held = self._keep(number, tag, Bucket(_decoded(self._blob(number, tag), _stored)))
        return held

    def bucket_to_change(self, number: int) -> Bucket:
        """As `bucket`, for a caller that changes it and gives it to `write`."""
        bucket = self.bucket(number)
        self._cache.pop(number, None)
        return bucket

    def rows(self, key: str, index: int) -> list[Row]:
        """The rows under `key` that stood at the state index `index`, each item once."""
        bucket = self.bucket(self.place(key))
        found = [row for row in bucket.standing.get(key, {}).values() if row.start < index]
        found += [row for row in bucket.closed.get(key, ()) if row.holds(index)]
        for chunk in bucket.chunks:
            if chunk.first < index <= chunk.last:
                found += [row for row in self._chunk(chunk) if row.key == key and row.holds(index)]
        return found

    def spans(self, key: str) -> list[Row]:
        """All rows under `key`, the oldest first."""
        bucket = self.bucket(self.place(key))
        found = [*bucket.standing.get(key, {}).values(), *bucket.closed.get(key, ())]
        for chunk in bucket.chunks:
            found += [row for row in self._chunk(chunk) if row.key == key]
        return sorted(found, key=lambda row: row.start)

    def all_rows(self, index: int) -> Iterator[Row]:
        """The rows of all keys that stood at the state index `index`."""
        for number in self._head.tags:
            bucket = self.bucket(number)
            for rows in bucket.standing.values():
                yield from (row for row in rows.values() if row.start < index)
            for closed in bucket.closed.values():
                yield from (row for row in closed if row.holds(index))
            for chunk in bucket.chunks:
                if chunk.first < index <= chunk.last:
                    yield from (row for row in self._chunk(chunk) if row.holds(index))

    def write(self, buckets: Mapping[int, Bucket], index: int, root: str) -> None:
        """Write these buckets and that the store goes up to the state index `index`, whole or not at all."""
        chunks, tags, blobs = self._head.chunks, dict(self._head.tags), []
        for number, bucket in buckets.items():
            if sum(map(len, bucket.closed.values())) > HISTORY_CLOSED_MAX:
                id_ = HISTORY_BUCKETS + chunks
                rows = [row for held in bucket.closed.values() for row in held]
                data = self._sealed(id_, msgspec.msgpack.encode(rows))
                first, last = min(row.start for row in rows), max(row.stop for row in rows)
                bucket.chunks = [*bucket.chunks, _Chunk(id_, data[-_TAG_BYTES:], first, last)]
                bucket.closed = {}
                blobs.append((id_, data))
                chunks += 1
            standing = [row for held in bucket.standing.values() for row in held.values()]
            closed = [row for held in bucket.closed.values() for row in held]
            data = self._sealed(number, msgspec.msgpack.encode(_Stored(bucket.chunks, standing + closed)))
            tags[number] = data[-_TAG_BYTES:]
            blobs.append((number, data))
        head = _Head(_FORMAT, self._origin, index, root, chunks, tags)
        blobs.append((_HEAD, self._sealed(_HEAD, msgspec.msgpack.encode(head))))
        with _sound(), self._database as database:
            database.execute("BEGIN IMMEDIATE")
            held = self._select(_HEAD)
            if (held or b"")[-_TAG_BYTES:] != self._head_tag:
                raise damaged()  # another process wrote meanwhile: what we would write does not continue it
            database.executemany("INSERT OR REPLACE INTO blob VALUES (?, ?)", blobs)
        self._head, self._head_tag = head, blobs[-1][1][-_TAG_BYTES:]
        for number in buckets:
            self._cache.pop(number, None)

    def _chunk(self, chunk: _Chunk) -> list[Row]:
        held = self._cached(chunk.id, chunk.tag)
        if not isinstance(held, list):
            held = self._keep(chunk.id, chunk.tag, _decoded(self._blob(chunk.id, chunk.tag), _rows))
        return held

    def _cached(self, number: int, tag: bytes) -> Bucket | list[Row] | None:
        found = self._cache.get(number)
        if found is None or found[0] != tag:
            return None
        self._cache.move_to_end(number)
        return found[1]

    def _keep(self, number: int, tag: bytes, held: _Held) -> _Held:
        self._cache[number] = (tag, held)
        if len(self._cache) > HISTORY_CACHED_MAX:
            self._cache.popitem(last=False)
        return held

    def _read_head(self) -> _Head:
        data = self._select(_HEAD)
        if data is None:
            with _sound():
                count = self._database.execute("SELECT count(*) FROM blob").fetchone()[0]
            if count:
                raise damaged()
            return _Head(_FORMAT, self._origin, 0, "", 0, {})
        head = _decoded(self._opened(_HEAD, data), _head)
        self._head_tag = data[-_TAG_BYTES:]
        if (head.format, head.origin) != (_FORMAT, self._origin):
            raise damaged()
        return head

    def _blob(self, id_: int, tag: bytes) -> bytes:
        data = self._select(id_)
        if data is None or data[-_TAG_BYTES:] != tag:
            raise damaged()
        return self._opened(id_, data)

    def _select(self, id_: int) -> bytes | None:
        with _sound():
            found = self._database.execute("SELECT data FROM blob WHERE id = ?", (id_,)).fetchone()
        if found is not None and not isinstance(found[0], bytes):
            raise damaged()
        return None if found is None else found[0]

    def _sealed(self, id_: int, data: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, b"%d" % id_)

    def _opened(self, id_: int, data: bytes) -> bytes:
        try:
            return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], b"%d" % id_)
        except (InvalidTag, ValueError):
            raise damaged() from None


_stored = msgspec.msgpack.Decoder(_Stored)
_rows = msgspec.msgpack.Decoder(list[Row])
_head = msgspec.msgpack.Decoder(_Head)


def _decoded(data: bytes, decoder: msgspec.msgpack.Decoder[_T]) -> _T:
    try:
        return decoder.decode(data)
    except UNREADABLE:
        raise damaged() from None


@contextmanager
def _sound() -> Iterator[None]:
    """Damage that SQLite finds in its file, as `Corruption`."""
    try:
        yield
    except sqlite3.OperationalError:
        raise
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # the second: its message quotes bytes that are no text
        raise damaged() from None
