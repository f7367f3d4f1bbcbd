"""Keys of notes, and the lines that they make: who signs, and over which bytes.

| type | key | a line holds | and signs |
|---|---|---|---|
| 0x01 | Ed25519 (C2SP signed-note) | 64 bytes | the text |
| 0x04 | Ed25519, timestamped (C2SP tlog-cosignature) | 8 bytes of time, 64 | `cosignature/v1`, the time, the text |
| 0x06 | ML-DSA-44, timestamped (C2SP tlog-cosignature) | 8 bytes of time, 2,420 | `subtree/v1`, see `_subtree` |

A line of type 0x04 or 0x06 claims when it was made, in Unix seconds. It is the signer's word. A log's own line of type
0x06 may bear the time 0, which claims nothing. Type 0x06 signs what a checkpoint says, not its text, so it cannot sign
other texts as C2SP defines it. Texts that begin with `affidavit ` are ours alone (no origin begins so); over those, a
line of type 0x06 signs the text itself, with the time 0. The first bytes keep all these messages apart.

Key id = first four bytes of SHA-256(name ‖ LF ‖ type ‖ public key): a hint for finding the key, no proof.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import NOTE_NAME_BYTES_MAX, TREE_SIZE_MAX
from affidavit.tlog.spelling import check_name, check_text, from_base64, to_base64

ED25519 = 0x01
COSIGNATURE_ED25519 = 0x04
ML_DSA_44 = 0x06
TYPE_NAMES = {ED25519: "Ed25519", COSIGNATURE_ED25519: "Ed25519 cosignature", ML_DSA_44: "ML-DSA-44"}

LINE_START = "— "
#: What every text of ours begins with that is signed and is no checkpoint.
STATEMENT_START = "affidavit "

_PUBLIC_BYTES = {ED25519: 32, COSIGNATURE_ED25519: 32, ML_DSA_44: 1_312}
_RAW_BYTES = {ED25519: 64, COSIGNATURE_ED25519: 64, ML_DSA_44: 2_420}
_SEED_BYTES = 32  # of every type: RFC 8032, FIPS 204
_TIME_BYTES = 8
_TIME_MAX = 2**63 - 1  # clients keep Unix seconds in signed 64-bit integers
_KEY_TEXT_CHARS_MAX = NOTE_NAME_BYTES_MAX + 4_096  # an ML-DSA-44 key has 1,752 characters of base64
_CLAIM = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([0-9A-Za-z+/]{43}=)\n")


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature line.

    `time_s` (Unix seconds) is set on a verified line that claims a time: it is the signer's claim.
    """

    name: str
    key_id: bytes
    signature: bytes
    time_s: int | None = None

    def to_text(self) -> str:
        """The line as it stands in a note, with its LF."""
        return f"{LINE_START}{self.name} {to_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public key of a log or witness: `name+hex(key id)+base64(type ‖ key)`."""

    name: str
    type: int
    public_key: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        _check_type(self.name, self.type)
        if len(self.public_key) != _PUBLIC_BYTES[self.type]:
            raise InvalidInput(
                "key.length",
                f"A public key of type {TYPE_NAMES[self.type]} has {_PUBLIC_BYTES[self.type]} bytes, "
                f"not {len(self.public_key)}.",
            )

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key that a text names.

        Raises `InvalidInput`, also where the key id does not belong to the key.
        """
        parts = text.split("+", 2) if len(text) <= _KEY_TEXT_CHARS_MAX else []
        if len(parts) != 3:
            raise InvalidInput("key.form", "A verifier key has the form name+id+key.", "Copy the whole line.")
        name, id_text, key_text = parts
        check_name(name)
        encoded = _key_bytes(key_text)
        if id_text != _key_id(name, encoded).hex():
            raise InvalidInput("key.id", f"The id of the key {name!r} does not belong to it.", "Copy it again.")
        return cls(name, encoded[0], encoded[1:])

    @property
    def key_id(self) -> bytes:
        """Four bytes that find the key of a line."""
        return _key_id(self.name, self._encoded)

    @property
    def type_name(self) -> str:
        """The type in words."""
        return TYPE_NAMES[self.type]

    def to_text(self) -> str:
        """The key as `parse` reads it."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(self._encoded)}"

    def verify(self, text: str, line: SignatureLine) -> SignatureLine:
        """The line, verified over the text, with the time that it claims. Raises `VerificationError`."""
        failed = VerificationError("note.signature", f"The signature by {self.name} does not verify.")
        signature, time_s = line.signature, 0
        if self.type != ED25519:
            time_s = int.from_bytes(signature[:_TIME_BYTES], "big")
            signature = signature[_TIME_BYTES:]
        message = _message(self.type, self.name, text, time_s)
        if message is None or len(signature) != _RAW_BYTES[self.type]:
            raise failed
        try:
            if self.type == ML_DSA_44:
                MLDSA44PublicKey.from_public_bytes(self.public_key).verify(signature, message)
            else:
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise failed from None
        return SignatureLine(self.name, self.key_id, line.signature, time_s or None)

    @property
    def _encoded(self) -> bytes:
        return bytes([self.type]) + self.public_key


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A key that signs notes: `PRIVATE+KEY+name+hex(key id)+base64(type ‖ seed)`, for all types alike.

    Keep its text secret.
    """

    name: str
    seed: bytes = field(repr=False)
    type: int = ED25519
    verifier: VerifierKey = field(init=False, repr=False, compare=False)
    _private: Ed25519PrivateKey | MLDSA44PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        _check_type(self.name, self.type)
        if len(self.seed) != _SEED_BYTES:
            raise InvalidInput("key.length", f"A seed has {_SEED_BYTES} bytes, not {len(self.seed)}.")
        private: Ed25519PrivateKey | MLDSA44PrivateKey
        if self.type == ML_DSA_44:
            private = MLDSA44PrivateKey.from_seed_bytes(self.seed)
        else:
            private = Ed25519PrivateKey.from_private_bytes(self.seed)
        object.__setattr__(self, "_private", private)
        public = VerifierKey(self.name, self.type, private.public_key().public_bytes_raw())
        object.__setattr__(self, "verifier", public)

    @classmethod
    def generate(cls, name: str, type: int = ED25519) -> SignerKey:
        """A new key from the operating system's randomness.

        Raises `InvalidInput` for a name that no note may have.
        """
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw(), type)

    @classmethod
    def parse(cls, text: str) -> SignerKey:
        """The key of a text; no part of it is repeated in the `InvalidInput` that this raises."""
        parts = text.split("+", 4) if len(text) <= _KEY_TEXT_CHARS_MAX else []
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise InvalidInput("key.form", "A signer key has the form PRIVATE+KEY+name+id+key.")
        encoded = _key_bytes(parts[4])
        key = cls(parts[2], encoded[1:], encoded[0])
        if parts[3] != key.verifier.key_id.hex():
            raise InvalidInput("key.id", "The signer key's id does not belong to it: the text was altered.")
        return key

    def to_text(self) -> str:
        """The key as `parse` reads it: a secret."""
        encoded = to_base64(bytes([self.type]) + self.seed)
        return f"PRIVATE+KEY+{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    def line(self, text: str, time_s: int = 0) -> SignatureLine:
        """The line of this key under a note's text. `time_s` (Unix seconds) is claimed by the types that bear a time.

        Raises `InvalidInput` for a time that the type may not claim, and for a text that it cannot sign.
        """
        check_text(text)
        if not 0 <= time_s <= _TIME_MAX or (self.type == COSIGNATURE_ED25519 and not time_s):
            raise InvalidInput("key.time", f"A line of type {TYPE_NAMES[self.type]} cannot claim the time {time_s}.")
        message = _message(self.type, self.name, text, time_s)
        if message is None:
            raise InvalidInput(
                "key.text",
                "A key of type ML-DSA-44 signs checkpoints, and texts of this program's own at the time 0.",
            )
        time = b"" if self.type == ED25519 else time_s.to_bytes(_TIME_BYTES, "big")
        return SignatureLine(self.name, self.verifier.key_id, time + self._private.sign(message), time_s or None)


def _message(type_: int, name: str, text: str, time_s: int) -> bytes | None:
    """The bytes that are signed; None where the type cannot sign this text at this time."""
    if type_ == COSIGNATURE_ED25519:
        return f"cosignature/v1\ntime {time_s}\n{text}".encode()
    if type_ == ED25519:
        return text.encode()
    if text.startswith(STATEMENT_START):
        return None if time_s else text.encode()
    return _subtree(name, text, time_s)


def _subtree(name: str, text: str, time_s: int) -> bytes | None:
    """What a line of type 0x06 signs of a checkpoint's text: the subtree from 0 to its size (C2SP tlog-cosignature).

    `subtree/v1 LF NUL` ‖ u8 length ‖ cosigner's name ‖ u64 time ‖ u8 length ‖ origin ‖ u64 start ‖ u64 end ‖ root.
    The text must be a checkpoint in its one spelling without extension lines: nothing else would be bound by it.
    """
    claim = _CLAIM.fullmatch(text)
    root = None if claim is None else from_base64(claim[3])
    if claim is None or root is None or int(claim[2]) > TREE_SIZE_MAX:
        return None
    cosigner, origin = name.encode(), claim[1].encode()
    if len(cosigner) > 255 or len(origin) > 255:
        return None
    parts = (
        b"subtree/v1\n\0",
        bytes([len(cosigner)]) + cosigner,
        time_s.to_bytes(8, "big"),
        bytes([len(origin)]) + origin,
        bytes(8),
        int(claim[2]).to_bytes(8, "big"),
        root,
    )
    return b"".join(parts)


def _check_type(name: str, type_: int) -> None:
    if type_ not in TYPE_NAMES:
        raise InvalidInput(
            "key.type",
            f"The key {name!r} has the type 0x{type_:02x}, which is not supported.",
            "Use a key of type 0x01 (Ed25519), 0x04 (timestamped Ed25519 cosignature) or 0x06 (ML-DSA-44).",
        )


def _key_bytes(text: str) -> bytes:
    encoded = from_base64(text)
    if encoded is None or len(encoded) < 2:
        raise InvalidInput("key.base64", "The last part of a key is base64 of its type and its bytes.")
    return encoded


def _key_id(name: str, encoded: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + encoded).digest()[:4]
