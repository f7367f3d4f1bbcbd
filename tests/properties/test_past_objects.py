"""One object changed in the past by somebody with every key: for each kind, which evidence names it, and which does not.

The thief alters one value in one change record and seals everything anew: the body's digest, the root of this change and
of every one after it, every leaf, tile, bundle and journal frame, the checkpoint and its signature. What was decided
under the true value stays as it was: contexts and decisions after it. Then:

* *a checkpoint kept elsewhere*, from any moment after the change, always shows it;
* *a proof of state made before* (`state prove OBJECT`) always contradicts the altered log's checkpoint, and goes on
  saying what the object was;
* *the log and the body keys* alone show it exactly where a context recorded later holds the object or what follows from
  it. What no context holds (profiles, descriptions, labels, sources, what somebody had who never came) they do not;
* a proof of state made *afterwards* shows the lie, under the thief's checkpoint, and verifies: it is the writer's word.

Of each object one altered value is tried, by AFFIDAVIT_SEED: the next seed tries the next.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from logmaker import (
    BOB,
    BODY_KEY,
    CAROL,
    GATEWAY,
    LEDGER,
    PATIENTS,
    SIGNER,
    SYSTEM,
    T0_NS,
    VISITS,
    Paper,
    Rec,
    grant_value,
    refold,
    with_content,
    write_log,
)
from proofcase import PaperRecords, Proved, public, was

from affidavit.archive.open import open_archive
from affidavit.errors import VerificationError
from affidavit.evidence.stateproof import prove
from affidavit.record.moment import format_moment
from affidavit.state.change import encode_ops
from affidavit.state.objects import KINDS
from affidavit.tlog.rotation import KeyChain
from affidavit.verify.stateproof import check_state_proof
from affidavit.verify.verify import verify

SEED = int(os.environ.get("AFFIDAVIT_SEED", "2026"))
KEYS = [SIGNER.verifier]
BODY_KEYS = {BODY_KEY.id: BODY_KEY}
CONTEXT = (16, "context.differs")
KEPT_SIZE = -3  # the kept checkpoint lacks the last two records


@dataclass(frozen=True)
class Part:
    """An object of the log, and values that a thief might put in its place; of a membership another name.

    `held`: a context that was recorded later holds it, or what follows from it.
    """

    name: str
    value: dict[str, Any]
    others: tuple[Any, ...]
    held: bool


def human(ward: str = "", status: str = "active", kind: str = "human") -> dict[str, Any]:
    return {"kind": kind, "status": status, "attributes": [{"name": "ward", "value": ward}] if ward else []}


def one_setting(name: str, value: str) -> dict[str, Any]:
    return {"values": [{"name": name, "value": value}]}


def described(text: str) -> dict[str, Any]:
    return {"description": text}


def system(*columns: str, description: str = "") -> dict[str, Any]:
    return {"kind": "postgresql", "description": description, "key_columns": list(columns)}


def grant(
    start_s: int | None = 0, end_s: int | None = None, table: tuple[str, str] = VISITS, **other: Any
) -> dict[str, Any]:
    start, end = (None if s is None else format_moment(T0_NS + s * 1_000_000_000) for s in (start_s, end_s))
    return {**grant_value(table, "read", "write"), "start": start, "end": end, **other}


def source(description: str, heartbeat_s: int | None = None) -> dict[str, Any]:
    return {"kind": "collector", "description": description, "system": None, "heartbeat_s": heartbeat_s}


LOGIN = 'permit(principal in Group::"analysts", action == Action::"login", resource == System::"clinic");'
GRANTS = (
    grant(end_s=9_000), grant(start_s=5), grant(start_s=None), grant(table=PATIENTS), grant(reason="another"),
    grant(ticket="T-1"), grant(actions=["read"]),
)  # fmt: skip
TOKEN = {"identity": CAROL, "type": "token", "label": "carol's laptop"}
PARTS = (
    Part(f"identity/{BOB}", human("3b"), (human("4"), human(), human("3b", status="suspended"), human("3b", kind="agent")), True),
    Part(f"identity/{CAROL}", human("3b"), (human("4"), human("3b", kind="service")), False),
    Part(f"profile/{BOB}", {"handle": "bob", "name": "Bob", "mail": ""}, (
        {"handle": "bobby", "name": "Bob", "mail": ""}, {"handle": "bob", "name": "Robert", "mail": ""},
        {"handle": "bob", "name": "Bob", "mail": "bob@example.org"},
    ), False),
    Part("group/analysts", described("Read what they are granted"), (described(""), described("Nobody")), False),
    Part(f"membership/{BOB}/analysts", {}, (f"membership/{CAROL}/analysts", f"membership/{BOB}/staff"), True),
    Part("membership/group:analysts/house", {}, ("membership/group:analysts/staff", "membership/group:staff/house"), True),
    Part("policy/login", {"text": LOGIN}, ({"text": LOGIN[:-1] + " when { true };"}, {"text": f"// {LOGIN}\n{LOGIN}"}), True),
    Part("schema/app", {"text": "entity App;"}, ({"text": "entity Other;"},), True),
    Part(f"grant/{BOB}/visits", grant(), GRANTS, True),
    Part("grant/group:house/visits", grant(), GRANTS, True),
    Part(f"grant/{CAROL}/visits", grant(), GRANTS, False),
    Part("settings/organisation", one_setting("retention", "P3000D"), (one_setting("retention", "P2500D"), {"values": []}), True),
    Part("settings/system/clinic", one_setting("app.zone", "a"), (one_setting("app.zone", "b"), {"values": []}), True),
    Part("settings/group/analysts", one_setting("app.theme", "dark"), (one_setting("app.theme", "light"), one_setting("app.size", "9")), True),
    Part(f"settings/user/{BOB}", one_setting("capture.result", "count"), (one_setting("capture.result", "digest"), {"values": []}), True),
    Part("settings/floor", one_setting("capture.parameters", "full"), (one_setting("retention", "P4000D"), one_setting("capture.result", "digest")), True),
    Part(f"settings/user/{CAROL}", one_setting("capture.result", "count"), (one_setting("capture.result", "digest"),), False),
    Part("system/clinic", system("public.patients.id"), (system(), system("public.visits.id"), system("public.patients.id", description="x")), True),
    Part("source/desk", source("letters"), (source("faxes"), source("letters", 86_400)), False),
    Part("credential/token-" + "ab" * 16, TOKEN, ({**TOKEN, "label": ""}, {**TOKEN, "identity": BOB}), False),
    Part(f"reported/{BOB}/desk", one_setting("app.font", "large"), (one_setting("app.font", "small"), one_setting("app.size", "9")), True),
    Part("observed/clinic/bob", {"roles": ["bob"]}, ({"roles": ["bob", "postgres"]}, {}), True),
)  # fmt: skip


@cache
def played() -> tuple[Paper, dict[str, int]]:
    """A log in which each part is put by a record of its own, then somebody comes; and the index of each record."""
    paper = Paper()
    paper.genesis()
    paper.change([paper.put("group/house", described("")), paper.put("group/staff", described(""))])
    indexes: dict[str, int] = {}
    # What is named by others comes first: people, groups, the system.
    for part in sorted(PARTS, key=lambda one: not one.name.startswith(("identity/", "group/", "system/"))):
        ops = [paper.put(part.name, part.value)]
        if part.name.startswith("observed/"):
            content = {"objects": encode_ops(ops), "difference": []}
            fields = {"system": SYSTEM, "decided": paper.state.index}
            indexes[part.name] = paper.add("drift", GATEWAY, content, **fields)
        else:
            indexes[part.name] = paper.change(ops)
    session = paper.open_session()
    context = paper.context()
    for _ in range(3):
        paper.access(session, context)
    paper.close_session(session, 3)
    paper.add("log.close", LEDGER, {"reason": "stop", "streams": 2})
    return paper, indexes


def altered(part: Part, other: Any) -> list[Rec]:
    """The records with another value in the change that put the object, and all roots as they now are."""
    paper, indexes = played()

    def alter(content: dict[str, Any]) -> None:
        (item,) = content["objects"]
        item.update({"name": other} if isinstance(other, str) else {"value": other})

    records = [with_content(one, alter) if at == indexes[part.name] else one for at, one in enumerate(paper.records)]
    return refold(records)


def proof(records: list[Rec], name: str, at: int) -> Proved:
    """What `state prove` writes of the object as it was after the record `at`."""
    read = PaperRecords(records)
    made = prove(was(name, at + 1), read, public(read.raw), KeyChain.unbroken(KEYS), None)
    assert isinstance(made, Proved)
    return made


def judged(records: list[Rec], kept: bytes) -> set[tuple[int, str]]:
    """What `verify` finds in the log that these records make, with the body keys and this checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder) / "data", records)
        verdict = verify(open_archive(f"{folder}/data"), KEYS, BODY_KEYS, (kept,))
    return {(check.number, finding.code) for check in verdict.checks for finding in check.findings}


