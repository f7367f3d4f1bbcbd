"""Signed notes (C2SP signed-note): a text, a blank line, and signature lines by named keys.

Opening a note fails closed, as the Go implementation does and a little more strictly:
  1. the note is bounded, UTF-8, without control characters but LF, and split at its last blank line;
  2. one malformed signature line rejects the whole note, and so do more than 100 lines;
  3. each line of a known key must verify, repeats included; one that fails rejects the whole note;
  4. lines of unknown keys are kept and never count;
  5. a note without a line of a known key is rejected.

Keys of type 0x01 (Ed25519) sign and verify. Keys of type 0x04 (timestamped Ed25519 cosignature) verify. All
other types, 0x06 (ML-DSA-44) among them, are lines of unknown keys here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import NOTE_BYTES_MAX, NOTE_NAME_BYTES_MAX, NOTE_SIGNATURES_MAX

ED25519 = 0x01
COSIGNATURE_ED25519 = 0x04

_DASH = "— "
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_TIME_BYTES = 8
_KEY_TEXT_CHARS_MAX = NOTE_NAME_BYTES_MAX + 4_096  # room for an ML-DSA-44 key, so that its refusal can name the type


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature line.

    `time_s` (Unix seconds) is set on a verified cosignature alone: it is the cosigner's claim.
    """

    name: str
    key_id: bytes
    signature: bytes
    time_s: int | None = None

    def to_text(self) -> str:
        """The line as it stands in a note, with its LF."""
        return f"{_DASH}{self.name} {_to_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was opened: its text, ending in LF, and its lines by whether a given key verified them."""

    text: str
    verified: tuple[SignatureLine, ...]
    unverified: tuple[SignatureLine, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public key of a log or witness: `name+hex(key id)+base64(type ‖ key)`."""

    name: str
    type: int
    public_key: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.type not in (ED25519, COSIGNATURE_ED25519):
            raise InvalidInput(
                "key.type",
                f"The key {self.name!r} has the type 0x{self.type:02x}, which is not supported.",
                "Use a key of type 0x01 (Ed25519) or 0x04 (timestamped Ed25519 cosignature).",
            )
        if len(self.public_key) != _KEY_BYTES:
            raise InvalidInput("key.length", f"An Ed25519 key has {_KEY_BYTES} bytes, not {len(self.public_key)}.")

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key that a text names.

        Raises `InvalidInput`, also where the key id does not belong to the key.
        """
        parts = text.split("+", 2) if len(text) <= _KEY_TEXT_CHARS_MAX else []
        if len(parts) != 3:
            raise InvalidInput("key.form", "A verifier key has the form name+id+key.", "Copy the whole line.")
        name, id_text, key_text = parts
        _check_name(name)
        encoded = _key_bytes(key_text)
        if id_text != _key_id(name, encoded).hex():
            raise InvalidInput("key.id", f"The id of the key {name!r} does not belong to it.", "Copy it again.")
        return cls(name, encoded[0], encoded[1:])

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name ‖ LF ‖ type ‖ key): a hint for finding the key, no proof."""
        return _key_id(self.name, self._encoded)

    def to_text(self) -> str:
        """The key as `parse` reads it."""
        return f"{self.name}+{self.key_id.hex()}+{_to_base64(self._encoded)}"

    def verify(self, text: str, line: SignatureLine) -> SignatureLine:
        """The line, verified over the text; a cosignature with its time. Raises `VerificationError`."""
        signature, message, time_s = line.signature, text.encode(), None
        if self.type == COSIGNATURE_ED25519:
            time_s = int.from_bytes(signature[:_TIME_BYTES], "big")
            signature = signature[_TIME_BYTES:]
            message = f"cosignature/v1\ntime {time_s}\n".encode() + message
        failed = VerificationError("note.signature", f"The signature by {self.name} does not verify.")
        if len(signature) != _SIGNATURE_BYTES:
            raise failed
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise failed from None
        return SignatureLine(self.name, self.key_id, line.signature, time_s)

    @property
    def _encoded(self) -> bytes:
        return bytes([self.type]) + self.public_key


@dataclass(frozen=True, slots=True)
class SignerKey:
    """An Ed25519 key that signs notes: `PRIVATE+KEY+name+hex(key id)+base64(0x01 ‖ seed)`.

    Keep its text secret.
    """

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.seed) != _KEY_BYTES:
            raise InvalidInput("key.length", f"An Ed25519 seed has {_KEY_BYTES} bytes, not {len(self.seed)}.")

    @classmethod
    def generate(cls, name: str) -> SignerKey:
        """A new key from the operating system's randomness.

        Raises `InvalidInput` for a name that no note may have.
        """
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> SignerKey:
        """The key of a text; no part of it is repeated in the `InvalidInput` that this raises."""
        parts = text.split("+", 4) if len(text) <= _KEY_TEXT_CHARS_MAX else []
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise InvalidInput("key.form", "A signer key has the form PRIVATE+KEY+name+id+key.")
        encoded = _key_bytes(parts[4])
        if encoded[0] != ED25519:
            raise InvalidInput("key.type", f"A signer key of type 0x{encoded[0]:02x} is not supported; use Ed25519.")
        key = cls(parts[2], encoded[1:])
        if parts[3] != key.verifier.key_id.hex():
            raise InvalidInput("key.id", "The signer key's id does not belong to it: the text was altered.")
        return key

    def to_text(self) -> str:
        """The key as `parse` reads it: a secret."""
        encoded = _to_base64(bytes([ED25519]) + self.seed)
        return f"PRIVATE+KEY+{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    @property
    def verifier(self) -> VerifierKey:
        """The public key that goes with it."""
        public_key = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return VerifierKey(self.name, ED25519, public_key)

    def sign(self, message: bytes) -> bytes:
        """The raw Ed25519 signature, 64 bytes, of a message."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)


