"""*Proven* against brute force: every history of a few records at small whole times that the evidence allows is made,
and what is said to be proven must be so in all of them. Claims of clocks are left out: they prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

from hypothesis import assume, example, given
from hypothesis import strategies as st

from affidavit.timeproof.interval import Interval
from affidavit.timeproof.order import Event, order
from affidavit.timeproof.stamps import Stamp, Stamps
from affidavit.timeproof.when import When

LAST = 5  # times are 0 to this


@dataclass(frozen=True)
class Evidence:
    """What a log of `size` records holds: stamps, and of each record the newest that it was made after and its session
    (None: neither is known)."""

    size: int
    stamps: tuple[Stamp, ...]
    made_after: tuple[int | None, ...]
    sessions: tuple[int | None, ...]


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Anything that a log may hold, whether anybody honest could have written it or not."""
    size = draw(st.integers(2, 4))
    stamps = []
    for _ in range(draw(st.integers(0, 3))):
        covered = draw(st.integers(1, size))
        index = draw(st.none() | st.integers(covered, size - 1)) if covered < size else None
        ends = sorted(draw(st.tuples(st.integers(0, LAST), st.integers(0, LAST))))
        stamps.append(Stamp(draw(st.sampled_from("xy")), covered, Interval(*ends), index))
    made_after = tuple(draw(st.none() | st.integers(0, at - 1)) if at else None for at in range(size))
    sessions = tuple(draw(st.none() | st.just(0)) for _ in range(size))
    return Evidence(size, tuple(stamps), made_after, sessions)


def sealings(evidence: Evidence) -> Iterator[tuple[int, ...]]:
    """When the records can have been sealed: in their order, with a moment left for each stamp to be made."""
    for sealed in combinations_with_replacement(range(LAST + 1), evidence.size):
        for stamp in evidence.stamps:
            since = max(sealed[stamp.size - 1], stamp.made.earliest_ns or 0)
            held = LAST if stamp.index is None else sealed[stamp.index]
            if since > min(held, LAST if stamp.made.latest_ns is None else stamp.made.latest_ns):
                break
        else:
            yield sealed


def happenings(evidence: Evidence, sealed: tuple[int, ...], a: int, b: int) -> Iterator[tuple[int, int]]:
    """When what the records at `a` and `b` tell can have happened, by half steps, so that there is room between."""

    def span(index: int) -> range:
        after = evidence.made_after[index]
        return range(0 if after is None else 2 * sealed[after], 2 * sealed[index] + 1)

    same = evidence.sessions[a] is not None and evidence.sessions[a] == evidence.sessions[b]
    for first in span(a):
        for second in span(b):
            if not same or (first <= second if a < b else second <= first):
                yield first, second


def event(evidence: Evidence, stamps: Stamps, index: int) -> Event:
    """As `evidence.timing` makes it of what a log holds."""
    after = evidence.made_after[index]
    earliest = None if after is None else stamps.proven(after).recorded.earliest_ns
    latest = stamps.proven(index).recorded.latest_ns
    if earliest is not None and latest is not None and earliest > latest:
        earliest = latest = None
    return Event(index, Interval(), Interval(earliest, latest), after, evidence.sessions[index])


@given(evidences())
@example(Evidence(2, (Stamp("x", 1, Interval(0, 1)), Stamp("y", 1, Interval(3, 4), 1)), (None, None), (None, None)))
def test_the_interval_of_a_record_is_all_that_could_be_and_nothing_else(evidence: Evidence) -> None:
    found = list(sealings(evidence))
    assume(found)
    stamps = Stamps(evidence.stamps)
    assert [] == stamps.contradictions()
    for index in range(evidence.size):
        got, times = stamps.proven(index).recorded, [sealed[index] for sealed in found]
        assert (min(times), max(times)) == (got.earliest_ns or 0, LAST if got.latest_ns is None else got.latest_ns)


@given(evidences(), st.data())
def test_proven_is_never_said_where_it_could_be_otherwise(evidence: Evidence, data: st.DataObject) -> None:
    a, b = data.draw(st.permutations(range(evidence.size)))[:2]
    pairs = {pair for sealed in sealings(evidence) for pair in happenings(evidence, sealed, a, b)}
    assume(pairs)
    stamps = Stamps(evidence.stamps)
    events = event(evidence, stamps, a), event(evidence, stamps, b)
    answer = order(*events)
    assert answer.result in ("proven", "ambiguous")  # there are no claims
    strict = answer.by == "stamps"  # what names another may be of the same moment
    if answer.first == "a":
        assert all(x < y if strict else x <= y for x, y in pairs), (answer, pairs)
    elif answer.first == "b":
        assert all(y < x if strict else y <= x for x, y in pairs), (answer, pairs)
    for one, at in zip(events, zip(*pairs, strict=True), strict=True):
        earliest, latest = one.proven.earliest_ns, one.proven.latest_ns
        assert all((earliest is None or 2 * earliest <= x) and (latest is None or x <= 2 * latest) for x in at)


@given(evidences())
def test_what_cannot_be_is_a_contradiction_and_proves_nothing(evidence: Evidence) -> None:
    stamps = Stamps(evidence.stamps)
    if next(sealings(evidence), None) is None:
        assert stamps.contradictions()
    else:
        assert not stamps.contradictions()


ends = st.none() | st.integers(0, LAST)


@given(st.tuples(ends, ends), st.tuples(ends, ends))
def test_claim_and_proof_agree_exactly_where_one_moment_fits_both(
    claim: tuple[int | None, int | None], proof: tuple[int | None, int | None]
) -> None:
    assume(all(None in ends or ends[0] <= ends[1] for ends in (claim, proof)))  # type: ignore[operator]
    when = When(Interval(*claim), Interval(*proof))

    def fits(at: int, interval: Interval) -> bool:
        return (interval.earliest_ns or 0) <= at <= (LAST if interval.latest_ns is None else interval.latest_ns)

    both = [at for at in range(LAST + 1) if fits(at, when.claimed) and fits(at, when.proven)]
    assert (when.agreement == "contradict") == (not both)
    wanted = both or [at for at in range(LAST + 1) if fits(at, when.proven)]
    assert wanted == [at for at in range(LAST + 1) if fits(at, when.happened)]
    assert (when.agreement == "unproven") == (when.proven == Interval())
