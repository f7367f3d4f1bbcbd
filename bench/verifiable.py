"""A log like one that a gateway leaves, of any length: made by the real ledger, with decisions that are really made.

People come and go in sessions; they read, are denied, write in transactions; every few thousand records a change moves
somebody's settings or grants, so that contexts change and decisions fall under new ones. Bodies are those of the
gateway for prepared statements of pgbench, about 1,000 bytes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from affidavit.ledger import clockwatch
from affidavit.record.body import encode_body
from affidavit.record.draft import Batch, Draft
from affidavit.record.ids import uuid7
from affidavit.state.deciding import Request

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from office import Office, office

SYSTEM = "clinic"
STAFF = tuple(f"nurse{number}" for number in range(12))
CHANGE_EVERY = 5_000  # records between two changes, where nobody says otherwise
SESSION_ACCESSES = 400
TABLES = ("accounts", "branches", "tellers", "history")
READ = "SELECT abalance FROM accounts WHERE aid = $1;"
WRITE = "UPDATE accounts SET abalance = abalance + $1 WHERE aid = $2;"
DENIED = "SELECT secret FROM salaries WHERE aid = $1;"
FIRST_DAY: dict[str, Any] = {
    f"system/{SYSTEM}": {"kind": "postgresql", "description": "", "key_columns": []},
    "group/nurses": {},
    "policy/nurses": {
        "text": 'permit (principal in Group::"nurses", action in [Action::"login", Action::"session", Action::"read"],'
        f' resource in System::"{SYSTEM}") unless {{ resource == Table::"{SYSTEM}/public.salaries" }};'
    },
    "policy/prudence": {
        "text": 'forbid (principal, action == Action::"write", resource) when { context has verb && '
        'context.verb == "TRUNCATE" };'
    },
}


class Clinic:
    """Writes records through the office's ledger until it is stopped."""

    def __init__(self, one: Office, change_every: int = CHANGE_EVERY) -> None:
        self._office, self._change_every, self._changes = one, change_every, 0
        self._stream, self._next = os.urandom(16).hex(), 0
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
        self._drafts: list[Draft] = []
        self._count = 0
        one.apply(FIRST_DAY)
        for name in STAFF:
            one.apply({f"identity/{name}": {"kind": "human", "name": name.title()}, f"membership/{name}/nurses": {}})
            self._grant(name)

    def write(self, size: int) -> None:
        """Append until the log holds `size` records or a few more."""
        shift, begun = self._shifts(), self._office.ledger.size
        while self._office.ledger.size < size:
            next(shift)
            while self._changes < (self._office.ledger.size - begun) // self._change_every:
                self._changes += 1
                self._change(self._changes)

    def _shifts(self) -> Iterator[None]:
        """Four sessions at a time, each of another person; a step is one batch of records."""
        turn = 0
        while True:
            names = [STAFF[(turn + at) % len(STAFF)] for at in range(4)]
            turn += 4
            sessions = [self._log_in(name) for name in names]
            for _ in range(SESSION_ACCESSES // 50):
                for name, session in zip(names, sessions, strict=True):
                    self._work(name, session)
                yield
            for name, session in zip(names, sessions, strict=True):
                self._add("session.close", name, {"reason": "client", "accesses": session[1]}, session=session[0],
                          outcome="ok")  # fmt: skip
            self._send()

    def _log_in(self, name: str) -> list[Any]:
        actor = self._actor(name)
        view = self._office.live.context(actor, SYSTEM)
        at = time.time_ns()
        login = view.decider.decide((Request("login", "System", SYSTEM),), {}, at).block()
        content = {
            "actor": self._who(name),
            "client": {"address": "127.0.0.1:59214", "application": "pgbench", "tls": None},
            "authorization": login,
            "upstream": {"address": "127.0.0.1:5432", "database": "bench", "role": "bench"},
            "settings": view.content["settings"],
        }
        self._send()
        self._add("session.open", name, content, action="login", decision="allow", outcome="ok", decided=view.state)
        return [self._send(), 0, {"at": "", "client": content["client"]}]

    def _work(self, name: str, session: list[Any]) -> None:
        """Fifty statements of one session: transactions of seven accesses, some of them writes, one denied."""
        view = self._office.live.context(self._actor(name), SYSTEM)
        if view.recorded is None:
            self._add("context", name, view.content, decided=view.state)
            self._send()
            view = self._office.live.context(self._actor(name), SYSTEM)
        for _ in range(7):
            listed: list[int] = []
            for number in range(7):
                if number == 3:
                    listed.append(self._access(name, session, view, "write", WRITE, "accounts", "UPDATE"))
                    result = {"outcome": "ok", "rows": 1, "bytes": 0, "duration_ns": 2263156, "tag": "UPDATE 1",
                              "digest": os.urandom(32).hex(), "transaction": 1}  # fmt: skip
                    self._add("access.outcome", name, {"result": result}, session=session[0], ref=listed[-1],
                              outcome="ok", tags=(f"{SYSTEM}|table|public.accounts",))  # fmt: skip
                else:
                    self._access(name, session, view, "read", READ, TABLES[self._count % 4], "SELECT")
            end = {"accesses": listed, "end": "committed", "transaction": self._count}
            self._add("transaction", name, end, session=session[0], ref=listed[0], outcome="ok")
        self._access(name, session, view, "read", DENIED, "salaries", "SELECT")
        self._send()

    def _access(
        self, name: str, session: list[Any], view: Any, action: str, statement: str, table: str, verb: str
    ) -> int:
        self._count += 1
        touched = [(action, table)] if action == "read" else [("read", table), ("write", table)]
        requests = tuple(Request(act, "Table", f"{SYSTEM}/public.{what}") for act, what in touched)
        decided = view.decider.decide(requests, {"verb": verb}, time.time_ns())
        parameters = [{"how": "text", "value": str(self._count)}]
        content: dict[str, Any] = {
            "actor": self._who(name),
            "client": session[2]["client"],
            "action": {
                "bytes": len(statement),
                "class": action,
                "columns": [f"public.{table}.abalance", f"public.{table}.aid"],
                "form": "full",
                "parameters": parameters,
                "parameters_count": 1,
                "parameters_form": "full",
                "parsed": True,
                "prepared": "P_0",
                "protocol": "extended",
                "statement": statement.replace("accounts", table),
                "tables": [{"action": act, "name": what, "schema": "public"} for act, what in touched],
                "verb": verb,
            },
            "authorization": decided.block(),
        }
        fields: dict[str, Any] = {"action": action, "decision": decided.decision, "guarantee": "before_action"}
        kind = "access.intent"
        if action == "read":
            kind, outcome = "access", "ok" if decided.allowed else "none"
            content["result"] = {"outcome": outcome, "rows": 1, "bytes": 8, "duration_ns": 1666546 + self._count,
                                 "digest": os.urandom(32).hex(), "tag": "SELECT 1", "transaction": 1}  # fmt: skip
            fields |= {"guarantee": "before_answer", "outcome": outcome}
        session[1] += 1
        return self._add(kind, name, content, session=session[0], context=view.recorded, decided=view.state,
                         tags=(f"{SYSTEM}|table|public.{table}",), **fields)  # fmt: skip

    def _change(self, number: int) -> None:
        """Somebody's settings or grants change, so that contexts do."""
        name = STAFF[number % len(STAFF)]
        if number % 2:
            self._grant(name, f" {number}")
        else:
            values = [{"name": "app.theme", "value": f"theme {number}"}]
            self._office.apply({f"settings/user/{name}": {"values": values}})

    def _grant(self, name: str, why: str = "") -> None:
        resource = {"type": "Table", "id": f"{SYSTEM}/public.accounts"}
        grant = {"actions": ["write"], "resource": resource, "start": None, "end": None, "ticket": ""}
        self._office.apply({f"grant/{name}/accounts": {**grant, "reason": f"bench{why}"}})

    def _actor(self, name: str) -> str:
        return self._office.live.identity_by_handle(name) or ""

    def _who(self, name: str) -> dict[str, Any]:
        actor = self._actor(name)
        proof = {"at": "2026-11-25T04:33:14.619525089Z", "credential": "token-b7b7c5c96f85df53", "how": "scram-sha-256",
                 "strength": "token"}  # fmt: skip
        return {"authenticated": proof, "id": actor, "issuer": "affidavit", "kind": "human", "name": name, "sub": actor}

    def _add(self, kind: str, name: str, content: dict[str, Any], **fields: Any) -> int:
        """Queue a draft. The index that it will get: nobody else writes meanwhile, which `_send` makes certain."""
        at = time.time_ns()
        body = encode_body(content, os.urandom(16))
        draft = Draft(kind=kind, id=uuid7(at, os.urandom(10)), at=at, actor=self._actor(name), system=SYSTEM, body=body,
                      **fields)  # fmt: skip
        self._drafts.append(draft)
        return self._office.ledger.size + len(self._drafts) - 1

    def _send(self) -> int:
        """Hand over what waits; the index of the last record."""
        if not self._drafts:
            return -1
        first = self._office.ledger.size
        answer = self._office.ledger.append(Batch(self._stream, self._boot, self._next, tuple(self._drafts)))
        if answer.refusal is not None or answer.receipts[0].index != first:
            sys.exit(f"the log was not written as meant: {answer.refusal or 'another record came between'}")
        self._next += len(self._drafts)
        self._drafts = []
        return answer.receipts[-1].index


def make_log(folder: Path, size: int, change_every: int = CHANGE_EVERY) -> Path:
    """A data folder in `folder` with a log of at least `size` records, closed in order; of every `change_every` one is
    a change."""
    clockwatch._INTERVAL_NS = 1 << 62  # no clock record comes between a record and one that refers to it
    with office(folder) as one:
        Clinic(one, change_every).write(size)
    return folder / "data"
