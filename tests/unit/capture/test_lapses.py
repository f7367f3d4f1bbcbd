"""What ends: at its end, all that is overdue at a start, never before; and a clock that steps gives nothing back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from office import ORIGIN, PEOPLE, Office, Stepping, office, opened

from affidavit.capture import administration, tokens
from affidavit.capture.lapses import Lapses
from affidavit.cli.client import Client
from affidavit.cli.main import run
from affidavit.compose.create import create
from affidavit.errors import Denied
from affidavit.history.shared import SharedRecords
from affidavit.record.moment import NS, parse_moment


class SetClock:
    """A clock that stands where the test puts it."""

    def __init__(self) -> None:
        self.at_ns = 0

    def now_ns(self) -> int:
        return self.at_ns

    def monotonic_ns(self) -> int:
        return self.at_ns


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply({name: value for name, value in PEOPLE.items() if name != "policy/two-people"})
        yield one


def grant(desk: Office, seconds: int, resource: str = "clinic") -> str:
    wish = {"who": "ana", "actions": ["read"], "resource": resource, "seconds": seconds, "reason": "r"}
    change = desk.admin.post("/v1/grants", wish)["change"]
    return str(desk.admin.get(f"/v1/records/{change}")["body"]["objects"][0]["name"])


def end_of(desk: Office, name: str) -> int:
    version = desk.live.snapshot().get(name)
    assert version is not None
    return parse_moment(version.value["end"])


def step(desk: Office, clock: SetClock) -> int | None:
    return asyncio.run(Lapses(desk.live, SharedRecords(desk.ledger.reader()), desk._producer, clock, os.urandom).step())


def test_nothing_lapses_before_its_end_and_all_that_is_due_at_it(desk: Office) -> None:
    first, second, third = (
        grant(desk, 60),
        grant(desk, 60, "clinic/public.visits"),
        grant(desk, 7_200, "clinic/public.x"),
    )
    clock = SetClock()
    clock.at_ns = end_of(desk, first) - 1
    assert step(desk, clock) is None

    clock.at_ns = end_of(desk, second) + NS
    index = step(desk, clock)
    record = desk.admin.get(f"/v1/records/{index}")
    assert record["header"]["kind"] == "lapse"
    assert sorted(op["name"] for op in record["body"]["objects"]) == sorted([first, second])
    assert desk.live.snapshot().names("grant/") == [third]
    assert step(desk, clock) is None


def test_a_lapse_ends_what_the_grant_allowed(desk: Office) -> None:
    name = grant(desk, 60)
    assert desk.admin.get(f"/v1/records/{desk.access('ana')}")["header"]["decision"] == "allow"
    clock = SetClock()
    clock.at_ns = end_of(desk, name)
    step(desk, clock)
    assert desk.admin.get(f"/v1/records/{desk.access('ana')}")["header"]["decision"] == "deny"


HOUR = 3_600 * NS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    create(tmp_path / "data", ORIGIN, "root", "")
    return tmp_path / "data"


def people(desk: Office) -> None:
    desk.apply({name: value for name, value in PEOPLE.items() if name != "policy/two-people"})


def overdue(desk: Office, clock: Stepping) -> list[str]:
    """Record what is overdue; the names of what lapsed."""
    before = desk.ledger.size
    asyncio.run(Lapses(desk.live, SharedRecords(desk.ledger.reader()), desk._producer, clock, os.urandom).overdue())
    found = [desk.admin.get(f"/v1/records/{index}") for index in range(before, desk.ledger.size)]
    return [op["name"] for one in found if one["header"]["kind"] == "lapse" for op in one["body"]["objects"]]


def is_verified(root: Path) -> bool:
    return run(["verify", str(root), "--key", str(root / "secrets" / "log.vkey")]) == 0


def test_a_token_proves_nobody_from_its_end_on_and_its_end_is_a_record(root: Path) -> None:
    clock = Stepping()
    with opened(root, clock) as desk:
        people(desk)
        made = desk.admin.post("/v1/tokens", {"who": "theo", "seconds": 3_600})
        theo = desk.client(made["token"])
        assert theo.get("/v1/status")["you"]["handle"] == "theo"
        assert overdue(desk, clock) == []
        clock.ahead_ns = HOUR + NS
        with pytest.raises(Denied, match="ended at") as ended:
            theo.get("/v1/status")
        assert ended.value.code == "auth.ended"
        assert overdue(desk, clock) == [f"credential/token-{made['thumbprint']}"]
        clock.ahead_ns = 0
        with pytest.raises(Denied, match="wrong or was revoked"):
            theo.get("/v1/status")
    assert is_verified(root)


def test_what_ended_while_nothing_ran_lapses_also_where_the_clock_went_back_meanwhile(root: Path) -> None:
    clock = Stepping()
    with opened(root, clock) as desk:
        people(desk)
        name = grant(desk, 60)
        clock.ahead_ns = HOUR
        desk.apply({"group/later": {}})  # the log's own time is past the end now; nothing recorded the lapse
    clock.ahead_ns = 0
    with opened(root, clock) as desk:
        assert desk.live.snapshot().names("grant/") == [name]
        assert overdue(desk, clock) == [name]
        assert desk.live.snapshot().names("grant/") == []
    assert is_verified(root)


def test_a_clock_that_ran_ahead_and_came_back_ends_nothing_that_is_given_afterwards(root: Path) -> None:
    clock = Stepping()
    with opened(root, clock) as desk:
        people(desk)
        first = grant(desk, 60)
        clock.ahead_ns = 24 * HOUR
        assert overdue(desk, clock) == [first]
        clock.ahead_ns = 0
        again = grant(desk, 600)
        assert overdue(desk, clock) == []
        clock.ahead_ns = HOUR
        assert overdue(desk, clock) == [again]
    assert is_verified(root)


def test_a_break_glass_grant_lapses_as_others_do(root: Path) -> None:
    clock = Stepping()
    with opened(root, clock) as desk:
        people(desk)
        wish = {
            "who": "ana",
            "actions": ["read"],
            "resource": "clinic",
            "seconds": 600,
            "reason": "r",
            "break_glass": True,
        }
        change = desk.admin.post("/v1/grants", wish)["change"]
        [op] = desk.admin.get(f"/v1/records/{change}")["body"]["objects"]
        access = desk.admin.get(f"/v1/records/{desk.access('ana')}")["body"]["authorization"]
        assert access["decision"] == "allow"
        assert [item["policy"] for item in access["determining"]] == [op["name"]]
        clock.ahead_ns = HOUR
        assert overdue(desk, clock) == [op["name"]]


def test_who_came_in_by_a_token_that_ends_meanwhile_changes_nothing(root: Path) -> None:
    """Between the proof of who asks and the decision lies time."""
    clock = Stepping()
    with opened(root, clock) as desk:
        people(desk)
        theo: Client = desk.client(desk.admin.post("/v1/tokens", {"who": "theo", "seconds": 3_600})["token"])
        theo.post("/v1/changes", {"objects": {"group/one": {}}, "reason": "r"})
        clock.ahead_ns = HOUR
        size = desk.ledger.size
        with pytest.raises(Denied):
            theo.post("/v1/changes", {"objects": {"group/two": {}}, "reason": "r"})
        assert desk.ledger.size == size


def test_verify_finds_a_change_that_came_in_by_a_token_after_its_end(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Stepping()
    with opened(root, clock) as desk:
        people(desk)
        theo = desk.client(desk.admin.post("/v1/tokens", {"who": "theo", "seconds": 3_600})["token"])
        clock.ahead_ns = HOUR
        monkeypatch.setattr(tokens, "check_not_ended", lambda *_: None)
        monkeypatch.setattr(administration, "check_not_ended", lambda *_: None)
        index = theo.post("/v1/changes", {"objects": {"group/late": {}}, "reason": "r"})["change"]
    assert not is_verified(root)
    assert f"Record {index} came in by 'token-" in capsys.readouterr().out
