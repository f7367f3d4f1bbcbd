"""Proofs of state from a log that is being written: published state, people by handle, times, and who may ask."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from office import PEOPLE, Office, office

from affidavit.errors import AffidavitError, Denied
from affidavit.tlog.keys import VerifierKey
from affidavit.verify.stateproof import check_state_proof

GRANT = {"actions": ["read"], "resource": {"type": "System", "id": "clinic"}, "reason": "round"}
WAIT_S = 30.0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("office")) as one:
        one.apply({name: value for name, value in PEOPLE.items() if name != "policy/two-people"})
        one.apply({"grant/theo/ward": GRANT})
        published(one)
        yield one


def published(desk: Office) -> int:
    """The published size, once it covers everything."""
    deadline = time.monotonic() + WAIT_S
    while True:
        status = desk.admin.get("/v1/status")
        if status["published"]["size"] >= status["state"]:
            return int(status["published"]["size"])
        assert time.monotonic() < deadline, status
        time.sleep(0.02)


def ask(desk: Office, **asked: Any) -> dict[str, Any]:
    return desk.admin.get("/v1/state/proof", **asked)


def checked(desk: Office, answer: dict[str, Any]) -> dict[str, Any]:
    key = VerifierKey.parse(desk.admin.get("/v1/status")["verifier_key"])
    verdict = check_state_proof(answer["file"].encode(), [key])
    return verdict.statement


def test_people_are_named_by_handle_and_proved_by_id(desk: Office) -> None:
    theo, ana = desk.live.resolve("theo"), desk.live.resolve("ana")
    answer = ask(desk, object="grant/theo/ward", at="now")
    assert f"grant/{theo}/ward" == checked(desk, answer)["name"]
    assert {theo: "theo"} == answer["who"]
    answer = ask(desk, no_grant="ana", system="clinic", **{"from": "0"})
    assert ana == checked(desk, answer)["principal"]
    assert ask(desk, object="settings/user/ana", at="now")["verdict"]["statement"]["name"] == f"settings/user/{ana}"
    assert ask(desk, object="membership/ana/analysts", at="now")["verdict"]["statement"]["versions"][0]["value"] == {}


def test_a_handle_may_look_like_the_beginning_of_an_id(desk: Office) -> None:
    desk.apply({"identity/u-boat": {"kind": "service"}})
    published(desk)
    assert desk.live.resolve("u-boat") == checked(desk, ask(desk, no_grant="u-boat"))["principal"]


def test_a_moment_in_another_zone_is_that_moment(desk: Office) -> None:
    at = desk.admin.get("/v1/records/2")["header"]["log"]["at"]
    hour = (int(at[11:13]) + 1) % 24
    if hour:
        said = checked(desk, ask(desk, object="group/administrators", at=f"{at[:11]}{hour:02}{at[13:-1]}+01:00"))
        assert {"index": 3, "time": at} == said["to"]


def test_what_is_not_true_is_answered_and_not_proved(desk: Office) -> None:
    answer = ask(desk, no_grant="theo", system="clinic", **{"from": "0"})
    assert answer["holds"] is False
    assert answer["words"].startswith("`grant/theo/ward` was there from position ")
    answer = ask(desk, no_membership="ana", group="analysts")
    assert answer["words"].startswith("`membership/ana/analysts` was there")


def test_a_day_is_meant_from_its_first_moment_to_its_last(desk: Office) -> None:
    today = desk.admin.get("/v1/records/2")["header"]["log"]["at"][:10]
    said = checked(desk, ask(desk, no_grant="ana", system="clinic", **{"from": today, "to": today}))
    assert {"index": 0, "time": f"{today}T00:00:00.000000000Z"} == said["from"]
    assert "time" not in said["to"]  # it is not over: no record proves it
    at = desk.admin.get("/v1/records/2")["header"]["log"]["at"]
    said = checked(desk, ask(desk, object="group/administrators", at=at))
    assert {"index": 3, "time": at} == said["from"] == said["to"]


def test_a_kept_checkpoint_can_be_asked_for(desk: Office) -> None:
    note = (desk.root / "log" / "checkpoint").read_text()
    desk.apply({"group/later": {}})
    published(desk)
    answer = ask(desk, object="group/later", at="now", checkpoint=note)
    assert answer["verdict"]["size"] == int(note.split("\n")[1])
    assert "value" not in answer["verdict"]["statement"]["versions"][0]
    assert "value" in ask(desk, object="group/later", at="now")["verdict"]["statement"]["versions"][0]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "stateproof.about"),
        ({"object": "group/a", "no_grant": "ana"}, "stateproof.about"),
        ({"object": "group/a", "other": "1"}, "http.member"),
        ({"object": "nothing"}, "state.name"),
        ({"object": "group/a", "at": "9999999"}, "state.index"),
        ({"object": "group/a", "at": "3", "to": "4"}, "stateproof.moment"),
        ({"object": "group/a", "from": "never"}, "time.text"),
        ({"object": "group/a", "from": "6", "to": "3"}, "stateproof.interval"),
        ({"object": "group/a", "checkpoint": "x"}, "note.malformed"),
        ({"object": "group/a", "checkpoint": "x" * 40_000}, "stateproof.checkpoint"),
        ({"no_grant": "nobody"}, "who.unknown"),
        ({"no_membership": "ana"}, "stateproof.group"),
    ],
)
def test_what_makes_no_question_is_refused(desk: Office, asked: dict[str, str], code: str) -> None:
    with pytest.raises(AffidavitError) as error:
        ask(desk, **asked)
    assert code == error.value.code


def test_who_may_not_read_the_log_gets_no_proof(desk: Office) -> None:
    with pytest.raises(Denied):
        desk.client(desk.token("ana")).get("/v1/state/proof", object="group/a")
