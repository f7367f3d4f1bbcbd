"""Checkpoints (C2SP tlog-checkpoint): `origin LF size LF base64(root) LF`, signed as a note.

Reading is strict: three lines, one spelling. Extension lines are refused: we write none, some witnesses
refuse them, and what a line that nobody here understands claims cannot be checked.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import NOTE_NAME_BYTES_MAX, TREE_SIZE_MAX
from affidavit.tlog.hashing import EMPTY_ROOT
from affidavit.tlog.keys import SignerKey, VerifierKey
from affidavit.tlog.notes import open_note, sign_note
from affidavit.tlog.tiles import HASH_BYTES

#: The code for a tree of size 0 with another root: a witness answers it otherwise than what cannot be read.
EMPTY_TREE = "checkpoint.empty_tree"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's claim: the log `origin` has `size` entries, whose root is `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or len(self.origin) > NOTE_NAME_BYTES_MAX or not self.origin.isprintable():
            raise InvalidInput("checkpoint.origin", "An origin is one line of printable characters, as log.example/a.")
        if not 0 <= self.size <= TREE_SIZE_MAX:
            raise InvalidInput("checkpoint.size", f"A tree has 0 to 2^63 - 1 entries, not {self.size}.")
        if len(self.root) != HASH_BYTES:
            raise InvalidInput("checkpoint.root", f"A root has {HASH_BYTES} bytes, not {len(self.root)}.")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise InvalidInput("checkpoint.empty_tree", "A tree of size 0 has the root of the empty tree and no other.")

    def format(self) -> str:
        """The text to sign."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint of a note's text. Raises `VerificationError` for anything but its one spelling.

        Codes: `checkpoint.malformed`; `checkpoint.empty_tree` for size 0 with another root than the empty tree's.
        """
        lines = text.split("\n", 4)
        if len(lines) < 4 or not text.endswith("\n"):
            raise _malformed("it does not have three lines that end in LF")
        if len(lines) > 4:
            raise _malformed("it has extension lines, which are not supported")
        origin, size_text, root_text, _ = lines
        if not (size_text.isascii() and size_text.isdigit()) or len(size_text) > 19:
            raise _malformed("its second line is not a size")
        try:
            checkpoint = cls(origin, int(size_text), base64.b64decode(root_text.encode("ascii"), validate=True))
        except (binascii.Error, UnicodeEncodeError):
            raise _malformed("its third line is not base64") from None
        except InvalidInput as error:
            if error.code == EMPTY_TREE:
                raise VerificationError("checkpoint.empty_tree", error.message) from None
            raise _malformed(error.message) from None
        if checkpoint.format() != text:
            raise _malformed("it is not in its one spelling (leading zeros, or odd base64)")
        return checkpoint


def sign_checkpoint(checkpoint: Checkpoint, *signers: SignerKey) -> bytes:
    """The signed note of a checkpoint.

    Whoever signs must never have signed one that is not consistent with it.
    """
    return sign_note(checkpoint.format(), *signers)


def open_checkpoint(note_bytes: bytes, key: VerifierKey, origin: str) -> Checkpoint:
    """The checkpoint of log `origin`, signed by `key`; else `VerificationError`.

    Codes: those of `open_note`, `checkpoint.malformed`, `checkpoint.origin` (a checkpoint of another log). A
    log's own origin equals its key's name; the two are given apart for logs that differ and for witnesses'
    keys.
    """
    checkpoint = Checkpoint.parse(open_note(note_bytes, [key]).text)
    if checkpoint.origin != origin:
        raise VerificationError(
            "checkpoint.origin",
            f"This is a checkpoint of the log {checkpoint.origin!r}, not of {origin!r}.",
            "Check the log's location and the origin that you expect.",
        )
    return checkpoint


def _malformed(why: str) -> VerificationError:
    return VerificationError("checkpoint.malformed", f"This is not a checkpoint: {why.rstrip('.')}.")
