"""The witness protocol (C2SP tlog-witness) as bytes both ways, and what a witness answers, as pure functions.

A log asks for a cosignature with `POST <prefix>/add-checkpoint`:

    old <size that the witness saw last> LF
    base64 of one hash of the consistency proof LF, at most 63 of them
    LF
    the signed checkpoint

`read_request` checks what needs no memory, `check_continues` what the witness has to remember. Between the second and
the moment when the new checkpoint is durable nobody else may be judged for the same log: else two requests could each
be right by itself, and the later answer take back the earlier.

Checked in the specification's order: form (400), origin (404), the log's signature (403), sizes (400, 409), the empty
tree, the proof (422). A checkpoint with extension lines is malformed here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from affidavit.errors import VerificationError
from affidavit.limits import PROOF_HASHES_MAX, TREE_SIZE_MAX, WITNESS_ANSWER_BYTES_MAX, WITNESS_REQUEST_BYTES_MAX
from affidavit.tlog.checkpoint import EMPTY_TREE, Checkpoint
from affidavit.tlog.keys import SignatureLine, VerifierKey
from affidavit.tlog.notes import open_note, parse_note
from affidavit.tlog.proofs import verify_consistency
from affidavit.tlog.tiles import HASH_BYTES

ADD_CHECKPOINT = "add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_SIZE_BYTES_MAX = 20  # a size of 19 digits and LF


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: the size that the witness is said to have seen, the proof from there, and the signed checkpoint."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """The request's body."""
        lines = [f"old {self.old_size}", *(base64.b64encode(one).decode() for one in self.proof), "", ""]
        return "\n".join(lines).encode() + self.note

    @classmethod
    def parse(cls, data: bytes) -> AddCheckpoint:
        """The request in a body. Raises `VerificationError` (`witness.request`) for anything but its one spelling."""
        if len(data) > WITNESS_REQUEST_BYTES_MAX:
            raise _malformed(f"it is longer than {WITNESS_REQUEST_BYTES_MAX} bytes")
        head, found, note = data.partition(b"\n\n")
        if not found:
            raise _malformed("no blank line ends the proof")
        first, *rest = head.split(b"\n")
        word, _, size = first.partition(b" ")
        if word != b"old":
            raise _malformed("it does not begin with `old <size>`")
        if len(rest) > PROOF_HASHES_MAX:
            raise _malformed(f"the proof has more than {PROOF_HASHES_MAX} hashes")
        return cls(_size(size), tuple(map(_hash, rest)), note)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no cosignature: the HTTP status, and why. `size` stands in a 409."""

    status: int
    why: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is well formed, of a known log, and signed by it. `lines` are the log's own, verified."""

    checkpoint: Checkpoint
    old_size: int
    proof: tuple[bytes, ...]
    lines: tuple[SignatureLine, ...]

    @property
    def note(self) -> str:
        """The signed checkpoint with the lines that were verified, and no others."""
        return "".join([self.checkpoint.format(), "\n", *(line.to_text() for line in self.lines)])


def read_request(data: bytes, logs: Mapping[str, Sequence[VerifierKey]]) -> Request | Refusal:
    """What a body asks, by the logs that are followed: the keys of each by its origin."""
    checkpoint: Checkpoint | None = None
    try:
        asked = AddCheckpoint.parse(data)
        text, _ = parse_note(asked.note)
        checkpoint = Checkpoint.parse(text)
    except VerificationError as error:
        if error.code != EMPTY_TREE:
            return Refusal(400, str(error))
    origin = text.partition("\n")[0]
    keys = logs.get(origin)
    if keys is None:
        return Refusal(404, f"The log {origin!r} is not followed here.")
    try:
        lines = open_note(asked.note, keys).verified
    except VerificationError as error:
        return Refusal(403, str(error))
    if checkpoint is None:
        return Refusal(422, "A tree of size 0 has the root of the empty tree and no other.")
    if asked.old_size > checkpoint.size:
        return Refusal(400, f"The old size {asked.old_size} is above the checkpoint's size {checkpoint.size}.")
    return Request(checkpoint, asked.old_size, asked.proof, lines)


def check_continues(request: Request, latest: Checkpoint | None) -> Refusal | None:
    """Why `request` does not continue `latest`, the newest checkpoint cosigned of that log; None where it does."""
    size = 0 if latest is None else latest.size
    new = request.checkpoint
    if request.old_size != size:
        return Refusal(409, f"The newest checkpoint that was cosigned has the size {size}.", size)
    if size == 0:
        return Refusal(422, "From size 0 the proof is empty.") if request.proof else None
    try:
        verify_consistency(size, new.size, b"" if latest is None else latest.root, new.root, request.proof)
    except VerificationError as error:
        return Refusal(422, str(error))
    return None


def encode_size(size: int) -> bytes:
    """The body of a 409."""
    return f"{size}\n".encode()


def parse_size(data: bytes) -> int:
    """The size that a 409 names. Raises `VerificationError` (`witness.size`)."""
    text = data[: _SIZE_BYTES_MAX + 1].decode("ascii", "replace")
    if not text.endswith("\n") or not _DECIMAL.fullmatch(text[:-1]) or int(text) > TREE_SIZE_MAX:
        raise VerificationError("witness.size", f"A witness names no size in its conflict, but {text!r}.")
    return int(text)


def read_cosignatures(checkpoint: Checkpoint, answer: bytes, key: VerifierKey) -> tuple[SignatureLine, ...]:
    """The lines of a witness's `answer` that `key` made over `checkpoint`, verified; at least one.

    Lines of other keys are left out. Raises `VerificationError`: `note.…` for an answer that would spoil the note it
    is added to or a line that fails, `witness.answer` for one that is not signature lines alone.
    """
    if len(answer) > WITNESS_ANSWER_BYTES_MAX:
        raise VerificationError("witness.answer", f"The answer is longer than {WITNESS_ANSWER_BYTES_MAX} bytes.")
    text = checkpoint.format()
    note = text.encode() + b"\n" + answer
    if parse_note(note)[0] != text:
        raise VerificationError("witness.answer", "The answer holds more than signature lines.")
    return open_note(note, [key]).verified


def log_id(origin: str) -> str:
    """How a witness calls a log where it is read: SHA-256 of the origin, hex."""
    return sha256(origin.encode()).hexdigest()


def _size(text: bytes) -> int:
    size = text.decode("ascii", "replace")
    if not _DECIMAL.fullmatch(size) or int(size) > TREE_SIZE_MAX:
        raise _malformed("its old size is not a size")
    return int(size)


def _hash(line: bytes) -> bytes:
    try:
        value = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != HASH_BYTES or base64.b64encode(value) != line:
        raise _malformed("a line of the proof is not base64 of a hash")
    return value


def _malformed(why: str) -> VerificationError:
    return VerificationError("witness.request", f"This is not an add-checkpoint request: {why}.")
