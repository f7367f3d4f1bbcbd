"""Reading: memory, bundles, a folder that somebody else writes, and bytes that are not what was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgercase import BOOT, Case
from simdisk import SimDisk

from affidavit.errors import Corruption, InvalidInput
from affidavit.ledger import reader as reader_module
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.reader import Reader
from affidavit.record.body import BodyKey, Unreadable
from affidavit.record.draft import Batch
from affidavit.tlog.rotation import KeyChain

ROOT = Path("/data")
LAYOUT = Layout(ROOT)


@pytest.fixture
def case() -> Case:
    case = Case(SimDisk(), ROOT)
    case.create()
    return case


def filled(case: Case) -> Ledger:
    """600 accesses, of which 500 and some are published."""
    ledger = case.recover()
    stream = case.stream()
    session, context = case.session(ledger, stream)
    for start in range(0, 600, 100):
        if start == 500:
            ledger.publish_now()
        drafts = tuple(case.access(session, context, body=case.body(n=start + at)) for at in range(100))
        ledger.append(Batch(stream, BOOT, 2 + start, drafts))
    return ledger


def test_every_record_is_read_wherever_it_lies(case: Case) -> None:
    ledger = filled(case)
    assert (608, 508) == (ledger.size, ledger.published.size)
    reader = ledger.reader()
    found = [record.content.get("n") for record in reader.records(8, 608)]
    assert list(range(600)) == found
    assert list(reversed(range(600))) == [r.content["n"] for r in reader.records(607, 7, -1)]
    assert list(range(608)) == [record.index for record in reader.records(0, 608)]


def test_a_folder_is_read_while_somebody_writes_it(case: Case) -> None:
    ledger = filled(case)
    assert case.secrets is not None
    keys, key = case.secrets.body_keys_by_id, KeyChain.unbroken(case.secrets.verifiers)
    reader = Reader.of_folder(ROOT, case.disk, keys, key)
    assert 608 == reader.size
    ledger.publish_now()  # the bundles that it began with become full; partial ones go
    assert [r.raw for r in ledger.reader().records(0, 608)] == [r.raw for r in reader.records(0, 608)]
    other = Case(SimDisk(), ROOT, 5).create().verifiers
    with pytest.raises(Corruption, match="not a checkpoint"):
        Reader.of_folder(ROOT, case.disk, keys, KeyChain.unbroken(other))
    with pytest.raises(InvalidInput, match="no published log"):
        Reader.of_folder(Path("/nowhere"), case.disk, keys, key)


def test_without_the_body_key_headers_are_still_read(case: Case) -> None:
    filled(case)
    assert case.secrets is not None
    other = BodyKey(bytes(32))
    reader = Reader.of_folder(ROOT, case.disk, {other.id: other}, KeyChain.unbroken(case.secrets.verifiers))
    record = reader.record(20)
    assert Unreadable(case.secrets.body_keys[0].id) == record.body
    assert ({}, "access") == (record.content, record.header.kind)


def test_an_index_beyond_the_log(case: Case) -> None:
    reader = filled(case).reader()
    for index in (-1, 608):
        with pytest.raises(InvalidInput, match="holds 608"):
            reader.record(index)


@pytest.mark.parametrize(
    ("path", "offset", "match"),
    [
        ("log/tile/entries/001", 100, "do not hash to"),
        ("log/tile/entries/001", 0, "log/tile/entries/001"),
        ("log/tile/0/001", 40, "do not hash to"),
        ("bodies/001", 12, "The body of record 256"),
        ("bodies/001", 1, "bodies/001"),
    ],
)
def test_altered_bundles_are_noticed_when_they_are_read(case: Case, path: str, offset: int, match: str) -> None:
    ledger = filled(case)
    ledger.publish_now()
    assert isinstance(case.disk, SimDisk)
    case.disk.flip(ROOT / path, offset)
    with pytest.raises(Corruption, match=match):
        ledger.reader().record(256)
    assert 3 == ledger.reader().record(3).index


def test_a_bundle_that_is_gone(case: Case) -> None:
    ledger = filled(case)
    assert isinstance(case.disk, SimDisk)
    case.disk.replace(LAYOUT.slots(0), None)
    with pytest.raises(Corruption, match="bodies/000 is gone"):
        ledger.reader().record(0)


def test_a_reader_keeps_few_bundles(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "BUNDLES_CACHED_MAX", 1)
    ledger = filled(case)
    ledger.publish_now()
    reader = ledger.reader()
    for index in (0, 300, 0, 511):
        assert index == reader.record(index).index
    assert 1 == len(reader._bundles)
