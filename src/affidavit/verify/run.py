"""Runs of quiet records: what the sieve passed, between two records that it left, judged together.

No record of a run changes what the order-dependent checks of the others rest on (that is what makes a kind quiet), so
they look at each shape and each case once, and at numbers, ids and moments as columns. Each part of the verification
*weighs* a run: it gives what is to be done if nothing in the run is worth a word, or `None`. Weighing changes nothing
that shows. Where one part gives `None`, all parts take the run's records one by one, as any other records, and say what
there is to say: so a run makes no difference to the verdict.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from affidavit.verify.sift import LEFT, UNREAD, Shape, Sifted

#: What to do once every part has agreed that a run is worth no word.
Settle = Callable[[], None]


@dataclass(frozen=True)
class Run:
    """Records from `first` on, a value for each in the lists. A case is None where the content cannot be read; `refs`
    hold `LEFT` where a header has no `ref`; `ids` are the numbers that UUIDs are, in halves, high and low in turn."""

    first: int
    shapes: list[Shape]
    cases: list[bytes | None]
    ids: tuple[int, ...]
    seqs: list[int]
    refs: list[int]
    sealed: list[str]
    made: list[str]

    @property
    def count(self) -> int:
        """How many records."""
        return len(self.shapes)

    @cached_property
    def by_shape(self) -> Counter[Shape]:
        """How many records of each shape, in the order of their first records."""
        return Counter(self.shapes)

    @cached_property
    def by_case(self) -> Counter[tuple[Shape, bytes | None]]:
        """How many records of each shape and case, in the order of their first records."""
        return Counter(zip(self.shapes, self.cases, strict=True))

    @cached_property
    def made_between(self) -> tuple[str, str]:
        """The earliest and the latest producer's time."""
        return min(self.made), max(self.made)

    def of_kinds(self, kinds: frozenset[str]) -> list[int]:
        """The positions in the run of records of these kinds."""
        if not any(shape.kind in kinds for shape in self.by_shape):
            return []
        return [at for at, shape in enumerate(self.shapes) if shape.kind in kinds]


def runs_of(first: int, sifted: Sifted) -> Iterator[int | Run]:
    """What a bundle whose first record is `first` holds, in order: positions of records that were left, and runs."""
    at, count = 0, len(sifted.shape_of)
    while at < count:
        if sifted.shape_of[at] == LEFT:
            yield at
            at += 1
            continue
        end = at + 1
        while end < count and sifted.shape_of[end] != LEFT:
            end += 1
        yield _run(first + at, sifted, slice(at, end))
        at = end


def _run(first: int, sifted: Sifted, part: slice) -> Run:
    return Run(
        first,
        [sifted.shapes[number] for number in sifted.shape_of[part]],
        [None if number == UNREAD else sifted.cases[number] for number in sifted.case_of[part]],
        struct.unpack(f">{2 * (part.stop - part.start)}Q", sifted.ids[16 * part.start : 16 * part.stop]),
        sifted.seqs[part],
        sifted.refs[part],
        sifted.sealed[part],
        sifted.made[part],
    )
