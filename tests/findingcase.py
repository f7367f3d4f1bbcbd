"""Stories on paper whose findings were worked out by hand: a small clinic, with a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import logmaker
from logmaker import ALICE, BOB, CAROL, GATEWAY, LEDGER, ORIGIN, T0_NS, VISITS, Paper, grant_value

from affidavit.evidence.findings.finding import Finding, Windows
from affidavit.evidence.findings.scan import Chosen, Scan
from affidavit.evidence.timing import Timing
from affidavit.history.asof import state_at
from affidavit.record.body import Erased
from affidavit.record.header import Header, encode_header
from affidavit.record.moment import NS, format_moment
from affidavit.record.read import Record
from affidavit.state.change import Op, encode_ops
from affidavit.state.policy import observe_all

HANDLES = {ALICE: "alice", BOB: "bob", CAROL: "carol"}
MINUTE_NS = 60 * NS
WINDOWS = Windows(15 * MINUTE_NS, 60 * MINUTE_NS)


@dataclass
class Story(Paper):
    """A sheet on which time passes only by `wait`."""

    at_ns: int = T0_NS
    erased: set[int] = field(default_factory=set)

    @property
    def now_ns(self) -> int:
        return self.at_ns

    @property
    def size(self) -> int:
        return len(self.records)

    def wait(self, minutes: float = 0, ns: int = 0) -> None:
        self.at_ns += int(minutes * MINUTE_NS) + ns

    def header(self, index: int) -> Header:
        return self.records[index].header

    def record(self, index: int) -> Record:
        rec = self.records[index]
        body: Any = Erased(self.size) if index in self.erased else None if rec.plain is None else rec.content
        return Record(index, encode_header(rec.header), rec.header, body)

    def began(self) -> int:
        """The clinic as it opens: people with settings of their own, a login rule, nobody granted anything."""
        self.genesis()
        self.change(
            [
                *logmaker._person(self, CAROL, "carol"),
                self.put("credential/uid-desk-1001", {"identity": CAROL, "type": "uid", "label": ""}),
                self.put(f"membership/{CAROL}/administrators", {}),
                *logmaker._person(self, BOB, "bob"),
                self.put(f"settings/user/{BOB}", {"values": [{"name": "capture.result", "value": "count"}]}),
                self.put("group/analysts", {"description": ""}),
                self.put("group/staff", {"description": ""}),
                self.put("system/clinic", {"kind": "postgresql", "description": "", "key_columns": []}),
                self.put(
                    "policy/login",
                    {"text": 'permit(principal, action == Action::"login", resource == System::"clinic");'},
                ),
                self.put(
                    "policy/staff",
                    {
                        "text": 'permit(principal in Group::"staff", action == Action::"read", '
                        'resource == Table::"clinic/public.visits");'
                    },
                ),
            ]
        )
        self.wait(600)
        return self.open_session()

    def grant(self, minutes: int | None = None, name: str = f"grant/{BOB}/visits") -> int:
        value = {**grant_value(VISITS, "read", "write"), "start": format_moment(self.at_ns)}
        if minutes is not None:
            value["end"] = format_moment(self.at_ns + minutes * MINUTE_NS)
        return self.change([self.put(name, value)])

    def take(self, name: str = f"grant/{BOB}/visits") -> int:
        return self.change([self.delete(name)])

    def lapse(self, name: str = f"grant/{BOB}/visits") -> int:
        ops: list[Op] = [self.delete(name)]
        content = {"objects": encode_ops(ops), "expired": format_moment(self.at_ns)}
        return self.add("lapse", LEDGER, content, decided=self.state.index)

    def read(self, session: int) -> int:
        """A read of visits under the context as it is now."""
        return self.access(session, self.context())

    def later(self, session: int) -> Any:
        """A read of visits that is decided and made now, and recorded when what is returned is called."""
        context = self.context()
        content, fields = self._asked(VISITS, "read", BOB)
        content["result"] = {"outcome": "ok", "rows": 3}
        made, clock = format_moment(self.at_ns), self._clock

        def record() -> int:
            fields.update(outcome="ok", guarantee="after", session=session, context=context)
            index = self.add("access", GATEWAY, content, **fields)
            rec = self.records[index]
            header = logmaker.with_fields(rec.header, time=logmaker.Time(made, clock))
            self.records[index] = logmaker.replace(rec, header=header)
            return index

        return record

    def observe(self) -> int:
        return self.change([self.put("policy/observe-all", observe_all())])

    def findings(
        self,
        first: int = 0,
        stop: int | None = None,
        chosen: Chosen = Chosen(),  # noqa: B008  it is frozen
        windows: Windows = WINDOWS,
    ) -> list[Finding]:
        return [
            item
            for item in self.scan(chosen, windows).run(first, self.size if stop is None else stop)
            if isinstance(item, Finding)
        ]

    def scan(self, chosen: Chosen = Chosen(), windows: Windows = WINDOWS) -> Scan:  # noqa: B008
        timing = Timing(self, ORIGIN)
        return Scan(self, timing, lambda at: state_at(self, at), lambda who: HANDLES.get(who, who), chosen, windows)


def told(found: list[Finding]) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(one.code, one.certainty, one.records) for one in found]
