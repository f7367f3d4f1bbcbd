"""Signed notes: what is signed opens, and each way in which a note can be wrong is refused."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affidavit.errors import InvalidInput, VerificationError
from affidavit.tlog.keys import COSIGNATURE_ED25519, SignatureLine, SignerKey, VerifierKey
from affidavit.tlog.notes import open_note, parse_note, sign_note

LOG = SignerKey("log.example/a", b"\1" * 32)
OTHER = SignerKey("other.example", b"\2" * 32)
TEXT = "first\n\nsecond\n"


def code_of(data: bytes, *keys: VerifierKey) -> str:
    with pytest.raises(VerificationError) as refused:
        open_note(data, keys)
    return refused.value.code


def cosigned(text: str, time_s: int) -> tuple[VerifierKey, str]:
    """A witness's key and its line, made from the specification's words alone."""
    private = Ed25519PrivateKey.from_private_bytes(b"\3" * 32)
    public = private.public_key().public_bytes_raw()
    key_id = sha256(b"witness.example\n\x04" + public).digest()[:4]
    raw = time_s.to_bytes(8, "big") + private.sign(f"cosignature/v1\ntime {time_s}\n{text}".encode())
    line = "— witness.example " + base64.b64encode(key_id + raw).decode() + "\n"
    return VerifierKey("witness.example", COSIGNATURE_ED25519, public), line


def test_a_signed_note_opens_with_its_key() -> None:
    note = open_note(sign_note(TEXT, LOG, OTHER), [LOG.verifier])
    assert TEXT == note.text
    assert [("log.example/a", LOG.verifier.key_id)] == [(line.name, line.key_id) for line in note.verified]
    assert ["other.example"] == [line.name for line in note.unverified]


def test_a_note_is_split_at_its_last_blank_line() -> None:
    text, lines = parse_note(sign_note("a\n\nb\n\nc\n", LOG))
    assert "a\n\nb\n\nc\n" == text
    assert 1 == len(lines)


def test_a_cosignature_verifies_and_gives_its_time() -> None:
    key, line = cosigned(TEXT, 1_700_000_000)
    data = sign_note(TEXT, LOG) + line.encode()
    note = open_note(data, [LOG.verifier, key])
    assert [None, 1_700_000_000] == [signed.time_s for signed in note.verified]
    assert line == note.verified[1].to_text()
    later = base64.b64decode(line.split()[2])
    later = later[:4] + (1_700_000_001).to_bytes(8, "big") + later[12:]
    moved = f"— witness.example {base64.b64encode(later).decode()}\n"
    assert "note.signature" == code_of(sign_note(TEXT, LOG) + moved.encode(), LOG.verifier, key)


def test_one_failing_line_of_a_known_key_rejects_the_note() -> None:
    good = sign_note(TEXT, LOG)
    forged = SignatureLine(OTHER.name, OTHER.verifier.key_id, b"\0" * 64).to_text().encode()
    assert TEXT == open_note(good + forged, [LOG.verifier]).text
    assert "note.signature" == code_of(good + forged, LOG.verifier, OTHER.verifier)
    repeat = SignatureLine(LOG.name, LOG.verifier.key_id, b"\0" * 64).to_text().encode()
    assert "note.signature" == code_of(good + repeat, LOG.verifier)
    short = SignatureLine(LOG.name, LOG.verifier.key_id, b"\0" * 63).to_text().encode()
    assert "note.signature" == code_of(b"a\n\n" + short, LOG.verifier)


def test_a_repeated_line_counts_once() -> None:
    good = sign_note(TEXT, LOG)
    assert 1 == len(open_note(good + good[good.rindex("—".encode()) :], [LOG.verifier]).verified)


def test_a_note_without_a_known_key_is_rejected() -> None:
    assert "note.unknown" == code_of(sign_note(TEXT, OTHER), LOG.verifier)
    assert "note.unknown" == code_of(sign_note(TEXT, LOG))
    renamed = SignerKey("log.example/b", LOG.seed)
    assert "note.unknown" == code_of(sign_note(TEXT, renamed), LOG.verifier)


def test_an_altered_text_is_rejected() -> None:
    assert "note.signature" == code_of(sign_note(TEXT, LOG).replace(b"second", b"third"), LOG.verifier)


GOOD = sign_note(TEXT, LOG)
LINE = GOOD[GOOD.rindex("—".encode()) :]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        TEXT.encode(),
        b"text\n" + LINE,
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + b"- log.example/a AAAAAAAA\n",
        GOOD + "— name\n".encode(),
        GOOD + "— name \n".encode(),
        GOOD + "— name AAAA\n".encode(),
        GOOD + "— name AAAAAAB=\n".encode(),  # a second spelling of AAAAAAA=
        GOOD + "— name AAAAAAA\n".encode(),
        GOOD + "— name AAAAAAAA AAAA\n".encode(),
        GOOD + "— a+b AAAAAAAA\n".encode(),
        GOOD + "— a\u00a0b AAAAAAAA\n".encode(),
        GOOD + "—  AAAAAAAA\n".encode(),
        GOOD.replace(b"second", b"sec\tond"),
        GOOD.replace(b"second\n", b"second\r\n"),
        GOOD.replace(b"second", b"sec\xff"),
        GOOD + LINE * 100,
        b"a" * 1_000_001,
    ],
)
def test_a_malformed_note_is_rejected(data: bytes) -> None:
    assert "note.malformed" == code_of(data, LOG.verifier)


def test_a_hundred_lines_are_accepted() -> None:
    assert 1 == len(open_note(GOOD + LINE * 99, [LOG.verifier]).verified)


def test_two_keys_that_a_line_cannot_tell_apart_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VerifierKey, "key_id", property(lambda key: b"same"))
    clash = VerifierKey(LOG.name, 1, OTHER.verifier.public_key)
    with pytest.raises(InvalidInput) as refused:
        open_note(GOOD, [LOG.verifier, clash])
    assert "key.ambiguous" == refused.value.code


def test_what_no_note_may_say_is_not_signed() -> None:
    for text in ("", "no line end", "tab\t\n", "lone \ud800\n", "a" * 600_000 + "\n"):
        with pytest.raises(InvalidInput):
            sign_note(text, LOG)
    with pytest.raises(InvalidInput):
        sign_note(TEXT)
    with pytest.raises(InvalidInput):
        SignerKey.generate("two words")
