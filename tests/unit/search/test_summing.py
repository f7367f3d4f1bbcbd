"""Counting what a query finds: by hand over a few records, and what cannot be counted."""

from __future__ import annotations

from typing import Any

import pytest
from recordcase import ANA, made

from affidavit.errors import InvalidInput
from affidavit.record.header import Time
from affidavit.record.moment import parse_moment
from affidavit.record.read import Record
from affidavit.search import summing
from affidavit.search.parsing import parse_query
from affidavit.search.summing import Summing, most_first, read_step, whole

ACCESS: dict[str, Any] = {"action": {"columns": ["public.patients.ssn"]}, "client": {"address": "10.0.0.7"}}
BEN = "u-00000000000000b2"
HOUR_NS = 3_600 * 10**9


class Log:
    """A few records."""

    def __init__(self, *records: Record) -> None:
        self._records = records
        self.size = len(records)

    def header(self, index: int) -> Any:
        return self._records[index].header

    def record(self, index: int) -> Record:
        return self._records[index]


def at(clock: str, index: int, body: dict[str, Any] | None = ACCESS, **fields: Any) -> Record:
    return made(body, index, time=Time(f"2026-11-22T{clock}.000000000Z"), **fields)


LOG = Log(
    at("14:17:00", 0),
    at("14:59:59", 1, actor=BEN),
    at("15:00:00", 2, kind="session.open", action="login", body={"client": {"address": "10.0.0.7"}}),
    at("17:30:00", 3),
    at("17:31:00", 4, actor=None, body=None),
)


def counted(query: str, facet: str = "", step: str = "", bound_ns: int | None = 0, log: Log = LOG) -> Summing:
    now_ns = parse_moment("2026-11-25T00:00:00.000000000Z")
    parsed = parse_query(query, lambda name: {"ana": ANA, "ben": BEN}[name], now_ns)
    told = Summing(parsed, lambda _: bound_ns, facet, read_step(step) if step else 0)
    list(told.read(log, log.size))
    return told


def numbers(values: Any) -> dict[Any, tuple[int, int]]:
    return {value: (count.certainly, count.possibly) for value, count in dict(values).items()}


def test_how_many_and_by_whom() -> None:
    found = counted("", "actor").sum
    assert (5, 0) == (found.all.certainly, found.all.possibly)
    assert {ANA: (3, 0), BEN: (1, 0)} == numbers(found.values)
    assert (1, 0) == (found.unsaid.certainly, found.unsaid.possibly), "a record without an actor"
    assert {ANA: (2, 0)} == numbers(counted("actor:ana kind:access", "actor").sum.values)


def test_a_record_counts_for_each_of_its_values_and_once_among_all() -> None:
    found = counted("kind:access", "column").sum
    assert 4 == found.all.certainly
    every = (3, 0)
    assert {"public.patients.ssn": every, "patients.ssn": every, "ssn": every} == numbers(found.values)
    assert 1 == found.unsaid.certainly, "a body that cannot be read"


def test_steps_are_whole_and_in_order() -> None:
    found = counted("", step="1h").sum
    told = [(begins // HOUR_NS % 24, count.certainly) for begins, count in whole(found.steps, HOUR_NS)]
    assert [(14, 2), (15, 1), (16, 0), (17, 2)] == told
    assert [] == list(whole({}, HOUR_NS))


def test_what_a_clock_leaves_open_is_counted_apart() -> None:
    minute_ns = 60 * 10**9
    found = counted("at:2026-11-22T15", "actor", "1h", bound_ns=minute_ns).sum
    assert (0, 2) == (found.all.certainly, found.all.possibly), "one a second before, and one on the edge"
    assert {ANA: (0, 1), BEN: (0, 1)} == numbers(found.values)
    assert {14: (0, 1), 15: (0, 1)} == {key // HOUR_NS % 24: value for key, value in numbers(found.steps).items()}


def test_only_the_positions_that_can_match_are_read() -> None:
    read: list[int] = []

    class Watched(Log):
        def header(self, index: int) -> Any:
            read.append(index)
            return super().header(index)

    counted("index:1..2", log=Watched(*LOG._records))
    assert [1, 2] == read


def test_the_most_frequent_first_and_of_equals_the_first_in_order() -> None:
    found = counted("", "kind").sum
    assert [("access", 4), ("session.open", 1)] == [(v, c.certainly) for v, c in most_first(found.values, 9)]
    assert ["access"] == [value for value, _ in most_first(found.values, 1)]


@pytest.mark.parametrize("facet", ["text", "at", "nothing"])
def test_what_nothing_can_be_counted_by(facet: str) -> None:
    with pytest.raises(InvalidInput, match="Nothing can be counted by") as raised:
        counted("", facet)
    assert "actor" in raised.value.hint and "text" not in raised.value.hint.split(", ")


@pytest.mark.parametrize(("step", "code"), [("100ms", "query.step"), ("1x", "query.number"), ("", "query.number")])
def test_a_step_is_a_second_or_more(step: str, code: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_step(step)
    assert code == raised.value.code


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summing, "HISTOGRAM_STEPS_MAX", 3)
    with pytest.raises(InvalidInput, match="more than 3 such steps apart"):
        counted("", step="1h")
    monkeypatch.setattr(summing, "FACET_VALUES_MAX", 1)
    with pytest.raises(InvalidInput, match="actor has more than 1 values"):
        counted("", "actor")
