"""Counting what a query finds, asked of the API and the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from office import PEOPLE, Office, office

from affidavit.cli.options import Common
from affidavit.cli.summary import show_summary
from affidavit.errors import Denied, InvalidInput


def asked(desk: Office, **params: Any) -> dict[str, Any]:
    return list(desk.admin.asked("/v1/summary", **params))[-1]["answer"]


def test_counts_values_and_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        for _ in range(3):
            desk.access("ana")
        size = desk.ledger.size
        whole = asked(desk)
        assert {"count": {"certainly": size, "possibly": 0}, "size": size} == whole
        assert [("ana", 3)] == [
            (one["shown"], one["certainly"]) for one in asked(desk, query="kind:access", facet="actor")["values"]
        ]
        by_kind = asked(desk, facet="kind", most=1)
        assert 1 == len(by_kind["values"]) and by_kind["different"] > 3
        objects = asked(desk, query="object:membership/", facet="object")
        assert "membership/ana/analysts" in [one["shown"] for one in objects["values"]]
        steps = asked(desk, query="kind:access", step="1d")["steps"]
        assert 3 == sum(one["certainly"] for one in steps)
        for params, code in (
            ({"facet": "text"}, "query.facet"),
            ({"step": "1x"}, "query.number"),
            ({"query": "actr:ana"}, "query.field"),
            ({"most": 0, "face": "kind"}, "http.member"),
        ):
            with pytest.raises(InvalidInput) as raised:
                asked(desk, **params)
            assert code == raised.value.code
        ana = desk.client(desk.token("ana"))
        with pytest.raises(Denied):
            list(ana.asked("/v1/summary"))
        root = desk.root
    assert 0 == show_summary("kind:access", "actor", "1d", Common(data=root))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("3 records, of ")
    assert ["actor  records  possibly", "ana    3"] == lines[2:4]
    assert lines[5].endswith("UTC          3  " + 48 * "█")
