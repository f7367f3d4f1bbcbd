"""The checkpoint that a log shows and the ones kept elsewhere: opened under the given keys, compared with the tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from affidavit.errors import VerificationError
from affidavit.limits import NOTE_BYTES_MAX
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import ED25519, SignatureLine, VerifierKey
from affidavit.tlog.notes import open_note
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.evidence import Evidence, read
from affidavit.verify.verdict import Kept, Signature

PLACE = "log/checkpoint"


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint and the lines of its note that given keys verified."""

    checkpoint: Checkpoint
    lines: tuple[SignatureLine, ...]

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """The verified lines as the verdict names them."""
        return tuple(Signature(line.name, line.key_id.hex(), line.time_s) for line in self.lines)


def open_signed(note: bytes, keys: Sequence[VerifierKey]) -> Signed:
    """The checkpoint in `note`, signed by the log that it names, else `VerificationError`.

    A witness's cosignature alone is not enough: one Ed25519 line must be of a key named as the origin.
    """
    opened = open_note(note, keys)
    checkpoint = Checkpoint.parse(opened.text)
    own = {(key.name, key.key_id) for key in keys if key.type == ED25519 and key.name == checkpoint.origin}
    if not any((line.name, line.key_id) in own for line in opened.verified):
        raise VerificationError(
            "checkpoint.origin",
            f"The checkpoint is of the log {checkpoint.origin!r}, and no given key of that log signed it.",
            "Check the key and the location.",
        )
    return Signed(checkpoint, opened.verified)


def check_published(evidence: Evidence, keys: Sequence[VerifierKey], notes: Notebook) -> Signed | None:
    """Duty 1: the log's own checkpoint; None where there is none that can be believed."""
    note = read(evidence.log, "checkpoint", NOTE_BYTES_MAX, place=PLACE, duty=Duty.CHECKPOINT, notes=notes)
    notes.looked(Duty.CHECKPOINT)
    if note is None:
        if not notes.failed(Duty.CHECKPOINT):
            notes.fail(Duty.CHECKPOINT, "log.absent", PLACE, "The log has no checkpoint.")
        return None
    try:
        return open_signed(note, keys)
    except VerificationError as error:
        notes.fail(Duty.CHECKPOINT, error.code, PLACE, str(error))
        return None


class KeptElsewhere:
    """Duty 5. Opened before the tree is read, so that `sizes` tells at which sizes the tree's root is wanted."""

    def __init__(
        self, kept: Sequence[bytes], keys: Sequence[VerifierKey], published: Checkpoint, notes: Notebook
    ) -> None:
        self._published = published
        self._notes = notes
        self._opened: list[tuple[int, Checkpoint | None]] = []
        for number, note in enumerate(kept, 1):
            self._opened.append((number, self._open(number, note, keys)))
        if not kept:
            notes.not_applicable(Duty.KEPT, "no checkpoint kept elsewhere was given")

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes, ascending, up to the published one, at which the tree's root is compared."""
        wanted = {one.size for _, one in self._opened if one and 0 < one.size <= self._published.size}
        return tuple(sorted(wanted))

    def compare(self, roots: dict[int, bytes]) -> tuple[Kept, ...]:
        """Compare with the roots that the entries gave at `sizes`."""
        return tuple(self._compare(number, one, roots) for number, one in self._opened)

    def _open(self, number: int, note: bytes, keys: Sequence[VerifierKey]) -> Checkpoint | None:
        self._notes.looked(Duty.KEPT)
        place = f"kept checkpoint {number}"
        try:
            checkpoint = open_signed(note, keys).checkpoint
        except VerificationError as error:
            self._notes.fail(Duty.KEPT, error.code, place, str(error))
            return None
        if checkpoint.origin != self._published.origin:
            self._notes.fail(Duty.KEPT, "checkpoint.origin", place, f"It is of the log {checkpoint.origin!r}.")
            return None
        return checkpoint

    def _compare(self, number: int, kept: Checkpoint | None, roots: dict[int, bytes]) -> Kept:
        place = f"kept checkpoint {number}"
        if kept is None:
            return Kept(None, None, "refused")
        result = "consistent"
        if kept.size > self._published.size:
            result = "ahead"
            message = (
                f"It was signed at size {kept.size}, but this log shows {self._published.size}: records were cut "
                "off, or this is an older copy."
            )
            self._notes.fail(Duty.KEPT, "kept.ahead", place, message)
        elif kept.size == 0:
            result = "empty"
        elif roots.get(kept.size) != kept.root:
            result = "forked"
            message = (
                f"The first {kept.size} entries of this log do not give the root that was signed then: the log was "
                "rewritten since."
            )
            self._notes.fail(Duty.KEPT, "kept.forked", place, message)
        return Kept(kept.size, kept.root.hex(), result)


def consistent(kept: Sequence[bytes], keys: Sequence[VerifierKey], compared: Sequence[Kept]) -> list[Signed]:
    """Those of the `kept` notes that were found to be the beginning of the log, opened again for their signatures."""
    return [open_signed(note, keys) for note, one in zip(kept, compared, strict=True) if one.result == "consistent"]
