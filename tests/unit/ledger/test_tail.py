"""The journal's tail: what another process reads behind the writer, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgercase import ACTOR, BOOT, ORIGIN, Batch, Case

from affidavit.durable import OsDisk
from affidavit.errors import Corruption, Unavailable
from affidavit.ledger import journal, publisher
from affidavit.ledger.journal import segments_of
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.tail import JournalTail
from affidavit.record.frame import Stored, segment_name


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 8_000)
    monkeypatch.setattr(publisher, "SEGMENTS_KEPT", 1_000)
    case = Case(OsDisk(), tmp_path / "log")
    case.create()
    return case


def grow(case: Case, ledger: Ledger, groups: int) -> None:
    for _ in range(groups):
        drafts = tuple(case.draft("log.read", actor=ACTOR) for _ in range(3))
        assert ledger.append(Batch(case.stream(), BOOT, 0, drafts)).refusal is None


def tail(case: Case, start: int) -> JournalTail:
    return JournalTail(OsDisk(), case.root / "journal", ORIGIN, start)


def stored(ledger: Ledger, start: int, stop: int) -> list[Stored]:
    return [ledger.reader().stored(index) for index in range(start, stop)]


def test_it_gives_each_record_once_from_wherever_it_starts(case: Case) -> None:
    ledger = case.recover()
    grow(case, ledger, 4)
    tails = {start: tail(case, start) for start in (0, 1, 7, ledger.size)}
    sizes = [ledger.size]
    for _ in range(6):
        grow(case, ledger, 5)
        sizes.append(ledger.size)
    assert len(segments_of(case.disk, case.root / "journal")) > 4
    for start, one in tails.items():
        found: list[Stored] = []
        for size in sizes:
            found += one.read_to(size)
            assert stored(ledger, start, size) == found
        one.close()
    assert stored(ledger, sizes[2], sizes[-1]) == tail(case, sizes[2]).read_to(sizes[-1])


def test_it_refuses_a_frame_that_is_not_what_was_written(case: Case) -> None:
    ledger = case.recover()
    grow(case, ledger, 3)
    path = case.root / "journal" / segment_name(0)
    data = bytearray(path.read_bytes())
    data[len(data.rstrip(b"\0")) - 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(Corruption) as found:
        tail(case, 0).read_to(ledger.size)
    assert "journal.damage" == found.value.code


@pytest.mark.parametrize("left", ["nothing", "the next segment"])
def test_it_refuses_a_journal_that_has_not_all_that_is_durable(case: Case, left: str) -> None:
    ledger = case.recover()
    grow(case, ledger, 8)
    segments = segments_of(case.disk, case.root / "journal")
    assert len(segments) > 1
    behind = tail(case, 0)
    if left == "nothing":
        with pytest.raises((Corruption, Unavailable)):
            behind.read_to(ledger.size + 1)
    else:
        (case.root / "journal" / segment_name(segments[1])).unlink()
        with pytest.raises(Unavailable):
            behind.read_to(ledger.size)


def test_it_refuses_a_journal_that_begins_later(case: Case) -> None:
    ledger = case.recover()
    grow(case, ledger, 8)
    (case.root / "journal" / segment_name(0)).unlink()
    with pytest.raises(Corruption) as found:
        tail(case, 0)
    assert "journal.begins" == found.value.code
