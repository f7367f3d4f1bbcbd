"""The witness protocol: requests and answers as bytes, and each answer of the specification's table."""

from __future__ import annotations

import base64

import pytest

from affidavit.errors import VerificationError
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.hashing import EMPTY_ROOT, leaf_hash, root_of
from affidavit.tlog.keys import COSIGNATURE_ED25519, SignatureLine, SignerKey
from affidavit.tlog.proofs import prove_consistency
from affidavit.tlog.witness import (
    AddCheckpoint,
    Refusal,
    Request,
    check_continues,
    encode_size,
    log_id,
    parse_size,
    read_cosignatures,
    read_request,
)

KEY = SignerKey("log.example/a", b"\1" * 32)
OTHER = SignerKey("log.example/a", b"\2" * 32)
LOGS = {"log.example/a": [KEY.verifier]}
LEAVES = [leaf_hash(b"%d" % number) for number in range(300)]
WITNESS = SignerKey("w.example/1", b"\7" * 32, COSIGNATURE_ED25519)
COSIGNER = WITNESS.verifier


def checkpoint(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(KEY.name, size, root_of(leaves[:size]))


def proof(old: int, size: int) -> tuple[bytes, ...]:
    return tuple(
        prove_consistency(old, size, lambda level, index: root_of(LEAVES[index << level : index + 1 << level]))
    )


def request(old: int, size: int, *signers: SignerKey) -> bytes:
    return AddCheckpoint(old, proof(old, size), sign_checkpoint(checkpoint(size), *(signers or (KEY,)))).encode()


def answer(data: bytes, latest: Checkpoint | None) -> int:
    """The status that a witness answers."""
    read = read_request(data, LOGS)
    if isinstance(read, Refusal):
        return read.status
    refusal = check_continues(read, latest)
    return 200 if refusal is None else refusal.status


def cosignature(text: str, time_s: int = 1_700_000_000) -> str:
    return WITNESS.line(text, time_s).to_text()


def test_a_request_is_read_as_it_was_written() -> None:
    for old, size in ((0, 0), (0, 1), (1, 1), (3, 7), (256, 300)):
        asked = AddCheckpoint(old, proof(old, size), sign_checkpoint(checkpoint(size), KEY))
        assert asked == AddCheckpoint.parse(asked.encode())
    assert request(0, 3).startswith(b"old 0\n\nlog.example/a\n3\n")


def test_a_request_as_the_specification_shows_it() -> None:
    data = b"old 2\n" + base64.b64encode(b"\5" * 32) + b"\n\nlog.example/a\n"
    assert AddCheckpoint(2, (b"\5" * 32,), b"log.example/a\n") == AddCheckpoint.parse(data)


GOOD = request(3, 7)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"old 3",
        b"old 3\n",
        GOOD.replace(b"old 3", b"old 03", 1),
        GOOD.replace(b"old 3", b"old +3", 1),
        GOOD.replace(b"old 3", b"old  3", 1),
        GOOD.replace(b"old 3", b"old", 1),
        GOOD.replace(b"old 3", b"new 3", 1),
        GOOD.replace(b"old 3", b"old 9223372036854775808", 1),
        GOOD.replace(b"old 3", "old ٣".encode(), 1),
        GOOD.replace(b"old 3\n", b"old 3\r\n", 1),
        GOOD.replace(b"old 3\n", b"old 3\nAAAA\n", 1),
        GOOD.replace(b"=\n", b"\n", 1),
        GOOD.replace(b"=\n", b"= \n", 1),
        b"old 3\n" + (base64.b64encode(b"\0" * 32) + b"\n") * 64 + b"\n" + GOOD.partition(b"\n\n")[2],
        GOOD + b"x" * 16_384,
    ],
)
def test_a_request_in_any_other_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError) as refused:
        AddCheckpoint.parse(data)
    assert "witness.request" == refused.value.code
    assert 400 == answer(data, checkpoint(3))


def test_what_continues_is_accepted() -> None:
    assert 200 == answer(request(0, 0), None)
    assert 200 == answer(request(0, 5), None)
    assert 200 == answer(request(0, 5), checkpoint(0))
    assert 200 == answer(request(5, 5), checkpoint(5))
    assert 200 == answer(request(256, 300), checkpoint(256))


def test_only_verified_lines_of_the_log_are_kept() -> None:
    foreign = SignatureLine("somebody.example", b"abcd", b"anything").to_text()
    read = read_request(request(0, 5) + foreign.encode(), LOGS)
    assert isinstance(read, Request)
    assert sign_checkpoint(checkpoint(5), KEY).decode() == read.note


def test_400_what_is_no_checkpoint_and_an_old_size_above_it() -> None:
    note = sign_checkpoint(checkpoint(7), KEY)
    for wrong in (b"", note[:-1], note.replace(b"\n7\n", b"\n07\n"), note + b"no signature\n", b"\xff" + note):
        assert 400 == answer(AddCheckpoint(0, (), wrong).encode(), None)
    extended = note.replace(b"\n\n", b"\nmore\n\n")
    assert 400 == answer(AddCheckpoint(0, (), extended).encode(), None)
    assert 400 == answer(AddCheckpoint(8, (), note).encode(), checkpoint(8))


