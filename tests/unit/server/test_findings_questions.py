"""Findings over the API and by the command: what was looked at is said, and the exit status says whether there is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from office import PEOPLE, Office, office, opened

from affidavit.cli.main import run
from affidavit.errors import Denied, InvalidInput

#: Nobody needs a second person for a grant here.
ALONE = {name: value for name, value in PEOPLE.items() if name != "policy/two-people"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("findings")) as one:
        one.apply({**ALONE, "settings/user/ana": {"capture.result": "count"}})
        yield one


def asked(desk: Office, **params: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    lines = [json.loads(line) for line in desk.admin.lines("/v1/findings", **params)]
    assert "report" in lines[-1], lines
    return [line["finding"] for line in lines if "finding" in line], lines[-1]["report"]


def test_a_brief_grant_found_over_the_api(desk: Office) -> None:
    begin = desk.ledger.size
    granted = desk.admin.post(
        "/v1/changes",
        {
            "objects": {
                "grant/ana/g-1": {"actions": ["read"], "resource": "clinic/public.patients"},
            },
            "reason": "recall",
        },
    )["change"]
    used = desk.access("ana")
    gone = desk.apply({"grant/ana/g-1": None}, "over")["change"]
    found, report = asked(desk, **{"from": begin, "actor": "ana"})
    assert [(one["code"], one["records"], one["who"]) for one in found] == [
        ("grant.brief", [granted, used, gone], "ana")
    ]
    assert [time["record"] for time in found[0]["times"]] == [granted, used, gone]
    assert all(isinstance(time["bound_ns"], int | None) for time in found[0]["times"])
    assert report["range"] | {"from": 0, "to": 0} == {"first": begin, "stop": gone + 1, "from": 0, "to": 0}
    assert report["looked_at"] == {"records": gone + 1 - begin, "accesses": 1, "changes": 2}
    assert (report["root"]["state"], report["found"], report["not_looked_at"]) == (gone + 1, 1, [])
    assert len(report["root"]["published_root"]) == len(report["root"]["state_root"]) == 64

    session = desk.admin.get(f"/v1/records/{used}")["header"]["session"]
    assert [one["code"] for one in asked(desk, session=str(used))[0]] == ["grant.brief"]
    assert asked(desk, session=str(session), before_s=0)[0] == []
    assert asked(desk, **{"from": gone})[0] == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"from": "3", "to": "1"}, "findings.stretch"),
        ({"session": "2", "to": "3"}, "findings.stretch"),
        ({"session": "0"}, "session.index"),
        ({"actor": "nobody"}, "who.unknown"),
        ({"form": "3"}, "http.member"),
    ],
)
def test_what_cannot_be_meant_is_refused(desk: Office, params: dict[str, str], code: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        asked(desk, **params)
    assert raised.value.code == code


def test_findings_take_the_right_to_read(desk: Office) -> None:
    with pytest.raises(Denied):
        list(desk.client(desk.token("ana")).lines("/v1/findings"))


def test_the_command_says_what_it_looked_at_and_exits_by_what_it_found(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    with office(tmp_path_factory.mktemp("command")) as one:
        one.apply({**ALONE, "settings/user/ana": {"capture.result": "count"}})
        root = one.root
    assert run(["findings", "--data", str(root)]) == 0
    assert capsys.readouterr().out.startswith("No finding in records 0 to ")
    assert run(["findings", "--data", str(root), "--json", "--system", "clinic"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["findings"], len(said["report"]["left_out"])) == ([], 1)
    assert run(["findings", "--data", str(root), "--from", "3", "--to", "1"]) == 2
    capsys.readouterr()
    with opened(root) as one:
        wish = {"objects": {"group/new": {}}, "reason": "r", "claimed": ["Theo"]}
        change = one.admin.post("/v1/changes", wish)["change"]
    assert run(["findings", "--data", str(root)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("! change.claimed\n") and f"  record {change}: " in said


def test_the_session_command_says_what_applied_and_from_when_a_change_counted(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    with office(tmp_path_factory.mktemp("session")) as one:
        setting = one.apply({**ALONE, "settings/user/ana": {"capture.result": "count"}})["change"]
        used = one.access("ana")
        one.apply({"group/new": {}}, "while it was open")
        root = one.root
    assert run(["session", str(used), "--data", str(root)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"capture.result count (user, record {setting})" in said
    assert f"was told: permission denied by Affidavit (record {used}) No policy or grant allows it." in said
    assert "does not touch this session; in force from no action after it" in said
    assert run(["session", str(used), "--data", str(root), "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert [action["index"] for action in whole["actions"]] == [whole["opened"], used]
    assert whole["ended"]["how"] == "open"


def test_for_what_share_of_a_period_a_setting_was_in_force(desk: Office, capsys: pytest.CaptureFixture[str]) -> None:
    first = desk.apply({"settings/user/theo": {"capture.result": "count"}})["change"]
    second = desk.apply({"settings/user/theo": {"capture.result": "digest"}})["change"]
    desk.apply({"group/after": {}})
    asked = {"name": "capture.result", "system": "clinic", "from": first, "to": second + 1}
    told = desk.admin.get("/v1/settings/theo/share", **asked)
    # An index stands for the moment of its record: what was in force until then has no length.
    assert [(one["value"], one["scope"], one["version"]) for one in told["intervals"]] == [
        ("count", "user", first),
        ("digest", "user", second),
    ]
    total = sum(int(one["ns"]) for one in told["intervals"])
    assert told["ns"] == str(total)
    with pytest.raises(InvalidInput) as raised:
        desk.admin.get("/v1/settings/theo/share", name="capture.none")
    assert raised.value.code == "state.setting"


def test_the_share_command(tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]) -> None:
    with office(tmp_path_factory.mktemp("share")) as one:
        setting = one.apply({**ALONE, "settings/user/ana": {"capture.result": "count"}})["change"]
        root = one.root
    since = ["--from", str(setting + 1), "--data", str(root)]
    assert run(["settings", "share", "capture.result", "--who", "ana", "--system", "clinic", *since]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].split()[3:] == ["count", "user", str(setting), "100.000", "%"]
    assert said[2].startswith("capture.result for ana on clinic until ") and said[2].endswith(": count 100.000 %.")
