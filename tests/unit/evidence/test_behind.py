"""Who stands behind an access or a change: a person, a service that a person made, a service that a service made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from findingcase import HANDLES, Story
from logmaker import ALICE, BOB, CAROL, VISITS, grant_value
from office import PEOPLE, TWO_PEOPLE, Office, office

from affidavit.evidence.behind import Behind
from affidavit.history.asof import state_at

SERVICES = {"identity/etl": {"kind": "service"}, "identity/bot": {"kind": "agent"}}
RULES = {
    "policy/login": {"text": 'permit (principal, action == Action::"login", resource == System::"clinic");'},
    "policy/etl": {"text": 'permit (principal in Group::"makers", action, resource);'},
    "group/makers": {},
    "membership/etl/makers": {},
}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply({**PEOPLE, **SERVICES, **RULES})
        yield one


def made(desk: Office, by: str, whom: str) -> tuple[str, int, str]:
    """A token that `by` made for `whom`: its credential, its record, the token."""
    client = desk.admin if by == "root" else desk.client(by)
    answer = client.post("/v1/tokens", {"who": whom})
    name = desk.live.snapshot().credentials_of(desk.live.resolve(whom))[-1]
    version = desk.live.snapshot().get(name)
    assert version is not None
    return name.removeprefix("credential/"), version.version, str(answer["token"])


def behind(desk: Office, index: int) -> dict[str, Any]:
    return dict(desk.admin.get(f"/v1/records/{index}")["behind"])


def givers(said: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(one["given_by"], one["kind"], one["record"]) for one in said["given"]]


def test_a_person_is_who_had_the_credential_and_who_made_it_saw_it(desk: Office) -> None:
    token, record, _ = made(desk, "root", "ana")
    said = behind(desk, desk.access("ana", credential=token))
    assert (said["handle"], said["kind"], said["human"], said["credential"]) == ("ana", "human", "ana", token)
    assert (givers(said), said["how"], said["address"]) == ([("root", "human", record)], "scram-sha-256", "10.0.0.7")
    assert [text.split(":")[0].split(",")[0] for text in said["unknown"]] == [
        "Whether it was ana in person",
        "Whether root",
    ]
    explained = desk.admin.get(f"/v1/records/{desk.access('ana', credential=token)}/explain")["behind"]
    assert givers(explained) == givers(said)


def test_for_a_service_answers_who_made_its_token(desk: Office) -> None:
    token, record, _ = made(desk, "root", "etl")
    said = behind(desk, desk.access("etl", credential=token))
    assert (said["kind"], said["human"], givers(said)) == ("service", "root", [("root", "human", record)])
    assert said["unknown"][0] == "Which person, if any, had etl act at that moment: nothing that it presents says so."


def test_an_agent_whose_token_a_service_made_is_followed_to_the_human(desk: Office) -> None:
    _, first, secret = made(desk, "root", "etl")
    token, second, _ = made(desk, secret, "bot")
    said = behind(desk, desk.access("bot", credential=token))
    assert givers(said) == [("etl", "service", second), ("root", "human", first)]
    assert said["human"] == "root"


def test_without_a_known_credential_nobody_is_named(desk: Office) -> None:
    said = behind(desk, desk.access("etl", credential="token-" + "0" * 16))
    assert (said["human"], said["given"]) == (None, [])
    assert said["unknown"][1].startswith("Who answers for it: no human")


def test_the_first_administrator_and_what_the_log_wrote_by_itself(desk: Office) -> None:
    said = behind(desk, 2)
    assert (said["handle"], said["kind"], said["human"], said["how"]) == ("root", "human", "root", "genesis")
    assert desk.admin.get("/v1/records/1")["behind"] is None


def test_a_change_by_approval_is_proved_by_its_proposal_not_by_the_approver() -> None:
    story = Story()
    story.began()
    story.change([story.put("policy/two", {"text": TWO_PEOPLE})])
    ops = [story.put(f"grant/{BOB}/visits", grant_value(VISITS, "read"))]
    proposal = story.proposal(ops)
    approval = story.approval(proposal, ops, CAROL)
    change = story.change(ops, approvals=[(approval, CAROL)], ref=proposal)
    answers = Behind(story, lambda at: state_at(story, at), lambda who: HANDLES.get(who, who))
    said = answers.of(story.record(change))
    assert said is not None
    assert (said["identity"], said["credential"]) == (ALICE, "uid-desk-1000")
    story.erased.add(proposal)
    unreadable = answers.of(story.record(change))
    assert unreadable is not None
    assert (unreadable["credential"], unreadable["unknown"]) == (
        None,
        [f"How it was proved: record {proposal} says so, and record {story.size} erased it."],
    )