@cache
def before() -> bytes:
    """A checkpoint of the true log, kept elsewhere, that the log has since gone beyond."""
    read = PaperRecords(played()[0].records[:KEPT_SIZE])
    return public(read.raw).files["checkpoint"]


def test_the_true_log_holds() -> None:
    paper, _ = played()
    assert set() == judged(paper.records, before())


def test_every_kind_of_object_is_there() -> None:
    assert {part.name.partition("/")[0] for part in PARTS} == set(KINDS)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_an_object_changed_in_the_past(part: Part) -> None:
    paper, indexes = played()
    at, other = indexes[part.name], part.others[SEED % len(part.others)]
    records = altered(part, other)
    assert [one.header.root for one in records[:at]] == [one.header.root for one in paper.records[:at]]
    assert all(
        one.header.root != true.header.root
        for one, true in zip(records[at:], paper.records[at:], strict=True)
        if true.header.root is not None
    )
    # A checkpoint kept elsewhere; and what the log and the body keys show without it.
    found = judged(records, before())
    assert (5, "kept.forked") in found
    alone = found - {(5, "kept.forked")}
    assert (CONTEXT in alone) == part.held == bool(alone), alone
    # A proof of state from before: it stands, and it does not stand beside what the log says now.
    true = proof(list(paper.records), part.name, at)
    assert [part.value] == [
        version.get("value") for version in check_state_proof(true.file, KEYS).statement["versions"]
    ]
    now = public(PaperRecords(records).raw).files["checkpoint"]
    with pytest.raises(VerificationError) as raised:
        check_state_proof(true.file, KEYS, [now])
    assert "kept.forked" == raised.value.code
    # A proof made afterwards shows what the thief wants.
    made = proof(records, part.name, at)
    shown = [version.get("value") for version in check_state_proof(made.file, KEYS).statement["versions"]]
    assert [None if isinstance(other, str) else other] == shown
    with pytest.raises(VerificationError):
        check_state_proof(made.file, KEYS, [public(PaperRecords(paper.records).raw).files["checkpoint"]])


@pytest.mark.parametrize("part", [PARTS[SEED % len(PARTS)], PARTS[(SEED + 7) % len(PARTS)]], ids=lambda part: part.name)
def test_without_its_roots_made_anew_it_is_named_by_the_root(part: Part) -> None:
    """Whoever alters a value and leaves the roots is found at that very record, whatever depends on it."""
    paper, indexes = played()
    at = indexes[part.name]
    lazy = [
        new if new.header.root is None else Rec(old.header, new.plain)
        for new, old in zip(altered(part, part.others[0]), paper.records, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder) / "data", lazy)
        verdict = verify(open_archive(f"{folder}/data"), KEYS, BODY_KEYS)
    places = {finding.index for check in verdict.checks for finding in check.findings if finding.code == "state.root"}
    assert at in places
