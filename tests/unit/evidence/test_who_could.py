"""Who can: a small office whose answers were worked out by hand, at several moments, with and without facts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office import ORIGIN, PEOPLE, Office, Stepping, office, opened

from affidavit.compose.create import create
from affidavit.errors import InvalidInput
from affidavit.record.moment import NS, format_moment

STAFF: dict[str, Any] = {
    "identity/ben": {"kind": "human"},
    "identity/etl": {"kind": "service"},
    "identity/old": {"kind": "human", "status": "suspended"},
    "group/staff": {},
    "membership/group:analysts/staff": {},
    "membership/old/staff": {},
    "policy/visits": {
        "text": 'permit (principal in Group::"staff", action == Action::"read", '
        'resource == Table::"clinic/public.visits");'
    },
    "policy/inside": {
        "text": 'permit (principal in Group::"staff", action == Action::"read", '
        'resource == Table::"clinic/public.patients") when { context has client_address && '
        'context.client_address.isInRange(ip("10.0.0.0/8")) };'
    },
}
END = "2099-01-01T00:00:00.000000000Z"
BEN = {"grant/ben/recall": {"actions": ["read"], "resource": "clinic/public.patients", "end": END, "reason": "recall"}}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply({**{name: value for name, value in PEOPLE.items() if name != "policy/two-people"}, **STAFF})
        yield one


def could(desk: Office, action: str, resource: str, at: str = "now", **facts: str) -> dict[str, Any]:
    asked = {"action": action, "resource": resource, "at": at, "facts": json.dumps(facts)}
    return desk.admin.get("/v1/who/could", **asked)


def answers(answer: dict[str, Any]) -> dict[str, str]:
    return {item["handle"]: item["answer"] for item in answer["people"]}


def person(answer: dict[str, Any], handle: str) -> dict[str, Any]:
    return next(item for item in answer["people"] if item["handle"] == handle)


def test_everybody_is_decided_and_the_way_through_groups_is_named(desk: Office) -> None:
    answer = could(desk, "read", "clinic/public.visits")
    assert {"ana": "yes", "ben": "no", "etl": "no", "root": "no", "theo": "no"} == answers(answer)
    assert {"yes": 1, "depends": 0, "no": 4, "inactive": 1} == answer["counts"]
    assert ["old"] == [item["handle"] for item in answer["inactive"]]
    (rule,) = person(answer, "ana")["by"]
    assert ("policy/visits", [{"group": "staff", "via": ["analysts"]}]) == (rule["name"], rule["groups"])
    assert desk.admin.get(f"/v1/records/{rule['version']}")["header"]["kind"] == "change"
    assert "yes" == person(answer, "ana")["login"]["answer"]


def test_what_facts_decide_is_not_a_yes(desk: Office) -> None:
    granted = desk.apply(BEN)["change"]
    answer = could(desk, "read", "clinic/public.patients")
    assert {"ana": "depends", "ben": "yes", "etl": "no", "root": "no", "theo": "no"} == answers(answer)
    assert ["client_address"] == person(answer, "ana")["on"]
    ben = person(answer, "ben")
    (rule,) = ben["by"]
    assert ("grant/ben/recall", granted, END, []) == (rule["shown"], rule["version"], rule["end"], rule["groups"])
    assert "no" == ben["login"]["answer"]
    inside = could(desk, "read", "clinic/public.patients", client_address="10.1.2.3")
    assert ("yes", [{"name": "client_address", "value": "10.1.2.3"}]) == (answers(inside)["ana"], inside["facts"])
    assert "no" == answers(could(desk, "read", "clinic/public.patients", client_address="192.0.2.1"))["ana"]


def test_the_same_question_at_other_moments(desk: Office) -> None:
    granted = desk.apply(BEN)["change"]
    taken = desk.apply({"grant/ben/recall": None})["change"]
    seen = {
        at: answers(could(desk, "read", "clinic/public.patients", at))["ben"]
        for at in (str(granted), str(granted + 1), str(taken), str(taken + 1), "now")
    }
    assert {str(granted): "no", str(granted + 1): "yes", str(taken): "yes", str(taken + 1): "no", "now": "no"} == seen


def test_a_grant_that_ended_by_then_does_not_count_although_no_record_took_it_away(tmp_path: Path) -> None:
    clock = Stepping()
    create(tmp_path / "data", ORIGIN, "root", "")
    with opened(tmp_path / "data", clock) as desk:
        end = format_moment(clock.now_ns() + 3_600 * NS)
        people = {name: PEOPLE[name] for name in ("identity/ana", "system/clinic")}
        desk.apply({**people, "grant/ana/recall": {**BEN["grant/ben/recall"], "end": end}})
        assert {"ana": "yes", "root": "no"} == answers(could(desk, "read", "clinic/public.patients"))
        clock.ahead_ns = 3_600 * NS
        assert {"ana": "no", "root": "no"} == answers(could(desk, "read", "clinic/public.patients"))
        assert 1 == len(desk.live.snapshot().names("grant/"))


def test_a_change_of_the_log_alone_with_an_approval_and_approving(desk: Office) -> None:
    desk.apply({"policy/two-people": PEOPLE["policy/two-people"]})
    answer = could(desk, "grant", "grant/ben/recall", op="put")
    ways = {
        item["handle"]: (item["answer"], item["with_approval"]["answer"], item["may_approve"]["answer"])
        for item in answer["people"]
    }
    no, two = ("no", "no", "no"), ("no", "yes", "yes")
    assert {"ana": no, "ben": no, "etl": no, "root": two, "theo": two} == ways
    assert ["policy/two-people"] == [rule["name"] for rule in person(answer, "theo")["by"]]
    open_ = person(could(desk, "grant", "grant/"), "theo")
    assert ("depends", ["op"]) == (open_["answer"], open_["on"])
    assert "yes" == person(could(desk, "grant", "grant/ben/recall", op="delete"), "theo")["answer"]
    assert "Two rules stand above every policy" in answer["beyond_policy"]
    alone = could(desk, "grant", "grant/ben/recall", op="put", approvals="1")
    assert ("yes", False) == (person(alone, "theo")["answer"], "with_approval" in person(alone, "theo"))


def test_people_whom_nothing_tells_apart_and_one_whom_a_rule_names(desk: Office) -> None:
    twins = {f"identity/twin{number}": {"kind": "human"} for number in range(3)}
    member = {f"membership/twin{number}/staff": {} for number in range(3)}
    desk.apply({**twins, **member})
    one = desk.live.resolve("twin1")
    answer = answers(could(desk, "read", "clinic/public.visits"))
    assert ["yes"] * 3 == [answer[f"twin{number}"] for number in range(3)]
    rule = f'forbid (principal, action, resource) when {{ principal == Identity::"{one}" }};'
    desk.apply({"policy/not-them": {"text": rule}, "identity/twin2": {"attributes": {"ward": "3b"}}})
    marked = 'forbid (principal, action, resource) when { principal.hasTag("ward") };'
    desk.apply({"policy/marked": {"text": marked}})
    answer = answers(could(desk, "read", "clinic/public.visits"))
    assert ["yes", "no", "no"] == [answer[f"twin{number}"] for number in range(3)]


def test_the_log_itself(desk: Office) -> None:
    assert [] == [name for name, answer in answers(could(desk, "read", "log")).items() if answer != "no"]
    assert {"root", "theo"} == {
        name for name, answer in answers(could(desk, "admin", "log")).items() if answer == "yes"
    }


@pytest.mark.parametrize(
    ("action", "resource", "code"),
    [
        ("fly", "clinic", "who.action"),
        ("read", "ward", "who.resource"),
        ("read", "clinic/patients", "who.resource"),
        ("read", "grant/ana/x", "who.action"),
        ("grant", "grant/ana", "state.name"),
    ],
)
def test_what_is_no_question_is_refused(desk: Office, action: str, resource: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        could(desk, action, resource)
    assert code == caught.value.code


@pytest.mark.parametrize("facts", [{"tls": "perhaps"}, {"weather": "fair"}, {"approvals": "-1"}])
def test_facts_that_are_none_are_refused(desk: Office, facts: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        could(desk, "read", "clinic", **facts)
    assert "state.fact" == caught.value.code
