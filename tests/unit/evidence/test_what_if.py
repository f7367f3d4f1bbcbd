"""What if: recorded accesses decided again under other moments and declarations, by a story worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office import PEOPLE, Office, office

from affidavit.errors import InvalidInput

VISITS = 'permit (principal in Group::"analysts", action == Action::"read", resource == Table::"clinic/public.visits");'
MISSING = (
    'forbid (principal, action == Action::"read", resource) when { Identity::"u-00000000000000ff".kind == "human" };'
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        people = {name: value for name, value in PEOPLE.items() if name != "policy/two-people"}
        login = 'permit (principal, action == Action::"login", resource == System::"clinic");'
        rules = {"policy/visits": {"text": VISITS}, "policy/login": {"text": login}}
        one.apply({**people, **rules, "identity/ben": {"kind": "human"}})
        yield one


def what_if(desk: Office, **asked: Any) -> dict[str, Any]:
    cases: list[dict[str, Any]] = []
    answer: dict[str, Any] = {}
    for line in desk.admin.asked("/v1/what-if", asked):
        cases += line.get("cases", ())
        answer = line.get("answer", answer)
    return {**answer, "cases": cases}


def story(desk: Office) -> dict[str, int]:
    """Four accesses, each in a session of its own: ana twice visits (allowed), once patients (denied), ben patients by a
    grant (allowed). Then the grant is taken away and visits are closed."""
    desk.apply({"grant/ben/g": {"actions": ["read"], "resource": "clinic/public.patients", "reason": "recall"}})
    said = {
        "visits": desk.access("ana", "public.visits"),
        "again": desk.access("ana", "public.visits"),
        "patients": desk.access("ana"),
        "ben": desk.access("ben"),
    }
    said["before"] = int(desk.apply({"grant/ben/g": None})["change"])
    closed = 'forbid (principal, action, resource == Table::"clinic/public.visits");'
    desk.apply({"policy/closed": {"text": closed}})
    return said


def test_a_range_under_todays_state(desk: Office) -> None:
    said = story(desk)
    answer = what_if(desk, **{"from": "0"})
    # Four accesses and their four logins, which stay allowed.
    assert (8, {"denied": 3, "allowed": 0, "undecided": 0, "failed": 0, "same": 5}) == (
        answer["total"],
        answer["counts"],
    )
    assert [
        ("denied", "ana", "forbidden by policy/closed", [said["visits"], said["again"]]),
        ("denied", "ben", "no rule allows it; grant/ben/g is not there", [said["ben"]]),
    ] == [(group["class"], group["handle"], group["because"], group["records"]) for group in answer["groups"]]
    assert [said["visits"], said["again"], said["ben"]] == [case["index"] for case in answer["cases"]]
    assert answer["failed_then"] == []


def test_one_access_under_the_state_before_and_after(desk: Office) -> None:
    said = story(desk)
    before = what_if(desk, index=said["ben"], at=str(said["before"]))["case"]
    after = what_if(desk, index=said["ben"], at=str(said["before"] + 1))
    assert ("same", "allow") == (before["class"], before["was"])
    assert ("denied", [], True) == (
        after["case"]["class"],
        after["case"]["rules_now"],
        after["case"]["rules_then"][0].startswith("grant/"),
    )
    assert any(item["what"].startswith("grants grant/") for item in after["differences"])
    assert after["sentence"].startswith("At ")


def test_a_declaration_laid_over_the_present_state_changes_nothing(desk: Office) -> None:
    said = story(desk)
    size, state = desk.ledger.size, desk.live.index
    declared = {
        "policy/closed": None,
        "policy/select": {
            "text": 'permit (principal in Group::"analysts", action == Action::"read", resource) '
            'when { context has verb && context.verb == "SELECT" };'
        },
    }
    answer = what_if(desk, **{"from": "0", "objects": declared})
    # No policy read the verb when these were decided; the records show it all the same.
    assert {"denied": 1, "allowed": 1, "undecided": 0, "failed": 0, "same": 6} == answer["counts"]
    assert [said["patients"], said["ben"]] == [case["index"] for case in answer["cases"]]
    assert "allowed by policy/select" == answer["cases"][0]["because"]
    assert (size, state) == (desk.ledger.size, desk.live.index)
    assert ["policy/closed", "policy/select"] == answer["under"]["objects"]


def test_what_a_record_does_not_show_is_not_guessed(desk: Office) -> None:
    said = story(desk)
    text = 'permit (principal in Group::"analysts", action == Action::"read", resource) when { context has tls };'
    answer = what_if(desk, **{"from": "0", "objects": {"policy/tls": {"text": text}}})
    # visits stay forbidden whatever the connection was like; for patients it is what decides.
    undecided = [case for case in answer["cases"] if case["class"] == "undecided"]
    assert [(said["patients"], ["tls"])] == [(case["index"], case["unknown"]) for case in undecided]
    assert "it depends on tls, not recorded then" == undecided[0]["because"]
    assert 2 == sum(case["because"] == "forbidden by policy/closed" for case in answer["cases"])


def test_rules_that_cannot_be_evaluated_are_a_class_of_their_own(desk: Office) -> None:
    index = desk.access("ana", "public.visits")
    answer = what_if(desk, index=index, objects={"policy/missing": {"text": MISSING}})
    assert ("failed", "policy/missing cannot be evaluated, which denies") == (
        answer["case"]["class"],
        answer["case"]["because"],
    )
    desk.apply({"policy/missing": {"text": MISSING}})
    failed = desk.access("ana", "public.visits")
    desk.apply({"policy/missing": None})
    ranged = what_if(desk, **{"from": str(index)})
    assert [failed] == ranged["failed_then"]
    (case,) = [case for case in ranged["cases"] if case["index"] == failed]
    assert ("allowed", ["policy/missing"]) == (case["class"], case["failed_then"])
    assert "policy/missing could not be evaluated then" in case["because"]


def test_filters_and_changes_of_the_log(desk: Office) -> None:
    story(desk)
    assert 2 == what_if(desk, **{"from": "0", "actor": "ben"})["total"]
    assert 4 == what_if(desk, **{"from": "0", "action": "read"})["total"]
    assert 0 == what_if(desk, **{"from": "0", "system": "ward"})["total"]
    changes = what_if(desk, **{"from": "3", "system": "log"})
    assert {"same": changes["total"]} == {name: count for name, count in changes["counts"].items() if count}
    tighter = what_if(
        desk, **{"from": "3", "system": "log", "objects": {"policy/two-people": PEOPLE["policy/two-people"]}}
    )
    assert tighter["counts"]["denied"] == 1  # the grant that root gave alone; taking it away needs nobody else


@pytest.mark.parametrize("fact", ["break_glass", "sources"])
def test_that_a_change_came_without_a_fact_of_other_kinds_is_known(desk: Office, fact: str) -> None:
    """A change of a group is no break-glass and speaks for no application: no rule about those leaves it undecided."""
    index = desk.apply({"group/others": {}})["index"]
    rule = f'forbid (principal, action, resource in Log::"log") when {{ context has {fact} }};'
    found = what_if(desk, index=index, objects={"policy/other": {"text": rule}})
    assert {"same": 1} == {name: count for name, count in found["counts"].items() if count}


@pytest.mark.parametrize(
    "asked",
    [
        {"index": 999},
        {"index": 1},
        {"from": "0", "at": "0", "objects": {"group/x": {}}},
        {"from": "0", "actor": "nobody"},
        {"from": "0", "objects": {"policy/p": {"text": "permit("}}},
    ],
)
def test_what_is_no_question_is_refused(desk: Office, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        what_if(desk, **asked)
