"""Keys of all types: their texts, and that each line verifies over exactly what the specification says is signed."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from affidavit.errors import InvalidInput, VerificationError
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import COSIGNATURE_ED25519, ED25519, ML_DSA_44, SignatureLine, SignerKey, VerifierKey
from affidavit.tlog.notes import open_note, sign_note

TYPES = (ED25519, COSIGNATURE_ED25519, ML_DSA_44)
LOG = SignerKey("log.example/a", b"\1" * 32)
WITNESS = SignerKey("witness.example", b"\3" * 32, COSIGNATURE_ED25519)
QUANTUM = SignerKey("log.example/a", b"\4" * 32, ML_DSA_44)
SEED = b"\4" * 32
CHECKPOINT = Checkpoint("log.example/a", 70_000, b"\7" * 32)
STATEMENT = "affidavit something v1\nwhatever\n"


@pytest.mark.parametrize("type_", TYPES)
def test_keys_are_written_and_read(type_: int) -> None:
    key = SignerKey.generate("log.example/new", type_)
    assert key == SignerKey.parse(key.to_text())
    assert key.verifier == VerifierKey.parse(key.verifier.to_text())
    assert type_ == SignerKey.parse(key.to_text()).type
    assert key.to_text().startswith("PRIVATE+KEY+log.example/new+" + key.verifier.key_id.hex())
    assert "seed" not in repr(key)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "key.form"),
        ("name", "key.form"),
        ("name+00000000", "key.form"),
        ("a" * 100_000, "key.form"),
        ("+00000000+AAAA", "key.name"),
        ("a b+00000000+AAAA", "key.name"),
        ("a+00000000+", "key.base64"),
        ("a+00000000+A", "key.base64"),
        ("a+00000000+" + base64.b64encode(b"\1" * 33).decode(), "key.id"),
        (LOG.verifier.to_text().replace("log", "lug"), "key.id"),
    ],
)
def test_texts_that_are_not_keys_are_refused(text: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        VerifierKey.parse(text)
    assert code == refused.value.code


def test_a_key_of_another_type_or_length_is_refused() -> None:
    for encoded, code in [
        (b"\x05" + b"k" * 32, "key.type"),
        (b"\xff" + b"k" * 32, "key.type"),
        (b"\x01" + b"k" * 31, "key.length"),
        (b"\x06" + b"k" * 1311, "key.length"),
    ]:
        key_id = sha256(b"name\n" + encoded).digest()[:4].hex()
        with pytest.raises(InvalidInput) as refused:
            VerifierKey.parse(f"name+{key_id}+{base64.b64encode(encoded).decode()}")
        assert code == refused.value.code


def test_a_signer_key_that_was_altered_is_refused_without_being_shown() -> None:
    text = LOG.to_text()
    secret = text.split("+", 4)[4]
    for wrong in (text[:-4] + "AAA=", text.replace("log", "lug"), text[8:], text.replace("+AQ", "+BA")):
        with pytest.raises(InvalidInput) as refused:
            SignerKey.parse(wrong)
        assert secret[4:20] not in str(refused.value)


def test_a_cosignature_line_is_what_the_specification_says() -> None:
    private = Ed25519PrivateKey.from_private_bytes(b"\3" * 32)
    public = private.public_key().public_bytes_raw()
    time_s = 1_700_000_000
    text = CHECKPOINT.format()
    raw = private.sign(b"cosignature/v1\ntime 1700000000\n" + text.encode())
    line = WITNESS.line(text, time_s)
    assert time_s.to_bytes(8, "big") + raw == line.signature
    assert sha256(b"witness.example\n\x04" + public).digest()[:4] == line.key_id == WITNESS.verifier.key_id
    assert time_s == WITNESS.verifier.verify(text, line).time_s


@pytest.mark.parametrize("time_s", [0, 1_700_000_000])
def test_a_line_of_ml_dsa_44_is_what_the_specification_says(time_s: int) -> None:
    line = QUANTUM.line(CHECKPOINT.format(), time_s)
    public = MLDSA44PrivateKey.from_seed_bytes(SEED).public_key().public_bytes_raw()
    assert sha256(b"log.example/a\n\x06" + public).digest()[:4] == line.key_id
    assert time_s == int.from_bytes(line.signature[:8], "big")
    message = b"subtree/v1\n\0" + b"\x0dlog.example/a" + time_s.to_bytes(8, "big") + b"\x0dlog.example/a"
    message += bytes(8) + (70_000).to_bytes(8, "big") + b"\7" * 32
    MLDSA44PublicKey.from_public_bytes(public).verify(line.signature[8:], message)
    assert (time_s or None) == QUANTUM.verifier.verify(CHECKPOINT.format(), line).time_s
    assert 2_420 + 8 == len(line.signature)


def test_a_line_of_ml_dsa_44_binds_name_time_origin_size_and_root() -> None:
    line = QUANTUM.line(CHECKPOINT.format(), 5)
    moved = SignatureLine(line.name, line.key_id, (6).to_bytes(8, "big") + line.signature[8:])
    renamed = SignerKey("log.example/b", SEED, ML_DSA_44).verifier
    others = [
        Checkpoint("log.example/b", 70_000, b"\7" * 32),
        Checkpoint("log.example/a", 70_001, b"\7" * 32),
        Checkpoint("log.example/a", 70_000, b"\6" * 32),
    ]
    tried = [(QUANTUM.verifier, CHECKPOINT, moved), (renamed, CHECKPOINT, line)]
    tried += [(QUANTUM.verifier, other, line) for other in others]
    for key, checkpoint, tried_line in tried:
        with pytest.raises(VerificationError):
            key.verify(checkpoint.format(), tried_line)


def test_ml_dsa_44_signs_texts_of_our_own_and_no_others() -> None:
    note = sign_note(STATEMENT, LOG, QUANTUM)
    assert 2 == len(open_note(note, [LOG.verifier, QUANTUM.verifier]).verified)
    for text, time_s in ((STATEMENT, 1), ("hello\n", 0), (CHECKPOINT.format() + "extension\n", 0)):
        with pytest.raises(InvalidInput) as refused:
            QUANTUM.line(text, time_s)
        assert "key.text" == refused.value.code
    line = QUANTUM.line(STATEMENT)
    timed = SignatureLine(line.name, line.key_id, (1).to_bytes(8, "big") + line.signature[8:])
    for text, wrong in ((STATEMENT, timed), ("hello\n", line), (STATEMENT + "more\n", line)):
        with pytest.raises(VerificationError):
            QUANTUM.verifier.verify(text, wrong)


def test_names_that_a_length_byte_cannot_say_are_not_signed() -> None:
    key = SignerKey("n" * 256, SEED, ML_DSA_44)
    with pytest.raises(InvalidInput):
        key.line(CHECKPOINT.format())
    with pytest.raises(InvalidInput):
        QUANTUM.line(Checkpoint("o" * 256, 1, b"\7" * 32).format())


def test_a_cosigner_says_when() -> None:
    for key, time_s in ((WITNESS, 0), (WITNESS, -1), (WITNESS, 2**63), (QUANTUM, -1), (LOG, -1)):
        with pytest.raises(InvalidInput) as refused:
            key.line(CHECKPOINT.format(), time_s)
        assert "key.time" == refused.value.code


def test_a_note_bears_lines_of_all_types() -> None:
    note = sign_note(CHECKPOINT.format(), LOG, WITNESS, QUANTUM, time_s=9)
    opened = open_note(note, [LOG.verifier, WITNESS.verifier, QUANTUM.verifier])
    assert [None, 9, 9] == [line.time_s for line in opened.verified]
    for at in range(3):
        damaged = bytearray(note)
        line = note.split(b"\n")[4 + at]
        damaged[note.index(line) + len(line) - 9] ^= 1
        with pytest.raises(VerificationError):
            open_note(bytes(damaged), [LOG.verifier, WITNESS.verifier, QUANTUM.verifier])


def test_rubbish_in_place_of_a_line_is_refused() -> None:
    for key in (LOG, WITNESS, QUANTUM):
        for raw in (b"", b"x", b"\0" * 72, b"\0" * 64, b"\0" * 2_428, b"\0" * 2_429):
            with pytest.raises(VerificationError):
                key.verifier.verify(CHECKPOINT.format(), SignatureLine(key.name, key.verifier.key_id, raw))
