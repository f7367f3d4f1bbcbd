"""Intervals, stamps and the order of events against what really happened: a history is made up, evidence follows from
it as honest parties would give it, and nothing that is then said to be proven may be untrue of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from affidavit.errors import InvalidInput
from affidavit.timeproof.claim import ClockNote, claimed
from affidavit.timeproof.interval import Interval
from affidavit.timeproof.order import Event, order
from affidavit.timeproof.stamps import Stamp, Stamps

moments = st.integers(0, 1_000)
ends = st.none() | moments


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    first, last = draw(ends), draw(ends)
    if first is not None and last is not None and first > last:
        first, last = last, first
    return Interval(first, last)


def holds(interval: Interval, at: int) -> bool:
    return (interval.earliest_ns is None or interval.earliest_ns <= at) and (
        interval.latest_ns is None or at <= interval.latest_ns
    )


@given(intervals(), intervals(), moments, moments)
def test_surely_before_is_never_said_of_what_could_be_otherwise(a: Interval, b: Interval, x: int, y: int) -> None:
    assume(holds(a, x) and holds(b, y))
    if a.surely_before(b):
        assert x < y
    both = a.both(b)
    assert (both is None) == (a.surely_before(b) or b.surely_before(a)) == (not a.meets(b))
    if holds(b, x):
        assert both is not None and holds(both, x)
    assert not (a.surely_before(b) and b.surely_before(a))


@given(intervals(), intervals(), intervals())
def test_surely_before_is_a_strict_order(a: Interval, b: Interval, c: Interval) -> None:
    assert not a.surely_before(a)
    if a.surely_before(b) and b.surely_before(c):
        assert a.surely_before(c)


def test_an_interval_that_ends_before_it_begins_is_wrong() -> None:
    with pytest.raises(InvalidInput):
        Interval(2, 1)


@dataclass(frozen=True)
class History:
    """When each record was really sealed, and stamps that honest authorities gave."""

    sealed: list[int]
    stamps: list[Stamp]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Records at growing times; some hold a token over what stood before them, made in between."""
    sealed, at = [], 1_000
    stamps = []
    for index in range(draw(st.integers(1, 30))):
        size = draw(st.integers(0, index))
        if size and draw(st.booleans()):
            made = draw(st.integers(sealed[size - 1], at))  # after the checkpoint's last record, before this one
            off = draw(st.integers(0, 50))
            bound = Interval(made - off - draw(st.integers(0, 20)), made - off + 50 + draw(st.integers(0, 20)))
            stamps.append(Stamp(draw(st.sampled_from(["x", "y"])), size, bound, draw(st.sampled_from([index, None]))))
        at += draw(st.integers(0, 40))
        sealed.append(at)
    return History(sealed, stamps)


@given(histories())
def test_what_stamps_prove_is_true(history: History) -> None:
    stamps = Stamps(history.stamps)
    assert [] == stamps.contradictions()
    for index, at in enumerate(history.sealed):
        proven = stamps.proven(index)
        assert holds(proven.recorded, at)
        known = [one.made.latest_ns for one in history.stamps if one.size > index and one.made.latest_ns is not None]
        assert min(known, default=None) == proven.recorded.latest_ns
        since = [one.made.earliest_ns for one in history.stamps if one.index is not None and one.index <= index]
        assert max((one for one in since if one is not None), default=None) == proven.recorded.earliest_ns


@given(histories(), st.data())
def test_an_authority_that_lies_beyond_the_others_is_found(history: History, data: st.DataObject) -> None:
    held = [one for one in history.stamps if one.index is not None]
    assume(held)
    liar = data.draw(st.sampled_from(held))
    after = [one for one in history.stamps if one.size > (liar.index or 0)]
    assume(after)
    far = Interval(10**9, 10**9 + 1)
    lie = Stamp("liar", liar.size, far, liar.index)
    stamps = Stamps([*[one for one in history.stamps if one is not liar], lie])
    found = stamps.contradictions()
    assert {id(one.earlier) for one in found} == {id(lie)}
    assert {id(one.later) for one in found} == {id(one) for one in after if one is not liar}


