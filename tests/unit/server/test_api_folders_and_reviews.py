"""Pruning by folder, proposals that nobody had to make, break-glass grants and their reviews, through the real API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office import ORIGIN, PEOPLE, Office, Stepping, office, opened

from affidavit.cli.main import run
from affidavit.compose.create import create
from affidavit.errors import Conflict, Denied, InvalidInput
from affidavit.record.moment import NS

GLASS = {
    "who": "ana",
    "actions": ["read"],
    "resource": "clinic",
    "seconds": 600,
    "reason": "the ward is flooded",
    "break_glass": True,
}
READS = 'permit (principal, action == Action::"read", resource == Log::"log") when { principal.kind == "human" };'
ON_CALL = """permit (principal in Group::"analysts", action == Action::"grant", resource in ObjectKind::"grant")
when { context has break_glass && context.break_glass && context has own && context.own };"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply({**PEOPLE, "policy/reads": {"text": READS}})
        yield one
    # Whatever was done: a verifier that believes nobody finds it in order.
    assert run(["verify", str(one.root), "--key", str(one.root / "secrets" / "log.vkey")]) == 0


def folder(desk: Office, objects: dict[str, Any], name: str = "team", **more: Any) -> dict[str, Any]:
    """A change as `affidavit apply FOLDER` makes it."""
    return desk.admin.post("/v1/changes", {"objects": objects, "reason": "as declared", "folder": name, **more})


def deletions(desk: Office, objects: dict[str, Any], name: str = "team") -> dict[str, int | None]:
    shown = folder(desk, objects, name, dry_run=True, prune=True)["differences"]
    return {item["name"]: item["based"] for item in shown if item["after"] is None}


TEAM: dict[str, Any] = {
    "group/nurses": {},
    "group/porters": {},
    "identity/mo": {"kind": "human"},
    "membership/mo/nurses": {},
}


def test_pruning_deletes_what_this_folder_put_and_nothing_else(desk: Office) -> None:
    folder(desk, TEAM)
    folder(desk, {"group/other": {}}, "another")
    desk.apply({"group/by-hand": {}})
    desk.apply({"group/porters": {"description": "changed by hand"}})
    kept = {"group/nurses": {}}
    gone = deletions(desk, kept)
    mo = desk.live.resolve("mo")
    assert sorted(gone) == [f"identity/{mo}", f"membership/{mo}/nurses", f"profile/{mo}"]

    assert folder(desk, kept)["kind"] == "nothing"
    done = folder(desk, kept, prune=True, seen=gone)
    assert done["kind"] == "change"
    state = desk.live.snapshot()
    assert state.identity_of_handle("mo") is None
    assert {"group/nurses", "group/porters", "group/other", "group/by-hand"} <= set(state.names("group/"))
    record = desk.admin.get(f"/v1/records/{done['change']}")
    assert (record["body"]["folder"], {op["op"] for op in record["body"]["objects"]}) == ("team", {"delete"})
    assert deletions(desk, kept) == {}


def test_pruning_deletes_only_what_was_shown(desk: Office) -> None:
    folder(desk, TEAM)
    seen = deletions(desk, {"group/nurses": {}, "identity/mo": {"kind": "human"}, "membership/mo/nurses": {}})
    assert list(seen) == ["group/porters"]
    assert folder(desk, {"group/nurses": {}}, prune=True, seen=seen)["kind"] == "change"
    assert desk.live.snapshot().identity_of_handle("mo") is not None
    assert folder(desk, {"group/nurses": {}}, prune=True)["kind"] == "nothing"


def test_pruning_is_refused_where_others_name_what_would_go(desk: Office) -> None:
    folder(desk, TEAM)
    desk.apply({"settings/user/mo": {"capture.statement": "full"}})
    size = desk.ledger.size
    with pytest.raises(InvalidInput, match="`identity/mo` cannot go: `settings/user/mo` names it"):
        deletions(desk, {"group/nurses": {}})
    assert desk.ledger.size == size


def test_pruning_leaves_somebody_who_administers_the_log(desk: Office) -> None:
    folder(desk, {**TEAM, "membership/mo/administrators": {}})
    mo = desk.client(desk.token("mo"))
    mo.post(
        "/v1/changes",
        {"objects": {f"membership/{who}/administrators": None for who in ("root", "theo")}, "reason": "mo alone"},
    )
    size = desk.ledger.size
    wish = {"objects": TEAM, "reason": "r", "folder": "team", "prune": True, "dry_run": True}
    with pytest.raises(InvalidInput, match="would leave nobody in the group administrators") as refused:
        mo.post("/v1/changes", wish)
    assert (refused.value.code, desk.ledger.size) == ("apply.last_administrator", size)


def test_only_a_folder_is_pruned(desk: Office) -> None:
    with pytest.raises(InvalidInput, match="Only a folder") as refused:
        desk.admin.post("/v1/changes", {"objects": TEAM, "reason": "r", "prune": True, "dry_run": True})
    assert refused.value.code == "apply.folder"


