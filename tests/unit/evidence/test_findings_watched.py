"""Findings from what a watcher saw, each with a story where it must be found and one where it must not."""

from __future__ import annotations

from typing import Any

import pytest
from findingcase import Story, told
from logmaker import BOB, GATEWAY, SYSTEM

from affidavit.evidence.findings.scan import Chosen
from affidavit.record.moment import format_moment
from affidavit.state.change import encode_ops

SEEN = "observed/clinic/clinic_app"
LINE = {"field": "grants public.visits to nurse", "before": "", "after": "SELECT"}
OTHER = {"field": "roles nurse", "before": "", "after": "login"}
_VALUE = {
    "role": {"name": "clinic_app", "superuser": False}, "memberships": [], "row_security": [], "privileges": [],
    "settings": [], "digest": "00" * 32, "complete": True,
}  # fmt: skip


@pytest.fixture
def story() -> Story:
    one = Story()
    one.began()
    return one


def drift(story: Story, digest: str, *lines: dict[str, Any]) -> int:
    ops = [story.put(SEEN, {**_VALUE, "digest": digest * 32})]
    content = {"objects": encode_ops(ops), "difference": list(lines)}
    return story.add("drift", GATEWAY, content, system=SYSTEM, decided=story.state.index)


def gap(story: Story, began: int | None = None, **more: Any) -> int:
    backend = {
        "pid": 7, "started": format_moment(story.at_ns), "role": "eve", "database": "clinic", "address": "10.0.0.9",
        "port": 50_000, "application": "psql", "type": "client backend",
    }  # fmt: skip
    content: dict[str, Any] = {
        "cause": "past_gateway", "start": format_moment(story.at_ns), "end": None, "streams": [], "backend": backend, **more
    }  # fmt: skip
    if began is not None:
        content |= {"end": format_moment(story.at_ns), "gap": began}
    return story.add("log.gap", GATEWAY, content, system=SYSTEM)


def test_a_drift_that_nothing_explains_is_told_and_the_first_sight_is_none(story: Story) -> None:
    drift(story, "00")
    explained = drift(story, "11", {**LINE, "record": 3})
    found_at = drift(story, "22", {**LINE, "record": explained}, OTHER)
    (found,) = story.findings()
    assert ("drift.unexplained", "certain", (found_at,), None, SYSTEM, (SEEN,), 1) == (
        found.code, found.certainty, found.records, found.actor, found.system, found.objects, found.count
    )  # fmt: skip
    assert found.sentence == (
        f"Record {found_at} found that clinic enforces something else than before, and no record of ours explains "
        "roles nurse."
    )


def test_a_connection_past_the_gateway_is_told_once_with_its_end(story: Story) -> None:
    came = gap(story)
    story.wait(10)
    went = gap(story, came)
    stays = gap(story)
    assert [
        ("gateway.passed", "certain", (came, went)),
        ("gateway.passed", "certain", (stays,)),
    ] == told(story.findings())
    ended, open_ = story.findings()
    assert ended.sentence.startswith("eve from 10.0.0.9 connected to clinic past the gateway of clinic at ")
    assert f"did not show any more (record {went})." in ended.sentence
    assert f"(record {stays}), a connection whose end the stretch does not show." in open_.sentence


def test_a_connection_belongs_to_a_stretch_that_holds_one_of_its_records(story: Story) -> None:
    came = gap(story)
    between = story.context()
    went = gap(story, came)
    assert [("gateway.passed", "certain", (came,))] == told(story.findings(0, between))
    assert [] == story.findings(between, went)
    assert [("gateway.passed", "certain", (came, went))] == told(story.findings(between))


def test_who_may_connect_by_declaration_and_other_gaps_are_none(story: Story) -> None:
    came = gap(story, declared="eve@10.0.0.9")
    gap(story, came, declared="eve@10.0.0.9")
    at = format_moment(story.at_ns)
    content = {"cause": "unwatched", "start": at, "end": at, "streams": [], "looks": 1, "detail": ""}
    story.add("log.gap", GATEWAY, content, system=SYSTEM)
    assert [] == story.findings()


def test_they_are_of_their_system_and_nobodys(story: Story) -> None:
    drift(story, "00")
    drift(story, "11", OTHER)
    gap(story)
    assert {"drift.unexplained", "gateway.passed"} == {
        one.code for one in story.findings(chosen=Chosen(system=SYSTEM))
    }  # fmt: skip
    assert [] == story.findings(chosen=Chosen(system="other"))
    assert [] == story.findings(chosen=Chosen(actor=BOB))
