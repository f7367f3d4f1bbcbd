"""What signs for a log: one small protocol, so that an agent, an HSM or a KMS can take the place of a file.

A log's keys sign texts for a few purposes. A checkpoint has three lines and begins with the origin, which holds no
space; every other text begins with `affidavit`, what it is, and its version. So no signature made for one purpose can
be shown as one for another. A signer is told the purpose and refuses a text that is not of it.

Whatever a signer answers is verified before it is used: an agent that was restarted with another key publishes
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from affidavit.errors import Corruption, InvalidInput, VerificationError
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import ED25519, SignatureLine, SignerKey, VerifierKey
from affidavit.tlog.notes import join_note, open_note
from affidavit.tlog.receipts import PROMISE_START
from affidavit.tlog.restoration import RESTORATION_START
from affidavit.tlog.rotation import ROTATION_START, check_log_keys

#: The code of `Unavailable` where a key cannot be reached now.
SIGNER_AWAY = "signer.away"


class Purpose(StrEnum):
    """What a text is signed as."""

    CHECKPOINT = "checkpoint"
    ROTATION = "rotation"
    RECEIPT = "receipt"
    RESTORATION = "recovery"


_STARTS = {
    Purpose.ROTATION: ROTATION_START,
    Purpose.RECEIPT: PROMISE_START,
    Purpose.RESTORATION: RESTORATION_START,
}
#: A receipt promises what shows within seconds, and there is one a group commit: it bears the Ed25519 line alone.
_ED25519_ALONE = frozenset({Purpose.RECEIPT})


class Signer(Protocol):
    """Signs for one log, from any thread. Whoever implements it guarantees:

    * `verifiers` never change: another key is another signer;
    * it signs no text that `check_purpose` refuses;
    * it never signs two checkpoints that are not consistent. The ledger asks for none; one that keeps state of its own
      refuses a checkpoint smaller than its last, and another root at the same size.
    """

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """The public keys, named as the log's origin: Ed25519, and behind it ML-DSA-44 where it is switched on."""

    def sign(self, purpose: Purpose, text: str) -> Sequence[SignatureLine]:
        """A line of each key that signs for this purpose (`signing`).

        Raises `Unavailable` where the key cannot be reached now: it is asked again, later.
        """


class FileSigner:
    """Signs with keys that lie in a file, held in memory."""

    def __init__(self, keys: Sequence[SignerKey]) -> None:
        self._keys = tuple(keys)
        self.verifiers = tuple(key.verifier for key in self._keys)
        check_log_keys(self._keys[0].name, self.verifiers)

    def sign(self, purpose: Purpose, text: str) -> tuple[SignatureLine, ...]:
        """A line of each key for this purpose."""
        check_purpose(purpose, text, self._keys[0].name)
        wanted = signing(self.verifiers, purpose)
        return tuple(key.line(text) for key in self._keys if key.verifier in wanted)


def signing(verifiers: Sequence[VerifierKey], purpose: Purpose) -> tuple[VerifierKey, ...]:
    """Which of a log's keys sign for `purpose`."""
    return tuple(key for key in verifiers if purpose not in _ED25519_ALONE or key.type == ED25519)


def check_purpose(purpose: Purpose, text: str, origin: str) -> None:
    """Raise `InvalidInput` unless `text` is what the log `origin` signs for `purpose`. For signers."""
    if purpose is Purpose.CHECKPOINT:
        try:
            fits = Checkpoint.parse(text).origin == origin
        except VerificationError:
            fits = False
    else:
        fits = text.startswith(f"{_STARTS[purpose]}{origin}\n")
    if not fits:
        raise InvalidInput("signer.purpose", f"This text is no {purpose.value} of the log {origin}: it is not signed.")


def signed_note(signer: Signer, purpose: Purpose, text: str) -> bytes:
    """The note of `text`, signed for `purpose` and verified.

    Raises `Unavailable` where the signer cannot be reached, `Corruption` where what it answers does not verify.
    """
    check_purpose(purpose, text, signer.verifiers[0].name)
    lines = signer.sign(purpose, text)
    note = join_note(text, lines)
    wanted = {(key.name, key.key_id) for key in signing(signer.verifiers, purpose)}
    try:
        verified = {(line.name, line.key_id) for line in open_note(note, signer.verifiers).verified}
    except VerificationError as error:
        raise _wrong(str(error)) from None
    if verified != wanted or len(lines) != len(wanted):
        raise _wrong("It does not bear one line of each of the log's keys, and no other.")
    return note


def _wrong(why: str) -> Corruption:
    return Corruption("signer.wrong", f"What the signer answered is not used: {why}", "Does it hold this log's keys?")