def test_what_one_could_do_alone_may_be_proposed_and_waits_for_somebody_else(desk: Office) -> None:
    theo = desk.client(desk.token("theo"))
    before = desk.live.index
    proposed = folder(desk, TEAM, propose=True)
    assert (proposed["kind"], proposed["change"], desk.live.index) == ("proposal", None, before)
    record = desk.admin.get(f"/v1/records/{proposed['index']}")
    assert (record["header"]["decision"], record["header"].get("outcome")) == ("allow", None)
    assert "nobody may do alone" not in record["sentence"]
    with pytest.raises(Denied, match="yourself"):
        desk.admin.post(f"/v1/proposals/{proposed['index']}/approvals", {"reason": "mine"})
    approved = theo.post(f"/v1/proposals/{proposed['index']}/approvals", {"reason": "fine"})
    change = desk.admin.get(f"/v1/records/{approved['change']}")
    assert change["body"]["objects"] == record["body"]["objects"]
    assert change["body"]["folder"] == "team"
    assert [item["approver"] for item in change["body"]["approvals"]] == [desk.live.resolve("theo")]


def test_a_proposal_whose_grant_has_ended_meanwhile_is_not_approved(tmp_path: Path) -> None:
    create(tmp_path / "data", ORIGIN, "root", "")
    clock = Stepping()
    with opened(tmp_path / "data", clock) as desk:
        desk.apply(PEOPLE)
        theo = desk.client(desk.token("theo"))
        wish = {"who": "ana", "actions": ["read"], "resource": "clinic", "seconds": 60, "reason": "r"}
        index = desk.admin.post("/v1/grants", wish)["index"]
        clock.ahead_ns = 61 * NS
        size = desk.ledger.size
        with pytest.raises(InvalidInput, match=r"grant/ana/g-.* ended at") as refused:
            theo.post(f"/v1/proposals/{index}/approvals", {"reason": "late"})
        assert (refused.value.code, desk.ledger.size) == ("apply.ended", size)


def readiness(desk: Office) -> tuple[bool, str, str]:
    [found] = [item for item in desk.admin.get("/v1/ready")["checks"] if item["check"] == "break-glass"]
    return found["holds"], found["detail"], found["fix"]


def test_a_break_glass_grant_is_due_for_a_review_by_somebody_whom_it_does_not_concern(desk: Office) -> None:
    desk.apply({"policy/two-people": None, "policy/on-call": {"text": ON_CALL}})
    ana, theo = desk.client(desk.token("ana")), desk.client(desk.token("theo"))
    assert readiness(desk) == (True, "No break-glass grant was ever given.", "")
    change = ana.post("/v1/grants", GLASS)["change"]
    record = desk.admin.get(f"/v1/records/{change}")
    assert {"name": "break_glass", "value": True} in record["body"]["authorization"]["facts"]
    assert "as break-glass" in record["sentence"]
    holds, detail, fix = readiness(desk)
    assert (holds, f"record {change} for ana, since " in detail) == (False, True)
    assert fix.endswith(f"affidavit review {change} --note …")

    with pytest.raises(Denied, match="your own doing") as refused:
        ana.post(f"/v1/records/{change}/reviews", {"note": "all was well"})
    assert refused.value.code == "review.own"
    with pytest.raises(InvalidInput, match="says what was found"):
        theo.post(f"/v1/records/{change}/reviews", {"note": " "})
    assert readiness(desk)[0] is False

    review = theo.post(f"/v1/records/{change}/reviews", {"note": "three reads, all of the ward"})["index"]
    said = desk.admin.get(f"/v1/records/{review}")
    assert (said["header"]["kind"], said["header"]["ref"]) == ("review", change)
    assert f"theo reviewed record {change} (“three reads, all of the ward”)" in said["sentence"]
    assert readiness(desk) == (True, "1 break-glass grant given, each reviewed by somebody else.", "")


def test_who_made_a_break_glass_grant_for_somebody_cannot_review_it_either(desk: Office) -> None:
    desk.apply({"policy/two-people": None})
    change = desk.admin.post("/v1/grants", {**GLASS, "who": "group:analysts"})["change"]
    ana = desk.client(desk.token("ana"))
    for client in (desk.admin, ana):
        with pytest.raises(Denied, match="your own doing"):
            client.post(f"/v1/records/{change}/reviews", {"note": "fine"})
    assert desk.client(desk.token("theo")).post(f"/v1/records/{change}/reviews", {"note": "fine"})["reviewed"] == change


def test_the_old_version_is_what_a_conflict_speaks_of(desk: Office) -> None:
    seen = deletions(desk, {"group/nurses": {}})
    assert seen == {}
    first = folder(desk, {"group/nurses": {}})["change"]
    desk.apply({"group/nurses": {"description": "newer"}})
    with pytest.raises(Conflict, match="newer"):
        folder(desk, {"group/nurses": {"description": "mine"}}, seen={"group/nurses": first})
