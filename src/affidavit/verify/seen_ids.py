"""The record ids seen so far, packed: 8 bytes each once the minute that they were made in has passed.

A UUIDv7 begins with its time, so a repeat lies in the same bucket of time as the first. Kept of an id are its last 64
bits, 62 of them random: two honest ids of one bucket of a million meet with a chance below 10^-6.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import OrderedDict

from affidavit.limits import VERIFY_ID_BUCKETS_MAX, VERIFY_IDS_UNPACKED_MAX

_BUCKET_BITS = 16  # 65 s of milliseconds


class SeenIds:
    """Tells whether an id was seen before."""

    def __init__(self) -> None:
        self._recent: OrderedDict[int, set[int]] = OrderedDict()
        self._recent_count = 0
        self._packed: dict[int, array[int]] = {}

    def are_new(self, halves: tuple[int, ...]) -> bool:
        """Whether these ids, as numbers in halves, differ from all that were seen and from one another; False as well
        where that takes a look at packed ones."""
        buckets = _by_bucket(halves)
        return all(
            bucket not in self._packed
            and len(set(keys)) == len(keys)
            and self._recent.get(bucket, frozenset[int]()).isdisjoint(keys)
            for bucket, keys in buckets.items()
        )

    def add_all(self, halves: tuple[int, ...]) -> None:
        """Add ids that are new."""
        for bucket, keys in _by_bucket(halves).items():
            self._bucket(bucket).update(keys)
            self._recent_count += len(keys)

    def add(self, record_id: str) -> bool:
        """Add an id in its UUIDv7 spelling; False where it was there already."""
        value = int(record_id.replace("-", ""), 16)
        bucket, key = value >> 80 + _BUCKET_BITS, value & (1 << 64) - 1
        packed = self._packed.get(bucket)
        if packed is not None:
            at = bisect_left(packed, key)
            if at < len(packed) and packed[at] == key:
                return False
            insort(packed, key)
            return True
        recent = self._bucket(bucket)
        if key in recent:
            return False
        recent.add(key)
        self._recent_count += 1
        return True

    def _bucket(self, bucket: int) -> set[int]:
        """The set of a bucket that is not packed. A new one lets the oldest be packed, where many ids are held."""
        recent = self._recent.get(bucket)
        if recent is None:
            while len(self._recent) > 1 and (
                self._recent_count > VERIFY_IDS_UNPACKED_MAX or len(self._recent) >= VERIFY_ID_BUCKETS_MAX
            ):
                oldest, keys = self._recent.popitem(last=False)
                self._recent_count -= len(keys)
                self._packed[oldest] = array("Q", sorted(keys))
            recent = self._recent[bucket] = set()
        return recent


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