def test_403_without_a_known_key_or_with_one_that_fails() -> None:
    assert 403 == answer(request(0, 5, OTHER), None)
    note = sign_checkpoint(checkpoint(5), KEY).replace(b"\n5\n", b"\n6\n")
    assert 403 == answer(AddCheckpoint(0, (), note).encode(), None)
    failing = SignatureLine(KEY.name, KEY.verifier.key_id, b"\0" * 64).to_text().encode()
    assert 403 == answer(request(0, 5) + failing, None)


def test_404_for_a_log_that_is_not_followed() -> None:
    stranger = SignerKey("log.example/b", b"\3" * 32)
    note = sign_checkpoint(Checkpoint(stranger.name, 0, EMPTY_ROOT), stranger)
    assert 404 == answer(AddCheckpoint(0, (), note).encode(), None)


def test_409_names_the_size_that_was_cosigned_last() -> None:
    for old, latest in ((0, 3), (3, None), (3, 5), (5, 3)):
        read = read_request(request(old, 7), LOGS)
        assert isinstance(read, Request)
        refusal = check_continues(read, None if latest is None else checkpoint(latest))
        assert isinstance(refusal, Refusal)
        assert (409, latest or 0) == (refusal.status, refusal.size)
    assert 409 == answer(request(2, 2), checkpoint(5)), "an older checkpoint is not cosigned again"
    assert b"5\n" == encode_size(5)


def test_422_what_does_not_continue() -> None:
    other = [*LEAVES[:2], leaf_hash(b"rewritten"), *LEAVES[3:]]
    forked = sign_checkpoint(checkpoint(7, other), KEY)
    assert 422 == answer(AddCheckpoint(3, proof(3, 7), forked).encode(), checkpoint(3))
    assert 422 == answer(AddCheckpoint(7, (), forked).encode(), checkpoint(7)), "equal size, another root"
    assert 422 == answer(AddCheckpoint(7, proof(3, 7), sign_checkpoint(checkpoint(7), KEY)).encode(), checkpoint(7))
    assert 422 == answer(AddCheckpoint(3, (), sign_checkpoint(checkpoint(7), KEY)).encode(), checkpoint(3))
    assert 422 == answer(AddCheckpoint(0, proof(3, 7), sign_checkpoint(checkpoint(7), KEY)).encode(), None)


def test_422_size_0_with_a_root_that_is_not_the_empty_one() -> None:
    text = f"{KEY.name}\n0\n{base64.b64encode(bytes(32)).decode()}\n"
    line = KEY.line(text).to_text()
    assert 422 == answer(AddCheckpoint(0, (), f"{text}\n{line}".encode()).encode(), None)
    unsigned = SignatureLine(KEY.name, KEY.verifier.key_id, bytes(64)).to_text()
    assert 403 == answer(AddCheckpoint(0, (), f"{text}\n{unsigned}".encode()).encode(), None)


def test_sizes_in_a_conflict() -> None:
    assert [0, 5, 2**63 - 1] == [parse_size(data) for data in (b"0\n", b"5\n", b"9223372036854775807\n")]
    for wrong in (
        b"",
        b"5",
        b"05\n",
        b"-1\n",
        b"5\n\n",
        b"5 \n",
        b"9223372036854775808\n",
        b"1" * 4000 + b"\n",
        b"\xd9\xa3\n",
    ):
        with pytest.raises(VerificationError) as refused:
            parse_size(wrong)
        assert "witness.size" == refused.value.code


def test_a_cosignature_is_verified_before_it_is_taken() -> None:
    now = checkpoint(5)
    good = cosignature(now.format())
    (line,) = read_cosignatures(now, good.encode(), COSIGNER)
    assert (COSIGNER.name, 1_700_000_000) == (line.name, line.time_s)
    foreign = SignatureLine("x.example", b"abcd", b"anything").to_text()
    assert (line,) == read_cosignatures(now, (foreign + good).encode(), COSIGNER)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "note.malformed"),
        (b"<html>", "note.malformed"),
        (cosignature(checkpoint(5).format()).encode()[:-1], "note.malformed"),
        (cosignature(checkpoint(5).format()).encode() + b"\n", "note.malformed"),
        (b"more\n\n" + cosignature(checkpoint(5).format()).encode(), "witness.answer"),
        (cosignature(checkpoint(6).format()).encode(), "note.signature"),
        (SignatureLine("x.example", b"abcd", b"anything").to_text().encode(), "note.unknown"),
        (cosignature(checkpoint(5).format()).encode() * 200, "witness.answer"),
        (cosignature(checkpoint(5).format()).encode() * 101, "note.malformed"),
    ],
)
def test_an_answer_that_would_spoil_the_note_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(VerificationError) as refused:
        read_cosignatures(checkpoint(5), data, COSIGNER)
    assert code == refused.value.code


def test_the_name_of_a_log_where_it_is_read() -> None:
    assert "b2d3e0cf2e483fbc179ff15f4e95ebef4f0ad5565d228215674c9ee83f0faf1d" == log_id("log.example/a")
