"""Every question asked of a log in which bodies were erased: it says what is absent and by which record, and the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from office import PEOPLE, Office, office

from affidavit.cli.main import run
from affidavit.config import load_config
from affidavit.errors import Unavailable

TABLE = "clinic/public.patients"


@dataclass
class Story:
    """Indexes of the records of one story, and by which records some of them were erased."""

    desk: Office
    people: int
    proposal: int
    approval: int
    grant: int
    used: int
    profile: int
    limit: int
    taken: int
    refused: int
    end: int
    by: dict[int, int]

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        return self.desk.admin.get(f"/v1{path}", **params)

    def said(self, index: int) -> dict[str, int]:
        return {"index": index, "by": self.by[index]}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Ana is given a grant by two people, uses it, gets another name and settings, and loses the grant. Then the grant
    with its proposal, its use, the name and the settings are erased."""
    with office(tmp_path_factory.mktemp("erased")) as desk:
        own = {"settings/user/ana": {"capture.result": "count"}, "settings/user/root": {}}
        people = desk.apply({**PEOPLE, **own})["index"]
        theo = desk.client(desk.token("theo"))
        wish = {"who": "ana", "actions": ["read"], "resource": TABLE, "seconds": 86_400, "reason": "recall"}
        proposal = desk.admin.post("/v1/grants", wish)["index"]
        approved = theo.post(f"/v1/proposals/{proposal}/approvals", {"reason": "confirmed"})
        used = desk.access("ana")
        profile = desk.apply({"identity/ana": {"name": "Ana Berg"}})["index"]
        limit = desk.apply({"settings/user/ana": {"capture.result": "digest"}})["index"]
        desk.apply({"settings/user/ana": {"capture.result": "count"}})
        name = next(item["name"] for item in desk.admin.get("/v1/state", prefix="grant/")["objects"])
        taken = desk.apply({name: None})["index"]
        refused = desk.access("ana")
        end, grant, by = desk.ledger.size, approved["change"], {}
        for index in (proposal, grant, used, profile, limit):
            answer = desk.admin.post(f"/v1/records/{index}/erasure", {"reason": "asked for"})
            by[index] = answer["index"]
        yield Story(desk, people, proposal, approved["index"], grant, used, profile, limit, taken, refused, end, by)


def test_findings_count_it_and_tell_who_erased_what_they_did(story: Story) -> None:
    lines = [json.loads(line) for line in story.desk.admin.lines("/v1/findings")]
    report = lines[-1]["report"]
    gone = [story.proposal, story.grant, story.used, story.profile, story.limit]
    assert {
        "what": "its body was erased",
        "count": 5,
        "records": gone,
        "by": [story.by[index] for index in gone],
    } in report["not_looked_at"]
    own = [line["finding"] for line in lines if line.get("finding", {}).get("code") == "erase.own"]
    assert [[index, story.by[index]] for index in gone if index != story.used] == [one["records"] for one in own]
    assert (
        f"root erased the body of record {story.grant}, which is of what root did (change), in record "
        f"{story.by[story.grant]}."
    ) in [one["sentence"] for one in own]


def test_who_did(story: Story) -> None:
    def did(resource: str) -> dict[str, Any]:
        return dict(list(story.desk.admin.asked("/v1/who/did", resource=resource))[-1]["answer"])

    told = did("clinic")
    assert ({"erased": 1}, [story.said(story.used)]) == (told["unread"], told["erased"])
    told = did("grant/")
    assert [story.proposal, story.approval, story.grant, story.profile, story.limit] == told["not_told"]
    erased = [(item["index"], item["by"]) for item in told["erased"]]
    assert (story.approval, story.by[story.proposal]) in erased, "what it approved stood in its proposal"
    assert {"root"} == {item["handle"] for item in told["people"]}


def test_who_can(story: Story) -> None:
    def could(at: int) -> dict[str, dict[str, Any]]:
        told = story.get("/who/could", action="read", resource=TABLE, at=str(at))
        assert [] == told["erased"]
        return {item["identity"]: item for item in told["people"]}

    theo = story.desk.live.resolve("theo")
    then = could(story.used)
    said = f"what record {story.grant} put, which record {story.by[story.grant]} erased"
    assert ("depends", [said]) == (then[ana(story)]["answer"], then[ana(story)]["on"])
    assert "no" == then[theo]["answer"] == could(story.end)[ana(story)]["answer"]


def test_what_governed_somebody(story: Story) -> None:
    with pytest.raises(Unavailable, match=f"record {story.grant} was erased by record {story.by[story.grant]}") as no:
        story.get("/state/context", at=str(story.used), actor=ana(story), system="clinic")
    assert "state.erased" == no.value.code
    now = story.get("/state/context", at=str(story.end), actor=ana(story), system="clinic")
    assert (None, None, story.by[story.profile]) == (
        now["handle"], now["profile"]["value"], now["profile"]["erased_by"]
    )  # fmt: skip


