"""Who did, and could against did: a small log whose counts were worked out by hand; with and without the keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office import PEOPLE, Office, office

from affidavit.compose.site import Site
from affidavit.errors import InvalidInput
from affidavit.evidence.asking import TABLE, Resource
from affidavit.evidence.did import Reader as Did
from affidavit.evidence.did import Reading
from affidavit.history.shared import SharedRecords
from affidavit.ledger.reader import Reader
from affidavit.record.tags import Tagger

PATIENTS = "clinic/public.patients"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        people = {name: value for name, value in PEOPLE.items() if name != "policy/two-people"}
        login = 'permit (principal, action == Action::"login", resource == System::"clinic");'
        staff = {"identity/ben": {"kind": "human"}, "identity/etl": {"kind": "service"}}
        one.apply({**people, **staff, "policy/login": {"text": login}})
        yield one


def grant(desk: Office, handle: str) -> str:
    name = f"grant/{handle}/g"
    desk.apply({name: {"actions": ["read"], "resource": PATIENTS, "reason": "recall"}})
    return name


def did(desk: Office, resource: str = PATIENTS, **asked: str) -> dict[str, Any]:
    for line in desk.admin.asked("/v1/who/did", resource=resource, **asked):
        answer = line.get("answer", {})
    return dict(answer)


def counts(answer: dict[str, Any]) -> dict[str, tuple[int, int, int, int]]:
    return {item["handle"]: (item["allowed"], item["denied"], item["first"], item["last"]) for item in answer["people"]}


def test_counts_first_and_last_by_person(desk: Office) -> None:
    first = desk.access("ana")
    desk.access("ana", "public.visits")
    ben = desk.access("ben")
    grant(desk, "ana")
    allowed = desk.access("ana")
    last = desk.access("ana")
    answer = did(desk)
    assert {"ana": (2, 1, first, last), "ben": (0, 1, ben, ben)} == counts(answer)
    assert {"ana": (1, 0, allowed, allowed)} == counts(did(desk, **{"from": str(allowed), "to": str(last)}))
    assert ({}, []) == (answer["unread"], answer["not_told"])
    assert answer["by_tags"] is True


def test_a_system_counts_logins_and_an_action_is_one_action(desk: Office) -> None:
    desk.access("ana")
    assert {"ana": (1, 1)} == {name: found[:2] for name, found in counts(did(desk, "clinic")).items()}
    assert {"ana": (1, 0)} == {name: found[:2] for name, found in counts(did(desk, "clinic", action="login")).items()}
    assert {} == counts(did(desk, action="write"))


def test_the_range_and_its_root_are_named(desk: Office) -> None:
    desk.access("ana")
    answer = did(desk)
    status = desk.admin.get("/v1/status")
    assert {"first": 0, "stop": status["size"]} == answer["range"]
    assert answer["log"]["size"] + answer["log"]["beyond"] >= answer["range"]["stop"]
    assert len(answer["log"]["root"]) == 64


def test_could_against_did(desk: Office) -> None:
    taken = grant(desk, "ana")
    desk.access("ana")
    desk.access("ben")
    desk.access("theo")
    desk.apply({taken: None})
    grant(desk, "theo")
    desk.access("theo")
    grant(desk, "etl")
    rows = did(desk, action="read", could="now")["beside"]
    assert [
        ("ana", "did and could no more", 1, 0),
        ("etl", "could and never did", 0, 0),
        ("theo", "could and did", 1, 1),
        ("ben", "could not and was denied", 0, 1),
    ] == [(row["handle"], row["finding"], row["allowed"], row["denied"]) for row in rows]


def test_changes_of_an_object_and_who_approved(desk: Office) -> None:
    grant(desk, "ana")
    desk.apply({"policy/two-people": PEOPLE["policy/two-people"]})
    theo = desk.client(desk.token("theo"))
    wish = {"who": "ben", "actions": ["read"], "resource": "clinic", "seconds": 60, "reason": "r"}
    proposal = desk.admin.post("/v1/grants", wish)["index"]
    theo.post(f"/v1/proposals/{proposal}/approvals", {"reason": "yes"})
    assert {"root": (2, 1), "theo": (1, 0)} == {name: found[:2] for name, found in counts(did(desk, "grant/")).items()}
    assert {"root": (1, 0)} == {name: found[:2] for name, found in counts(did(desk, "grant/ana/g")).items()}


def test_the_human_behind_a_service(desk: Office) -> None:
    made = desk.admin.post("/v1/tokens", {"who": "etl", "label": "nightly"})
    credential = f"token-{made['thumbprint']}"
    desk.access("etl", credential=credential)
    desk.access("ana")
    people = {item["handle"]: item["behind"] for item in did(desk)["people"]}
    expected = {"credential": credential, "label": "nightly", "given_by": "root", "record": made["change"]}
    assert {"ana": [], "etl": [expected]} == people


def test_without_body_keys_tags_still_tell_and_without_both_nobody_can(desk: Office) -> None:
    index = desk.access("ana")
    other = desk.access("ana", "public.visits")
    site = Site(desk.root)
    sealed = SharedRecords(Reader.of_folder(site.root, site.disk, {}, site.keys()))
    patients = Resource(TABLE, PATIENTS, "clinic")
    key = Tagger(site.secrets.tag_key).key_of("clinic|table|public.patients")
    found = {}
    for name, at_hand in (("tags", key), ("nothing", None)):
        told = Reading()
        list(Did(sealed, patients, None, at_hand).read(0, sealed.size, told))
        seen = {touched.last for touched in told.touched.values()}
        found[name] = (seen, told.unread, told.not_told)
    assert {"tags": ({index}, {"no key": 1}, []), "nothing": (set(), {}, [index, other])} == found


def test_a_range_that_is_none_is_refused(desk: Office) -> None:
    with pytest.raises(InvalidInput, match="ends before it begins"):
        did(desk, **{"from": "6", "to": "3"})
    with pytest.raises(InvalidInput, match="parameter 'action' is missing"):
        did(desk, could="now")
