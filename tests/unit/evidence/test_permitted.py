"""When what somebody may do changed, with and without a record about them: small stories, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from findingcase import HANDLES, MINUTE_NS, Story
from logmaker import BOB, LEDGER, SYSTEM, VISITS, grant_value

from affidavit.errors import InvalidInput
from affidavit.evidence import permitted
from affidavit.evidence.permitted import Permitted
from affidavit.history.asof import state_at
from affidavit.record.moment import format_moment
from affidavit.state.change import Op, encode_ops

GRANT = f"grant/{BOB}/visits"


def opened() -> tuple[Story, int, int]:
    """The clinic, and where the period that is asked about begins."""
    story = Story()
    story.began()
    return story, story.size, story.at_ns


def told(story: Story, first: int, begins_ns: int) -> dict[str, Any]:
    found = Permitted(story, lambda at: state_at(story, at), lambda who: HANDLES.get(who, who), BOB, SYSTEM)
    list(found.read(((first, format_moment(begins_ns)), (story.size, format_moment(story.at_ns)))))
    return found.as_dict()


def brief(answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Of each moment: the record or None, how it reached bob, whether it names him, what came and went."""
    signs = {"gained": "+", "lost": "-", "changed": "~"}
    return [
        (
            one["index"],
            one["reach"],
            one["about_person"],
            [f"{signs[item['change']]} {item['shown']}" for item in one["differences"]],
        )
        for one in answer["moments"]
    ]


def source_value() -> dict[str, Any]:
    return {"kind": "application", "description": "", "heartbeat_s": None, "system": None}


def scheduled(story: Story, start: int, end: int | None) -> int:
    """A grant to bob that begins and ends so many minutes from now."""
    value = {**grant_value(VISITS, "read"), "start": format_moment(story.at_ns + start * MINUTE_NS)}
    if end is not None:
        value["end"] = format_moment(story.at_ns + end * MINUTE_NS)
    return story.change([story.put(GRANT, value)])


def test_a_group_above_his_joins_another_and_no_record_names_him() -> None:
    story, first, begins_ns = opened()
    joined = story.change([story.put(f"membership/{BOB}/analysts", {})])
    story.wait(5)
    nested = story.change([story.put("membership/group:analysts/staff", {})])
    answer = told(story, first, begins_ns)
    assert brief(answer) == [
        (joined, "person", True, ["+ analysts"]),
        (nested, "nested group", False, ["+ staff", "+ policy/staff"]),
    ]
    assert answer["moments"][1]["differences"][0]["after"] == {"via": ["analysts"]}
    assert (answer["moments"][1]["at"], answer["moments"][1]["who"]) == (format_moment(story.at_ns), "alice")
    assert answer["counts"] == {"moments": 2, "by_clock": 0, "without_record_about": 1, "unknown": 0}


def test_a_grant_begins_and_ends_by_the_clock_and_its_lapse_is_the_trace() -> None:
    story, first, begins_ns = opened()
    put = scheduled(story, 30, 90)  # what is put now changes nothing yet
    story.wait(91)
    lapse = story.lapse()  # nor does the lapse, a minute after the end
    story.wait(10)
    answer = told(story, first, begins_ns)
    assert brief(answer) == [
        (None, None, False, ["+ grant/bob/visits"]),
        (None, None, False, ["- grant/bob/visits"]),
    ]
    assert [(one["cause"], one["at"], one["grants"]) for one in answer["moments"]] == [
        (
            "clock",
            format_moment(begins_ns + minutes * MINUTE_NS),
            [{"name": GRANT, "shown": "grant/bob/visits", "edge": edge, "put": put, "lapse": then}],
        )
        for minutes, edge, then in ((30, "start", None), (90, "end", lapse))
    ]
    assert answer["counts"] == {"moments": 2, "by_clock": 2, "without_record_about": 2, "unknown": 0}


def test_a_grant_that_is_in_force_at_once_and_taken_before_its_end() -> None:
    story, first, begins_ns = opened()
    given = story.grant(60)
    story.wait(10)
    taken = story.take()
    story.wait(100)  # its end comes, and there is nothing left to end
    answer = told(story, first, begins_ns)
    assert brief(answer) == [
        (given, "person", True, ["+ grant/bob/visits"]),
        (taken, "person", True, ["- grant/bob/visits"]),
    ]


def test_an_end_in_the_very_moment_of_a_change_is_the_clocks() -> None:
    story, first, begins_ns = opened()
    given = story.grant(60)
    story.wait(60)
    story.take()  # sealed at the moment of its end: from that on it did not count any more
    assert brief(told(story, first, begins_ns)) == [
        (given, "person", True, ["+ grant/bob/visits"]),
        (None, None, False, ["- grant/bob/visits"]),
    ]


