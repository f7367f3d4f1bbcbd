"""Ids seen before are known, whether they are held as sets or packed, and whichever way they came in."""

from __future__ import annotations

import random
import struct

import pytest

from affidavit.record.ids import uuid7
from affidavit.verify import seen_ids
from affidavit.verify.seen_ids import SeenIds

START_NS = 1_795_356_000_000_000_000


def halves(ids: list[str]) -> tuple[int, ...]:
    data = bytes.fromhex("".join(ids).replace("-", ""))
    return struct.unpack(f">{2 * len(ids)}Q", data)


@pytest.mark.parametrize("apart_s", [0.001, 1, 40, 4000])
def test_every_repeat_is_found(apart_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_ids, "VERIFY_IDS_UNPACKED_MAX", 50)
    choose = random.Random(7)
    ids = [uuid7(START_NS + int(at * apart_s * 1e9), choose.randbytes(10)) for at in range(600)]
    for at in range(0, 600, 37):
        ids[at], ids[min(599, at + 5)] = ids[min(599, at + 5)], ids[at]  # not quite in order
    seen = SeenIds()
    for at in range(0, 600, 60):
        some = ids[at : at + 60]
        if at % 120 and seen.are_new(halves(some)):
            seen.add_all(halves(some))
        else:
            assert all(map(seen.add, some))
    assert not any(map(seen.add, ids))
    assert not any(seen.are_new(halves([one])) for one in ids)


def test_two_that_are_alike_among_new_ones_are_not_new() -> None:
    ids = [uuid7(START_NS, bytes([at] * 10)) for at in (1, 2, 3, 2)]
    assert SeenIds().are_new(halves(ids[:3]))
    assert not SeenIds().are_new(halves(ids))
