"""Explanations of accesses and changes on a real log, and what stands around them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from office import PEOPLE, Office, office

from affidavit import canonical
from affidavit.errors import InvalidInput
from affidavit.evidence.explain import ONLY_OBSERVED
from affidavit.state.policy import observe_all


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply({name: value for name, value in PEOPLE.items() if name != "policy/two-people"})
        yield one


def grant(desk: Office) -> int:
    wish = {"who": "ana", "actions": ["read"], "resource": "clinic/public.patients", "seconds": 600, "reason": "recall"}
    return int(desk.admin.post("/v1/grants", wish)["change"])


def test_an_access_by_a_grant_names_the_grant_and_when_it_was_put(desk: Office) -> None:
    change = grant(desk)
    index = desk.access("ana")
    said = desk.admin.get(f"/v1/records/{index}/explain")
    name = desk.admin.get(f"/v1/records/{change}")["body"]["objects"][0]["name"]
    assert [(rule["name"], rule["version"], rule["agrees"]) for rule in said["rules"]] == [(name, change, True)]
    assert said["rules"][0]["value"]["reason"] == "recall"
    assert [(item["name"], item["counted"]) for item in said["grants"]] == [(name, True)]
    assert (said["last_change"]["index"], said["last_change"]["objects"]) == (change, [name])
    assert f"after record {change} put that in force" in said["sentence"]
    assert (said["again"]["decision"], said["again"]["same"]) == ("allow", True)


def test_a_denied_access_lists_the_rules_that_did_not_allow_it(desk: Office) -> None:
    index = desk.access("ana")
    said = desk.admin.get(f"/v1/records/{index}/explain")
    assert (said["decision"], said["rules"], said["errors"]) == ("deny", [], [])
    assert said["considered"] == ["policy/analysts"]
    assert said["because"] == "denied because no rule allows it"
    assert said["again"]["same"] is True


def test_the_rule_is_shown_as_it_was_then_not_as_it_is_now(desk: Office) -> None:
    desk.apply({"policy/readers": {"text": 'permit (principal, action == Action::"read", resource is Table);'}})
    index = desk.access("ana")
    desk.apply({"policy/readers": None})
    rule = desk.admin.get(f"/v1/records/{index}/explain")["rules"][0]
    assert (rule["name"], rule["text"]) == (
        "policy/readers",
        'permit (principal, action == Action::"read", resource is Table);',
    )


def test_what_only_the_observe_policy_allows_is_said_to_be_unrestricted(desk: Office) -> None:
    desk.apply({"policy/observe-all": observe_all()})
    said = desk.admin.get(f"/v1/records/{desk.access('ana')}/explain")
    assert said["only_observed"] is True
    assert ONLY_OBSERVED in said["sentence"]


def test_settings_say_where_each_came_from_and_the_context_what_changed(desk: Office) -> None:
    first = desk.admin.get(f"/v1/records/{desk.access('ana')}/explain")
    assert first["configured"] is False
    assert first["context"]["previous"] is None
    change = desk.admin.post("/v1/settings/ana", {"values": {"capture.result": "count"}, "reason": "less"})["change"]
    second = desk.admin.get(f"/v1/records/{desk.access('ana')}/explain")
    assert {s["name"]: (s["value"], s["scope"], s.get("version")) for s in second["settings"]}["capture.result"] == (
        "count",
        "user",
        change,
    )
    assert second["configured"] is True
    assert second["context"]["previous"] == first["context"]["index"]
    differing = [item["what"] for item in second["context"]["differences"]]
    assert "settings capture.result" in differing
    assert "configured" in differing


def test_a_change_that_does_not_bear_on_the_access_is_not_the_last_one(desk: Office) -> None:
    change = grant(desk)
    desk.apply({"identity/zoe": {"kind": "human"}, "settings/user/zoe": {"capture.result": "count"}})
    said = desk.admin.get(f"/v1/records/{desk.access('ana')}/explain")
    assert said["last_change"]["index"] == change


def test_changes_proposals_and_approvals_are_decided_again(desk: Office) -> None:
    desk.apply({"policy/two-people": PEOPLE["policy/two-people"]})
    theo = desk.client(desk.token("theo"))
    wish = {"who": "ana", "actions": ["read"], "resource": "clinic", "seconds": 60, "reason": "r"}
    proposal = desk.admin.post("/v1/grants", wish)["index"]
    done = theo.post(f"/v1/proposals/{proposal}/approvals", {"reason": "yes"})
    for index, decision in ((proposal, "deny"), (done["index"], "allow"), (done["change"], "allow")):
        again = desk.admin.get(f"/v1/records/{index}/explain")["again"]
        assert (again["decision"], again["same"]) == (decision, True)


def test_what_decides_nothing_cannot_be_explained(desk: Office) -> None:
    with pytest.raises(InvalidInput, match="not one in which"):
        desk.admin.get("/v1/records/1/explain")


def test_a_session_holds_its_records_and_what_changed_meanwhile(desk: Office) -> None:
    access = desk.access("ana")
    change = grant(desk)
    story = desk.admin.get(f"/v1/sessions/{access}")
    assert story["opened"] == desk.admin.get(f"/v1/records/{access}")["header"]["session"]
    assert [view["index"] for view in story["records"]] == [story["opened"], access]
    assert [view["index"] for view in story["meanwhile"]] == [change]
    assert story["closed"] is None


def test_the_state_at_an_earlier_place_is_folded_from_the_log(desk: Office) -> None:
    before = desk.ledger.size
    change = grant(desk)
    assert desk.admin.get("/v1/state", at=str(before), prefix="grant/")["objects"] == []
    after = desk.admin.get("/v1/state", at="now", prefix="grant/ana/")
    assert [item["version"] for item in after["objects"]] == [change]
    assert after["root"] == desk.admin.get(f"/v1/records/{change}")["header"]["root"]
    at = desk.admin.get(f"/v1/records/{change}")["header"]["log"]["at"]
    assert desk.admin.get("/v1/state", at=at, prefix="grant/")["state"] == change + 1


def test_an_export_has_every_field_and_gives_the_entry_back(desk: Office) -> None:
    desk.access("ana")
    reader, size = desk.ledger.reader(), desk.ledger.size
    lines = [json.loads(line) for line in desk.admin.lines("/v1/export")]
    assert [line["index"] for line in lines] == list(range(size))
    for line in lines:
        raw, _ = reader.stored(line["index"])
        assert canonical.encode(line["header"]) == raw
        assert line["body"] == reader.record(line["index"]).body


def test_the_timeline_is_newest_first_filtered_and_goes_on_where_it_stopped(desk: Office) -> None:
    indexes = [desk.access("ana") for _ in range(3)]
    query = "kind:access actor:ana table:public.patients"
    first = desk.admin.get("/v1/records", query=query, limit=2)
    assert [view["index"] for view in first["records"]] == [indexes[2], indexes[1]]
    rest = desk.admin.get("/v1/records", query=query, limit=2, before=first["next"])
    assert [view["index"] for view in rest["records"]] == [indexes[0]]
    assert rest["next"] is None


def test_followers_see_records_as_they_become_durable(desk: Office) -> None:
    stream = desk.admin.lines("/v1/follow", query="kind:change", after=desk.ledger.size)
    change = desk.apply({"group/late": {}})["change"]
    view = json.loads(next(stream))
    assert (view["index"], view["headline"]["what"]) == (change, "added group/late (“test”)")
