"""A session told: which permissions and settings applied at each action, what changed while it was open, its end.

One story, every answer worked out by hand: bob reads under a grant; meanwhile the grant is taken, his settings change,
and a group that is none of his is made; he is refused; the grant comes back.
"""

from __future__ import annotations

from typing import Any

import pytest
from findingcase import HANDLES, Story
from logmaker import BOB, GATEWAY, SYSTEM

from affidavit.evidence.session import session_of
from affidavit.evidence.sessionstory import story


class Played(Story):
    def play(self) -> dict[str, Any]:
        self.opened = self.began()
        shown = {"how": "notice", "text": ["Affidavit records this session on clinic."]}
        self.shown = self.add("presented", GATEWAY, shown, actor=BOB, system=SYSTEM, session=self.opened)
        self.given = self.grant(60)
        self.first = self.read(self.opened)
        self.taken = self.take()
        self.denied = self.read(self.opened)
        values = [{"name": "capture.result", "value": "digest"}]
        self.setting = self.change([self.put(f"settings/user/{BOB}", {"values": values})])
        self.other = self.change([self.put("group/other", {"description": ""})])
        self.again = self.grant(60)
        self.intent = self.intent(self.opened, self.context())
        self.outcome = self.outcome(self.opened, self.intent)
        self.unused = self.change([self.put(f"membership/{BOB}/staff", {})])
        self.closed = self.close_session(self.opened, 3)
        return self.tell(self.first)

    def tell(self, index: int) -> dict[str, Any]:
        return story(self, session_of(self, index), lambda who: HANDLES.get(who, who), lambda header: 7)


@pytest.fixture
def played() -> Played:
    return Played()


def test_each_action_with_what_applied(played: Played) -> None:
    told = played.play()
    actions = [
        (one["index"], one["decision"], [rule["name"] for rule in one["rules"]], one["counted"], one["completed"])
        for one in told["actions"]
    ]
    grant = f"grant/{BOB}/visits"
    assert actions == [
        (played.opened, "allow", ["policy/login"], [], None),
        (played.first, "allow", [grant], [grant], None),
        (played.denied, "deny", [], [], None),
        (played.intent, "allow", [grant], [grant], played.outcome),
    ]
    assert [one["state"] for one in told["actions"]] == [
        played.opened,
        played.given + 1,
        played.taken + 1,
        played.again + 1,
    ]
    results = []
    for one in told["actions"][1:]:
        context = told["contexts"][str(one["context"])]
        (setting,) = [item for item in context["settings"] if item["name"] == "capture.result"]
        results.append((setting["value"], setting["scope"], setting["version"], context["configured"]))
    own = 3  # the change in which the clinic began
    assert results == [
        ("count", "user", own, True),
        ("count", "user", own, True),
        ("digest", "user", played.setting, True),
    ]


def test_each_change_with_who_why_and_from_which_action_on(played: Played) -> None:
    told = played.play()
    assert [(one["index"], one["who"], one["reason"], one["bears"], one["effective"]) for one in told["changes"]] == [
        (played.given, "alice", "test", True, played.first),
        (played.taken, "alice", "test", True, played.denied),
        (played.setting, "alice", "test", True, played.intent),
        (played.other, "alice", "test", False, played.intent),
        (played.again, "alice", "test", True, played.intent),
        (played.unused, "alice", "test", True, None),
    ]


def test_what_was_shown_and_when_and_how_it_ended(played: Played) -> None:
    told = played.play()
    assert [(one["index"], one["how"], one["text"][0]) for one in told["presented"]] == [
        (played.shown, "notice", "Affidavit records this session on clinic."),
        (played.denied, "error", f"permission denied by Affidavit (record {played.denied})"),
    ]
    assert told["presented"][1]["text"][1] == "No policy or grant allows it."
    assert (told["ended"]["index"], told["ended"]["how"], told["ended"]["bound_ns"]) == (played.closed, "client", 7)


def test_a_session_that_goes_on(played: Played) -> None:
    session = played.began()
    assert played.tell(session)["ended"] == {"index": None, "at": None, "bound_ns": None, "how": "open"}


def test_a_context_that_was_erased_is_said_to_be_so(played: Played) -> None:
    played.play()
    played.erased = {played.records[played.first].header.context or 0}
    told = played.tell(played.first)
    context = told["contexts"][str(told["actions"][1]["context"])]
    assert (context["readable"], context["settings"], context["configured"]) == (False, [], None)
