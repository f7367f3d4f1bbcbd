"""Grants that expire: at their end, all overdue ones at a start, and never before."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from office import PEOPLE, Office, office

from affidavit.capture.lapses import Lapses
from affidavit.record.moment import NS, parse_moment


class SetClock:
    """A clock that stands where the test puts it."""

    def __init__(self) -> None:
        self.at_ns = 0

    def now_ns(self) -> int:
        return self.at_ns

    def monotonic_ns(self) -> int:
        return self.at_ns


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply({name: value for name, value in PEOPLE.items() if name != "policy/two-people"})
        yield one


def grant(desk: Office, seconds: int) -> str:
    wish = {"who": "ana", "actions": ["read"], "resource": "clinic", "seconds": seconds, "reason": "r"}
    change = desk.admin.post("/v1/grants", wish)["change"]
    return str(desk.admin.get(f"/v1/records/{change}")["body"]["objects"][0]["name"])


def end_of(desk: Office, name: str) -> int:
    version = desk.live.snapshot().get(name)
    assert version is not None
    return parse_moment(version.value["end"])


def step(desk: Office, clock: SetClock) -> int | None:
    return asyncio.run(Lapses(desk.live, desk._producer, clock, os.urandom).step())


def test_nothing_lapses_before_its_end_and_all_that_is_due_at_it(desk: Office) -> None:
    first, second, third = grant(desk, 60), grant(desk, 60), grant(desk, 7_200)
    clock = SetClock()
    clock.at_ns = end_of(desk, first) - 1
    assert step(desk, clock) is None

    clock.at_ns = end_of(desk, second) + NS
    index = step(desk, clock)
    record = desk.admin.get(f"/v1/records/{index}")
    assert record["header"]["kind"] == "lapse"
    assert sorted(op["name"] for op in record["body"]["objects"]) == sorted([first, second])
    assert desk.live.snapshot().names("grant/") == [third]
    assert step(desk, clock) is None


def test_a_lapse_ends_what_the_grant_allowed(desk: Office) -> None:
    name = grant(desk, 60)
    assert desk.admin.get(f"/v1/records/{desk.access('ana')}")["header"]["decision"] == "allow"
    clock = SetClock()
    clock.at_ns = end_of(desk, name)
    step(desk, clock)
    assert desk.admin.get(f"/v1/records/{desk.access('ana')}")["header"]["decision"] == "deny"
