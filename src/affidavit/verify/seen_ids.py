"""The record ids seen so far, packed: 8 bytes each once there are many of them.

A UUIDv7 begins with its time, so a repeat lies in the same bucket of time as the first. The newest buckets are sets;
older ones are packed into *chapters*, sorted arrays that each cover a stretch of buckets. Kept of an id are its last 64
bits, 62 of them random: two honest ids of one chapter of a million meet with a chance below 10^-6.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort

from affidavit.limits import VERIFY_IDS_UNPACKED_MAX

_BUCKET_BITS = 14  # 16 s of milliseconds
_BUCKETS_KEPT = 2  # records of several producers are not quite in the order of their ids


class SeenIds:
    """Tells whether an id was seen before."""

    def __init__(self) -> None:
        self._recent: dict[int, set[int]] = {}
        self._recent_count = 0
        self._ends: list[int] = []  # of chapters: the last bucket of each, ascending
        self._chapters: list[array[int]] = []

    def are_new(self, halves: tuple[int, ...]) -> bool:
        """Whether these ids, as numbers in halves, differ from all that were seen and from one another; False as well
        where that takes a look at packed ones."""
        return all(
            not self._is_packed(bucket)
            and len(set(keys)) == len(keys)
            and self._recent.get(bucket, frozenset[int]()).isdisjoint(keys)
            for bucket, keys in _by_bucket(halves).items()
        )

    def add_all(self, halves: tuple[int, ...]) -> None:
        """Add ids that are new, as `are_new` says."""
        for bucket, keys in _by_bucket(halves).items():
            self._recent.setdefault(bucket, set()).update(keys)
            self._recent_count += len(keys)
        self._pack()

    def add(self, record_id: str) -> bool:
        """Add an id in its UUIDv7 spelling; False where it was there already."""
        value = int(record_id.replace("-", ""), 16)
        bucket, key = value >> 80 + _BUCKET_BITS, value & (1 << 64) - 1
        if self._is_packed(bucket):
            chapter = self._chapters[bisect_left(self._ends, bucket)]
            at = bisect_left(chapter, key)
            if at < len(chapter) and chapter[at] == key:
                return False
            insort(chapter, key)
            return True
        recent = self._recent.setdefault(bucket, set())
        if key in recent:
            return False
        recent.add(key)
        self._recent_count += 1
        self._pack()
        return True

    def _is_packed(self, bucket: int) -> bool:
        return bool(self._ends) and bucket <= self._ends[-1]

    def _pack(self) -> None:
        """Pack all but the newest buckets into a chapter, where many ids are held."""
        if self._recent_count <= VERIFY_IDS_UNPACKED_MAX or len(self._recent) <= _BUCKETS_KEPT:
            return
        buckets = sorted(self._recent)[:-_BUCKETS_KEPT]
        keys: list[int] = []
        for bucket in buckets:
            keys += self._recent.pop(bucket)
        self._recent_count -= len(keys)
        self._ends.append(buckets[-1])
        self._chapters.append(array("Q", sorted(keys)))


def _by_bucket(halves: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    """The keys of ids in halves, by bucket."""
    highs, keys = halves[::2], halves[1::2]
    shift = 16 + _BUCKET_BITS  # of the upper 64 bits, the first 48 are the time
    first = min(highs) >> shift
    if first == max(highs) >> shift:
        return {first: keys}
    buckets: dict[int, list[int]] = {}
    for high, key in zip(highs, keys, strict=True):
        buckets.setdefault(high >> shift, []).append(key)
    return {bucket: tuple(found) for bucket, found in buckets.items()}
