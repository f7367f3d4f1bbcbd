"""Erasing through the real API and the real command: who may, what is refused, what is left, and what verify says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from erasecase import readers
from office import PEOPLE, Office, office, opened

from affidavit.archive.open import open_archive
from affidavit.cli.main import run
from affidavit.durable import OsDisk
from affidavit.errors import Conflict, Denied, InvalidInput
from affidavit.ledger.keys import Secrets
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify

MARKER = "Ana-Sofia-Lindqvist-4711"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply(PEOPLE)
        yield one


def judged(root: Path) -> Verdict:
    secrets = Secrets.load(OsDisk(), root / "secrets")
    return verify(open_archive(str(root)), secrets.verifiers, secrets.body_keys_by_id)


def failed(verdict: Verdict) -> list[str]:
    """What does not hold, but for what the test's own sessions leave out: settings, and how it was captured."""
    left = {"decision.settings", "capture.settings"}
    found = [one for check in verdict.checks for one in check.findings if one.code not in left]
    return [f"{one.code} {one.where}: {one.message}" for one in found]


def left_out(verdict: Verdict) -> dict[int, str]:
    """What was not checked, by duty."""
    return {check.number: check.detail for check in verdict.checks if "not looked at" in check.detail}


def erased(desk: Office, index: int, **more: Any) -> dict[str, Any]:
    return desk.admin.post(f"/v1/records/{index}/erasure", {"reason": "asked for", **more})


def test_an_access_is_erased_and_everything_says_so(desk: Office) -> None:
    index = desk.access("ana")
    desk.access("ana")
    before = desk.admin.get(f"/v1/records/{index}")
    answer = erased(desk, index, ticket="DSR-88", legal_basis="GDPR Art. 17(1)(b)")
    assert (index, "access", []) == (answer["erased"], answer["kind"], answer["also"])
    view = desk.admin.get(f"/v1/records/{index}")
    assert (before["header"], None, "erased") == (view["header"], view["body"], view["body_state"])
    assert answer["index"] == view["erased_by"]
    assert f"(its body was erased by record {answer['index']})" in view["sentence"]
    record = desk.admin.get(f"/v1/records/{answer['index']}")
    header = before["header"]
    assert {"kind": "access", "actor": header["actor"], "body": header["body"]} == record["body"]["record"]
    assert ("DSR-88", "GDPR Art. 17(1)(b)", "uid") == (
        record["body"]["ticket"], record["body"]["legal_basis"], record["body"]["via"]["method"]
    )  # fmt: skip
    assert f"root erased the body of record {index}, of the kind access (“asked for”)" in record["sentence"]
    with pytest.raises(InvalidInput, match=f"was erased by record {answer['index']}, so nothing explains it"):
        desk.admin.get(f"/v1/records/{index}/explain")
    assert "allow" == desk.admin.get(f"/v1/records/{answer['index']}/explain")["again"]["decision"]


def test_what_cannot_be_erased_is_told_and_nothing_is_recorded(desk: Office) -> None:
    size = desk.ledger.size
    for index, said in (
        (0, "is a log.open: the log rests on what it says"),
        (1, "is a clock"),
        (2, "put what is in force now: identity/root, "),
        (size, f"There is no record {size}"),
        (size + 1_000, "There is no record"),
    ):
        with pytest.raises(InvalidInput, match=said):
            erased(desk, index)
    for reason in ("", "  ", "x" * 2_000):
        with pytest.raises(InvalidInput):
            desk.admin.post(f"/v1/records/{size - 1}/erasure", {"reason": reason})
    assert size == desk.ledger.size
    index = desk.access("ana")
    opened_at = desk.admin.get(f"/v1/records/{index}")["header"]["session"]
    with pytest.raises(InvalidInput, match="of a session that is still open"):
        erased(desk, opened_at)
    by = erased(desk, index)["index"]
    with pytest.raises(InvalidInput, match=f"was erased by record {by} already"):
        erased(desk, index)
    with pytest.raises(InvalidInput, match="is a erase: the log rests"):
        erased(desk, by)


def test_who_may_not_administer_the_log_may_not_erase(desk: Office) -> None:
    index = desk.access("ana")
    ana = desk.client(desk.token("ana"))
    size = desk.ledger.size
    with pytest.raises(Denied, match=f"Policy does not let you erase what the log holds; the attempt is record {size}"):
        ana.post(f"/v1/records/{index}/erasure", {"reason": "mine"})
    assert "present" == desk.admin.get(f"/v1/records/{index}")["body_state"]
    record = desk.admin.get(f"/v1/records/{size}")
    said = tuple(record["header"][name] for name in ("kind", "actor", "action", "decision", "outcome", "ref"))
    assert ("erase", desk.live.resolve("ana"), "admin", "deny", "none", index) == said
    assert "ana was not allowed to erase the body" in record["sentence"]


