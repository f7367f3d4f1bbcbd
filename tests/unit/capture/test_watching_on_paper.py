"""What the watcher reads in the log (what explains a drift, whose backends are ours), and how looks are shared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from findingcase import Story
from gateway_stage import Clock
from logmaker import BOB, CAROL, GATEWAY, SYSTEM, VISITS, grant_value

from affidavit.capture.gateway.catalogue import Backend
from affidavit.capture.gateway.target import Target
from affidavit.capture.watch import watcher
from affidavit.capture.watch.difference import explained
from affidavit.capture.watch.direct import Backends, before_restart
from affidavit.capture.watch.drifting import told_before
from affidavit.capture.watch.watcher import Watcher
from affidavit.errors import Unavailable
from affidavit.record.moment import format_moment


def define(story: Story, outcome: str | None, session: int | None = None) -> int:
    """A statement of the class `define`; None: an intent, whose outcome is not known yet."""
    fields: dict[str, Any] = {"system": SYSTEM, "action": "define", "decision": "allow", "session": session}
    content = {"action": {"class": "define", "statement": "CREATE TABLE mine (a int)", "tables": []}}
    if outcome is None:
        return story.add("access.intent", GATEWAY, content, **fields)
    return story.add("access", GATEWAY, content, outcome=outcome, **fields)


def test_a_statement_that_failed_or_was_rolled_back_explains_nothing() -> None:
    story = Story()
    story.began()
    done = define(story, "ok")
    define(story, "error")
    refused = define(story, None)
    story.add("access.outcome", GATEWAY, {"result": {}}, system=SYSTEM, outcome="error", ref=refused)
    undone = define(story, None)
    story.add("access.outcome", GATEWAY, {"result": {}}, system=SYSTEM, outcome="ok", ref=undone)
    body = {"transaction": 1, "end": "rolled_back", "accesses": [undone]}
    story.add("transaction", GATEWAY, body, system=SYSTEM, outcome="none", ref=undone)
    runs = define(story, None)
    assert [runs, done] == [one.index for one in told_before(story, SYSTEM, story.now_ns) if "mine" in one.text]


def test_where_nobody_knows_any_more_what_was_rolled_back_nothing_of_that_session_explains() -> None:
    """The account of what a transaction took back is erased: it may have been the very statement."""
    story = Story()
    story.began()
    session = story.open_session(BOB)
    undone = define(story, "ok", session)
    body = {"transaction": 1, "end": "rolled_back", "accesses": [undone]}
    gone = story.add("transaction", GATEWAY, body, system=SYSTEM, outcome="none", ref=undone, session=session)
    other = define(story, "ok")

    def told() -> list[int]:
        return [one.index for one in told_before(story, SYSTEM, story.now_ns) if "mine" in one.text]

    assert [other] == told()
    story.erased.add(gone)
    assert [other] == told()


@pytest.mark.parametrize("table", ["ticket", "reason", "value", "name", "settings", "user", "group", "objects", "salt"])
def test_what_members_of_a_record_are_called_names_no_table(table: str) -> None:
    story = Story()
    story.began()
    story.change([story.put(f"settings/user/{CAROL}", {"values": [{"name": "capture.result", "value": "count"}]})])
    line = {"field": f"privileges public.{table}", "before": "", "after": "SELECT"}
    assert [line] == explained([line], told_before(story, SYSTEM, story.now_ns), "clinic_app")


def test_a_change_explains_what_its_reason_or_its_objects_name() -> None:
    story = Story()
    story.began()
    value = grant_value(VISITS, "read")
    index = story.change([story.put(f"grant/{CAROL}/visits", value)])
    line = {"field": "privileges public.visits", "before": "", "after": "SELECT"}
    assert [{**line, "record": index}] == explained([line], told_before(story, SYSTEM, story.now_ns), "clinic_app")


def test_what_a_killed_gateway_left_behind_is_ours_and_who_was_there_is_looked_for_again() -> None:
    story = Story()
    story.began()
    started = format_moment(story.now_ns)

    def gap(pid: int, **more: Any) -> int:
        told = {"pid": pid, "started": started, "role": "eve", "database": "clinic", "address": "", "port": 0}
        content = {
            "cause": "past_gateway", "start": started, "end": None, "streams": [],
            "backend": {**told, "application": "", "type": "client backend"}, **more,
        }  # fmt: skip
        return story.add("log.gap", GATEWAY, content, system=SYSTEM)

    story.add(
        "session.open", GATEWAY, {"upstream": {"backend": {"pid": 7, "started": started}}}, system=SYSTEM, decision="allow"
    )  # fmt: skip
    left = gap(8)
    there = gap(9)
    gap(8, end=started, gap=left)
    strangers, ours = before_restart(story, SYSTEM)
    assert [(there, 9)] == [(one.index, one.stranger.backend.pid) for one in strangers]
    assert [Backend(7, started)] == ours
    backends = Backends()
    backends.inherited(ours)
    assert backends.own(Backend(7, started))
    assert frozenset(ours) == backends.those_left()


class Played(Watcher):
    """A watcher whose looks the test plays."""

    def __init__(self) -> None:
        target = Target("clinic", "", 0, "", 0, "clinic", "app", None, None, require_tls=False)
        none: Any = None
        super().__init__(target, 30, none, none, none, Clock())
        self.begun = 0
        self.gate = asyncio.Event()
        self.ends: Callable[[], None] = lambda: None

    async def _look(self) -> None:
        self.begun += 1
        await self.gate.wait()
        self.ends()
        self._looked_ns = self._clock.now_ns()


def play(scene: Callable[[Played], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await scene(Played())

    asyncio.run(run())


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_who_comes_during_a_look_gets_the_next_one_also_when_who_began_the_first_gave_up() -> None:
    async def scene(one: Played) -> None:
        first = asyncio.create_task(one.look())
        await settle()
        second, third = asyncio.create_task(one.look()), asyncio.create_task(one.look())
        await settle()
        assert 1 == one.begun
        first.cancel()
        await settle()
        assert (1, False, False) == (one.begun, second.done(), third.done()), "a look belongs to nobody"
        one.gate.set()
        await asyncio.gather(second, third)
        assert 2 == one.begun

    play(scene)


def test_a_login_waits_for_the_first_look_and_not_long_for_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(one: Played) -> None:
        monkeypatch.setattr(watcher, "WATCH_LOGIN_WAIT_S", 0.001)
        login = asyncio.create_task(one.look_for_login())
        await asyncio.sleep(0.02)
        assert not login.done(), "nothing is known of the upstream yet"
        one.gate.set()
        assert "" == await login
        looked = format_moment(one.status().looked_ns or 0)
        one.gate.clear()
        assert looked == await asyncio.wait_for(one.look_for_login(), 10), "it waits for ever without its bound"
        one.gate.set()
        await one.look()
        assert format_moment(one.status().looked_ns or 0) > looked

    play(scene)


@pytest.mark.parametrize(
    ("failure", "refused"),
    [
        (TimeoutError(), False),
        (Unavailable("gateway.catalogue", "permission denied for pg_authid"), True),
        (ValueError("what no database says"), True),
    ],
)
def test_a_late_look_refuses_no_login_and_a_failed_one_does(failure: Exception, refused: bool) -> None:
    async def scene(one: Played) -> None:
        def fail() -> None:
            raise failure

        one.gate.set()
        await one.look()
        looked = format_moment(one.status().looked_ns or 0)
        one.ends = fail
        if refused:
            with pytest.raises(Unavailable):
                await one.look_for_login()
        else:
            assert looked == await one.look_for_login()
        assert 1 == one.status().failures
        one.ends = lambda: None
        assert "" == await one.look_for_login(), "the watcher goes on"

    play(scene)
