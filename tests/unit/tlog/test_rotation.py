"""Rotation notes and the chain of keys: what each key signs, and who cannot forge a link."""

from __future__ import annotations

from dataclasses import replace

import pytest

from affidavit.errors import InvalidInput, VerificationError
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.keys import COSIGNATURE_ED25519, ML_DSA_44, SignerKey
from affidavit.tlog.notes import sign_note
from affidavit.tlog.rotation import KeyChain, Rotation, build_chain, decode_sizes, encode_sizes, rotation_path

ORIGIN = "log.example/a"
OLD, NEW, NEWEST, THIEF = (SignerKey(ORIGIN, bytes([n]) * 32) for n in (1, 2, 3, 9))
PQ, PQ2 = (SignerKey(ORIGIN, bytes([n]) * 32, ML_DSA_44) for n in (4, 5))
WITNESS = SignerKey("w.example", b"\6" * 32, COSIGNATURE_ED25519)


def checkpoint(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, bytes([size % 256]) * 32)


def rotation(size: int, ended: list[SignerKey], begun: list[SignerKey], by: list[SignerKey] | None = None) -> bytes:
    text = Rotation(checkpoint(size), tuple(key.verifier for key in begun)).format()
    return sign_note(text, *(ended + begun if by is None else by))


NOTES = [(10, rotation(10, [OLD], [NEW, PQ])), (20, rotation(20, [NEW, PQ], [NEWEST]))]


def chain(*pinned: SignerKey, notes: list[tuple[int, bytes]] | None = None) -> KeyChain:
    found, broken = build_chain(ORIGIN, [key.verifier for key in pinned], NOTES if notes is None else notes)
    assert () == broken
    return found


def refused(found: KeyChain, size: int, *signers: SignerKey) -> str:
    with pytest.raises(VerificationError) as caught:
        found.open(sign_checkpoint(checkpoint(size), *signers))
    return caught.value.code


def test_a_rotation_is_written_and_read() -> None:
    said = Rotation(checkpoint(10), (NEW.verifier, PQ.verifier))
    assert said == Rotation.parse(said.format())
    lines = said.format().split("\n")
    assert ["affidavit key rotation v1", ORIGIN, "10"] == lines[:3]
    assert [NEW.verifier.to_text(), PQ.verifier.to_text(), ""] == lines[4:]


GOOD = Rotation(checkpoint(10), (NEW.verifier,)).format()


@pytest.mark.parametrize(
    "text",
    [
        "",
        checkpoint(10).format(),
        GOOD[:-1],
        GOOD + "\n",
        GOOD.replace(" v1", " v2"),
        GOOD.replace("\n10\n", "\n010\n"),
        GOOD.replace(ORIGIN + "\n", "log.example/b\n", 1),
        GOOD + OLD.verifier.to_text() + "\n",
        GOOD + WITNESS.verifier.to_text() + "\n",
        "".join(GOOD.splitlines(keepends=True)[:4]),
        GOOD + GOOD,
    ],
)
def test_everything_else_is_no_rotation(text: str) -> None:
    with pytest.raises(VerificationError):
        Rotation.parse(text)
    with pytest.raises(InvalidInput):
        Rotation(checkpoint(10), (PQ.verifier,))


def test_sizes_have_one_spelling() -> None:
    assert (7, 300) == decode_sizes(encode_sizes([7, 300]))
    assert "key/00000000000000000300" == rotation_path(300)
    for data in (b"", b"7\n", encode_sizes([7, 7]), encode_sizes([9, 7]), encode_sizes([7])[:-1], b"\n", b"x" * 21):
        with pytest.raises(VerificationError):
            decode_sizes(data)


def test_each_size_is_judged_under_the_keys_in_force() -> None:
    found = chain(OLD)
    for size, signers in ((0, [OLD]), (5, [OLD]), (10, [OLD]), (11, [NEW, PQ]), (20, [NEW, PQ]), (21, [NEWEST])):
        if size:
            assert size == found.open(sign_checkpoint(checkpoint(size), *signers))[0].size
        assert [key.verifier for key in signers] == list(found.keys_at(size))
    assert "key.not_in_force" == refused(found, 11, OLD), "the thief of an old key cannot go on with the log"
    assert "key.not_in_force" == refused(found, 300, OLD)
    assert "key.not_in_force" == refused(found, 10, NEW, PQ), "nor the thief of a new one rewrite what was before it"
    assert "key.not_in_force" == refused(found, 21, NEW, PQ)
    assert "key.line_missing" == refused(found, 15, NEW)
    assert "key.line_missing" == refused(found, 15, PQ, OLD)
    assert "note.unknown" == refused(found, 15, THIEF)


def test_both_keys_at_once_do_no_harm() -> None:
    assert 21 == chain(OLD).open(sign_checkpoint(checkpoint(21), NEWEST, OLD))[0].size


def test_a_verifier_with_a_later_key_judges_from_there_on() -> None:
    found = chain(NEWEST)
    assert 21 == found.open(sign_checkpoint(checkpoint(21), NEWEST))[0].size
    assert () == found.keys_at(20) == found.keys_at(1)
    assert "note.unknown" == refused(found, 20, NEW, PQ)
    middle = chain(NEW)
    assert (NEW.verifier, PQ.verifier) == middle.keys_at(11), "the note that begins the key vouches for the other"
    assert (NEWEST.verifier,) == middle.keys_at(21)
    assert "key.not_in_force" == refused(middle, 5, NEW)


def test_keys_of_several_times_may_be_pinned_together() -> None:
    assert chain(OLD).epochs == chain(OLD, NEWEST).epochs == chain(NEWEST, OLD, PQ).epochs


