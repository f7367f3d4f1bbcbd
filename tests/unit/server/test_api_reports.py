"""Applications report somebody's own configuration there, through the real API over its socket."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from office import PEOPLE, Office, office

from affidavit.cli.declaration import read_declaration
from affidavit.cli.main import run

OURS = """permit (principal == Identity::"%s", action == Action::"define", resource in ObjectKind::"reported")
when { context has sources && context.sources == ["ward"] };"""
SOURCE = {"kind": "application", "description": "the ward's screens"}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply({**PEOPLE, "identity/ward-app": {"kind": "service"}, "source/ward": SOURCE, "source/desk": SOURCE})
        one.apply({"policy/ward-reports": {"text": OURS % one.live.identity_by_handle("ward-app")}})
        yield one


def assert_verifies(desk: Office) -> None:
    desk.ledger.publish_now()
    assert 0 == run(["verify", str(desk.root), "--key", str(desk.root / "secrets" / "log.vkey")])


@contextmanager
def calling(desk: Office) -> Iterator[httpx.Client]:
    """As an application calls it: HTTP over the socket, with a token, and nothing of ours."""
    headers = {"authorization": f"Bearer {desk.token('ward-app')}"}
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(desk.path)), base_url="http://log", headers=headers
    ) as client:
        yield client


@pytest.fixture
def ward(desk: Office) -> Iterator[httpx.Client]:
    with calling(desk) as client:
        yield client


def report(ward: httpx.Client, values: Any, who: str = "ana", source: str = "ward") -> httpx.Response:
    return ward.put(f"/v1/reports/{source}/{who}", json={"values": values})


def applying(desk: Office, who: str = "ana") -> dict[str, tuple[str, str]]:
    shown = desk.admin.get(f"/v1/settings/{who}", system="clinic")
    return {one["name"]: (one["value"], one["scope"]) for one in shown["effective"] if one["name"].startswith("app.")}


def test_what_is_reported_applies_from_its_record_on_and_is_bound_to_each_access(
    desk: Office, ward: httpx.Client
) -> None:
    before = desk.access("ana")
    said = report(ward, {"app.theme": "dark", "app.rows_shown": "50"}).json()
    assert "change" == said["kind"]
    assert {"app.theme": ("dark", "reported:ward"), "app.rows_shown": ("50", "reported:ward")} == applying(desk)
    after = desk.access("ana")
    # All of it at once: what is not reported again is gone.
    assert "change" == report(ward, {"app.theme": "light"}).json()["kind"]
    assert {"app.theme": ("light", "reported:ward")} == applying(desk)
    assert "nothing" == report(ward, {"app.theme": "light"}).json()["kind"], "nothing new is no record"
    assert "change" == report(ward, {}).json()["kind"]
    assert "nothing" == report(ward, {}).json()["kind"]
    assert {} == applying(desk)

    def bound(access: int) -> dict[str, tuple[str, str, Any]]:
        explained = desk.admin.get(f"/v1/records/{access}/explain")
        settings = explained["settings"]
        return {
            one["name"]: (one["value"], one["scope"], one.get("version"))
            for one in settings
            if one["name"].startswith("app.")
        }

    assert {} == bound(before)
    first = said["index"]
    assert {
        "app.theme": ("dark", "reported:ward", first),
        "app.rows_shown": ("50", "reported:ward", first),
    } == bound(after)


def test_policy_says_who_reports_for_which_source(desk: Office, ward: httpx.Client) -> None:
    other = report(ward, {"app.theme": "dark"}, source="desk")
    assert (403, "change.denied") == (other.status_code, other.json()["code"])
    assert {} == applying(desk)
    assert_verifies(desk)
    # Nor may it set what somebody declared of themselves, or anything but settings of applications.
    set_theirs = ward.post("/v1/settings/ana", json={"values": {"app.theme": "x"}, "reason": "mine"})
    assert 403 == set_theirs.status_code
    for values, code in (({"capture.result": "off"}, "state.object"), ({"app.theme": 5}, "state.object"), (5, None)):
        refused = report(ward, values)
        assert 400 == refused.status_code
        assert code in (None, refused.json()["code"])
    assert 400 == report(ward, {"app.theme": "dark"}, who="nobody").status_code
    assert 400 == report(ward, {"app.theme": "dark"}, source="no-such-source").status_code


def test_it_is_seen_as_of_any_moment_and_can_be_proven(desk: Office, ward: httpx.Client, tmp_path: Path) -> None:
    index = report(ward, {"app.theme": "dark"}).json()["index"]
    report(ward, {"app.theme": "light"})
    objects = desk.admin.get("/v1/state", at=str(index + 1), prefix="reported/")["objects"]
    assert [[{"name": "app.theme", "value": "dark"}]] == [one["value"]["values"] for one in objects]
    for asked in ({"object": "reported/ana/ward"}, {"object": "identity/ana", "all": "1"}):
        versions = desk.admin.get("/v1/state/history", **asked)["versions"]
        assert ["dark", "light"] == [
            one["value"]["values"][0]["value"] for one in versions if one["value"].get("values")
        ]
    assert_verifies(desk)


def test_the_how_to_is_true(tmp_path: Path) -> None:
    """Its declaration applies as it stands there, and its request does what it says."""
    page = (Path(__file__).parents[3] / "docs" / "howto" / "reports.md").read_text(encoding="utf-8")
    declared = tmp_path / "ward.yaml"
    declared.write_text(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0], encoding="utf-8")
    asked = re.findall(r"http://log(/v1/reports/\S+) -X (\w+)[^']*-d '(.*?)'", page, re.DOTALL)
    assert 1 == len(asked)
    path, method, body = asked[0]
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        desk.apply(read_declaration(declared).objects)
        with calling(desk) as ward:
            assert "change" == ward.request(method, path, content=body).json()["kind"]
        assert {name: (value, "reported:ward") for name, value in json.loads(body)["values"].items()} == applying(desk)


def test_who_can_report_is_answered_by_deciding(desk: Office) -> None:
    for source, expected in (("ward", "yes"), ("desk", "no")):
        asked = {"action": "define", "resource": f"reported/ana/{source}", "at": "now", "facts": "{}"}
        people = desk.admin.get("/v1/who/could", **asked)["people"]
        assert expected == next(one["answer"] for one in people if one["handle"] == "ward-app")
