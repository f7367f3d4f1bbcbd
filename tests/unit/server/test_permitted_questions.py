"""When what somebody may do changed, and for what share of a period objects stood, asked of the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from office import PEOPLE, Office, office

from affidavit.errors import InvalidInput


def asked(desk: Office, **params: str) -> dict[str, Any]:
    return list(desk.admin.asked("/v1/state/permitted", **params))[-1]["answer"]


def test_a_history_of_somebody_on_a_system(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        people = desk.apply(PEOPLE, "first day")["change"]
        rule = 'permit (principal in Group::"staff", action == Action::"read", resource == System::"clinic");'
        staff = desk.apply({"group/staff": {}, "policy/staff": {"text": rule}}, "wards")["change"]
        nested = desk.apply({"membership/group:analysts/staff": {}}, "joined")["change"]
        desk.apply({"identity/ana": {"kind": "human", "name": "Ana L."}}, "married")
        answer = asked(desk, actor="ana", system="clinic", **{"from": str(staff)})
        assert (answer["handle"], answer["actor"]) == ("ana", desk.live.resolve("ana"))
        assert sorted(one["shown"] for one in answer["before"] if one["part"] in ("group", "policy")) == [
            "analysts",
            "policy/analysts",
        ]
        (moment,) = answer["moments"]
        assert (moment["index"], moment["who"], moment["reason"], moment["reach"], moment["about_person"]) == (
            nested,
            "root",
            "joined",
            "nested group",
            False,
        )
        whole = asked(desk, actor="ana", system="clinic")
        assert [one["index"] for one in whole["moments"]] == [people, nested]
        assert asked(desk, actor="ana", system="clinic", to=str(nested))["moments"] == whole["moments"][:1]
        for params, code in (
            ({"actor": "ana"}, "state.whom"),
            ({"actor": "ana", "system": "elsewhere"}, "state.system"),
            ({"actor": "nobody", "system": "clinic"}, "who.unknown"),
            ({"actor": "ana", "system": "clinic", "form": "0"}, "http.member"),
            ({"actor": "ana", "system": "clinic", "from": "now", "to": str(staff)}, "permitted.period"),
        ):
            with pytest.raises(InvalidInput) as raised:
                asked(desk, **params)
            assert raised.value.code == code


def test_of_what_was_erased_it_says_from_when_to_when_nothing_is_known(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        left = desk.apply({"membership/ana/analysts": None}, "left")["index"]
        back = desk.apply({"membership/ana/analysts": {}}, "back")["index"]
        desk.apply({"group/wards": {}}, "of no matter")
        again = desk.apply({"membership/ana/analysts": None}, "left again")["index"]
        whole = asked(desk, actor="ana", system="clinic", **{"from": str(left)})
        assert [(one["index"], one["unknown"], one["known_again"]) for one in whole["moments"]] == [
            (left, "", False),
            (back, "", False),
            (again, "", False),
        ]
        by = desk.admin.post(f"/v1/records/{back}/erasure", {"reason": "asked for"})["index"]
        told = asked(desk, actor="ana", system="clinic", **{"from": str(left)})
        assert [(one["index"], one["unknown"], one["known_again"]) for one in told["moments"]] == [
            (left, "", False),
            (back, f"record {back} put, which record {by} erased", False),
            (again, "", True),
        ]
        lost, unknown, known = told["moments"]
        assert lost == whole["moments"][0]
        assert ([], [], None) == (unknown["differences"], unknown["objects"], unknown["about_person"])
        assert [] == known["differences"], "compared with what was known last: she was in no group then either"
        assert 1 == told["counts"]["unknown"]
        meanwhile = asked(desk, actor="ana", system="clinic", **{"from": str(back + 1)})
        assert f"record {back} put, which record {by} erased" == meanwhile["before_unknown"]
        assert [(again, True)] == [(one["index"], one["known_again"]) for one in meanwhile["moments"]]


def test_for_what_share_objects_stood_by_the_names_that_people_use(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        people = desk.apply(PEOPLE)["change"]
        desk.admin.post("/v1/settings/ana", {"values": {"capture.result": "count"}, "reason": "r"})
        answer = desk.admin.get(
            "/v1/state/share", object=["settings/user/ana", "policy/two-people"], **{"from": str(people)}
        )
        assert [(one["shown"], [part["version"] for part in one["intervals"]]) for one in answer["objects"]] == [
            ("settings/user/ana", [None, people + 1]),
            ("policy/two-people", [people]),
        ]
        assert answer["objects"][0]["as_at_end"] == answer["together"]
        for names, code in (([], "share.objects"), (["policy/none"], "share.object"), (["cup/tea"], "state.name")):
            with pytest.raises(InvalidInput) as raised:
                desk.admin.get("/v1/state/share", object=names)
            assert raised.value.code == code
