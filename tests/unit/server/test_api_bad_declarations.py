"""Bad input to a change: each is refused with a code and the place, and leaves neither a record nor another state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office import PEOPLE, Office, office

from affidavit.errors import Conflict, InvalidInput
from affidavit.record.moment import NS, format_moment, parse_moment

OVERFLOW = """permit (principal in Group::"analysts", action == Action::"read", resource)
when { 9223372036854775807 + 1 > 0 };"""
LATER: dict[str, Any] = {"actions": ["read"], "resource": "clinic", "start": "2001-01-01T00:00:00Z", "end": None}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("bad")) as one:
        one.apply({name: value for name, value in PEOPLE.items() if name != "policy/two-people"})
        one.apply(
            {"membership/theo/analysts": {}, "group/inner": {}, "group/outer": {}, "membership/group:inner/outer": {}}
        )
        one.apply({"grant/ana/standing": LATER})
        yield one


def moment(desk: Office, seconds: int) -> str:
    return format_moment(desk.live_now() + seconds * NS)


def refused(desk: Office, objects: dict[str, Any]) -> InvalidInput | Conflict:
    """The refusal of a change with something fine beside; it must have left no trace."""
    size, state = desk.ledger.size, desk.live.index
    with pytest.raises((InvalidInput, Conflict)) as error:
        desk.admin.post("/v1/changes", {"objects": {"group/fine": {}, **objects}, "reason": "wrong"})
    assert (desk.ledger.size, desk.live.index) == (size, state)
    return error.value


@pytest.mark.parametrize(
    ("objects", "code", "words"),
    [
        ({"membership/group:outer/inner": {}}, "state.cycle", "`membership/group:outer/inner`: "),
        ({"membership/group:inner/inner": {}}, "state.cycle", "`membership/group:inner/inner`: "),
        ({"membership/ana/nowhere": {}}, "state.reference", "`membership/ana/nowhere` names `group/nowhere`"),
        ({"membership/nobody/outer": {}}, "who.unknown", "nobody has the handle 'nobody'"),
        ({"group/outer": None}, "state.reference", "`group/outer` cannot go"),
        ({"grant/ana/g": {**LATER, "resource": "elsewhere"}}, "apply.system", "grant/ana/g is for system/elsewhere"),
        ({"grant/ana/g": LATER}, "apply.overlap", "grant/ana/g overlaps grant/ana/standing"),
        (
            {"grant/theo/a": LATER, "grant/theo/b": {**LATER, "start": "2002-01-01T00:00:00Z"}},
            "apply.overlap",
            "grant/theo/a overlaps grant/theo/b",
        ),
        (
            {"grant/theo/g": {**LATER, "start": "2026-11-20T10:00:00Z", "end": "2026-11-20T10:00:00Z"}},
            "state.object",
            "`grant/theo/g`: `end` must be after `start`",
        ),
        ({"grant/theo/g": {**LATER, "end": "2001-01-02T00:00:00Z"}}, "apply.ended", "grant/theo/g ended at 2001-01-02"),
        ({"grant/theo/g": {**LATER, "start": "2962-01-01T00:00:00Z"}}, "apply.ahead", "more than 366 days from now"),
        ({"grant/theo/g": {**LATER, "start": "2026-11-25T09:00:00"}}, "time.zone", "start of grant/theo/g"),
        ({"grant/theo/g": {**LATER, "start": "2026-11-25T09:00:00 CET"}}, "time.format", "start of grant/theo/g"),
        ({"grant/theo/g": {**LATER, "start": "2026-11-25T09:00:00+25:00"}}, "time.format", "of any day and zone"),
        ({"grant/theo/g": {**LATER, "start": "2026-02-30T09:00:00Z"}}, "time.format", "of any day and zone"),
        ({"grant/theo/g": {**LATER, "start": "2026-11-25"}}, "time.format", "is not a time"),
        (
            {"credential/token-00000000000000aa": {"identity": "ana", "type": "token", "end": "2001-01-02T00:00:00Z"}},
            "apply.ended",
            "credential/token-00000000000000aa ended at",
        ),
        (
            {"settings/user/ana": {"capture.result": "off"}},
            "apply.floor",
            "settings/user/ana: capture.result cannot be off, below the floor count",
        ),
        ({"policy/p": {"text": "permit (\n  principal,\n  actoin,\n  resource);"}}, "state.policy", "line 3, column 3"),
        ({"policy/p": {"text": "permit (principal, action, resource) when { context.verb == 1 };"}}, "state.policy", "policy/p"),
        ({"policy/p": {"text": "permit (principal, action, resource) when { context has typo };"}}, "state.policy", "typo"),
        ({"schema/s": {"text": "entity A in [B];"}}, "state.object", "`schema/s` is refused"),
        ({"system/clinic": {"kind": "postgresql", "configuration": {"version": 16}}}, "state.object", "configuration"),
        ({"identity/ana": {"logins": [{"issuer": "https://a"}]}}, "state.object", "`logins` must be"),
        (
            {
                "identity/ana": {"logins": [{"issuer": "https://a", "subject": "1"}]},
                "identity/theo": {"logins": [{"issuer": "https://a", "subject": "1"}]},
            },
            "state.login",
            "The login `1` at `https://a`",
        ),
        ({"grant/ana/g": {**LATER, "break_glass": True, "reason": "r"}}, "state.object", "at most 12 hours"),
    ],
)  # fmt: skip
def test_what_is_refused_says_where_and_leaves_nothing(
    desk: Office, objects: dict[str, Any], code: str, words: str
) -> None:
    error = refused(desk, objects)
    assert (error.code, words in error.message) == (code, True), error.message


def test_a_conflict_shows_what_stands_now_and_who_to_ask(desk: Office) -> None:
    first = desk.apply({"group/moving": {"description": "one"}})["change"]
    second = desk.apply({"group/moving": {"description": "two"}})["change"]
    error = refused(desk, {"group/moving": {"description": "three", "based": first}})
    assert error.code == "state.stale"
    assert f"was at version {first}" in error.message
    assert f'is at version {second} now: {{"description": "two"}}' in error.message
    assert f"affidavit show {second}" in error.hint


def test_times_are_taken_in_any_zone_and_kept_in_utc(desk: Office) -> None:
    end = parse_moment(moment(desk, 86_400)) // NS * NS
    written = f"{format_moment(end + 5_400 * NS)[:19].replace('T', ' ')}+01:30"
    desk.apply({"grant/ana/zoned": {"actions": ["write"], "resource": "clinic", "end": written}})
    held = desk.live.snapshot().get(f"grant/{desk.live.resolve('ana')}/zoned")
    assert held is not None
    assert held.value["end"] == format_moment(end)


def test_intervals_that_only_touch_do_not_overlap_and_another_kind_stands_beside(desk: Office) -> None:
    first, second = moment(desk, 600), moment(desk, 1_200)
    give = {"actions": ["define"], "resource": "clinic"}
    desk.apply({"grant/ana/first": {**give, "end": first}, "grant/ana/second": {**give, "start": first, "end": second}})
    glass = {**give, "start": moment(desk, 0), "end": first, "reason": "r", "break_glass": True}
    assert desk.apply({"grant/ana/glass": glass})["kind"] == "change"
    assert (
        refused(desk, {"grant/ana/third": {**give, "start": moment(desk, 1_199), "end": None}}).code == "apply.overlap"
    )


def test_a_start_in_the_past_is_taken_and_changes_nothing_that_was_decided(desk: Office) -> None:
    before = desk.access("theo", "public.visits")
    desk.apply({"grant/theo/since": {"actions": ["read"], "resource": "clinic", "start": "2001-01-01T00:00:00Z"}})
    after = desk.access("theo", "public.visits")
    decided = [desk.admin.get(f"/v1/records/{index}")["header"]["decision"] for index in (before, after)]
    assert decided == ["deny", "allow"]


def test_a_policy_that_errs_only_when_it_is_needed_denies_and_the_error_is_recorded(desk: Office) -> None:
    desk.apply({"policy/overflow": {"text": OVERFLOW}})
    try:
        record = desk.admin.get(f"/v1/records/{desk.access('ana')}")
        assert record["header"]["decision"] == "deny"
        [error] = record["body"]["authorization"]["errors"]
        assert (error["policy"], "overflow" in error["message"]) == ("policy/overflow", True)
    finally:
        desk.apply({"policy/overflow": None})


def test_a_setting_that_stood_before_the_floor_was_raised_may_stay(desk: Office, tmp_path: Path) -> None:
    desk.apply({"settings/user/theo": {"capture.statement": "normalized", "app.page": "10"}})
    floor = desk.admin.get("/v1/settings/floor")["values"]
    raised = {item["name"]: item["value"] for item in floor} | {"capture.statement": "full"}
    desk.apply({"settings/floor": raised})
    assert desk.admin.post("/v1/settings/theo", {"values": {"app.page": "20"}, "reason": "r"})["kind"] == "change"
    assert refused(desk, {"settings/user/ana": {"capture.statement": "normalized"}}).code == "apply.floor"
