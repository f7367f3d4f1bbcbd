"""Reads a stretch of the log once and says what it finds there, in bounded memory.

Theory. Each access that was asked for is looked at when it is met; the changes of the last minutes are kept beside, and
whether one of them mattered is not guessed from names but decided: the access is decided again under the state before
the change and after it. What needs the time after an access (was the permission taken away again?) waits until it is
known, also beyond the end of the stretch. What is told once for many accesses comes at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from affidavit.evidence.explain import bearing, only_observed
from affidavit.evidence.findings.again import Again
from affidavit.evidence.findings.finding import Finding, Missed, Windows
from affidavit.evidence.findings.permissions import Given, Lapsed, Timings, revoked
from affidavit.evidence.findings.watched import Passed, unexplained_drift
from affidavit.evidence.sentence import Names, named
from affidavit.evidence.wording import count_words, list_words
from affidavit.history.asof import Records
from affidavit.limits import FINDINGS_PEOPLE_MAX
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.kinds import STATE_KINDS
from affidavit.record.moment import parse_moment
from affidavit.record.read import Record
from affidavit.state.view import StateView

_USES = frozenset({"access", "access.intent"})
_DECIDED = frozenset({"session.open", "proposal", "approval", "erase"})
_PROGRESS_RECORDS = 500


@dataclass(frozen=True)
class Chosen:
    """Which accesses are asked for; None: any. Without any choice, changes are looked at for findings of their own."""

    actor: str | None = None
    system: str | None = None
    session: int | None = None

    def takes(self, header: Header) -> bool:
        """Whether the record of an access, a session or a decision is asked for."""
        return (
            self.actor in (None, header.actor)
            and self.system in (None, header.system)
            and self.session in (None, header.session)
        )

    @property
    def changes(self) -> bool:
        """Whether changes are asked for: they belong to no system and to no session."""
        return self.system is None and self.session is None


@dataclass(frozen=True)
class Progress:
    """How many of how many records have been read."""

    done: int
    count: int


@dataclass
class _Told:
    """Accesses of one person on one system that are told of together."""

    first: int
    last: int
    count: int = 1


@dataclass
class Counts:
    """What was looked at, and what could not be: indexes of the first few, and how many."""

    records: int = 0
    accesses: int = 0
    changes: int = 0
    erased: Missed = field(default_factory=Missed)
    erased_by: list[int] = field(default_factory=list)  # for each that `erased` shows: the record that erased it
    unreadable: Missed = field(default_factory=Missed)
    apart: int = 0


class Scan:
    """One reading of `first` up to (not with) `stop`. `state_at` gives the state at a position (`History.at`)."""

    def __init__(
        self,
        records: Records,
        timing: Timings,
        state_at: Callable[[int], StateView],
        names: Names,
        chosen: Chosen,
        windows: Windows,
    ) -> None:
        self._records = records
        self._timing = timing
        self._state_at = state_at
        self._names = names
        self.chosen = chosen
        self.again = Again(state_at)
        self.given = Given(records, timing, self.again, names, windows)
        self.lapsed = Lapsed(records, state_at, self.again, names)
        self._passed = Passed()
        self.counts = Counts()
        self._contexts: dict[int, dict[str, Any] | None] = {}
        self._observing: dict[tuple[str, str], bool] = {}
        self._told: dict[tuple[str, str, str], _Told] = {}

    def run(self, first: int, stop: int) -> Iterator[Finding | Progress]:
        """The findings as they become known, and now and then how far it is."""
        self.given.before(first)
        self.lapsed.before(first)
        for index in range(first, stop):
            header = self._records.header(index)
            self.counts.records += 1
            yield from self._look(index, header)
            if (index - first) % _PROGRESS_RECORDS == 0:
                yield Progress(index - first, stop - first)
        yield from self._beyond(stop)
        yield from self._passed.rest()
        yield from self._together()
        yield Progress(stop - first, stop - first)

    def _look(self, index: int, header: Header) -> Iterator[Finding]:
        if header.kind in STATE_KINDS:
            record = self._readable(index)
            self.counts.changes += 1
            if record is not None:
                yield from self.given.ended_by(record)
                self.given.take(record)
                self.lapsed.take(record)
                yield from self._change(record)
                if header.kind == "drift" and self.chosen.takes(header):
                    yield from unexplained_drift(record)
        elif not self.chosen.takes(header):
            return
        elif header.kind in _USES:
            record = self._readable(index)
            self.counts.accesses += 1
            if record is not None and isinstance(record.content.get("authorization"), dict):
                yield from self._errors(record)
                yield from self._use(record)
        elif header.kind == "access.outcome" and header.outcome in ("ok", "unknown") and header.ref is not None:
            yield from self._outcome(index, header)
        elif header.kind == "log.gap":
            record = self._readable(index)
            if record is not None:
                yield from self._passed.take(record)
        elif header.kind in _DECIDED:
            record = self._readable(index)
            if record is not None:
                yield from self._errors(record)
            if header.kind == "erase" and header.decision == "allow" and header.ref is not None:
                yield from self._erased(index, header, header.ref)

    def _use(self, record: Record) -> Iterator[Finding]:
        context = self._context(record)
        if context is None:
            return
        if context.get("configured") is False:
            self._tell("access.unconfigured", record)
        if record.header.decision == "deny":
            yield from self.lapsed.refused(record, context)
            return
        yield from self.lapsed.allowed(record, context)
        if self._only_observed(record):
            self._tell("access.only_observed", record)
        bears = self._bears(record, context)
        yield from self.given.used(record, context, bears)
        if record.header.kind == "access" and (record.header.decided or 0) < record.header.log.state:
            yield from revoked(record, record, self._records, self._timing, self.again, self._names, bears)

    def _outcome(self, index: int, header: Header) -> Iterator[Finding]:
        """An access that was let run, and whose answer came after a change: it may have run after that."""
        intent = self._records.header(header.ref or 0)
        if intent.log.state == header.log.state:
            return
        asked, outcome = self._readable(header.ref or 0), self._records.record(index)
        context = None if asked is None else self._context(asked)
        if asked is not None and context is not None:
            bears = self._bears(asked, context)
            yield from revoked(asked, outcome, self._records, self._timing, self.again, self._names, bears)

    def _change(self, record: Record) -> Iterator[Finding]:
        header, content = record.header, record.content
        about = any(self.chosen.actor in str(op.get("name")) for op in content.get("objects", ()) if self.chosen.actor)
        if not self.chosen.changes or (self.chosen.actor not in (None, header.actor) and not about):
            return
        yield from self._errors(record)
        names = [str(name) for name in content.get("claimed", ())]
        objects = tuple(str(op.get("name")) for op in content.get("objects", ()))
        what = list_words([named(name, self._names) for name in objects])
        if names:
            said = (
                f"Record {record.index} changed {what} and names {list_words(names)} as approving; nothing proves that."
            )
            yield Finding("change.claimed", "certain", said, (record.index,), header.actor, None, objects)
        for item in content.get("approvals", ()):
            if item.get("approver") == header.actor and header.actor is not None:
                who = self._names(header.actor)
                said = f"{who} asked for record {record.index}, which changed {what}, and approved it."
                found = (int(item["approval"]), record.index)
                yield Finding("change.own_approval", "certain", said, found, header.actor, None, objects)

    def _erased(self, index: int, header: Header, gone: int) -> Iterator[Finding]:
        """Who erased what they had done themselves; what it was, the header of that still says."""
        about = self._records.header(gone)
        if header.actor is None or about.actor != header.actor:
            return
        who = self._names(header.actor)
        said = f"{who} erased the body of record {gone}, which is of what {who} did ({about.kind}), in record {index}."
        yield Finding("erase.own", "certain", said, (gone, index), header.actor, about.system)

    def _errors(self, record: Record) -> Iterator[Finding]:
        authorization = record.content.get("authorization")
        errors = authorization.get("errors") if isinstance(authorization, dict) else None
        if errors:
            rules = sorted({str(error.get("policy")) for error in errors})
            header = record.header
            who = "Somebody" if header.actor is None else self._names(header.actor)
            said = (
                f"{who} was {'allowed' if header.decision == 'allow' else 'denied'} in record {record.index} "
                f"while {list_words([named(rule, self._names) for rule in rules])} could not be evaluated: "
                f"{str(errors[0].get('message'))[:200].rstrip('.')}."
            )
            yield Finding(
                "decision.errors", "certain", said, (record.index,), header.actor, header.system, tuple(rules)
            )

    def _beyond(self, stop: int) -> Iterator[Finding]:
        """Only changes, while something that was used in the stretch may still be taken away soon after."""
        index = stop
        while index < self._records.size and self.given.waits(parse_moment(self._records.header(index).log.at)):
            if self._records.header(index).kind in STATE_KINDS:
                record = self._readable(index)
                if record is not None:
                    yield from self.given.ended_by(record)
            index += 1

    def _together(self) -> Iterator[Finding]:
        for (code, actor, system), told in self._told.items():
            who, often = self._names(actor), count_words(told.count, "time")
            how = (
                "without settings of their own, so captured at the fullest level"
                if code == "access.unconfigured"
                else "and was allowed only because nothing is restricted yet"
            )
            said = f"{who} acted {often} on {system} {how}."
            records = (told.first,) if told.first == told.last else (told.first, told.last)
            yield Finding(code, "certain", said, records, actor, system, (), told.count)

    def _tell(self, code: str, record: Record) -> None:
        key = (code, record.header.actor or "", record.header.system or "")
        told = self._told.get(key)
        if told is not None:
            told.last, told.count = record.index, told.count + 1
        elif len(self._told) < FINDINGS_PEOPLE_MAX:
            self._told[key] = _Told(record.index, record.index)
        else:
            self.counts.apart += 1

    def _only_observed(self, record: Record) -> bool:
        """Whether every rule that allowed it is the one that allows everything."""
        rules = []
        for item in record.content["authorization"]["determining"]:
            key = (str(item["policy"]), str(item["digest"]))
            if key not in self._observing:
                version = self._state_at(record.header.decided or 0).get(key[0])
                text = None if version is None or version.erased else version.value.get("text")
                rule = {"name": key[0], "text": text}
                if len(self._observing) >= FINDINGS_PEOPLE_MAX:
                    self._observing.clear()
                self._observing[key] = only_observed("allow", [rule])
            rules.append(self._observing[key])
        return bool(rules) and all(rules)

    def _bears(self, record: Record, context: dict[str, Any]) -> Callable[[str], bool]:
        groups = [item["group"] for item in context.get("groups", ())]
        return bearing(record.header.actor or "", record.header.system or "", groups)

    def _context(self, record: Record) -> dict[str, Any] | None:
        """The context that an access was decided under; None where it cannot be read."""
        index = record.header.context
        if index is None:
            return None
        if index not in self._contexts:
            context = self._readable(index)
            if len(self._contexts) >= FINDINGS_PEOPLE_MAX:
                self._contexts.clear()
            self._contexts[index] = None if context is None else context.content
        return self._contexts[index]

    def _readable(self, index: int) -> Record | None:
        record = self._records.record(index)
        if isinstance(record.body, dict):
            return record
        if isinstance(record.body, Erased):
            shown = len(self.counts.erased.first)
            self.counts.erased.add(index)
            self.counts.erased_by += [record.body.by] * (len(self.counts.erased.first) - shown)
        elif record.body is not None:
            self.counts.unreadable.add(index)
        return None


def not_looked_at(scan: Scan) -> list[dict[str, Any]]:
    """What a reading could not look at: `{what, count, records}` with the first few indexes; where bodies were erased,
    also `by`: the records that erased these."""
    found = [
        ("its body was erased", scan.counts.erased),
        ("its body cannot be read without its key", scan.counts.unreadable),
        ("it cannot be decided again: facts were not recorded, or a change is gone", scan.again.unknown),
        ("accesses by more people than are told apart", Missed(scan.counts.apart)),
        ("permissions in use at once, more than are followed", Missed(scan.given.dropped)),
        ("grants that lapsed long before the stretch", Missed(scan.lapsed.dropped)),
    ]
    told = [{"what": what, "count": missed.count, "records": missed.first} for what, missed in found if missed.count]
    return [{**one, "by": scan.counts.erased_by} if one["records"] is scan.counts.erased.first else one for one in told]