def test_a_pinned_key_of_no_time_must_sign_and_so_nothing_holds() -> None:
    found, broken = build_chain(ORIGIN, [OLD.verifier, THIEF.verifier], NOTES)
    assert [(10, "rotation.signature")] == [(item.size, item.error.code) for item in broken]
    assert "key.line_missing" == refused(found, 5, OLD)


def test_without_rotations_all_given_keys_must_sign() -> None:
    both = chain(OLD, PQ, notes=[])
    assert "key.line_missing" == refused(both, 5, OLD)
    assert 5 == both.open(sign_checkpoint(checkpoint(5), OLD, PQ))[0].size
    one = chain(OLD, notes=[])
    assert 1 == len(one.open(sign_checkpoint(checkpoint(5), OLD, PQ))[1])
    assert 1 == len(chain(PQ, notes=[]).open(sign_checkpoint(checkpoint(5), OLD, PQ))[1])


def test_without_a_key_of_this_log_nothing_is_believed() -> None:
    """A stranger's key, or none, is no reason to believe what the notes themselves say."""
    for pinned in ([], [WITNESS], [replace(OLD, name="log.example/b")]):
        found, _ = build_chain(ORIGIN, [key.verifier for key in pinned], NOTES)
        assert () == found.keys
        with pytest.raises(VerificationError):
            found.open(sign_checkpoint(checkpoint(21), NEWEST))


def test_a_witness_alone_is_not_enough() -> None:
    found = chain(OLD)
    note = sign_note(checkpoint(5).format(), OLD, WITNESS, time_s=9)
    assert 2 == len(found.open(note, [WITNESS.verifier])[1])
    with pytest.raises(VerificationError):
        found.open(sign_note(checkpoint(5).format(), WITNESS, time_s=9), [WITNESS.verifier])
    nobody, _ = build_chain(ORIGIN, [WITNESS.verifier], [])
    with pytest.raises(VerificationError) as caught:
        nobody.open(note, [WITNESS.verifier])
    assert "checkpoint.origin" == caught.value.code


@pytest.mark.parametrize(
    ("note", "code"),
    [
        (rotation(10, [OLD], [THIEF], by=[THIEF]), "rotation.signature"),  # not by the key that it ends
        (rotation(10, [OLD], [NEW], by=[OLD]), "rotation.signature"),  # no possession
        (rotation(10, [OLD], [NEW, PQ], by=[OLD, NEW]), "rotation.signature"),
        (rotation(10, [OLD], [NEW], by=[NEWEST, NEW]), "rotation.signature"),
        (rotation(11, [OLD], [NEW]), "rotation.size"),  # filed under another size
        (rotation(10, [OLD], [NEW]).replace(b"\n10\n", b"\n11\n"), "rotation.size"),
        (rotation(10, [OLD], [NEW])[:-20] + b"A" * 19 + b"\n", "note.signature"),
        (sign_checkpoint(checkpoint(10), OLD, NEW), "rotation.malformed"),
        (b"", "note.malformed"),
    ],
)
def test_a_forged_rotation_breaks_the_chain(note: bytes, code: str) -> None:
    found, broken = build_chain(ORIGIN, [OLD.verifier], [(10, note), NOTES[1]])
    assert [(10, code)] == [(item.size, item.error.code) for item in broken]
    assert (OLD.verifier,) == found.keys_at(10**6), "the chain ends before what does not follow"


def test_a_signature_that_was_altered_breaks_the_chain() -> None:
    note = NOTES[0][1]
    lines = note.split(b"\n")
    swapped = b"\n".join([*lines[:-3], lines[-3].replace(b"A", b"B"), *lines[-2:]])
    _, broken = build_chain(ORIGIN, [OLD.verifier], [(10, swapped)])
    assert "note.signature" == broken[0].error.code


def test_a_link_that_is_missing_breaks_the_chain() -> None:
    _, broken = build_chain(ORIGIN, [OLD.verifier], NOTES[1:])
    assert [(20, "rotation.signature")] == [(item.size, item.error.code) for item in broken]


def test_the_thief_of_an_old_key_cannot_rotate_again() -> None:
    stolen = (15, rotation(15, [OLD], [THIEF]))
    _, broken = build_chain(ORIGIN, [OLD.verifier], [NOTES[0], stolen])
    assert [(15, "rotation.signature")] == [(item.size, item.error.code) for item in broken]


@pytest.mark.parametrize(
    "notes",
    [
        [NOTES[0], (15, rotation(15, [], [OLD]))],  # not signed by NEW
        [NOTES[0], (15, rotation(15, [NEW, PQ], [OLD]))],  # the owner of both does it by mistake
        [NOTES[0], NOTES[1], (30, rotation(30, [NEWEST], [NEW]))],
    ],
)
def test_a_key_that_ended_never_begins_again(notes: list[tuple[int, bytes]]) -> None:
    for pinned in (OLD, NEW, NEWEST):
        found, broken = build_chain(ORIGIN, [pinned.verifier], notes)
        assert broken, "whoever holds the old key cannot let it begin again"
        with pytest.raises(VerificationError):
            found.open(sign_checkpoint(checkpoint(40), OLD))


def test_a_rotation_of_another_log_is_refused() -> None:
    keys = [replace(key, name="log.example/b") for key in (OLD, NEW)]
    other = replace(checkpoint(10), origin="log.example/b")
    note = sign_note(Rotation(other, (keys[1].verifier,)).format(), *keys)
    _, broken = build_chain(ORIGIN, [OLD.verifier], [(10, note)])
    assert "rotation.origin" == broken[0].error.code
