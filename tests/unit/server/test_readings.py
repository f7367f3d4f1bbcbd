"""Reading the log is a record: who asked, for what, and how much they were shown."""

from __future__ import annotations

import json
import os
import queue
import threading
from pathlib import Path
from typing import Any

import pytest
from office import PEOPLE, Office, office

from affidavit.cli.client import Client
from affidavit.cli.timeline import find_records
from affidavit.compose.serving import serving
from affidavit.errors import Denied, InvalidInput, Unavailable
from affidavit.search import summing


def newest(desk: Office) -> tuple[dict[str, Any], str]:
    """The newest record: its body without how the actor was proved, and what it says."""
    record = desk.admin.get(f"/v1/records/{desk.ledger.size - 1}")
    assert "log.read" == record["header"]["kind"]
    assert record["header"]["actor"] == desk.live.resolve("root")
    assert "uid" == record["body"].pop("via")["method"]
    del record["body"]["salt"]
    return record["body"], record["sentence"]


def test_each_way_of_reading_is_a_record_with_what_was_shown(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        first = desk.access("ana")
        last = desk.access("ana")
        size = desk.ledger.size
        assert 2 == len(find_records(desk.admin, "kind:access actor:ana", 10))
        assert size + 1 == desk.ledger.size
        body, said = newest(desk)
        assert {
            "asked": "search",
            "query": "kind:access actor:ana",
            "certainly": 2,
            "possibly": 0,
            "first": first,
            "last": last,
        } == body
        assert "root searched the log for “kind:access actor:ana” and was shown 2 records" in said

        assert [] == find_records(desk.admin, "verb:truncate", 10)
        body, said = newest(desk)
        assert (0, None, None) == (body["certainly"], body["first"], body["last"])
        assert "was shown 0 records" in said

        list(desk.admin.asked("/v1/summary", query="kind:access", facet="actor"))
        body, said = newest(desk)
        assert ("count", 2, "actor") == (body["asked"], body["certainly"], body["facet"])
        assert "root counted what the log holds for “kind:access”: 2 records" in said

        lines = [json.loads(line) for line in desk.admin.lines("/v1/export", query="kind:access")]
        assert [first, last] == [line["index"] for line in lines]
        body, said = newest(desk)
        assert {"asked": "export", "query": "kind:access"} == body
        assert "root exported from the log for “kind:access”" in said

        size, came = desk.ledger.size, queue.SimpleQueue[str]()
        following = threading.Thread(target=lambda: came.put(next(desk.admin.lines("/v1/follow", query=""))))
        following.start()
        while desk.ledger.size == size:
            os.sched_yield()
        desk.access("ana")
        assert "session.open" == json.loads(came.get(timeout=30))["header"]["kind"], (
            "what one asks for oneself came before"
        )
        following.join()
        follow = desk.admin.get("/v1/records", query="kind:log.read", limit=1)["records"][0]
        assert "root followed the log for everything from then on" in follow["sentence"]


def test_no_way_of_asking_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An insider who wants to know, without being seen, whether somebody was already looked into."""
    monkeypatch.setattr(summing, "HISTOGRAM_STEPS_MAX", 1)
    monkeypatch.setattr(summing, "FACET_VALUES_MAX", 1)
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        for params in ({"before": desk.ledger.size}, {"before": 3}, {"limit": 0}, {"before": 0, "limit": 1}):
            size = desk.ledger.size
            desk.admin.get("/v1/records", query="actor:theo kind:access", **params)
            assert size + 1 == desk.ledger.size, f"asked with {params}, nobody knows of it"
            assert "actor:theo kind:access" == newest(desk)[0]["query"]
        for params in ({"facet": "kind"}, {"step": "1s"}):
            size = desk.ledger.size
            while len({desk.admin.get(f"/v1/records/{at}")["header"]["time"]["at"][:19] for at in range(size)}) < 2:
                size = desk.access("ana") + 1
            with pytest.raises(InvalidInput, match=r"more than 1 (values|such steps)"):
                list(desk.admin.asked("/v1/summary", **params))
            assert "count" == newest(desk)[0]["asked"], "what is refused says that there is much of it"


def test_who_did_on_the_log_counts_it(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.admin.get("/v1/records", query="")
        people = list(desk.admin.asked("/v1/who/did", resource="log"))[-1]["answer"]["people"]
        assert ["root"] == [one["handle"] for one in people]


def test_what_is_refused_or_not_understood_shows_nothing_and_is_no_reading(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        ana = desk.client(desk.token("ana"))
        size = desk.ledger.size
        for path in ("/v1/records", "/v1/summary"):
            with pytest.raises(Denied):
                ana.get(path)
            with pytest.raises(InvalidInput):
                desk.admin.get(path, query="actr:ana")
        assert size == desk.ledger.size


def test_nothing_is_shown_where_the_log_cannot_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with office(tmp_path) as desk:

        async def refused(*_: object) -> None:
            raise Unavailable("log.full", "The disk is full.")

        monkeypatch.setattr("affidavit.capture.readings.Readings.note", refused)
        for path in ("/v1/records", "/v1/export", "/v1/follow"):
            with pytest.raises(Unavailable, match="The disk is full"):
                list(desk.admin.lines(path))
        with pytest.raises(Unavailable, match="The disk is full"):
            list(desk.admin.asked("/v1/summary"))


def test_who_only_reads_the_files_leaves_no_record(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        root, size = desk.root, desk.ledger.size
    with serving(root, writes=False) as path:
        client = Client(path, None, server_runs=False)
        assert size + 1 == len(find_records(client, "", 50)), "with the record that the log was closed"
        client.close()
