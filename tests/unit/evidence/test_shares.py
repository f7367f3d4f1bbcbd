"""For what share of a period a setting was in force: an hour whose quarters were set by hand."""

from __future__ import annotations

import pytest
from findingcase import MINUTE_NS, Story
from logmaker import BOB, SYSTEM, T0_NS

from affidavit.errors import InvalidInput
from affidavit.evidence.shares import shares
from affidavit.history.asof import state_at
from affidavit.record.moment import format_moment


def put(story: Story, where: str, value: str) -> int:
    return story.change([story.put(f"settings/{where}", {"values": [{"name": "capture.result", "value": value}]})])


def asked(story: Story, first: int, begins_ns: int, minutes: int) -> dict:
    ends = format_moment(begins_ns + minutes * MINUTE_NS)
    period = ((first, format_moment(begins_ns)), (story.size, ends))
    return shares(story, lambda at: state_at(story, at), "capture.result", (BOB, SYSTEM), period)


def test_each_value_with_its_scope_its_record_and_its_share() -> None:
    story = Story()
    story.began()  # bob's own settings say count
    first, begins_ns = story.size, story.at_ns
    story.wait(15)
    own = put(story, f"user/{BOB}", "digest")
    story.wait(15)
    story.change([story.put("group/other", {"description": ""})])  # bears on nothing
    gone = story.take(f"settings/user/{BOB}")  # unconfigured: the fullest level
    story.wait(10)
    put(story, "organisation", "off")  # does not reach an unconfigured user
    story.wait(20)
    told = asked(story, first, begins_ns, 60)
    assert [(one["value"], one["scope"], one["version"], one["change"], one["share"]) for one in told["intervals"]] == [
        ("count", "user", 3, None, "0.250000000"),
        ("digest", "user", own, own, "0.250000000"),
        ("digest", "unconfigured", None, gone, "0.500000000"),
    ]
    assert [(one["value"], one["share"]) for one in told["values"]] == [
        ("digest", "0.750000000"),
        ("count", "0.250000000"),
    ]
    assert (told["ns"], told["intervals"][1]["ns"]) == (str(60 * MINUTE_NS), str(15 * MINUTE_NS))


def test_by_a_group_that_somebody_joined() -> None:
    story = Story()
    story.began()
    story.change([story.put(f"settings/user/{BOB}", {"values": []})])
    first, begins_ns = story.size, story.at_ns
    given = put(story, "group/staff", "rows:5")
    story.wait(45)
    joined = story.change([story.put(f"membership/{BOB}/staff", {})])
    story.wait(15)
    told = asked(story, first, begins_ns, 60)["intervals"]
    assert [(one["value"], one["scope"], one["change"], one["share"]) for one in told[-1:]] == [
        ("rows:5", "group:staff", joined, "0.250000000")
    ]
    assert told[-1]["version"] == given


def test_before_somebody_existed_nothing_was_in_force() -> None:
    story = Story()
    story.began()
    told = shares(
        story,
        lambda at: state_at(story, at),
        "capture.result",
        (BOB, SYSTEM),
        ((0, format_moment(T0_NS - MINUTE_NS)), (story.size, format_moment(T0_NS + 3 * MINUTE_NS))),
    )
    assert [(one["value"], one["share"]) for one in told["intervals"]] == [
        (None, "0.250000000"),
        ("count", "0.750000000"),
    ]


def test_a_period_needs_a_length() -> None:
    story = Story()
    story.began()
    with pytest.raises(InvalidInput) as raised:
        asked(story, story.size, story.at_ns, 0)
    assert raised.value.code == "share.period"


def test_the_floor_that_raises_a_value_is_its_scope() -> None:
    story = Story()
    story.began()  # bob's own settings say count, which the default floor asks for too
    first, begins_ns = story.size, story.at_ns
    story.wait(45)
    raised = put(story, "floor", "digest")
    story.wait(15)
    told = asked(story, first, begins_ns, 60)["intervals"]
    assert [(one["value"], one["scope"], one["change"], one["share"]) for one in told] == [
        ("count", "user", None, "0.750000000"),
        ("digest", "floor", raised, "0.250000000"),
    ]


def test_what_an_application_reports_of_somebody_begins_an_interval() -> None:
    story = Story()
    story.began()
    story.change(
        [story.put("source/ward", {"kind": "application", "description": "", "heartbeat_s": None, "system": None})]
    )
    first, begins_ns = story.size, story.at_ns
    story.wait(15)
    reported = story.change(
        [story.put(f"reported/{BOB}/ward", {"values": [{"name": "app.theme", "value": "dark"}]})],
    )
    ends = format_moment(begins_ns + 60 * MINUTE_NS)
    period = ((first, format_moment(begins_ns)), (story.size, ends))
    told = shares(story, lambda at: state_at(story, at), "app.theme", (BOB, SYSTEM), period)
    assert [(one["value"], one["scope"], one["change"], one["share"]) for one in told["intervals"]] == [
        (None, None, None, "0.250000000"),
        ("dark", "reported:ward", reported, "0.750000000"),
    ]
