"""A whole Affidavit in a folder, for tests: the real ledger, live state and HTTP API, and people who act by token.

`Office.access` records what a gateway would: a context where it is new, and an access decided under it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from affidavit.capture.producer import Producer
from affidavit.capture.readings import Readings
from affidavit.cli.client import Client
from affidavit.clock import Clock, SystemClock
from affidavit.compose.create import create
from affidavit.compose.serving import Served
from affidavit.compose.site import Site
from affidavit.history.live import FOLLOWED_KINDS, Live
from affidavit.history.shared import SharedRecords
from affidavit.ledger.ledger import Ledger
from affidavit.record.body import encode_body
from affidavit.record.draft import Answer, Draft, Earlier
from affidavit.record.ids import uuid7
from affidavit.server.services import Services
from affidavit.state.deciding import Request

ORIGIN = "office.example/audit"
TWO_PEOPLE = """forbid (principal, action == Action::"grant", resource in ObjectKind::"grant")
unless {
  (context has op && context.op == "delete") ||
  (context has approving && context.approving) ||
  (context has approvals && context.approvals >= 1)
};"""
PEOPLE: dict[str, Any] = {
    "identity/ana": {"kind": "human", "name": "Ana Lindqvist"},
    "identity/theo": {"kind": "human", "name": "Theo Brandt"},
    "group/analysts": {},
    "membership/ana/analysts": {},
    "membership/theo/administrators": {},
    "system/clinic": {"kind": "postgresql"},
    "policy/analysts": {
        "text": 'permit (principal in Group::"analysts", action in [Action::"login", Action::"session"], '
        'resource == System::"clinic");'
    },
    "policy/two-people": {"text": TWO_PEOPLE},
}


class Stepping:
    """The machine's clock, ahead of the true time by as much as the test says."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def now_ns(self) -> int:
        return SystemClock().now_ns() + self.ahead_ns

    def monotonic_ns(self) -> int:
        return SystemClock().monotonic_ns()


@dataclass
class Office:
    """One opened log. `admin` acts by this machine's uid."""

    root: Path
    path: Path
    ledger: Ledger
    live: Live
    admin: Client
    _producer: Producer
    services: Services  # for an application of the test's own; it reads only

    def client(self, token: str) -> Client:
        """The API as the owner of `token`."""
        return Client(self.path, token, server_runs=True)

    def apply(self, objects: Mapping[str, Any], reason: str = "test") -> dict[str, Any]:
        """A change by the administrator."""
        return self.admin.post("/v1/changes", {"objects": dict(objects), "reason": reason})

    def token(self, handle: str) -> str:
        """A new token for somebody."""
        return str(self.admin.post("/v1/tokens", {"who": handle})["token"])

    def append(self, *drafts: Draft) -> Answer:
        """Seal drafts of the test's own producer."""
        return asyncio.run(self._producer.append(drafts))

    def recording(self) -> Office:
        """The same, whose `services` record what is read."""
        readings = Readings(self._producer, self.services.clock, os.urandom)
        return replace(self, services=replace(self.services, readings=readings))

    def access(self, handle: str, table: str = "public.patients", verb: str = "SELECT", credential: str = "") -> int:
        """The index of an access (in a session of its own) as a gateway records it, allowed or denied by policy."""
        actor = self.live.identity_by_handle(handle) or ""
        view = self.live.context(actor, "clinic")
        at = self.live_now()
        who: dict[str, Any] = {"id": actor, "issuer": "affidavit", "sub": actor, "name": handle, "kind": "human"}
        if credential:
            who["authenticated"] = {"how": "scram-sha-256", "credential": credential}
        login = view.decider.decide((Request("login", "System", "clinic"),), {}, at).block()
        drafts = [
            self._draft(
                "session.open",
                at,
                actor,
                {"actor": who, "client": {"address": "10.0.0.7"}, "authorization": login},
                decided=view.state,
                action="login",
                decision="allow",
                outcome="ok",
            ),
        ]
        context: Any = view.recorded
        if context is None:
            drafts.append(self._draft("context", at, actor, view.content, decided=view.state))
            context = Earlier(1)
        decided = view.decider.decide((Request("read", "Table", f"clinic/{table}"),), {}, at)
        outcome = "ok" if decided.allowed else "none"
        schema, _, name = table.partition(".")
        body = {
            "actor": who,
            "client": {"address": "10.0.0.7"},
            "action": {
                "class": "read",
                "verb": verb,
                "statement": f"{verb} name FROM {name}",
                "tables": [{"schema": schema, "name": name, "action": "read"}],
            },
            "authorization": decided.block(),
            "result": {"outcome": outcome, "rows": 12}
            if decided.allowed
            else {"outcome": outcome, "sqlstate": "42501"},
        }
        drafts.append(
            self._draft(
                "access",
                at,
                actor,
                body,
                decided=view.state,
                action="read",
                session=Earlier(0),
                decision=decided.decision,
                outcome=outcome,
                context=context,
                tags=(f"clinic|table|{table}",),
            )
        )
        answer = self.append(*drafts)
        assert answer.refusal is None, answer.refusal
        return answer.receipts[-1].index

    def live_now(self) -> int:
        """The time of the records that the test makes: the machine's, as that of the others."""
        return time.time_ns()

    def _draft(self, kind: str, at: int, actor: str, content: dict[str, Any], **fields: Any) -> Draft:
        return Draft(
            kind=kind,
            id=uuid7(at, os.urandom(10)),
            at=at,
            actor=actor,
            system="clinic",
            body=encode_body(content, os.urandom(16)),
            **fields,
        )


@contextmanager
def office(folder: Path, prepare: Callable[[Path], None] | None = None) -> Iterator[Office]:
    """A new log in `folder`, opened and served, with its administrator `root`. `prepare` may change the folder first."""
    root = folder / "data"
    create(root, ORIGIN, "root", "")
    if prepare is not None:
        prepare(root)
    with opened(root) as one:
        yield one


@contextmanager
def opened(root: Path, clock: Clock | None = None) -> Iterator[Office]:
    """The log in `root`, opened and served; by another clock than the machine's, where one is given."""
    site = Site(root)
    site.clock = clock or site.clock
    ledger = site.open_ledger()
    records = SharedRecords(ledger.reader())
    history = site.history(records)
    live = history.load()
    ledger.follow(live.applied, FOLLOWED_KINDS)
    path = root / "test.sock"
    served = Served(site, live, history, records, ledger, path)
    admin = Client(path, None, server_runs=True)
    index = site.index(records)
    services = site.services(
        live, history, records, None, threading.Event(), file_access=False, ledger=ledger, index=index
    )
    try:
        yield Office(root, path, ledger, live, admin, Producer(ledger, os.urandom(16).hex(), site.boot), services)
    finally:
        admin.close()
        served.stop()
        history.close()
        site.close_ledger(ledger, "The test is done.")
