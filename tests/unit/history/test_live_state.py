"""The live state as the ledger's follower: contexts, when they change, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from office import PEOPLE, Office, office

from affidavit.errors import Corruption, InvalidInput, Unavailable
from affidavit.history.asof import changes_before, index_at_time, state_at
from affidavit.history.live import Live
from affidavit.history.shared import SharedRecords
from affidavit.record.kinds import STATE_KINDS
from affidavit.state.context import build_context


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply(PEOPLE)
        yield one


def test_a_change_is_applied_before_its_author_hears_of_it(desk: Office) -> None:
    for _ in range(5):
        result = desk.apply({"group/analysts": {"description": f"{desk.live.index}"}})
        assert desk.live.index == result["state"]


def test_a_context_is_the_one_that_follows_from_the_state_and_is_cached(desk: Office) -> None:
    ana = desk.live.resolve("ana")
    view = desk.live.context(ana, "clinic")
    assert view.content == build_context(desk.live.snapshot(), ana, "clinic")
    assert desk.live.context(ana, "clinic") is view
    assert (view.state, view.configured, view.recorded) == (desk.live.index, False, None)


def test_a_recorded_context_is_known_until_it_differs(desk: Office) -> None:
    ana = desk.live.resolve("ana")
    access = desk.access("ana")
    recorded = desk.admin.get(f"/v1/records/{access}")["header"]["context"]
    assert desk.live.context(ana, "clinic").recorded == recorded
    desk.apply({"identity/zoe": {"kind": "human"}})
    later = desk.live.context(ana, "clinic")
    assert (later.recorded, later.state) == (recorded, desk.live.index)
    desk.admin.post("/v1/settings/ana", {"values": {"capture.result": "count"}, "reason": "r"})
    assert desk.live.context(ana, "clinic").recorded is None
    desk.access("ana")
    assert desk.live.context(ana, "clinic").recorded is not None
    for value in ("digest", "count"):
        desk.admin.post("/v1/settings/ana", {"values": {"capture.result": value}, "reason": "r"})
    # Equal settings again, but put by another record: the context says so, and is recorded anew.
    assert desk.live.context(ana, "clinic").recorded is None


def test_a_change_to_others_keeps_the_prepared_decider(desk: Office) -> None:
    ana = desk.live.resolve("ana")
    before = desk.live.context(ana, "clinic")
    desk.apply({"identity/zoe": {"kind": "human"}})
    after = desk.live.context(ana, "clinic")
    assert after.decider is before.decider
    assert after.state > before.state


def test_it_is_the_same_when_loaded_again(desk: Office) -> None:
    records = SharedRecords(desk.ledger.reader())
    loaded = Live.load(records)
    assert (loaded.index, loaded.snapshot().root) == (desk.live.index, desk.live.snapshot().root)


def test_state_at_every_place_has_the_root_that_the_log_says(desk: Office) -> None:
    desk.apply({"group/late": {}})
    records = SharedRecords(desk.ledger.reader())
    roots = {at + 1: records.header(at).root for at in range(records.size) if records.header(at).kind in STATE_KINDS}
    assert changes_before(records, records.size) == [at - 1 for at in roots]
    assert {index: state_at(records, index).root for index in roots} == roots


def test_a_time_finds_the_place_after_the_last_record_up_to_it(desk: Office) -> None:
    records = SharedRecords(desk.ledger.reader())
    for at in range(records.size):
        moment = records.header(at).log.at
        expected = max(i for i in range(records.size) if records.header(i).log.at == moment) + 1
        assert index_at_time(records, moment) == expected
    assert index_at_time(records, "1999-01-01T00:00:00.000000000Z") == 0


def test_positions_beyond_the_log_are_refused(desk: Office) -> None:
    records = SharedRecords(desk.ledger.reader())
    with pytest.raises(InvalidInput):
        state_at(records, records.size + 1)


def test_a_context_record_that_cannot_be_read_stops_the_follower(desk: Office) -> None:
    access = desk.access("ana")
    records = SharedRecords(desk.ledger.reader())
    context = records.record(records.header(access).context or 0)
    broken = type(context)(context.index, context.raw, context.header, None)
    with pytest.raises(Corruption):
        desk.live.applied([broken])


def test_who_waits_for_a_state_is_woken_by_it_or_told_that_it_did_not_come(desk: Office) -> None:
    async def wait() -> int:
        target = desk.live.index + 1
        waiting = asyncio.create_task(desk.live.reached(target, 10.0))
        await asyncio.to_thread(desk.apply, {"group/late": {}})
        await waiting
        return desk.live.index

    index = desk.live.index
    assert asyncio.run(wait()) > index
    with pytest.raises(Unavailable):
        asyncio.run(desk.live.reached(desk.live.index + 1, 0.0))
