"""Findings about how a permission came and went: brief ones, nested groups, lapsed grants, uses after a revocation."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from affidavit.evidence.findings.again import Again
from affidavit.evidence.findings.finding import Certainty, Finding, Windows, apart, both
from affidavit.evidence.sentence import Names, named
from affidavit.evidence.wording import duration_words
from affidavit.history.asof import Records, changes_before, state_index
from affidavit.limits import FINDINGS_FOLLOWED_MAX, FINDINGS_LAPSES_LOOKED_MAX
from affidavit.record.moment import NS, parse_moment
from affidavit.record.read import Record
from affidavit.state.view import StateView
from affidavit.timeproof.interval import Interval
from affidavit.timeproof.order import Event, First, order

_GIVING = ("grant", "membership", "policy", "identity")
#: Clocks are wrong by less than this, or there is no bound: so long is kept what may still count.
_SLACK_NS = 60 * NS
Bears = Callable[[str], bool]


class Timings(Protocol):
    """When records were made, and in which order. `evidence.timing.Timing` is one."""

    def claimed(self, record: Record) -> Interval: ...

    def event(self, index: int) -> Event: ...

    def first_by_one_clock(self, a: int, b: int) -> First: ...


@dataclass(frozen=True)
class _Change:
    record: Record
    names: tuple[str, ...]

    @property
    def at_ns(self) -> int:
        return parse_moment(self.record.header.time.at)


@dataclass
class _InUse:
    """A permission that was given shortly before its first use."""

    given: _Change
    first: Record
    last: Record
    shortly: Certainty


class Given:
    """Permissions that were given shortly before their use, and whether they went soon after."""

    def __init__(self, records: Records, timing: Timings, again: Again, names: Names, windows: Windows) -> None:
        self._records = records
        self._timing = timing
        self._again = again
        self._names = names
        self._windows = windows
        self._recent: deque[_Change] = deque(maxlen=FINDINGS_FOLLOWED_MAX)
        self._in_use: OrderedDict[tuple[str, str, str], _InUse] = OrderedDict()
        self.dropped = 0

    def before(self, first: int) -> None:
        """Take the changes that are recent at the record `first`."""
        if not 0 < first < self._records.size:
            return
        until_ns = parse_moment(self._records.header(first).log.at) - self._windows.before_ns - _SLACK_NS
        found: list[int] = []
        after = state_index(self._records, first)
        while after and len(found) < FINDINGS_FOLLOWED_MAX:
            header = self._records.header(after - 1)
            if parse_moment(header.log.at) < until_ns:
                break
            found.append(after - 1)
            after = header.log.state
        for index in reversed(found):
            self.take(self._records.record(index))

    def take(self, record: Record) -> None:
        """Remember what a change gives."""
        names = tuple(
            str(op["name"])
            for op in record.content.get("objects", ())
            if op.get("op") == "put" and str(op["name"]).split("/", 1)[0] in _GIVING
        )
        if names:
            self._recent.append(_Change(record, names))

    def used(self, record: Record, context: dict[str, Any], bears: Bears) -> Iterator[Finding]:
        """An access was allowed: by what was given just before?"""
        now_ns = parse_moment(record.header.time.at)
        self._forget(now_ns)
        actor, system = record.header.actor or "", record.header.system or ""
        for (name, who, where), use in list(self._in_use.items()):
            by = {item["policy"] for item in record.content["authorization"]["determining"]}
            if (who, where) == (actor, system) and (name in by or self._decisive(record, use.given)):
                use.last = record
        for change in self._recent:
            if change.record.index >= (record.header.decided or 0):
                break
            names = [name for name in change.names if bears(name)]
            if not names:
                continue
            between = apart(change.record, record, (self._timing.claimed(change.record), self._timing.claimed(record)))
            shortly = between.below(self._windows.before_ns)
            if shortly is None or not self._decisive(record, change):
                continue
            for name in self._that_gave(names, record):
                self._follow((name, actor, system), _InUse(change, record, record, shortly))
            yield from self._nested(record, change, names, context, shortly)

    def ended_by(self, record: Record) -> Iterator[Finding]:
        """A change or a lapse: does it take away what was in use until just before?"""
        if not self._in_use:
            return
        gone = {str(op["name"]) for op in record.content.get("objects", ()) if op.get("op") == "delete"}
        for key in [key for key in self._in_use if key[0] in gone]:
            use = self._in_use.pop(key)
            claims = self._timing.claimed(use.last), self._timing.claimed(record)
            # Not more than the limit is less than a nanosecond more.
            certainty = both(use.shortly, apart(use.last, record, claims).below(self._windows.after_ns + 1))
            if certainty is not None:
                yield self._brief(key, use, record, certainty)

    def waits(self, at_ns: int) -> bool:
        """Whether at that moment something in use may still be taken away soon enough to count."""
        return any(
            at_ns - parse_moment(use.last.header.time.at) <= self._windows.after_ns + _SLACK_NS
            for use in self._in_use.values()
        )

    def _decisive(self, record: Record, change: _Change) -> bool:
        return self._again.decisive(record, change.record.index)

    def _that_gave(self, names: list[str], record: Record) -> list[str]:
        """Of what one change gave: the rules that decided; where none is among them, all."""
        by = {item["policy"] for item in record.content["authorization"]["determining"]}
        return [name for name in names if name in by] or names

    def _follow(self, key: tuple[str, str, str], use: _InUse) -> None:
        held = self._in_use.get(key)
        if held is not None and held.given.record.index == use.given.record.index:
            return
        self._in_use[key] = use
        if len(self._in_use) > FINDINGS_FOLLOWED_MAX:
            self._in_use.popitem(last=False)
            self.dropped += 1

    def _forget(self, now_ns: int) -> None:
        while self._recent and now_ns - self._recent[0].at_ns > self._windows.before_ns + _SLACK_NS:
            self._recent.popleft()
        while self._in_use:
            use = next(iter(self._in_use.values()))
            if now_ns - parse_moment(use.last.header.time.at) <= self._windows.after_ns + _SLACK_NS:
                return
            self._in_use.popitem(last=False)

    def _brief(self, key: tuple[str, str, str], use: _InUse, gone: Record, certainty: Certainty) -> Finding:
        name, actor, system = key
        before, after = _ns_between(use.given.record, use.first), _ns_between(use.last, gone)
        how = "lapsed" if gone.header.kind == "lapse" else f"was taken away by {self._names(gone.header.actor or '')}"
        said = (
            f"{named(name, self._names)} was given by {self._names(use.given.record.header.actor or '')} in record "
            f"{use.given.record.index}, {duration_words(before)} before {self._names(actor)} used it on {system} "
            f"(record {use.first.index}), and {how} {duration_words(after)} after its last use (record {gone.index})."
        )
        records = sorted({use.given.record.index, use.first.index, use.last.index, gone.index})
        return Finding("grant.brief", certainty, said, tuple(records), actor, system, (name,))

    def _nested(
        self, record: Record, change: _Change, names: list[str], context: dict[str, Any], shortly: Certainty
    ) -> Iterator[Finding]:
        gave = self._again.groups_that_gave(record, context)
        actor = record.header.actor or ""
        for item in context.get("groups", ()):
            chain = [*item["via"], item["group"]]
            if len(chain) < 2 or item["group"] not in gave:
                continue
            holders = [actor, *(f"group:{group}" for group in chain)]
            steps = {f"membership/{who}/{group}" for who, group in zip(holders, chain, strict=False)}
            for name in [name for name in names if name in steps]:
                before = duration_words(_ns_between(change.record, record))
                said = (
                    f"{self._names(actor)} was allowed on {record.header.system} (record {record.index}) through "
                    f"{' in '.join(chain)}; {named(name, self._names)} came {before} before, in record "
                    f"{change.record.index}, and before that it would have been denied."
                )
                at = (change.record.index, record.index)
                yield Finding("access.by_nested_group", shortly, said, at, actor, record.header.system, (name,))


class Lapsed:
    """Uses of grants outside their interval: refused ones, and ones that were allowed, which verify finds as well."""

    def __init__(self, records: Records, state_at: Callable[[int], StateView], again: Again, names: Names) -> None:
        self._records = records
        self._state_at = state_at
        self._again = again
        self._names = names
        self._gone: OrderedDict[str, int] = OrderedDict()
        self.dropped = 0

    def before(self, first: int) -> None:
        """Take the lapses of the last changes before the record `first`."""
        after, looked, found = state_index(self._records, first), 0, []
        while after and looked < FINDINGS_LAPSES_LOOKED_MAX:
            header = self._records.header(after - 1)
            if header.kind == "lapse":
                found.append(after - 1)
            after, looked = header.log.state, looked + 1
        self.dropped += 1 if after else 0
        for index in reversed(found):
            self.take(self._records.record(index))

    def take(self, record: Record) -> None:
        """Remember what a lapse takes away."""
        if record.header.kind != "lapse":
            return
        for op in record.content.get("objects", ()):
            name = str(op["name"])
            if name.startswith("grant/"):
                self._gone.pop(name, None)
                self._gone[name] = record.index
        while len(self._gone) > FINDINGS_FOLLOWED_MAX:
            self._gone.popitem(last=False)
            self.dropped += 1

    def refused(self, record: Record, context: dict[str, Any]) -> Iterator[Finding]:
        """The access was denied: would the last grant of this actor that had ended by then have allowed it?"""
        at, actor = record.header.time.at, record.header.actor or ""
        owners = {actor, *(f"group:{item['group']}" for item in context.get("groups", ()))}
        ended: list[tuple[str, str, int]] = [
            (item["end"], item["name"], record.header.decided or 0)
            for item in context.get("grants", ())
            if item["end"] is not None and item["end"] <= at
        ]
        for name, index in self._gone.items():
            version = self._state_at(index).get(name) if name.split("/")[1] in owners else None
            end = None if version is None or version.erased else version.value["end"]
            if end is not None and end <= at:
                ended.append((end, name, index))
        for end, name, position in sorted(ended, reverse=True):
            then = self._again.decide(record, position, parse_moment(end) - 1)
            if then is None or not then.allowed or name not in {item.policy for item in then.determining}:
                continue
            version = self._state_at(position).get(name)
            late = duration_words(parse_moment(at) - parse_moment(end))
            said = (
                f"{self._names(actor)} was refused on {record.header.system} (record {record.index}): "
                f"{named(name, self._names)}, which would have allowed it, had ended {late} before."
            )
            given = () if version is None else (version.version,)
            over = () if position == (record.header.decided or 0) else (position,)
            at_records = tuple(sorted({*given, *over, record.index}))
            yield Finding("grant.lapsed_refused", "certain", said, at_records, actor, record.header.system, (name,))
            return

    def allowed(self, record: Record, context: dict[str, Any]) -> Iterator[Finding]:
        """The access was allowed: by a grant that had not begun, or had ended?"""
        at, actor = record.header.time.at, record.header.actor or ""
        held = {item["name"]: item for item in context.get("grants", ())}
        for name in sorted({item["policy"] for item in record.content["authorization"]["determining"]}):
            grant = held.get(name)
            over = grant is not None and (
                (grant["end"] is not None and grant["end"] <= at)
                or (grant["start"] is not None and at < grant["start"])
            )
            if grant is not None and over:
                said = (
                    f"{self._names(actor)} was allowed on {record.header.system} (record {record.index}) by "
                    f"{named(name, self._names)}, which holds from {grant['start']} to {grant['end']}: a contradiction."
                )
                records = (int(grant["version"]), record.index)
                yield Finding("grant.lapsed_allowed", "certain", said, records, actor, record.header.system, (name,))


def revoked(
    asked: Record, use: Record, records: Records, timing: Timings, again: Again, names: Names, bears: Bears
) -> Iterator[Finding]:
    """What `asked` was allowed, and `use` is the record of its use: itself, or its outcome. Did a change that stands
    in between take it away? Told as certain only where the use surely came after that change."""
    if asked.header.decision != "allow":
        return
    for index in changes_before(records, use.index, asked.header.decided or 0):
        change = records.record(index)
        touched = tuple(str(op["name"]) for op in change.content.get("objects", ()) if bears(str(op["name"])))
        after = again.decide(asked, index + 1) if touched else None
        if after is None or after.allowed:
            continue
        first = order(
            timing.event(index), timing.event(use.index), one_clock=timing.first_by_one_clock(index, use.index)
        ).first
        if first == "b":
            return
        surely = first == "a" and use.index == asked.index
        actor, system = asked.header.actor or "", asked.header.system
        did = "used it" if use.index == asked.index else "had the answer to what was let run before"
        said = (
            f"Record {index} took away what allowed {names(actor)} on {system}; {names(actor)} "
            f"{'certainly' if surely else 'possibly'} {did} after that (record {use.index}), decided under the state "
            f"before record {index}."
        )
        found = tuple(sorted({index, asked.index, use.index}))
        yield Finding(
            "access.after_revocation", "certain" if surely else "possible", said, found, actor, system, touched
        )
        return


def _ns_between(first: Record, last: Record) -> int:
    return parse_moment(last.header.time.at) - parse_moment(first.header.time.at)
