"""Receipts as bytes: one spelling, nothing in them can be changed unnoticed, and no other signature passes for one."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from affidavit.errors import VerificationError
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.hashing import leaf_hash, node_hash
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.notes import sign_note
from affidavit.tlog.receipts import Promise, Receipt, receipt_leaf

KEY = SignerKey("log.example/receipts", b"\1" * 32)
ID = "01979e6f-7c00-7000-8000-0000000000{:02x}"
LEAVES = [bytes([number]) * 32 for number in range(3)]
MOMENTS = ("2026-11-22T14:17:03.000000000Z", "2026-11-22T14:27:03.000000000Z")


def made(at: int = 1) -> Receipt:
    """The receipt of record 8, 9 or 10, which became durable together."""
    hashes = [leaf_hash(receipt_leaf(8 + number, ID.format(number), leaf)) for number, leaf in enumerate(LEAVES)]
    pair = node_hash(hashes[0], hashes[1])
    path = {0: (hashes[1], hashes[2]), 1: (hashes[0], hashes[2]), 2: (pair,)}[at]
    promise = Promise(KEY.name, 8, 3, *MOMENTS, node_hash(pair, hashes[2]))
    return Receipt(8 + at, ID.format(at), LEAVES[at], path, sign_note(promise.format(), KEY))


def test_the_bytes_are_as_the_specification_shows() -> None:
    receipt = made()
    text = receipt.encode().decode()
    head, note = text.split("\n\n", 1)
    assert [
        "affidavit receipt file v1",
        '{"id":"' + ID.format(1) + '","index":9,"leaf":"' + "01" * 32 + '"}',
        *[base64.b64encode(one).decode() for one in receipt.path],
    ] == head.split("\n")
    assert ["affidavit receipt v1", KEY.name, "8", "3", *MOMENTS] == note.split("\n")[:6]
    assert note.encode() == receipt.note


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_receipt_is_read_and_opened_under_its_key(at: int) -> None:
    receipt = Receipt.decode(made(at).encode())
    assert made(at) == receipt
    promise = receipt.open([KEY.verifier])
    assert (8, 3, MOMENTS[1]) == (promise.first, promise.count, promise.publish_by)


def test_a_receipt_of_one_record_has_no_path() -> None:
    leaf = leaf_hash(receipt_leaf(4, ID.format(0), LEAVES[0]))
    note = sign_note(Promise(KEY.name, 4, 1, *MOMENTS, leaf).format(), KEY)
    receipt = Receipt.decode(Receipt(4, ID.format(0), LEAVES[0], (), note).encode())
    assert 4 == receipt.open([KEY.verifier]).first


def test_no_bit_of_it_can_be_changed() -> None:
    data = made().encode()
    passed = []
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        try:
            Receipt.decode(bytes(changed)).open([KEY.verifier])
        except VerificationError:
            continue
        passed.append(at)
    assert [] == passed


def test_no_byte_of_it_can_be_left_out_or_added() -> None:
    data = made().encode()
    for at in range(len(data)):
        for changed in (data[:at], data[:at] + data[at + 1 :], data[:at] + b"\n" + data[at:]):
            with pytest.raises(VerificationError):
                Receipt.decode(changed).open([KEY.verifier])


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (replace(made(), index=10), "proof.inclusion"),
        (replace(made(), index=11), "receipt.index"),
        (replace(made(), index=7), "receipt.index"),
        (replace(made(), leaf=LEAVES[2]), "proof.inclusion"),
        (replace(made(), id=ID.format(2)), "proof.inclusion"),
        (replace(made(), path=made().path[:1]), "proof.inclusion"),
        (replace(made(), note=sign_note("affidavit receipt v2\n", KEY)), "receipt.malformed"),
        (replace(made(), note=sign_checkpoint(Checkpoint(KEY.name, 8, b"\1" * 32), KEY)), "receipt.malformed"),
    ],
)
def test_what_does_not_follow_from_the_promise_is_refused(changed: Receipt, code: str) -> None:
    with pytest.raises(VerificationError) as refused:
        changed.open([KEY.verifier])
    assert code == refused.value.code


def test_only_the_key_of_the_log_that_it_names_signs_it() -> None:
    other = SignerKey("log.example/other", b"\2" * 32)
    with pytest.raises(VerificationError) as unknown:
        made().open([SignerKey(KEY.name, b"\2" * 32).verifier])
    forged = replace(made(), note=sign_note(Promise(KEY.name, 8, 3, *MOMENTS, bytes(32)).format(), other))
    with pytest.raises(VerificationError) as foreign:
        forged.open([KEY.verifier, other.verifier])
    assert ("note.unknown", "receipt.key") == (unknown.value.code, foreign.value.code)


def test_a_promise_is_no_checkpoint() -> None:
    with pytest.raises(VerificationError):
        Checkpoint.parse(Promise(KEY.name, 8, 3, *MOMENTS, bytes(32)).format())


@pytest.mark.parametrize(
    "promise",
    [
        Promise(KEY.name, 8, 0, *MOMENTS, bytes(32)),
        Promise(KEY.name, 2**63 - 1, 1, *MOMENTS, bytes(32)),
        Promise(KEY.name, 8, 3, MOMENTS[1], MOMENTS[0], bytes(32)),
        Promise(KEY.name, 8, 3, "2026-11-22", MOMENTS[0], bytes(32)),
        Promise(KEY.name, 8, 3, *MOMENTS, bytes(31)),
        Promise("two\nlines", 8, 3, *MOMENTS, bytes(32)),
    ],
)
def test_a_promise_that_no_log_makes_is_refused(promise: Promise) -> None:
    with pytest.raises(VerificationError):
        Promise.parse(promise.format())
