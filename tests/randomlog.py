"""Random logs on paper, with a history store over them, and what "the same answers" means: for tests of the store."""

from __future__ import annotations

import contextlib
from pathlib import Path
from random import Random
from typing import Any

from logmaker import Paper

from affidavit.errors import AffidavitError
from affidavit.history.store import History
from affidavit.record.header import Header
from affidavit.record.read import Record
from affidavit.state.change import Delete, Op, Put
from affidavit.state.context import build_context
from affidavit.state.fold import State
from affidavit.state.view import StateView

KEY = bytes(32)
PEOPLE = tuple(f"u-{number:016x}" for number in range(3))
GROUPS = ("a", "b", "c")
PRINCIPALS = (*PEOPLE, *(f"group:{group}" for group in GROUPS))
PREFIXES = (
    "",
    "g",
    "grant/",
    "group/",
    "policy/",
    "observed/clinic/",
    "credential/",
    "reported/",
    f"reported/{PEOPLE[0]}/",
    f"membership/{PEOPLE[0]}/",
)


class Sheet:
    """`Records` of a log on paper, and a history store over them."""

    def __init__(self, paper: Paper) -> None:
        self.paper = paper
        self.end: int | None = None

    @property
    def size(self) -> int:
        return len(self.paper.records) if self.end is None else self.end

    def record(self, index: int) -> Record:
        rec = self.paper.records[index]
        return Record(index, b"", rec.header, rec.content if rec.plain is not None else None)

    def header(self, index: int) -> Header:
        return self.paper.records[index].header


def value_of(random: Random, kind: str, name: str) -> dict[str, Any]:
    """A value of this kind; of some there are several."""
    match kind:
        case "identity":
            return {"kind": "human", "status": random.choice(("active", "suspended")), "attributes": []}
        case "profile":
            logins = [{"issuer": "https://login.example", "subject": random.choice("12")}]
            profile = {"handle": random.choice(("x", "y", "z", name[-2:])), "name": "", "mail": ""}
            return random.choice((profile, {**profile, "logins": logins}))
        case "group":
            return {"description": random.choice(("", "one"))}
        case "membership":
            return {}
        case "grant":
            resource = {"type": "System", "id": "clinic"}
            actions = random.choice((["read"], ["read", "write"]))
            return {"actions": actions, "resource": resource, "start": None, "end": None, "reason": "", "ticket": ""}
        case "credential":
            return {"identity": random.choice(PEOPLE), "type": "token", "label": ""}
        case "observed":
            return {"roles": random.randint(0, 3)}
        case "source":
            return {"kind": "application", "description": random.choice(("", "x")), "heartbeat_s": None, "system": None}
        case "reported":
            return {"values": [{"name": "app.theme", "value": random.choice(("dark", "light"))}]}
        case "policy":
            action = random.choice(("read", "write"))
            return {"text": f'permit (principal, action == Action::"{action}", resource);'}
        case _:
            values = [{"name": "capture.result", "value": random.choice(("off", "count", "digest"))}]
            return {"values": values}


def name_of(random: Random) -> str:
    person, group, principal = random.choice(PEOPLE), random.choice(GROUPS), random.choice(PRINCIPALS)
    return random.choice(
        (
            f"identity/{person}",
            f"profile/{person}",
            f"group/{group}",
            f"membership/{principal}/{group}",
            f"grant/{principal}/{random.choice('gh')}",
            f"credential/token-{random.choice('ab') * 16}",
            f"observed/clinic/{random.choice(('ana', 'a/b'))}",
            f"policy/{random.choice('pq')}",
            f"settings/user/{person}",
            f"settings/group/{group}",
            f"source/{random.choice('st')}",
            f"reported/{person}/{random.choice('st')}",
        )
    )


def play(seed: int, steps: int) -> Sheet:
    """A log of random changes, of which those that cannot be are left out, and other records between them."""
    random, paper = Random(seed), Paper()
    everybody = [(f"identity/{person}", "identity") for person in PEOPLE] + [(f"group/{g}", "group") for g in GROUPS]
    change(paper, [paper.put(name, value_of(random, kind, name)) for name, kind in everybody])
    for _ in range(steps):
        if random.random() < 0.2:
            paper.clock("interval")
            continue
        names = {name_of(random) for _ in range(random.choice((1, 1, 1, 2, 3, 8)))}
        with contextlib.suppress(AffidavitError):
            change(paper, [op_of(paper, random, name) for name in sorted(names)])
    return Sheet(paper)


def op_of(paper: Paper, random: Random, name: str) -> Op:
    held = paper.state.get(name)
    if held is not None and random.random() < 0.5:
        return Delete(name, held.version)
    return paper.put(name, value_of(random, name.partition("/")[0], name))


def change(paper: Paper, ops: list[Op]) -> None:
    paper.state.preview(ops)  # raises before anything was written
    content = {"objects": [as_object(op) for op in ops], "reason": "", "approvals": []}
    paper.add("change", "0c" * 16, content)


def as_object(op: Op) -> dict[str, Any]:
    if isinstance(op, Put):
        return {"op": "put", "name": op.name, "based": op.based, "value": op.value, "salt": op.salt}
    return {"op": "delete", "name": op.name, "based": op.based}


def opened(sheet: Sheet, folder: Path) -> History:
    history = History(sheet, "log.example/paper", folder / "history", KEY)
    history._checked = lambda: 1 << 40  # as if a live state ran beside it; one test loads it
    return history


def assert_same(then: StateView, folded: State) -> None:
    """Every question that `StateView` has gets the same answer."""
    assert then.index == folded.index
    assert {name: then.get(name) for name in folded.names()} == {name: folded.get(name) for name in folded.names()}
    for prefix in PREFIXES:
        assert then.names(prefix) == folded.names(prefix)
    for person in PEOPLE:
        assert then.handle_of(person) == folded.handle_of(person)
        assert then.credentials_of(person) == folded.credentials_of(person)
        assert build_context(then, person, "clinic") == build_context(folded, person, "clinic")
    for handle in ("x", "y", "z"):
        assert then.identity_of_handle(handle) == folded.identity_of_handle(handle)
    for principal in PRINCIPALS:
        assert then.groups_of(principal) == folded.groups_of(principal)
        assert then.direct_groups(principal) == folded.direct_groups(principal)
    for group in GROUPS:
        assert then.members_of(group) == folded.members_of(group)