@given(
    st.integers(0, 10**6), st.integers(0, 10**4), st.integers(-(10**7), 10**7), st.integers(0, 600 * 10**9),
    st.integers(0, 500_000), st.integers(-500_000, 500_000), st.booleans(),
)  # fmt: skip
def test_a_claim_holds_the_truth_while_the_clock_is_as_good_as_its_note_says(
    bound: int, error_share: int, set_by: int, later: int, growth: int, rate: int, set_before: bool
) -> None:
    """The clock is wrong by no more than its bound, drifts no more than the growth, and is set once on the way."""
    assume(abs(rate) <= growth)
    wall, error = 10**18, bound * error_share // 10**4
    note = ClockNote("b" * 32, "interval", bound, growth, 0, wall, None, None)
    following = ClockNote("b" * 32, "step", bound, growth, 0, None, set_by, None)
    true = wall - error + later
    read = wall + later + later * rate // 10**9 + (set_by if set_before else 0)
    claim = claimed(read, note, following)
    # The machine measures how old the note is by the same clock: what that misses is the growth over the step.
    assert claim.earliest_ns is not None and claim.latest_ns is not None
    slack = abs(later - max(read - wall, 0)) * growth // 10**9 + 2
    assert claim.earliest_ns - slack <= true <= claim.latest_ns + slack


@st.composite
def true_events(draw: st.DrawFn) -> tuple[Event, int]:
    """An event and when it really happened; what its record says holds that."""
    at = draw(moments)
    claim, proven = draw(intervals()), draw(intervals())
    assume(holds(claim, at) and holds(proven, at))
    return Event(draw(st.integers(0, 20)), claim, proven, None, None), at


@given(true_events(), true_events())
def test_an_order_that_is_given_is_the_true_one(a: tuple[Event, int], b: tuple[Event, int]) -> None:
    answer, turned = order(a[0], b[0]), order(b[0], a[0])
    if a[0].index == b[0].index:
        assert "ambiguous" == answer.result
        return
    if answer.first == "a":
        assert a[1] < b[1]
    if answer.first == "b":
        assert b[1] < a[1]
    assert not answer.disputed
    assert (answer.result, answer.by) == (turned.result, turned.by)
    assert {("a", "b"), ("b", "a"), ("unknown", "unknown")} >= {(answer.first, turned.first)}


NOWHERE = Interval()


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        (Event(5, NOWHERE, NOWHERE), Event(9, NOWHERE, NOWHERE, made_after=5), ("a", "reference", "proven")),
        (Event(9, NOWHERE, NOWHERE, made_after=7), Event(5, NOWHERE, NOWHERE), ("b", "reference", "proven")),
        (Event(5, NOWHERE, NOWHERE), Event(9, NOWHERE, NOWHERE, made_after=4), ("unknown", "", "ambiguous")),
        (Event(5, NOWHERE, NOWHERE, None, 3), Event(9, NOWHERE, NOWHERE, 4, 3), ("a", "session", "proven")),
        (Event(5, NOWHERE, NOWHERE, None, 3), Event(9, NOWHERE, NOWHERE, 4, 4), ("unknown", "", "ambiguous")),
        (Event(5, NOWHERE, Interval(0, 9)), Event(9, NOWHERE, Interval(10, 20)), ("a", "stamps", "proven")),
        (Event(5, Interval(0, 9), NOWHERE), Event(9, Interval(9, 20), NOWHERE), ("unknown", "", "ambiguous")),
        (Event(5, Interval(10, 19), NOWHERE), Event(9, Interval(0, 9), NOWHERE), ("b", "clocks", "interval")),
    ],
)
def test_each_way_to_know_an_order(a: Event, b: Event, wanted: tuple[str, str, str]) -> None:
    answer = order(a, b)
    assert wanted == (answer.first, answer.by, answer.result)


def test_clocks_that_say_the_opposite_of_what_is_proven_are_told() -> None:
    answer = order(Event(5, Interval(100, 101), NOWHERE), Event(9, Interval(0, 1), NOWHERE, made_after=5))
    assert ("a", "proven", True) == (answer.first, answer.result, answer.disputed)


def test_one_clock_orders_what_its_bound_does_not() -> None:
    a, b = Event(5, NOWHERE, NOWHERE), Event(9, NOWHERE, NOWHERE)
    assert ("b", "one clock", "interval") == (order(a, b, "b").first, order(a, b, "b").by, order(a, b, "b").result)