def test_a_profile_is_forgotten_and_every_decision_still_verifies(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        change = desk.apply({"identity/ana": {"name": MARKER}})["index"]
        access = desk.access("ana")
        ana = desk.live.resolve("ana")
        assert readers(desk.root, MARKER.encode())
        answer = erased(desk, change)
        assert [] == readers(desk.root, MARKER.encode())
        assert 1 == len(answer["also"]), "the version before it"
        then = desk.admin.get("/v1/state", at=str(access), prefix="")
        assert [{"version": change, "by": answer["index"], "kind": "profile"}] == then["erased"]
        assert then["root"] == desk.admin.get(f"/v1/records/{change}")["header"]["root"]
        assert ana == desk.live.name_of(ana), "her handle went with the profile"
        assert MARKER not in json.dumps(desk.admin.get("/v1/state", at="now", prefix=""))
        root = desk.root
    assert [] == readers(root, MARKER.encode())
    verdict = judged(root)
    assert [] == failed(verdict)
    assert {15} == set(left_out(verdict)), left_out(verdict)
    assert f"record {change} was erased by record {answer['index']}" in left_out(verdict)[15]
    with opened(root) as desk:
        assert ana == desk.live.name_of(ana)
        desk.apply({f"identity/{ana}": {"handle": "ana", "name": "Ana"}})
        assert "ana" == desk.live.name_of(ana)
    assert [] == failed(judged(root))


def test_the_state_as_of_then_is_the_same_however_it_is_built(tmp_path: Path) -> None:
    """From the store that forgot, from one that was kept, and from none at all; profiles, a policy, a grant."""
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        gone = [
            desk.apply({"policy/extra": {"text": PEOPLE["policy/analysts"]["text"]}, "group/extra": {}})["index"],
            desk.apply({"identity/ana": {"name": MARKER}})["index"],
            desk.apply({"policy/extra": None, "group/extra": None})["index"],
            desk.apply({"identity/ana": {"name": "Ana"}})["index"],
            desk.apply({"group/extra": {}})["index"],
        ]
        whole = [state_then(desk, at) for at in range(3, desk.ledger.size + 1)]
        for index in gone[:3]:
            erased(desk, index)
        after = [state_then(desk, at) for at in range(3, 3 + len(whole))]
        assert [one["root"] for one in whole] == [one["root"] for one in after]
        assert whole[:2] == after[:2]
        assert ["", "group", "policy"] == sorted({"", *(item["kind"] for item in after[gone[0] - 2]["erased"])})
        assert [] == after[-1]["erased"]
        assert MARKER not in json.dumps(after)
        root = desk.root
    with opened(root) as desk:
        assert after == [state_then(desk, at) for at in range(3, 3 + len(whole))]
    shutil.rmtree(root / "history")
    with opened(root) as desk:
        assert after == [state_then(desk, at) for at in range(3, 3 + len(whole))]
        desk.apply({"identity/ana": {"status": "suspended"}})
    assert [] == failed(judged(root))


def state_then(desk: Office, at: int) -> dict[str, Any]:
    return desk.admin.get("/v1/state", at=str(at), prefix="")


def test_a_change_that_decisions_needed_is_reported_as_such(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        change = desk.apply({"policy/extra": {"text": PEOPLE["policy/analysts"]["text"]}})["index"]
        with pytest.raises(InvalidInput, match="put what is in force now: policy/extra"):
            erased(desk, change)
        needing = desk.access("ana")
        desk.apply({"policy/extra": None})
        desk.access("ana")
        by = erased(desk, change)["index"]
        again = desk.admin.get(f"/v1/records/{needing}/explain")["again"]
        assert (None, False) == (again["decision"], again["same"])
        assert f"record {change} was erased by record {by}" in again["why"]
        root = desk.root
    verdict = judged(root)
    assert [] == failed(verdict)
    assert {15, 16, 17, 18} == set(left_out(verdict)), left_out(verdict)
    assert f"not replayable: record {change} was erased by record {by}" in left_out(verdict)[17]


def test_break_glass_is_reviewed_before_it_is_erased(desk: Office) -> None:
    wish = {"who": "ana", "actions": ["read"], "resource": "clinic/public.patients", "seconds": 600}
    desk.apply({"policy/two-people": None})
    given = desk.admin.post("/v1/grants", {**wish, "reason": "night", "break_glass": True})["index"]
    name = next(item["name"] for item in desk.admin.get("/v1/state", prefix="grant/")["objects"])
    desk.apply({name: None})
    with pytest.raises(InvalidInput, match=f"Record {given} gave a break-glass grant that nobody else has reviewed"):
        erased(desk, given)
    desk.client(desk.token("theo")).post(f"/v1/records/{given}/reviews", {"note": "seen"})
    assert given == erased(desk, given)["erased"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        index = desk.access("ana")
        root = desk.root
    capsys.readouterr()
    assert 0 == run(["erase", str(index), "--reason", "asked for", "--data", str(root)])
    assert f"the body of record {index} (access) is erased" in capsys.readouterr().out
    assert 2 == run(["erase", str(index), "--reason", "asked for", "--data", str(root)])
    assert "already" in capsys.readouterr().err
    assert 0 == run(["show", str(index), "--data", str(root)])
    assert "The body was erased by record" in capsys.readouterr().out
    assert 0 == run(["show", str(index), "--json", "--data", str(root)])
    assert "erased" == json.loads(capsys.readouterr().out)["body_state"]
    assert 0 == run(["timeline", "--data", str(root)])
    assert f"erased the body of record {index}" in capsys.readouterr().out
    assert 0 == run(["state", "at", "now", "profile/", "--data", str(root)])


def test_a_declaration_on_a_version_that_was_erased_is_a_conflict(desk: Office) -> None:
    """It says by which record, and not that it cannot be told."""
    ana = desk.live.identity_by_handle("ana")
    index = desk.apply({"identity/ana": {"name": MARKER}})["index"]
    by = erased(desk, index)["index"]
    late = {"objects": {f"identity/{ana}": {"handle": "anna"}}, "seen": {f"profile/{ana}": 3}, "reason": "late"}
    with pytest.raises(Conflict, match=f"is at version {index} now: what it says was erased by record {by}"):
        desk.admin.post("/v1/changes", late)
