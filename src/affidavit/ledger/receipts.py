"""Makes receipts (`tlog/receipts.py`) for records that the log has acknowledged.

The ledger notes the bounds of each group commit, and nothing else happens until somebody asks: then, on the thread of
who asks, the group's tree is made and its promise signed, once for all who ask about that group. So nobody waits for
another's receipt, and a group that nobody asks about is never signed.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from affidavit import canonical
from affidavit.errors import Corruption, Unavailable
from affidavit.limits import RECEIPT_GROUPS_KEPT, RECEIPT_PUBLISH_WITHIN_S, RECEIPT_TREES_CACHED
from affidavit.record.frame import Stored
from affidavit.record.moment import NS, format_moment, parse_moment
from affidavit.tlog.hashing import leaf_hash, node_hash
from affidavit.tlog.proofs import prove_inclusion, range_root
from affidavit.tlog.receipts import Promise, Receipt, receipt_leaf


class _Named(msgspec.Struct):
    id: str


_named = msgspec.json.Decoder(_Named)


class StoredRecords(Protocol):
    """Gives durable records by index. `ledger.Reader` is one."""

    def stored(self, index: int) -> Stored:
        """The exact bytes of a record: header and body slot."""


@dataclass(frozen=True)
class _Group:
    """A group as it was promised: each record's id and leaf hash, the promise's tree by level, and its note."""

    first: int
    records: tuple[tuple[str, bytes], ...]
    levels: tuple[tuple[bytes, ...], ...]
    note: bytes

    def hash_at(self, level: int, index: int) -> bytes:
        """The hash of a full subtree, as proofs ask for it."""
        return self.levels[level][index]


class Receipts:
    """The newest groups of one running log. All methods may be called from any thread."""

    def __init__(self, origin: str, sign: Callable[[str], bytes], records: StoredRecords) -> None:
        """`sign` gives the signed note of a promise's text; `records` is used under a lock of ours alone."""
        self._origin = origin
        self._sign = sign
        self._records = records
        self._groups: deque[tuple[int, int, str]] = deque(maxlen=RECEIPT_GROUPS_KEPT)  # (first, count, accepted)
        self._noting = threading.Lock()  # held for an instant: the writer's thread waits for it
        self._making = threading.Lock()
        self._made: OrderedDict[int, _Group] = OrderedDict()

    def note(self, first: int, count: int, accepted: str) -> None:
        """Records `first` to `first + count` are durable, accepted at one moment. Called for each group, in order."""
        with self._noting:
            self._groups.append((first, count, accepted))

    def receipt(self, index: int) -> bytes:
        """The receipt of the record at `index`, as a file's bytes.

        Raises `Unavailable` for a record that is not among the newest: it is published, which is more than a promise.
        """
        with self._noting:
            groups = list(self._groups)
        at = bisect_right(groups, index, key=lambda group: group[0]) - 1
        if at < 0 or index >= groups[at][0] + groups[at][1]:
            raise Unavailable(
                "receipt.late",
                f"There is no receipt for record {index}: it was not written lately by this process.",
                "A receipt is given with the record. What is published is proved by the log itself.",
            )
        with self._making:
            group = self._made.get(groups[at][0]) or self._make(*groups[at])
        record_id, leaf = group.records[index - group.first]
        path = prove_inclusion(index - group.first, len(group.records), group.hash_at)
        return Receipt(index, record_id, leaf, tuple(path), group.note).encode()

    def _make(self, first: int, count: int, accepted: str) -> _Group:
        raws = [self._records.stored(index)[0] for index in range(first, first + count)]
        try:
            records = tuple((_named.decode(raw).id, leaf_hash(raw)) for raw in raws)
        except canonical.UNREADABLE as error:
            raise Corruption("log.header", f"A header of the group at {first} cannot be read: {error}") from None
        level = tuple(
            leaf_hash(receipt_leaf(first + at, record_id, leaf)) for at, (record_id, leaf) in enumerate(records)
        )
        levels = [level]
        while len(level) > 1:
            level = tuple(node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2))
            levels.append(level)
        publish_by = format_moment(parse_moment(accepted) + RECEIPT_PUBLISH_WITHIN_S * NS)
        root = range_root(0, count, lambda height, index: levels[height][index])
        note = self._sign(Promise(self._origin, first, count, accepted, publish_by, root).format())
        group = self._made[first] = _Group(first, records, tuple(levels), note)
        if len(self._made) > RECEIPT_TREES_CACHED:
            self._made.popitem(last=False)
        return group
