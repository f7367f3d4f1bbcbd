"""What a finding is, which kinds there are, and how far apart two records lie as far as their clocks can tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from affidavit.limits import FINDINGS_SHOWN_MAX
from affidavit.record.moment import NS, parse_moment
from affidavit.record.read import Record
from affidavit.timeproof.interval import Interval

Certainty = Literal["certain", "possible"]

#: Every kind of finding: its code, and what it says.
CODES: Final[dict[str, str]] = {
    "access.after_revocation": "used after the change that took it away was in the log, before that was enforced",
    "access.by_nested_group": "allowed through a nested group whose membership had just changed",
    "access.only_observed": "allowed only because nothing is restricted yet",
    "access.unconfigured": "somebody acted without settings of their own",
    "change.claimed": "names were typed as approvers that no login proves",
    "change.own_approval": "who asked for a change approved it",
    "decision.errors": "a rule could not be evaluated when this was decided",
    "drift.unexplained": "the database enforced something else than before, and no record says why",
    "erase.own": "who did something erased the body of its record",
    "gateway.passed": "somebody connected to the database past the gateway, and nobody declared it",
    "grant.brief": "given shortly before its use, and gone soon after",
    "grant.lapsed_allowed": "allowed by a grant outside its interval: verify fails here as well",
    "grant.lapsed_refused": "refused, where a grant that had ended would have allowed it",
}


@dataclass(frozen=True)
class Windows:
    """What counts as *shortly before* and *soon after*: less than `before_ns`, and not more than `after_ns`."""

    before_ns: int = 15 * 60 * NS
    after_ns: int = 60 * 60 * NS


@dataclass(frozen=True)
class Finding:
    """One finding. `records` are what it rests on, in the order of the log; `count` is of how many accesses it tells.

    `possible`: it follows from the records, except that clocks do not tell which came first, or whether a time was met.
    """

    code: str
    certainty: Certainty
    sentence: str
    records: tuple[int, ...]
    actor: str | None = None
    system: str | None = None
    objects: tuple[str, ...] = ()
    count: int = 1

    def as_dict(self) -> dict[str, Any]:
        """As JSON shows it, without the times of its records."""
        return {
            "code": self.code,
            "certainty": self.certainty,
            "sentence": self.sentence,
            "records": list(self.records),
            "actor": self.actor,
            "system": self.system,
            "objects": list(self.objects),
            "count": self.count,
        }


@dataclass
class Missed:
    """Records that could not be looked at: how many, and the first few. One that is met again at once counts once."""

    count: int = 0
    last: int = -1
    first: list[int] = field(default_factory=list)

    def add(self, index: int) -> None:
        """One more."""
        if index == self.last:
            return
        self.last, self.count = index, self.count + 1
        if len(self.first) < FINDINGS_SHOWN_MAX:
            self.first.append(index)


@dataclass(frozen=True)
class Apart:
    """From one record's moment to a later one's: as written, at least, and at most (None: nothing bounds it)."""

    said_ns: int
    least_ns: int | None
    most_ns: int | None

    def below(self, limit_ns: int) -> Certainty | None:
        """Whether it is shorter than `limit_ns`: certainly, possibly, or (None) not."""
        if self.most_ns is None or self.least_ns is None:
            return "possible" if self.said_ns < limit_ns else None
        if self.most_ns < limit_ns:
            return "certain"
        return "possible" if self.least_ns < limit_ns else None


def apart(first: Record, last: Record, claims: tuple[Interval, Interval]) -> Apart:
    """How far apart the two were made. Read off one clock record's clock, its error is in both and cancels out."""
    said_ns = parse_moment(last.header.time.at) - parse_moment(first.header.time.at)
    if first.header.time.clock is not None and first.header.time.clock == last.header.time.clock:
        return Apart(said_ns, said_ns, said_ns)
    a, b = claims
    if None in (a.earliest_ns, a.latest_ns, b.earliest_ns, b.latest_ns):
        return Apart(said_ns, None, None)
    least_ns, most_ns = (b.earliest_ns or 0) - (a.latest_ns or 0), (b.latest_ns or 0) - (a.earliest_ns or 0)
    return Apart(said_ns, least_ns, most_ns)


def both(a: Certainty | None, b: Certainty | None) -> Certainty | None:
    """Whether both hold: certain where both are, None where one does not."""
    if a is None or b is None:
        return None
    return "certain" if a == b == "certain" else "possible"
