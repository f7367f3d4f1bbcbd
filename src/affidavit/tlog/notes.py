"""Signed notes (C2SP signed-note): a text, a blank line, and signature lines by named keys.

Opening a note fails closed, as the Go implementation does and a little more strictly:
  1. the note is bounded, UTF-8, without control characters but LF, and split at its last blank line;
  2. one malformed signature line rejects the whole note, and so do more than 100 lines;
  3. each line of a known key must verify, repeats included; one that fails rejects the whole note;
  4. lines of unknown keys are kept and never count;
  5. a note without a line of a known key is rejected.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX
from affidavit.tlog.keys import LINE_START, SignatureLine, SignerKey, VerifierKey
from affidavit.tlog.spelling import check_text, from_base64, is_name, is_note_text


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was opened: its text, ending in LF, and its lines by whether a given key verified them."""

    text: str
    verified: tuple[SignatureLine, ...]
    unverified: tuple[SignatureLine, ...]


def sign_note(text: str, *signers: SignerKey, time_s: int = 0) -> bytes:
    """The note with one line a signer, made at `time_s` (Unix seconds) where a line bears its time.

    Raises `InvalidInput` for a text that no note may have, or without a signer.
    """
    return join_note(text, [key.line(text, time_s) for key in signers])


def join_note(text: str, lines: Iterable[SignatureLine]) -> bytes:
    """The note of a text and its lines, none of them verified.

    Raises `InvalidInput` for a text that no note may have, or without a line.
    """
    check_text(text)
    texts = [line.to_text() for line in lines]
    if not 1 <= len(texts) <= NOTE_SIGNATURES_MAX:
        raise InvalidInput("note.signers", f"A note has 1 to {NOTE_SIGNATURES_MAX} signers.")
    return "".join([text, "\n", *texts]).encode()


def parse_note(data: bytes) -> tuple[str, tuple[SignatureLine, ...]]:
    """The text and the signature lines of a note, none of them verified.

    Raises `VerificationError` if malformed.
    """
    if len(data) > NOTE_BYTES_MAX:
        raise _malformed(f"it is longer than {NOTE_BYTES_MAX} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise _malformed("it is not UTF-8") from None
    if not is_note_text(whole):
        raise _malformed("it holds a control character")
    split = whole.rfind("\n\n")
    block = whole[split + 2 :]
    if split < 0 or not block.endswith("\n"):
        raise _malformed("it has no signature block that ends in LF")
    lines = block[:-1].split("\n", NOTE_SIGNATURES_MAX)
    if len(lines) > NOTE_SIGNATURES_MAX:
        raise _malformed(f"it has more than {NOTE_SIGNATURES_MAX} signature lines")
    return whole[: split + 1], tuple(map(_parse_line, lines))


def open_note(data: bytes, verifiers: Iterable[VerifierKey]) -> Note:
    """The note, if a given key signed it and no given key's line fails; else `VerificationError`.

    Codes: `note.malformed`, `note.signature` (a known key's line fails), `note.unknown` (no line of a known
    key). Raises `InvalidInput` where two different keys share name and id, since a line could not say whose
    it is.
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in verifiers:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise InvalidInput("key.ambiguous", f"Two different keys are named {key.name!r} and share an id.")
    text, lines = parse_note(data)
    verified: dict[tuple[str, bytes], SignatureLine] = {}
    unverified: list[SignatureLine] = []
    for line in lines:
        signer = known.get((line.name, line.key_id))
        if signer is None:
            unverified.append(line)
        else:
            checked = signer.verify(text, line)
            verified.setdefault((line.name, line.key_id), checked)  # a repeat verifies too, but counts once
    if not verified:
        names = ", ".join(f"{name}+{key_id.hex()}" for name, key_id in known)[:500]
        raise VerificationError(
            "note.unknown",
            f"The note bears no signature by {names or 'a key: none was given'}.",
            "Check that the key belongs to this log.",
        )
    return Note(text, tuple(verified.values()), tuple(unverified))


def _parse_line(line: str) -> SignatureLine:
    if not line.startswith(LINE_START):
        raise _malformed("a signature line does not begin with an em dash and a space")
    name, _, encoded = line[len(LINE_START) :].partition(" ")
    if not is_name(name):
        raise _malformed("a signature line has a name that no key may have")
    raw = from_base64(encoded)
    if raw is None or len(raw) < 5:
        raise _malformed("a signature is not base64 of a key id and a signature")
    return SignatureLine(name, raw[:4], raw[4:])


def _malformed(why: str) -> VerificationError:
    return VerificationError("note.malformed", f"This is not a signed note: {why}.")