def test_a_policy_for_all_changes_and_one_that_names_him_is_about_him() -> None:
    story, first, begins_ns = opened()
    text = story.state.get("policy/login").value["text"]  # type: ignore[union-attr]
    changed = story.change([story.put("policy/login", {"text": text.replace(");", ") when { true };")})])
    his = f'forbid(principal == Identity::"{BOB}", action == Action::"read", resource == System::"clinic");'
    named = story.change([story.put("policy/bob", {"text": his})])
    story.change([story.put("policy/elsewhere", {"text": 'permit(principal in Group::"staff", action, resource);'})])
    assert brief(told(story, first, begins_ns)) == [
        (changed, "policy", False, ["~ policy/login"]),
        (named, "person", True, ["+ policy/bob"]),
    ]


def test_settings_at_a_wider_scope_count_where_they_reach_him() -> None:
    story, first, begins_ns = opened()
    for name, value in (("capture.result", "off"), ("capture.statement", "full")):  # his own say count; full is there
        story.change([story.put("settings/organisation", {"values": [{"name": name, "value": value}]})])
    reached = story.change(
        [story.put("settings/system/clinic", {"values": [{"name": "capture.statement", "value": "normalized"}]})]
    )
    answer = told(story, first, begins_ns)
    assert brief(answer) == [(reached, "wider setting", False, ["~ capture.statement"])]
    assert answer["moments"][0]["differences"][0]["after"] == {"value": "normalized", "scope": "system"}


def test_what_changes_nothing_that_he_may_do_is_no_moment() -> None:
    story, first, begins_ns = opened()
    story.change([story.put(f"profile/{BOB}", {"handle": "robert", "name": "Robert", "mail": ""})])
    story.change([story.put("membership/group:analysts/staff", {})])  # he is in neither
    story.change([story.put(f"identity/{BOB}", {"kind": "human", "status": "active", "attributes": []})])
    story.change([story.put("system/clinic", {"kind": "postgresql", "description": "new", "key_columns": []})])
    story.change([story.put("source/ward", source_value())])
    story.change([story.put(f"reported/{BOB}/ward", {"values": [{"name": "app.theme", "value": "dark"}]})])
    answer = told(story, first, begins_ns)
    assert answer["moments"] == []
    assert [(one["part"], one["shown"]) for one in answer["before"] if one["part"] in ("group", "grant", "policy")] == [
        ("policy", "policy/login")
    ]


def test_what_was_put_again_beside_what_changed_does_not_count_as_about_him() -> None:
    story, first, begins_ns = opened()
    text = 'permit(principal, action == Action::"session", resource == System::"clinic");'
    both = story.change(
        [
            story.put(f"identity/{BOB}", {"kind": "human", "status": "active", "attributes": []}),
            story.put("policy/session", {"text": text}),
        ]
    )
    assert brief(told(story, first, begins_ns)) == [(both, "policy", False, ["+ policy/session"])]


def test_suspended_and_back() -> None:
    story, first, begins_ns = opened()
    gone, back = (
        story.change([story.put(f"identity/{BOB}", {"kind": "human", "status": status, "attributes": []})])
        for status in ("suspended", "active")
    )
    answer = told(story, first, begins_ns)
    assert brief(answer) == [(gone, "person", True, ["~ bob"]), (back, "person", True, ["~ bob"])]
    assert answer["moments"][0]["differences"][0]["after"]["status"] == "suspended"


def test_before_somebody_existed_nothing_held() -> None:
    story, _, _ = opened()
    answer = told(story, 0, story.at_ns - 700 * MINUTE_NS)
    assert answer["before"] == []
    assert [(one["index"], one["about_person"]) for one in answer["moments"]] == [(3, True)]


def test_what_the_system_was_found_to_enforce_names_nobody() -> None:
    story, first, begins_ns = opened()
    value = {"attributes": {}, "memberships": [], "privileges": [], "settings": {}, "server_version": "15"}
    ops: list[Op] = [story.put("observed/clinic/app", value)]
    found = story.add("drift", LEDGER, {"objects": encode_ops(ops)}, system="clinic", decided=story.state.index)
    assert brief(told(story, first, begins_ns)) == [(found, "system", False, ["+ observed/clinic/app"])]


def test_too_much_and_backwards_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    story, first, begins_ns = opened()
    with pytest.raises(InvalidInput) as raised:
        told(story, first, begins_ns + MINUTE_NS)
    assert raised.value.code == "permitted.period"
    scheduled(story, 1, 2)
    story.wait(3)
    for name, code in (("PERMITTED_CHANGES_MAX", "permitted.changes"), ("PERMITTED_MOMENTS_MAX", "permitted.moments")):
        with monkeypatch.context() as patched:
            patched.setattr(permitted, name, 1 if "MOMENTS" in name else 0)
            with pytest.raises(InvalidInput) as raised:
                told(story, first, begins_ns)
            assert raised.value.code == code
