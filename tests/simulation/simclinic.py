"""A clinic in a simulated log: people, grants and accesses whose bodies follow from the log's own state.

Other producers make their bodies up, since what stands in them is nothing to the ledger. Here every context, decision and
root is what the state gives, so that `verify` can judge all of a log, with its bodies, once it was closed in order.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from ledgercase import BOOT, ORIGIN, Batch, Case, Earlier, clock_status
from logmaker import ALICE, BOB, CLIENT, PATIENTS, SYSTEM, VISITS, grant_value, who
from simproducers import Producer
from simtruth import Truth

from affidavit.history.live import ContextView, Live
from affidavit.ledger.genesis import create_log
from affidavit.ledger.keys import Secrets
from affidavit.record.body import encode_body, salt_text
from affidavit.record.draft import Answer, Draft
from affidavit.state.change import Delete, Op, Put, encode_ops
from affidavit.state.changing import decide_change, genesis_ops, strongest
from affidavit.state.deciding import Request
from affidavit.state.fold import State

_LOGIN = 'permit(principal in Group::"analysts", action == Action::"login", resource == System::"clinic");'
_PEOPLE: dict[str, dict[str, Any]] = {
    f"identity/{BOB}": {"kind": "human", "status": "active", "attributes": []},
    f"profile/{BOB}": {"handle": "bob", "name": "Bob", "mail": ""},
    "group/analysts": {"description": "Read what they are granted"},
    f"membership/{BOB}/analysts": {},
    "system/clinic": {"kind": "postgresql", "description": "", "key_columns": []},
    "policy/login": {"text": _LOGIN},
}


class ClinicCase(Case):
    """A log that begins as `affidavit init` makes it."""

    def create(self) -> Secrets:
        ops = genesis_ops(
            administrator=ALICE, handle="alice", name="Alice", mail="", host="desk", uid=1000, salt=self.salt
        )
        via = {"method": "genesis", "credential": "uid-desk-1000", "file_access": True}
        change = {"reason": "The log was made.", "objects": encode_ops(ops), "approvals": [], "via": via}
        root = State().preview(ops).root
        self.secrets = create_log(
            self.root, self.disk, self.clock, ORIGIN, BOOT, self.random.randbytes, clock_status, ALICE, change,
            strongest(ops), root,
        )  # fmt: skip
        return self.secrets

    def salt(self) -> str:
        return salt_text(self.random.randbytes(16))


class ClinicProducer(Producer):
    """A gateway and an administrator's desk in one stream, over the live state of one life."""

    def __init__(
        self, case: Case, chance: random.Random, boot: str, truth: Truth, counts: Counter[str], live: Live
    ) -> None:
        super().__init__(case, chance, boot, truth, counts)
        self._live = live
        self._opened: int | None = None
        self._accesses = 0
        self._written: int | None = None  # an intent without its outcome

    def _drafts(self, first: int, state: int) -> tuple[Draft, ...]:
        del state
        held, luck = self._live.snapshot(), self._chance.random()
        if held.get("policy/login") is None:
            return (self._change(held, [self._put(held, name, value) for name, value in _PEOPLE.items()]),)
        if luck < 0.1:
            return (self._change(held, [self._choose_op(held)]),)
        if self._opened is not None and self._written is not None:
            return (self._outcome(self._opened, self._written),)
        view = self._live.context(BOB, SYSTEM)
        drafts: list[Draft] = []
        session: Any = self._opened
        if session is None:
            drafts.append(self._login(view))
            session = Earlier(first)
        context: Any = view.recorded
        if context is None:
            context = Earlier(first + len(drafts))
            drafts.append(self._draft("context", view.content, decided=view.state))
        if luck < 0.25:
            return (*drafts, self._access(view, session, context, "write"))
        accesses = [self._access(view, session, context, "read") for _ in range(self._count())]
        if luck > 0.85:
            done = len(accesses) + (self._accesses if self._opened is not None else 0)
            accesses.append(self._end(session, done))
        return (*drafts, *accesses) or (self._access(view, session, context, "read"),)

    def _change(self, held: State, ops: list[Op]) -> Draft:
        decided = decide_change(held, ops, ALICE, (), self._case.clock.now_ns())
        content = {
            "objects": encode_ops(ops), "reason": "because", "authorization": decided.block(), "approvals": [],
            "via": {"method": "uid", "credential": "uid-desk-1000", "file_access": False},
        }  # fmt: skip
        fields = {"action": strongest(ops), "decision": decided.decision, "decided": held.index}
        return self._case.draft(
            "change", actor=ALICE, root=held.preview(ops).root, body=self._sealed(content), **fields
        )

    def _choose_op(self, held: State) -> Op:
        table, name = self._chance.choice(((VISITS, "visits"), (PATIENTS, "patients")))
        grant = f"grant/{BOB}/{name}"
        before = held.get(grant)
        if before is not None and self._chance.random() < 0.5:
            return Delete(grant, before.version)
        if self._chance.random() < 0.2:
            values = [{"name": "capture.result", "value": "count"}]
            return self._put(held, f"settings/user/{BOB}", {"values": values})
        return self._put(held, grant, grant_value(table, *self._chance.choice((("read",), ("read", "write")))))

    def _put(self, held: State, name: str, value: dict[str, Any]) -> Put:
        before = held.get(name)
        salt = salt_text(self._case.random.randbytes(16))
        return Put(name, None if before is None else before.version, value, salt)

    def _login(self, view: ContextView) -> Draft:
        block = view.decider.decide((Request("login", "System", SYSTEM),), {}, self._case.clock.now_ns()).block()
        content = {
            "actor": who(BOB), "client": CLIENT, "authorization": block, "upstream": {},
            "settings": view.content["settings"],
        }  # fmt: skip
        return self._draft(
            "session.open", content, action="login", decision=block["decision"], outcome="ok", decided=view.state
        )

    def _access(self, view: ContextView, session: Any, context: Any, action: str) -> Draft:
        schema, name = self._chance.choice((VISITS, PATIENTS))
        requests = (Request(action, "Table", f"{SYSTEM}/{schema}.{name}"),)
        block = view.decider.decide(requests, {"verb": "SELECT"}, self._case.clock.now_ns()).block()
        statement = f"SELECT note FROM {name}"
        part = {
            "class": action, "verb": "SELECT", "statement": statement, "form": "full", "bytes": len(statement),
            "parameters_form": "full", "parameters_count": 0, "columns": ["note"], "parsed": True, "protocol": "simple",
            "tables": [{"schema": schema, "name": name, "action": action}],
        }  # fmt: skip
        content: dict[str, Any] = {"actor": who(BOB), "client": CLIENT, "action": part, "authorization": block}
        fields = {"action": action, "decision": block["decision"], "decided": view.state}
        if action == "write" and block["decision"] == "allow":
            fields["guarantee"] = "before_action"
            return self._draft("access.intent", content, session=session, context=context, **fields)
        outcome = "ok" if block["decision"] == "allow" else "none"
        content["result"] = {"outcome": outcome, "rows": 0, "bytes": 0, "duration_ns": "1000"}
        fields |= {"outcome": outcome, "guarantee": "before_answer"}
        return self._draft("access", content, session=session, context=context, **fields)

    def _outcome(self, session: int, intent: int) -> Draft:
        content = {"result": {"outcome": "ok", "rows": 1, "bytes": 0, "duration_ns": "1000"}}
        return self._draft("access.outcome", content, session=session, ref=intent, outcome="ok")

    def _end(self, session: Any, accesses: int) -> Draft:
        content = {"reason": "client", "accesses": accesses, "sent": 1, "received": 1}
        return self._draft("session.close", content, session=session, outcome="ok")

    def _draft(self, kind: str, content: dict[str, Any], **fields: Any) -> Draft:
        return self._case.draft(kind, actor=BOB, system=SYSTEM, body=self._sealed(content), **fields)

    def _sealed(self, content: dict[str, Any]) -> bytes:
        return encode_body(content, self._case.random.randbytes(16))

    def _follow(self, batch: Batch, answer: Answer) -> None:
        for receipt, draft in zip(answer.receipts, batch.drafts, strict=False):
            if draft.kind == "session.open":
                self._opened, self._accesses, self._written = receipt.index, 0, None
            elif draft.kind in ("access", "access.intent"):
                self._accesses += 1
                self._written = receipt.index if draft.kind == "access.intent" else self._written
            elif draft.kind == "access.outcome":
                self._written = None
            elif draft.kind == "session.close":
                self._opened = self._written = None
