"""The record ids seen so far, packed: 8 bytes each once the minute that they were made in has passed.

A UUIDv7 begins with its time, so a repeat lies in the same bucket of time as the first. Kept of an id are its last 64
bits, 62 of them random: two honest ids of one bucket of a million meet with a chance below 10^-6.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import OrderedDict

from affidavit.limits import VERIFY_ID_BUCKETS_MAX

_BUCKET_BITS = 16  # 65 s of milliseconds


class SeenIds:
    """Tells whether an id was seen before."""

    def __init__(self) -> None:
        self._recent: OrderedDict[int, set[int]] = OrderedDict()
        self._packed: dict[int, array[int]] = {}

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
        recent = self._recent.get(bucket)
        if recent is None:
            recent = self._recent[bucket] = set()
            if len(self._recent) > VERIFY_ID_BUCKETS_MAX:
                oldest, keys = self._recent.popitem(last=False)
                self._packed[oldest] = array("Q", sorted(keys))
        if key in recent:
            return False
        recent.add(key)
        return True
