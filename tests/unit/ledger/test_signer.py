"""Signers: what is signed for which purpose, and that an answer is verified before it is used."""

from __future__ import annotations

import pytest

from affidavit.errors import Corruption, InvalidInput
from affidavit.ledger.signer import FileSigner, Purpose, check_purpose, signed_note
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import COSIGNATURE_ED25519, ML_DSA_44, SignatureLine, SignerKey
from affidavit.tlog.notes import open_note
from affidavit.tlog.restoration import restoration_text
from affidavit.tlog.rotation import Rotation

ORIGIN = "log.example/a"
FIRST = SignerKey(ORIGIN, b"\1" * 32)
SECOND = SignerKey(ORIGIN, b"\2" * 32, ML_DSA_44)
SIGNER = FileSigner([FIRST, SECOND])
CHECKPOINT = Checkpoint(ORIGIN, 7, b"\7" * 32)
TEXTS = {
    Purpose.CHECKPOINT: CHECKPOINT.format(),
    Purpose.ROTATION: Rotation(CHECKPOINT, (SignerKey(ORIGIN, b"\3" * 32).verifier,)).format(),
    Purpose.RECEIPT: f"affidavit receipt v1\n{ORIGIN}\n7\n",
    Purpose.RESTORATION: restoration_text(ORIGIN, 7, "00" * 32),
}


@pytest.mark.parametrize(
    ("purpose", "lines"),
    [(Purpose.CHECKPOINT, 2), (Purpose.ROTATION, 2), (Purpose.RECEIPT, 1), (Purpose.RESTORATION, 2)],
)
def test_a_text_is_signed_for_its_purpose_alone(purpose: Purpose, lines: int) -> None:
    note = signed_note(SIGNER, purpose, TEXTS[purpose])
    assert lines == len(open_note(note, SIGNER.verifiers).verified)
    for other in set(Purpose) - {purpose}:
        with pytest.raises(InvalidInput) as refused:
            SIGNER.sign(other, TEXTS[purpose])
        assert "signer.purpose" == refused.value.code


@pytest.mark.parametrize("purpose", list(Purpose))
def test_texts_of_another_log_are_not_signed(purpose: Purpose) -> None:
    with pytest.raises(InvalidInput):
        check_purpose(purpose, TEXTS[purpose], "log.example/b")
    with pytest.raises(InvalidInput):
        check_purpose(purpose, TEXTS[purpose], "log.example")


class Answers:
    """A signer that gives what a test says."""

    def __init__(self, *lines: SignatureLine) -> None:
        self.verifiers = SIGNER.verifiers
        self._lines = lines

    def sign(self, purpose: Purpose, text: str) -> tuple[SignatureLine, ...]:
        return self._lines


def test_an_answer_that_does_not_verify_or_is_not_whole_is_not_used() -> None:
    text = TEXTS[Purpose.CHECKPOINT]
    good = SIGNER.sign(Purpose.CHECKPOINT, text)
    assert signed_note(SIGNER, Purpose.CHECKPOINT, text).startswith(text.encode())
    other = SignerKey(ORIGIN, b"\5" * 32).line(text)
    moved = SIGNER.sign(Purpose.CHECKPOINT, Checkpoint(ORIGIN, 8, b"\7" * 32).format())
    for wrong in ([good[0]], [good[1]], [*good, other], [*good, good[0]], [other, good[1]], moved):
        with pytest.raises(Corruption) as refused:
            signed_note(Answers(*wrong), Purpose.CHECKPOINT, text)
        assert "signer.wrong" == refused.value.code


def test_a_log_has_an_ed25519_key_and_perhaps_ml_dsa_44_behind_it() -> None:
    for keys in ([SECOND], [SECOND, FIRST], [FIRST, FIRST], [FIRST, SignerKey("log.example/b", b"\2" * 32, ML_DSA_44)]):
        with pytest.raises(InvalidInput):
            FileSigner(keys)
    with pytest.raises(InvalidInput):
        FileSigner([SignerKey(ORIGIN, b"\1" * 32, COSIGNATURE_ED25519)])
