"""What a gap says of a source's silence is compared with the heartbeats: each contradiction is found."""

from __future__ import annotations

from typing import Any

import pytest

from affidavit.record.header import Header, Log, Source, Time
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.line import Line
from affidavit.verify.silence import Silences
from affidavit.verify.verdict import Check

NS_AT = "2026-11-22T14:{:02d}:{:02d}.000000000Z"


def at(seconds: int) -> str:
    return NS_AT.format(seconds // 60, seconds % 60)


def line(index: int, kind: str, content: dict[str, Any] | None, seconds: int) -> Line:
    header = Header(
        v=1, id="", kind=kind, source=Source("0" * 32, index), time=Time(at(seconds)), log=Log(at(seconds), 0), basis="observed"
    )  # fmt: skip
    return Line(index, header, content, "" if content is not None else "unread", "log/tile/entries/000")


def declared(index: int, seconds: int, **value: Any) -> Line:
    op = {"op": "put", "name": "source/lab", "value": {"kind": "collector", "system": None, "heartbeat_s": 10, **value}}
    return line(index, "change", {"objects": [op]}, seconds)


def beat(index: int, seconds: int, source: str = "lab") -> Line:
    return line(index, "log.heartbeat", {"source": source}, seconds)


def gap(index: int, seconds: int, start: int, heard: int | None, end: int | None = None, **more: Any) -> Line:
    content = {
        "cause": "silence",
        "start": at(start),
        "end": None if end is None else at(end),
        "streams": [],
        "source": "lab",
        "declared": 2,
        "heard": heard,
        **more,
    }
    return line(index, "log.gap", content, seconds)


def judged(*lines: Line) -> Check:
    notes = Notebook()
    silences = Silences(notes)
    for one in (line(0, "log.open", {}, 0), declared(2, 1), *lines):
        silences.take(one)
    silences.finish()
    notes.looked(Duty.COUNTERS)
    return notes.checks()[Duty.COUNTERS - 1]


BEFORE = (beat(3, 2), gap(4, 30, 2, 3))


@pytest.mark.parametrize(
    "lines",
    [
        (beat(3, 2), beat(4, 12), beat(5, 27)),
        (gap(3, 30, 1, None),),
        BEFORE,
        (*BEFORE, beat(5, 40), gap(6, 41, 2, 5, 40, gap=4)),
        (beat(3, 2), beat(4, 18), gap(5, 18, 2, 3), gap(6, 19, 2, 4, 18, gap=5)),  # a heartbeat overtook the gap
        (*BEFORE, declared(5, 31), gap(6, 60, 31, None, declared=5)),  # a new declaration, a new expectation
        (line(3, "log.gap", {"cause": "crash", "start": at(1), "end": at(2), "streams": []}, 2),),
        (beat(3, 2, "nobody"), beat(4, 900, "nobody")),
    ],
)
def test_what_follows_from_the_heartbeats_holds(lines: tuple[Line, ...]) -> None:
    assert ("passed", ()) == (judged(*lines).status, judged(*lines).findings)
    assert "silent" not in judged(*lines).detail


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((beat(3, 2), gap(4, 30, 1, None), gap(5, 60, 1, None)), "is recorded again"),
        ((*BEFORE, beat(5, 40), gap(6, 41, 2, 5, 40, gap=3)), "not open"),
        ((beat(3, 2), gap(4, 30, 2, 3, 2, gap=3)), "not open"),
        ((beat(3, 2), gap(4, 30, 5, 3)), "not heard of as it says"),
        ((beat(3, 2), gap(4, 30, 2, 9)), "not heard of as it says"),
        ((gap(3, 30, 2, None),), "not heard of as it says"),
        ((*BEFORE, gap(5, 41, 2, 5, 40, gap=4)), "not heard of as it says"),
        ((gap(3, 30, 1, None, source="other"),), "no declaration"),
        ((gap(3, 30, 1, None, declared=1),), "no declaration"),
    ],
)
def test_a_contradiction_is_a_finding(lines: tuple[Line, ...], why: str) -> None:
    check = judged(*lines)
    assert ("failed", "counter.silence") == (check.status, check.findings[0].code)
    assert why in check.findings[0].message


def test_a_silence_that_nothing_accounts_for_is_a_remark() -> None:
    check = judged(beat(3, 2), beat(4, 300))
    assert "passed" == check.status
    assert "the source lab was silent from 2026-11-22T14:00:02" in check.detail
    # While the log was closed nobody could be heard.
    assert "silent" not in judged(beat(3, 2), line(4, "log.open", {}, 299), beat(5, 300)).detail


def test_what_could_not_be_read_is_said_and_not_judged() -> None:
    check = judged(line(3, "log.heartbeat", None, 2), gap(4, 30, 7, 3))
    assert ("passed", 0) == (check.status, len(check.findings))
    assert "silences were not compared" in check.detail
    assert "it was not compared" in judged(line(3, "change", None, 2), gap(4, 30, 7, 3)).detail