def sign_note(text: str, *signers: SignerKey) -> bytes:
    """The note with one line a signer.

    Raises `InvalidInput` for a text that no note may have, or without a signer.
    """
    if not text.endswith("\n") or not _is_note_text(text) or len(text.encode()) > NOTE_BYTES_MAX // 2:
        raise InvalidInput("note.text", "The text of a note ends in LF, is bounded and holds no control characters.")
    if not 1 <= len(signers) <= NOTE_SIGNATURES_MAX:
        raise InvalidInput("note.signers", f"A note has 1 to {NOTE_SIGNATURES_MAX} signers.")
    message = text.encode()
    lines = [SignatureLine(key.name, key.verifier.key_id, key.sign(message)).to_text() for key in signers]
    return "".join([text, "\n", *lines]).encode()


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
    if not _is_note_text(whole):
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
    if not line.startswith(_DASH):
        raise _malformed("a signature line does not begin with an em dash and a space")
    name, _, encoded = line[len(_DASH) :].partition(" ")
    if not _is_name(name):
        raise _malformed("a signature line has a name that no key may have")
    raw = _from_base64(encoded)
    if raw is None or len(raw) < 5:
        raise _malformed("a signature is not base64 of a key id and a signature")
    return SignatureLine(name, raw[:4], raw[4:])


def _malformed(why: str) -> VerificationError:
    return VerificationError("note.malformed", f"This is not a signed note: {why}.")


def _is_note_text(text: str) -> bool:
    return all(character >= " " or character == "\n" for character in text) and _is_unicode(text)


def _is_unicode(text: str) -> bool:
    """Whether the text has a UTF-8 form, that is, holds no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_name(name: str) -> bool:
    if not name or "+" in name or not _is_note_text(name) or len(name.encode()) > NOTE_NAME_BYTES_MAX:
        return False
    return not any(character.isspace() for character in name)


def _check_name(name: str) -> None:
    if not _is_name(name):
        raise InvalidInput(
            "key.name",
            f"{name[:100]!r} cannot name a key.",
            "A name is not empty and holds no space, plus sign or control character.",
        )


def _key_bytes(text: str) -> bytes:
    encoded = _from_base64(text)
    if encoded is None or len(encoded) < 2:
        raise InvalidInput("key.base64", "The last part of a key is base64 of its type and its bytes.")
    return encoded


def _key_id(name: str, encoded: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + encoded).digest()[:4]


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str) -> bytes | None:
    """The bytes of standard, padded base64 in its one spelling; None for anything else."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data if _to_base64(data) == text else None
