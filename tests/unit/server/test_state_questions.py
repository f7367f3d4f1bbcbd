"""What governed somebody at a moment, how an object became what it is, what differs between two moments: one small
story whose answers were worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from office import PEOPLE, Office, office

from affidavit.errors import InvalidInput
from affidavit.state.context import build_context, context_digest

POLICY = 'permit (principal in Group::"staff", action == Action::"read", resource == Table::"clinic/public.wards");'


@dataclass
class Story:
    """The office, and the index of each change."""

    desk: Office
    people: int
    staff: int
    raised: int
    limit: int
    grant: int
    proposal: int
    approval: int
    suspended: int
    back: int
    taken: int

    @property
    def ana(self) -> str:
        return self.desk.live.resolve("ana")

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        return self.desk.admin.get(f"/v1/state{path}", **params)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with office(tmp_path_factory.mktemp("story")) as desk:
        people = desk.apply({**PEOPLE, "settings/system/clinic": values("capture.parameters", "digest")}, "first day")
        # Below the floor of later: nobody may put it there once the floor stands.
        desk.admin.post("/v1/settings/floor", {"values": {"capture.result": "off"}, "reason": "lower"})
        staff = desk.apply(
            {
                "group/staff": {},
                "membership/group:analysts/staff": {},
                "policy/wards": {"text": POLICY},
                "settings/group/staff": values("capture.result", "off"),
            },
            "the wards",
        )
        raised = desk.admin.post("/v1/settings/floor", {"values": {"capture.result": "count"}, "reason": "raise"})
        limit = desk.admin.post("/v1/settings/ana", {"values": {"capture.statement": "normalized"}, "reason": "r"})
        theo = desk.client(desk.token("theo"))
        wish = {"who": "ana", "actions": ["read"], "resource": "clinic/public.patients", "seconds": 600}
        proposed = desk.admin.post("/v1/grants", {**wish, "reason": "recall", "ticket": "DPO-512"})
        approved = theo.post(f"/v1/proposals/{proposed['index']}/approvals", {"reason": "confirmed"})
        suspended = desk.apply({"identity/ana": {"kind": "human", "status": "suspended"}}, "left")
        back = desk.apply({"identity/ana": {"kind": "human", "status": "active"}}, "back")
        name = next(name for name in desk.live.snapshot().names(f"grant/{desk.live.resolve('ana')}/"))
        taken = desk.apply({name.replace(desk.live.resolve("ana"), "ana"): None}, "over")
        yield Story(
            desk,
            people["change"],
            staff["change"],
            raised["change"],
            limit["change"],
            approved["change"],
            proposed["index"],
            approved["index"],
            suspended["change"],
            back["change"],
            taken["change"],
        )


def values(name: str, value: str) -> dict[str, Any]:
    return {"values": [{"name": name, "value": value}]}


def test_the_whole_context_then_with_what_each_part_came_from(story: Story) -> None:
    said = story.get("/context", at=str(story.suspended), actor="ana", system="clinic")
    assert (said["at"], said["state"], said["handle"]) == (story.suspended, story.grant + 1, "ana")
    assert (said["identity"]["value"]["status"], said["identity"]["version"]) == ("active", story.people)
    assert [(one["group"], one["via"], one["memberships"]) for one in said["groups"]] == [
        ("analysts", [], [story.people]),
        ("staff", ["analysts"], [story.people, story.staff]),
    ]
    (grant,) = said["grants"]
    assert (grant["state"], grant["through"], grant["version"]) == ("live", None, story.grant)
    assert (grant["value"]["ticket"], grant["shown"].split("/")[1]) == ("DPO-512", "ana")
    policies = [(one["name"], one["version"], one["value"]["text"]) for one in said["policies"]]
    assert ("policy/wards", story.staff, POLICY) in policies
    assert {one["name"]: (one["value"], one["scope"], one.get("version")) for one in said["settings"]} == {
        "capture.parameters": ("digest", "system", story.people),
        "capture.result": ("count", "floor", story.raised),  # the group says `off`, which lies below the floor
        "capture.statement": ("normalized", "user", story.limit),
        "guarantee.read": ("before_answer", "organisation", 2),
        "guarantee.write": ("before_action", "organisation", 2),
        "on_log_failure": ("refuse", "organisation", 2),
        "retention": ("P2190D", "organisation", 2),
    }
    assert (said["configured"], said["declared"]["version"], said["observed"]) == (True, story.people, [])
    assert [one["index"] for one in said["records"]] == [
        2,
        story.people,
        story.staff,
        story.raised,
        story.limit,
        story.grant,
    ]
    live = build_context(story.desk.live.snapshot(), story.ana, "clinic")
    assert story.get("/context", at="now", actor="ana", system="clinic")["digest"] == context_digest(live)


def test_a_grant_that_is_over_then_or_not_there_yet(story: Story) -> None:
    before = story.get("/context", at=str(story.grant), actor="ana", system="clinic")
    assert (before["grants"], before["at"]) == ([], story.grant)
    after = story.get("/context", at="now", actor="ana", system="clinic")
    assert after["grants"] == []


def test_who_did_not_exist_then_has_no_identity(story: Story) -> None:
    said = story.get("/context", at=str(story.people), actor="ana", system="clinic")
    assert (said["identity"], said["groups"], said["grants"], said["declared"]) == (None, [], [], None)
    assert (said["configured"], said["handle"]) == (False, None)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"actor": "nobody", "system": "clinic"}, "who.unknown"),
        ({"actor": "ana", "system": "elsewhere"}, "state.system"),
        ({"actor": "ana"}, "state.whom"),
        ({"actor": "ana", "system": "clinic", "at": "23:99"}, "time.text"),
        ({"actor": "ana", "system": "clinic", "at": "999999"}, "state.index"),
    ],
)
def test_what_cannot_be_meant_is_refused(story: Story, asked: dict[str, str], code: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        story.get("/context", **asked)
    assert raised.value.code == code


def test_a_history_has_every_version_with_who_why_and_by_whose_approval(story: Story) -> None:
    name = story.get("/diff", a=str(story.proposal), b=str(story.suspended), prefix="grant/")["objects"][0]["shown"]
    said = story.get("/history", object=name)
    put, removed = said["versions"]
    assert [put[key] for key in ("index", "change", "who", "reason", "ticket", "proposal")] == [
        story.grant,
        "added",
        "root",
        "recall",
        "DPO-512",
        story.proposal,
    ]
    theo = story.desk.live.resolve("theo")
    assert put["approvals"] == [{"by": "theo", "identity": theo, "record": story.approval, "proved": True}]
    assert {"member": "actions", "before": None, "after": ["read"]} in put["difference"]
    assert [removed[key] for key in ("index", "change", "who", "reason", "value", "approvals")] == [
        story.taken,
        "removed",
        "root",
        "over",
        None,
        [],
    ]


def test_a_history_says_what_differs_from_the_version_before(story: Story) -> None:
    said = story.get("/history", object="identity/ana")
    assert [(one["index"], one["change"], one["reason"]) for one in said["versions"]] == [
        (story.people, "added", "first day"),
        (story.suspended, "changed", "left"),
        (story.back, "changed", "back"),
    ]
    assert said["versions"][1]["difference"] == [{"member": "status", "before": "active", "after": "suspended"}]


def test_all_about_an_identity(story: Story) -> None:
    said = story.get("/history", object="identity/ana", all="1")
    assert [(one["index"], one["object"].split("/")[0], one["change"]) for one in said["versions"]] == [
        (story.people, "identity", "added"),
        (story.people, "membership", "added"),
        (story.people, "profile", "added"),
        (story.limit, "settings", "added"),
        (story.grant, "grant", "added"),
        (story.suspended, "identity", "changed"),
        (story.back, "identity", "changed"),
        (story.taken, "grant", "removed"),
    ]
    with pytest.raises(InvalidInput) as raised:
        story.get("/history", object="group/staff", all="1")
    assert raised.value.code == "state.all"
    with pytest.raises(InvalidInput) as raised:
        story.get("/history", object="group/never")
    assert raised.value.code == "state.object"


def test_a_difference_names_what_was_added_changed_removed_and_put_back(story: Story) -> None:
    said = story.get("/diff", a=str(story.staff), b=str(story.suspended + 1), prefix="")
    found = {one["shown"]: (one["change"], one["records"]) for one in said["objects"]}
    grant = next(name for name in found if name.startswith("grant/ana/"))
    token = next(name for name in found if name.startswith("credential/"))
    assert found == {
        "group/staff": ("added", [story.staff]),
        "membership/group:analysts/staff": ("added", [story.staff]),
        "policy/wards": ("added", [story.staff]),
        "settings/floor": ("changed", [story.raised]),
        "settings/group/staff": ("added", [story.staff]),
        "settings/user/ana": ("added", [story.limit]),
        token: ("added", found[token][1]),
        grant: ("added", [story.grant]),
        "identity/ana": ("changed", [story.suspended]),
    }
    there_and_back = story.get("/diff", a=str(story.suspended), b="now", prefix="identity/")
    assert [(one["change"], one["records"]) for one in there_and_back["objects"]] == [
        ("none", [story.suspended, story.back])
    ]
    removed = story.get("/diff", a=str(story.taken), prefix="grant/ana/")
    assert [(one["change"], one["after"]) for one in removed["objects"]] == [("removed", None)]
    assert [one["index"] for one in removed["records"]] == [story.taken]
    assert story.get("/diff", a=str(story.taken + 1))["objects"] == []
    with pytest.raises(InvalidInput) as raised:
        story.get("/diff", a="5", b="3")
    assert raised.value.code == "state.order"


def test_a_time_is_read_in_its_zone_and_answered_in_utc(story: Story) -> None:
    moment = story.desk.admin.get(f"/v1/records/{story.suspended}")["header"]["log"]["at"]
    hour = f"{(int(moment[11:13]) + 1) % 24:02}"
    if hour != "00":
        local = f"{moment[:11]}{hour}{moment[13:29]}+01:00"
        said = story.get("", at=local, prefix="identity/ana")
        assert (said["at"], said["moment"]["utc"]) == (story.suspended + 1, moment)
        assert said["moment"]["read"] == f"{local[:10]} {local[11:29]} in UTC+01:00"
    assert story.get("", at=moment)["moment"]["read"] == f"{moment[:10]} {moment[11:29]} UTC"
    early = story.get("", at="1999-12-31")
    assert (early["at"], early["objects"], early["begins"]) == (0, [], story.get("", at="0")["begins"])
