"""Changes, approvals, grants, settings and tokens through the real API, on a real log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from office import PEOPLE, Office, office

from affidavit.cli.client import Client
from affidavit.errors import Conflict, Denied, InvalidInput
from affidavit.limits import HTTP_BODY_BYTES_MAX
from affidavit.server.identity import host_name
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.receipts import Receipt


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply(PEOPLE)
        yield one


GRANT = {"who": "ana", "actions": ["read"], "resource": "clinic/public.patients", "seconds": 600, "reason": "recall"}


def kinds(desk: Office) -> list[str]:
    return [line["header"]["kind"] for line in map(json.loads, desk.admin.lines("/v1/export"))]


def test_what_nobody_may_do_alone_waits_until_somebody_else_approves(desk: Office) -> None:
    theo = desk.client(desk.token("theo"))
    before = desk.live.index
    proposal = desk.admin.post("/v1/grants", GRANT)
    assert (proposal["kind"], proposal["change"]) == ("proposal", None)
    assert desk.live.index == before

    approved = theo.post(f"/v1/proposals/{proposal['index']}/approvals", {"reason": "confirmed"})
    assert approved["kind"] == "approval"
    change = desk.admin.get(f"/v1/records/{approved['change']}")
    proposed = desk.admin.get(f"/v1/records/{proposal['index']}")
    assert change["header"]["ref"] == proposal["index"]
    assert change["header"]["actor"] == proposed["header"]["actor"]
    assert change["body"]["objects"] == proposed["body"]["objects"]
    theo_id = desk.live.resolve("theo")
    assert change["body"]["approvals"] == [{"approval": approved["index"], "approver": theo_id}]
    assert [o["name"].split("/")[1] for o in change["body"]["objects"]] == [desk.live.resolve("ana")]


def test_who_asks_gets_a_receipt_of_the_record_and_nobody_else_does(desk: Office) -> None:
    key = VerifierKey.parse(desk.admin.get("/v1/status")["verifier_key"])
    theo = desk.client(desk.token("theo"))
    asked = [
        desk.admin.post("/v1/changes", {"objects": {"group/one": {}}, "reason": "r", "receipt": True}),
        desk.admin.post("/v1/grants", {**GRANT, "receipt": True}),
        desk.admin.post("/v1/settings/ana", {"values": {"app.x": "1"}, "reason": "r", "receipt": True}),
        desk.admin.post("/v1/tokens", {"who": "ana", "receipt": True}),
    ]
    asked.append(theo.post(f"/v1/proposals/{asked[1]['index']}/approvals", {"reason": "r", "receipt": True}))
    asked.append(desk.admin.delete(f"/v1/tokens/{asked[3]['thumbprint']}", {"receipt": True}))
    for answer in asked:
        receipt = Receipt.decode(answer["receipt"].encode())
        receipt.open([key])
        record = desk.admin.get(f"/v1/records/{answer['index']}")
        assert (answer["index"], record["header"]["id"]) == (receipt.index, receipt.id)
    nothing = desk.admin.post("/v1/changes", {"objects": {"group/one": {}}, "reason": "r", "receipt": True})
    assert (None, "Nothing was recorded.") == (nothing["receipt"], nothing["receipt_problem"])
    assert "receipt" not in desk.admin.post("/v1/changes", {"objects": {"group/two": {}}, "reason": "r"})


def test_nobody_approves_their_own_proposal(desk: Office) -> None:
    index = desk.admin.post("/v1/grants", GRANT)["index"]
    with pytest.raises(Denied, match="yourself") as refused:
        desk.admin.post(f"/v1/proposals/{index}/approvals", {"reason": "mine"})
    assert refused.value.code == "approval.own"
    assert "approval" not in kinds(desk)


def test_who_may_not_approve_leaves_a_record_of_the_attempt(desk: Office) -> None:
    index = desk.admin.post("/v1/grants", GRANT)["index"]
    ana = desk.client(desk.token("ana"))
    with pytest.raises(Denied) as refused:
        ana.post(f"/v1/proposals/{index}/approvals", {"reason": "please"})
    assert refused.value.code == "approval.denied"
    attempt = desk.admin.get("/v1/records", query="kind:approval")["records"]
    assert [(r["header"]["decision"], r["header"]["ref"]) for r in attempt] == [("deny", index)]
    assert desk.live.snapshot().names("grant/") == []


def test_an_applied_proposal_is_not_applied_twice(desk: Office) -> None:
    theo = desk.client(desk.token("theo"))
    index = desk.admin.post("/v1/grants", GRANT)["index"]
    theo.post(f"/v1/proposals/{index}/approvals", {"reason": "one"})
    with pytest.raises(InvalidInput, match="already"):
        theo.post(f"/v1/proposals/{index}/approvals", {"reason": "two"})
    assert len(desk.live.snapshot().names("grant/")) == 1


def test_a_proposal_whose_objects_changed_since_is_refused(desk: Office) -> None:
    theo = desk.client(desk.token("theo"))
    desk.apply({"policy/settings-need-two": {"text": 'forbid (principal, action, resource in ObjectKind::"settings") '
                                             "unless { context has approvals && context.approvals >= 1 || "
                                             "context has approving && context.approving };"}})  # fmt: skip
    waiting = [
        desk.admin.post("/v1/settings/ana", {"values": {"capture.result": value}, "reason": "one of two"})["index"]
        for value in ("count", "digest")
    ]
    theo.post(f"/v1/proposals/{waiting[0]}/approvals", {"reason": "this one"})
    with pytest.raises(Conflict) as stale:
        theo.post(f"/v1/proposals/{waiting[1]}/approvals", {"reason": "and this"})
    assert stale.value.code == "proposal.stale"


def test_a_typed_approver_is_a_claim_and_never_counts(desk: Office) -> None:
    result = desk.admin.post("/v1/grants", {**GRANT, "claimed": ["theo"]})
    assert result["kind"] == "proposal"
    assert desk.admin.get(f"/v1/records/{result['index']}")["body"]["claimed"] == ["theo"]


def test_what_policy_refuses_to_everybody_is_recorded_and_cannot_be_approved(desk: Office) -> None:
    ana, theo = desk.client(desk.token("ana")), desk.client(desk.token("theo"))
    with pytest.raises(Denied) as refused:
        ana.post("/v1/changes", {"objects": {"group/mine": {}}, "reason": "want"})
    assert refused.value.code == "change.denied"
    record = desk.admin.get("/v1/records", query="kind:proposal")["records"][0]
    assert (record["header"]["decision"], record["header"]["outcome"]) == ("deny", "none")
    with pytest.raises(InvalidInput, match="was refused"):
        theo.post(f"/v1/proposals/{record['index']}/approvals", {"reason": "no"})


@pytest.mark.parametrize(
    ("objects", "code"),
    [
        ({"group/fine": {}, "planet/mars": {}}, "apply.object"),
        ({"group/fine": {}, "policy/broken": {"text": "permit (principal, action"}}, "state.policy"),
        ({"group/fine": {}, "settings/user/nobody": {}}, "who.unknown"),
        ({"group/fine": {}, "group/analysts": {"description": "new", "based": 2}}, "state.stale"),
        ({"group/fine": {}, "membership/ana/nowhere": {}}, "state.reference"),
        ({"group/fine": {}, "group/gone": None}, "apply.unknown"),
        ({"group/fine": {}, "observed/clinic/app": {}}, "apply.object"),
        ({"group/fine": {}, "settings/organisation": {"capture.result": "some"}}, "state.setting"),
        ({}, "apply.empty"),
    ],
)
def test_a_declaration_that_is_wrong_anywhere_applies_nowhere(
    desk: Office, objects: dict[str, object], code: str
) -> None:
    size, state = desk.ledger.size, desk.live.index
    with pytest.raises((InvalidInput, Conflict)) as refused:
        desk.admin.post("/v1/changes", {"objects": objects, "reason": "wrong"})
    assert refused.value.code == code
    assert (desk.ledger.size, desk.live.index) == (size, state)


def test_a_change_based_on_what_was_seen_is_refused_once_that_moved_on(desk: Office) -> None:
    wish = {"objects": {"group/analysts": {"description": "seen"}}, "reason": "r"}
    seen = {i["name"]: i["based"] for i in desk.admin.post("/v1/changes", {**wish, "dry_run": True})["differences"]}
    desk.apply({"group/analysts": {"description": "by another"}})
    with pytest.raises(Conflict) as stale:
        desk.admin.post("/v1/changes", {**wish, "seen": seen})
    assert stale.value.code == "state.stale"


def test_a_dry_run_records_nothing(desk: Office) -> None:
    size = desk.ledger.size
    shown = desk.admin.post("/v1/changes", {"objects": {"group/new": {}}, "reason": "r", "dry_run": True})
    assert [(i["shown"], i["before"]) for i in shown["differences"]] == [("group/new", None)]
    assert desk.ledger.size == size


def test_a_user_without_a_credential_is_told_what_to_do(desk: Office) -> None:
    theo = desk.client(desk.token("theo"))
    name = next(name for name in desk.live.snapshot().names("credential/uid-"))
    theo.post("/v1/changes", {"objects": {name: None}, "reason": "left"})
    with pytest.raises(Denied) as refused:
        desk.admin.get("/v1/status")
    assert refused.value.code == "auth.unmapped"
    assert f"credential/uid-{host_name()}-" in refused.value.hint


def test_a_token_proves_its_owner_until_it_is_revoked(desk: Office) -> None:
    made = desk.admin.post("/v1/tokens", {"who": "ana", "label": "laptop"})
    ana = desk.client(made["token"])
    assert ana.get("/v1/status")["you"]["handle"] == "ana"
    verifier = desk.root / "secrets" / "scram" / made["thumbprint"]
    assert verifier.stat().st_mode & 0o777 == 0o600
    assert made["token"] not in verifier.read_text()
    assert [t["label"] for t in ana.get("/v1/tokens", who="ana")["tokens"]] == ["laptop"]

    desk.admin.delete(f"/v1/tokens/{made['thumbprint']}", {})
    with pytest.raises(Denied) as refused:
        ana.get("/v1/status")
    assert refused.value.code == "auth.token"
    assert not verifier.exists()


def test_a_wrong_token_proves_nobody(desk: Office) -> None:
    with pytest.raises(Denied) as refused:
        desk.client("aff_" + "A" * 43).get("/v1/status")
    assert refused.value.code == "auth.token"


def test_a_token_is_not_made_where_policy_refuses_it(desk: Office) -> None:
    ana = desk.client(desk.token("ana"))
    before = sorted((desk.root / "secrets" / "scram").iterdir())
    with pytest.raises(Denied):
        ana.post("/v1/tokens", {"who": "theo"})
    assert sorted((desk.root / "secrets" / "scram").iterdir()) == before


def test_reading_needs_the_right_to_read(desk: Office) -> None:
    ana = desk.client(desk.token("ana"))
    for path in ("/v1/records", "/v1/records/0", "/v1/state", "/v1/ready", "/v1/records/2/explain"):
        with pytest.raises(Denied) as refused:
            ana.get(path)
        assert refused.value.code == "read.denied"
    desk.apply({"policy/ana-reads": {"text": f'permit (principal == Identity::"{desk.live.resolve("ana")}", '
                                     'action == Action::"read", resource == Log::"log");'}})  # fmt: skip
    assert ana.get("/v1/records/0")["index"] == 0


def test_settings_of_one_scope_keep_the_others(desk: Office) -> None:
    desk.admin.post("/v1/settings/theo", {"values": {"capture.result": "count"}, "reason": "a"})
    desk.admin.post("/v1/settings/theo", {"values": {"capture.statement": "normalized"}, "reason": "b"})
    desk.admin.post("/v1/settings/theo", {"values": {"capture.result": None}, "reason": "c"})
    shown = desk.admin.get("/v1/settings/theo", system="clinic")
    assert shown["values"] == [{"name": "capture.statement", "value": "normalized"}]
    assert {e["name"]: e["scope"] for e in shown["effective"]}["capture.statement"] == "user"


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("POST", "/v1/changes", b"{", 400, "http.json"),
        ("POST", "/v1/changes", b"[]", 400, "http.json"),
        ("POST", "/v1/changes", b'{"objects": {}, "bogus": 1}', 400, "http.member"),
        ("POST", "/v1/changes", b'{"objects": []}', 400, "http.member"),
        ("POST", "/v1/changes", b'{"reason": "r"}', 400, "http.member"),
        ("POST", "/v1/changes", b" " * (HTTP_BODY_BYTES_MAX + 1), 400, "http.size"),
        ("POST", "/v1/changes", b"[" * 100_000, 400, "http.json"),
        ("GET", "/v1/nothing", b"", 404, "http.path"),
        ("DELETE", "/v1/records", b"", 405, "http.method"),
        ("GET", "/v1/records/-1", b"", 400, "http.number"),
        ("GET", "/v1/records/99999999", b"", 404, "record.index"),
        ("GET", "/v1/records?query=bogus:1", b"", 400, "query.field"),
        ("GET", "/v1/state?at=yesterday", b"", 400, "time.text"),
        ("GET", "/v1/sessions/0", b"", 400, "session.index"),
        ("GET", "/v1/records/0/explain", b"", 400, "explain.kind"),
    ],
)
def test_wrong_requests_get_a_code_a_message_and_what_to_do(
    desk: Office, method: str, path: str, content: bytes, status: int, code: str
) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(desk.path)), base_url="http://t") as http:
        answer = http.request(method, path, content=content)
    said = answer.json()
    assert (answer.status_code, said["code"]) == (status, code)
    assert sorted(said) == ["code", "exit_status", "hint", "message"]


def test_followers_end_when_the_server_stops(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        watcher = Client(desk.path, None, server_runs=True)
        stream = watcher.lines("/v1/follow", query="kind:change", after=desk.ledger.size)
        desk.apply({"group/late": {}})
        assert json.loads(next(stream))["header"]["kind"] == "change"
    assert list(stream) == []
    watcher.close()


def test_what_a_client_says_of_itself_proves_nothing(desk: Office) -> None:
    desk.client(desk.token("theo")).post(
        "/v1/changes", {"objects": {desk.live.snapshot().names("credential/uid-")[0]: None}, "reason": "left"}
    )
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(desk.path)), base_url="http://t") as http:
        for headers in ({"peer-uid": "0"}, {"x-forwarded-user": "root"}, {"authorization": "Basic cm9vdDo="}):
            assert http.get("/v1/status", headers=headers).status_code == 401


def test_a_grant_on_a_system_that_is_not_declared_is_refused(desk: Office) -> None:
    for resource in ("clinc", "clinc/public.patients"):
        with pytest.raises(InvalidInput, match="system/clinc") as refused:
            desk.admin.post("/v1/grants", {**GRANT, "resource": resource})
        assert refused.value.code == "apply.system"


def test_refusals_name_people_by_handle(desk: Office) -> None:
    with pytest.raises(InvalidInput) as refused:
        desk.apply({"membership/ana/nowhere": {}})
    assert "`membership/ana/nowhere`" in str(refused.value)
    with pytest.raises(InvalidInput) as refused:
        desk.apply({"identity/zoe": {"kind": "alien"}})
    assert "`identity/zoe`" in str(refused.value)


def test_taking_away_somebodys_last_setting_leaves_them_at_the_fullest_level(desk: Office) -> None:
    for value in ("count", None):
        desk.admin.post("/v1/settings/theo", {"values": {"capture.result": value}, "reason": "test"})
    values = desk.admin.get("/v1/settings/theo")["values"]
    for item in values:
        desk.admin.post("/v1/settings/theo", {"values": {item["name"]: None}, "reason": "test"})
    assert desk.admin.get("/v1/settings/theo")["configured"] is False


@pytest.mark.parametrize("who", ["system:nowhere", "group:nobody"])
def test_settings_of_what_is_not_there_are_not_shown(desk: Office, who: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        desk.admin.get(f"/v1/settings/{who}")
    assert refused.value.code == "settings.scope"
