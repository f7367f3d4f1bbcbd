"""Searching through the API beside a search index on disk: the same answers, what becomes of one that was altered, and
what an erasure leaves of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from office import PEOPLE, Office, office, opened

from affidavit.cli.client import Client
from affidavit.compose.serving import serving
from affidavit.compose.site import Site
from affidavit.evidence.export import Bounds
from affidavit.record.read import Record
from affidavit.search.index import Index

#: Asking is a record too: those of the questions themselves are not asked for.
QUERIES = (
    "-kind:log.read",
    "actor:ana",
    "name FROM patients",
    "decision:deny OR table:wards",
    "NOT table:patients -kind:log.read",
    "has:error rows>1",
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply(PEOPLE)
        for table in ("patients", "visits", "billing"):
            one.access("ana", f"public.{table}")
        yield one


def index_on_disk(root: Path) -> Index:
    """The index of the log in `root`, as `affidavit up` leaves it once the log is long."""
    site = Site(root)
    records = site.read_only()
    index = site.index(records)
    index._recent_records = 1
    index.mend()
    while index.add_newest(Bounds(records), lambda: False):
        pass
    return index


def answers(desk: Office) -> list[Any]:
    return [desk.admin.get("/v1/records", query=query, limit=500) for query in QUERIES]


def test_answers_are_the_same_with_and_without_it(desk: Office) -> None:
    without = answers(desk)
    assert 0 == desk.admin.get("/v1/status")["search"]["records"]
    desk.access("ana", "public.wards")
    expected = answers(desk)
    index_on_disk(desk.root)
    with_it = _anew(desk)
    assert expected == with_it
    assert [len(one["records"]) for one in without] <= [len(one["records"]) for one in with_it]
    assert all(one["records"] for one in with_it[:5])


def _anew(desk: Office) -> list[Any]:
    """The answers of a process that has not looked for the index yet."""
    with serving(desk.root, writes=False) as path:
        client = Client(path, None, server_runs=False)
        try:
            found = [client.get("/v1/records", query=query, limit=500) for query in QUERIES]
            assert desk.ledger.size == client.get("/v1/status")["search"]["records"]
            return found
        finally:
            client.close()


def test_an_erased_body_leaves_it_at_once(desk: Office) -> None:
    index = desk.access("ana", "public.salaries")
    index_on_disk(desk.root)
    volume = desk.root / "search" / "000000"
    assert (volume / "stand").exists()
    desk.admin.post(f"/v1/records/{index}/erasure", {"reason": "asked for"})
    assert [] == list(volume.iterdir())
    assert [] == desk.admin.get("/v1/records", query="table:salaries")["records"]
    index_on_disk(desk.root)
    assert (volume / "stand").exists()
    assert [] == desk.admin.get("/v1/records", query="table:salaries")["records"]


def test_what_it_promised_and_the_log_does_not_hold_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with office(tmp_path) as one:
        one.apply(PEOPLE)
        one.access("ana")
    index_on_disk(tmp_path / "data")
    with opened(tmp_path / "data") as desk:
        assert [1] == [len(desk.admin.get("/v1/records", query="verb:select")["records"])]
        assert "search index" not in [one["check"] for one in desk.admin.get("/v1/ready")["checks"]]
        monkeypatch.setattr("affidavit.history.shared.SharedRecords.record", _other_verb)
        assert [] == desk.admin.get("/v1/records", query="verb:select")["records"]
        monkeypatch.undo()
        checks = {one["check"]: one for one in desk.admin.get("/v1/ready")["checks"]}
    assert checks["search index"]["holds"] is False
    assert "The search index named 1 record that" in checks["search index"]["detail"]


def _other_verb(self: Any, index: int) -> Record:
    """As `SharedRecords.record`, of a log in which the statement was another one."""
    record: Record = self._reader.record(index)
    action = record.content.get("action")
    if not isinstance(action, dict) or not isinstance(record.body, dict):
        return record
    return replace(record, body={**record.body, "action": {**action, "verb": "DELETE"}})
