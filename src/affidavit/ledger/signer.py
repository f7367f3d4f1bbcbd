"""What signs a log's checkpoints."""

from __future__ import annotations

from typing import Protocol

from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.keys import SignerKey, VerifierKey


class Signer(Protocol):
    """Signs checkpoints of one log. Whoever implements it never signs two that are not consistent."""

    @property
    def verifier(self) -> VerifierKey:
        """The public key, whose name is the log's origin."""

    def sign(self, checkpoint: Checkpoint) -> bytes:
        """The signed note. Raises `Unavailable` where the key cannot be reached."""


class FileSigner:
    """Signs with a key that lies in a file, held in memory."""

    def __init__(self, key: SignerKey) -> None:
        self._key = key
        self.verifier = key.verifier

    def sign(self, checkpoint: Checkpoint) -> bytes:
        return sign_checkpoint(checkpoint, self._key)