def test_state_history_names_the_record(story: Story) -> None:
    def versions(name: str, **more: str) -> list[tuple[int, str, int | None]]:
        told = story.get("/state/history", object=name, **more)
        return [(one["index"], one["change"], one["erased_by"]) for one in told["versions"]]

    gone = (story.profile, "erased", story.by[story.profile])
    assert [(story.people, "added", None), gone] == versions(f"profile/{ana(story)}")
    setting = versions(f"settings/user/{ana(story)}")
    assert [(story.people, "added", None), (story.limit, "erased", story.by[story.limit])] == setting[:2]
    assert ["changed"] == [change for _, change, _ in setting[2:]]
    (last,) = story.get("/state/history", object=f"settings/user/{ana(story)}")["versions"][2:]
    assert [] == last["difference"], "from what is not known"
    whole = story.get("/state/history", object=f"identity/{ana(story)}", all="1")
    assert [{"version": story.grant, "by": story.by[story.grant]}] == whole["erased"]


def test_state_diff_names_what_it_knows(story: Story) -> None:
    told = story.get("/state/diff", a=str(story.grant), b=str(story.limit), prefix="")
    (only,) = told["objects"]
    assert (f"profile/{ana(story)}", "erased", None, [], [story.profile]) == (
        only["name"], only["change"], only["after"], only["difference"], only["records"]
    )  # fmt: skip
    assert [story.said(story.grant), story.said(story.profile)] == told["erased"]
    back = story.get("/state/diff", a=str(story.limit + 1), b=str(story.end), prefix="settings/")["objects"]
    assert [("changed", None, [])] == [(one["change"], one["before"], one["difference"]) for one in back]


def test_what_if(story: Story) -> None:
    def case(index: int, at: int) -> dict[str, Any]:
        lines = list(story.desk.admin.asked("/v1/what-if", {"index": index, "at": str(at)}))
        return dict(lines[-1]["answer"])

    told = case(story.used, story.end)
    assert f"its body was erased by record {story.by[story.used]}" == told["case"]["because"]
    erased = f"record {story.grant} was erased by record {story.by[story.grant]}"
    assert erased in told["differences_unknown"]
    told = case(story.refused, story.used)
    assert ("undecided", True) == (told["case"]["class"], erased in told["case"]["because"])


def test_shares(story: Story) -> None:
    path, asked = f"/settings/{ana(story)}/share", {"name": "capture.result", "system": "clinic"}
    before = story.get(path, **asked, **{"from": str(story.people + 1), "to": str(story.limit)})
    assert {"count"} == {one["value"] for one in before["intervals"]}, "an erased grant does not bear on settings"
    with pytest.raises(Unavailable, match=f"record {story.limit} was erased by record {story.by[story.limit]}"):
        story.get(path, **asked, **{"from": str(story.people + 1), "to": str(story.end)})


def test_for_what_share_an_object_stood(story: Story) -> None:
    asked = {"object": f"settings/user/{ana(story)}", "from": str(story.people + 1)}
    (before,) = story.get("/state/share", **asked, to=str(story.limit))["objects"]
    assert "1.000000000" == before["as_at_end"]["share"]
    with pytest.raises(Unavailable, match=f"record {story.limit} was erased by record {story.by[story.limit]}"):
        story.get("/state/share", **asked, to=str(story.end))


def test_who_stands_behind(story: Story) -> None:
    behind = story.get(f"/records/{story.used}")["behind"]
    assert (ana(story), "human") == (behind["identity"], behind["kind"]), "the record of its session says how"
    change = story.get(f"/records/{story.grant}")["behind"]
    assert [
        f"How it was proved: record {story.proposal} says so, and record {story.by[story.proposal]} erased it."
    ] == change["unknown"]


def test_explain_of_what_came_after(story: Story) -> None:
    told = story.get(f"/records/{story.refused}/explain")
    assert ("deny", True) == (told["again"]["decision"], told["again"]["same"])


def test_export_and_the_commands(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(story.desk.root)
    load_config(story.desk.root).server.socket.symlink_to(story.desk.path)

    def said(*words: str, status: int = 0) -> str:
        capsys.readouterr()
        assert status == run([*words, "--data", root])
        return capsys.readouterr().out

    lines = [json.loads(line) for line in said("export").splitlines()]
    erased = {line["index"]: line["erased_by"] for line in lines if line.get("body_state") == "erased"}
    assert erased == story.by
    gone = story.by
    assert f"{story.grant} by record {gone[story.grant]}" in said("findings", status=1)
    assert f"Erased: {story.used} (by record {gone[story.used]})" in said("who", "did", "clinic")
    assert f"what record {story.grant} put, which record" in said("who", "can", "read", TABLE, "--at", str(story.used))
    history = said("state", "history", f"identity/{ana(story)}", "--all")
    assert f"the record's body was erased by record {gone[story.profile]}" in history
    assert f"put by record {story.grant}, which record {gone[story.grant]} erased" in history
    between = said("state", "diff", str(story.grant), str(story.limit))
    assert f"Not known whole: record {story.grant}, which record {gone[story.grant]} erased." in between


def ana(story: Story) -> str:
    """Her id: her handle went with her profile."""
    header = story.get(f"/records/{story.used}")["header"]
    return str(header["actor"])
