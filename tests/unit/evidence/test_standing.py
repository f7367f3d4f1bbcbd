"""For what share of a period objects stood as at its end: an hour whose quarters were set by hand."""

from __future__ import annotations

from typing import Any

import pytest
from findingcase import MINUTE_NS, Story
from logmaker import BOB

from affidavit.errors import InvalidInput
from affidavit.evidence.standing import standing
from affidavit.history.asof import state_at
from affidavit.history.shelves import OPEN, Row
from affidavit.history.view import object_key, object_payload
from affidavit.record.moment import format_moment
from affidavit.state.change import Put, decode_ops

RULE = "policy/staff"
FLOOR = "settings/floor"
LATE = 'permit(principal in Group::"staff", action == Action::"session", resource == System::"clinic");'


def rows_of(story: Story, name: str) -> list[Row]:
    """As the history store gives them, from the records."""
    found: list[Row] = []
    for index, rec in enumerate(story.records):
        if rec.header.root is None:
            continue
        for op in decode_ops(rec.content["objects"]):
            if op.name == name:
                if found and found[-1].stop == OPEN:
                    found[-1].stop = index
                if isinstance(op, Put):
                    found.append(Row(object_key(name), "", index, OPEN, object_payload(op)))
    return found


def asked(story: Story, first: int, begins_ns: int, *names: str) -> dict[str, Any]:
    period = ((first, format_moment(begins_ns)), (story.size, format_moment(begins_ns + 60 * MINUTE_NS)))
    return standing(names, lambda name: rows_of(story, name), story, period)


def floor(story: Story, value: str) -> int:
    return story.change([story.put(FLOOR, {"values": [{"name": "capture.result", "value": value}]})])


def parts(item: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(one["version"], one["as_at_end"], one["share"]) for one in item["intervals"]]


def test_a_policy_that_was_away_for_a_while_and_the_floor_beside_it() -> None:
    story = Story()
    story.began()
    first, begins_ns = story.size, story.at_ns
    text = state_at(story, first).get(RULE).value["text"]  # type: ignore[union-attr]
    story.wait(15)
    raised = floor(story, "digest")  # from here on as at the end
    story.wait(15)
    story.take(RULE)
    story.wait(6)
    back = story.change([story.put(RULE, {"text": text})])
    story.wait(9)
    story.change([story.put(RULE, {"text": text})])  # again as it was: no interval of its own
    story.wait(15)
    told = asked(story, first, begins_ns, RULE, FLOOR)
    policy, lowest = told["objects"]
    assert parts(policy) == [(3, True, "0.500000000"), (None, False, "0.100000000"), (back, True, "0.400000000")]
    assert (policy["as_at_end"]["share"], policy["absent"]) == ("0.900000000", False)
    assert parts(lowest) == [(2, False, "0.250000000"), (raised, True, "0.750000000")]
    # Both: minutes 15 to 30 and 36 to 60, 39 of 60.
    assert (told["together"]["share"], told["together"]["ns"]) == ("0.650000000", str(39 * MINUTE_NS))
    assert policy["intervals"][2]["from"] == format_moment(begins_ns + 36 * MINUTE_NS)


def test_what_is_not_there_at_the_end_stood_so_while_it_was_not_there() -> None:
    story = Story()
    story.began()
    first, begins_ns = story.size, story.at_ns
    story.wait(45)
    story.take(RULE)
    told = asked(story, first, begins_ns, RULE)["objects"][0]
    assert (parts(told), told["absent"], told["as_at_end"]["share"]) == (
        [(3, False, "0.750000000"), (None, True, "0.250000000")],
        True,
        "0.250000000",
    )


def test_what_was_replaced_in_the_moment_that_it_came_was_never_in_force() -> None:
    story = Story()
    story.began()
    first, begins_ns = story.size, story.at_ns
    story.wait(30)
    story.change([story.put(RULE, {"text": LATE})])
    last = story.change([story.put(RULE, {"text": LATE.replace("session", "login")})])
    told = asked(story, first, begins_ns, RULE)["objects"][0]
    assert parts(told) == [(3, False, "0.500000000"), (last, True, "0.500000000")]


def test_what_came_after_the_period_or_never_is_refused() -> None:
    story = Story()
    story.began()
    first, begins_ns = story.size, story.at_ns
    for name in (f"settings/group/{BOB}", "policy/never"):
        with pytest.raises(InvalidInput) as raised:
            asked(story, first, begins_ns, name)
        assert raised.value.code == "share.object"
    with pytest.raises(InvalidInput) as raised:
        moment = format_moment(begins_ns)
        standing([RULE], lambda name: rows_of(story, name), story, ((first, moment), (first, moment)))
    assert raised.value.code == "share.period"
