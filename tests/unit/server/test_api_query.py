"""What is asked for reaches the log, and how surely each record is that comes back: by the API and the commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office import PEOPLE, Office, office

from affidavit.cli.main import run
from affidavit.errors import InvalidInput


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as one:
        one.apply(PEOPLE)
        yield one


def found(desk: Office, query: str) -> list[tuple[int, str]]:
    return [(view["index"], view["match"]) for view in desk.admin.get("/v1/records", query=query)["records"]]


def at_its_own(desk: Office, index: int) -> str:
    """A query from the very moment on that the record's clock showed: no clock is sure enough to be inside."""
    return f"index:{index} at>={desk.admin.get(f'/v1/records/{index}')['header']['time']['at']}"


def test_each_answer_says_how_surely_it_matches(desk: Office) -> None:
    access = desk.access("ana")
    query = at_its_own(desk, access)
    assert [(access, "possibly")] == found(desk, query)
    assert [(access, "certainly")] == found(desk, f"index:{access} (table:patients OR at:1970)")
    following = desk.admin.lines("/v1/follow", query=query, after=0)
    streamed: list[dict[str, Any]] = [json.loads(line) for line in desk.admin.lines("/v1/export", query=query)]
    streamed.append(json.loads(next(iter(following))))
    assert [(access, "possibly")] * 2 == [(line["index"], line["match"]) for line in streamed]


def test_the_answer_says_how_the_query_was_understood(desk: Office) -> None:
    ana = desk.live.identity_by_handle("ana")
    asked = desk.admin.get("/v1/records", query="actor:ana at:2026-11-22T14:17+01:00~5m -verb:SELECT")["asked"]
    during = "2026-11-22T13:12:00.000000000Z..2026-11-22T13:22:59.999999999Z"
    assert asked == f"actor:{ana} at:{during} NOT verb:select"
    assert desk.admin.get("/v1/records")["asked"] == ""


@pytest.mark.parametrize("path", ["/v1/records", "/v1/export", "/v1/follow"])
def test_what_cannot_be_read_is_refused_with_its_column(desk: Office, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        list(desk.admin.lines(path, query="kind:access actr:ana"))
    assert (refused.value.code, refused.value.message[:9]) == ("query.field", "Column 13")


def test_the_command_marks_what_possibly_matches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with office(tmp_path) as desk:
        desk.apply(PEOPLE)
        access = desk.access("ana")
        query, root = at_its_own(desk, access), str(desk.root)
    capsys.readouterr()
    assert 0 == run(["timeline", query, "--data", root])
    assert "(possibly then)" in capsys.readouterr().out
    assert 0 == run(["timeline", f"index:{access}", "--data", root])
    assert "possibly" not in capsys.readouterr().out
