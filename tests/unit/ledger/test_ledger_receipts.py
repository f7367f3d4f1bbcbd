"""A receipt of each acknowledged record: signed once for a group, only where somebody asks, true of what is published."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from ledgercase import ACTOR, BOOT, Batch, Case
from simdisk import SimDisk

from affidavit.errors import Unavailable
from affidavit.ledger import receipts as making
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.receipts import Receipts
from affidavit.record.draft import Answer
from affidavit.record.moment import parse_moment
from affidavit.tlog.hashing import leaf_hash
from affidavit.tlog.receipts import Receipt
from affidavit.verify.receipt import check_receipt


@pytest.fixture
def case() -> Case:
    return Case(SimDisk(), Path("/data"))


def submit(case: Case, ledger: Ledger, count: int) -> list[Answer]:
    """Queue one batch of `count` records of a stream of its own."""
    answers: list[Answer] = []
    drafts = tuple(case.draft("log.read", actor=ACTOR) for _ in range(count))
    ledger.submit(Batch(case.stream(), BOOT, 0, drafts), answers.append)
    return answers


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 9])
def test_each_record_of_a_group_has_a_receipt_that_holds(case: Case, count: int) -> None:
    secrets, ledger = case.create(), case.recover()
    answers = submit(case, ledger, count)
    ledger.step()
    reader = ledger.reader()
    for sealed in answers[0].receipts:
        receipt = Receipt.decode(ledger.receipt(sealed.index))
        promise = receipt.open([secrets.verifier])
        assert (sealed.index, sealed.id) == (receipt.index, receipt.id)
        assert leaf_hash(reader.stored(sealed.index)[0]) == receipt.leaf
        assert (answers[0].receipts[0].index, count, sealed.at) == (promise.first, promise.count, promise.accepted)
        assert making.RECEIPT_PUBLISH_WITHIN_S * 10**9 == parse_moment(promise.publish_by) - parse_moment(sealed.at)


def test_a_group_is_signed_once_and_only_where_somebody_asks(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.create()
    ledger = case.recover()
    signed: list[str] = []
    sign = ledger._receipts._sign
    monkeypatch.setattr(ledger._receipts, "_sign", lambda text: (signed.append(text), sign(text))[1])
    one, two = submit(case, ledger, 2), submit(case, ledger, 3)
    ledger.step()
    submit(case, ledger, 1)
    ledger.step()
    assert [] == signed
    notes = {Receipt.decode(ledger.receipt(item.index)).note for item in (*one[0].receipts, *two[0].receipts)}
    assert (1, 1) == (len(signed), len(notes))


def test_a_receipt_is_had_after_publication_and_for_the_writers_own_records(case: Case) -> None:
    secrets, ledger = case.create(), case.recover()
    answers = submit(case, ledger, 300)
    ledger.step()
    ledger.publish_now()
    for index in (4, 5, answers[0].receipts[0].index, answers[0].receipts[299].index):
        assert index == Receipt.decode(ledger.receipt(index)).open([secrets.verifier]).first + (
            index - (4 if index < 6 else 6)
        )


@pytest.mark.parametrize("index", [0, 3, 6, 10_000, -1])
def test_there_is_none_for_what_this_process_did_not_write(case: Case, index: int) -> None:
    case.create()
    ledger = case.recover()
    with pytest.raises(Unavailable) as refused:
        ledger.receipt(index)
    assert "receipt.late" == refused.value.code


def test_old_groups_are_forgotten(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "RECEIPT_GROUPS_KEPT", 2)
    monkeypatch.setattr(making, "RECEIPT_TREES_CACHED", 1)
    case.create()
    ledger = case.recover()
    receipts = ledger._receipts = Receipts("log.example/a", lambda _: b"", ledger.reader())
    indexes = []
    for _ in range(3):
        answers = submit(case, ledger, 1)
        ledger.step()
        indexes.append(answers[0].receipts[0].index)
    with pytest.raises(Unavailable):
        ledger.receipt(indexes[0])
    for index in (*indexes[1:], *indexes[1:]):
        assert index == Receipt.decode(ledger.receipt(index)).index
    assert 1 == len(receipts._made)


def test_a_ledger_that_has_stopped_promises_nothing(case: Case) -> None:
    case.create()
    ledger = case.recover()
    answers = submit(case, ledger, 1)
    ledger.step()
    ledger._fail(Unavailable("disk.sync", "The disk is gone."))
    with pytest.raises(Unavailable, match="stopped"):
        ledger.receipt(answers[0].receipts[0].index)


class Published:
    """The public part of a log on a simulated disk, as a source."""

    name = "the disk"

    def __init__(self, disk: SimDisk) -> None:
        self._disk = disk

    def get(self, path: str, limit: int) -> bytes | None:
        return self._disk.read(Path("/data/log") / path, limit)


@pytest.mark.parametrize("seed", range(12))
def test_a_promise_is_kept_across_a_power_cut(seed: int) -> None:
    """Records with receipts are durable: whatever the disk loses, they stand where they were promised."""
    chance = random.Random(seed)
    case = Case(SimDisk(seed), Path("/data"), seed)
    secrets, receipts = case.create(), list[bytes]()
    for _ in range(3):
        ledger = case.recover()
        for _ in range(chance.randrange(1, 6)):
            answers = submit(case, ledger, chance.randrange(1, 40))
            ledger.step()
            receipts += [ledger.receipt(one.index) for one in answers[0].receipts if chance.random() < 0.3]
            if chance.random() < 0.3:
                ledger.publish_now()
        if chance.random() < 0.5:
            submit(case, ledger, 5)  # in flight when the power goes
        case.disk.crash()
    ledger = case.recover()
    ledger.publish_now()
    assert receipts
    found = [check_receipt(one, [secrets.verifier], Published(case.disk), 2**62).result for one in receipts]
    assert {"kept"} == set(found)
