"""The body: what the header does not say, beside the log, bound to it by the digest of its plaintext.

A body is a canonical JSON object whose `salt` (16 random bytes, base64url without padding) keeps small contents from
being guessed from their digest. A stored body is a *slot*:

    form u8 ‖ key id [4] ‖ bytes        form 0x01 encrypted, 0x02 plain, 0x03 erased stub

An empty slot (no bytes at all) stands for a record without a body. Encrypted: AES-256-GCM with the key
HMAC-SHA256(body key, body digest), a zero nonce (each key encrypts exactly one plaintext: the one with that digest)
and form ‖ key id as associated data. Plain slots and stubs have key id 00000000. A stub's bytes are the index of the
`erase` record (u64), and for a record that changed state what is left of its operations (`state/hidden.py`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from affidavit import canonical
from affidavit.errors import Corruption, InvalidInput, VerificationError
from affidavit.limits import BODY_BYTES_MAX, SLOT_BYTES_MAX
from affidavit.record.keyed import KeyedHash

SALT_BYTES = 16
SALT_CHARS = 22
KEY_BYTES = 32
ENCRYPTED, PLAIN, ERASED = 1, 2, 3
_ZERO_NONCE = bytes(12)
_NO_KEY = bytes(4)
EMPTY_SLOT = b""
_BY_BYTES = 8


def salt_text(salt: bytes) -> str:
    """A salt of 16 bytes as it stands in a body: 22 characters of base64url."""
    return base64.urlsafe_b64encode(salt).rstrip(b"=").decode()


def encode_body(content: Mapping[str, Any], salt: bytes) -> bytes:
    """The plaintext of a body. `content` has no `salt`. Raises `InvalidInput` outside the canonical domain or above
    `BODY_BYTES_MAX`: the producer cuts what is too long and says so in the body."""
    plain = canonical.encode({**content, "salt": salt_text(salt)})
    if len(plain) > BODY_BYTES_MAX:
        raise InvalidInput("body.size", f"A body of {len(plain)} bytes is above {BODY_BYTES_MAX}.")
    return plain


def encode_body_trusted(content: Mapping[str, Any], salt: bytes) -> bytes:
    """As `encode_body` for content that we built ourselves within the domain: the hot path, checked for size only."""
    plain = canonical.encode_trusted({**content, "salt": salt_text(salt)})
    if len(plain) > BODY_BYTES_MAX:
        raise InvalidInput("body.size", f"A body of {len(plain)} bytes is above {BODY_BYTES_MAX}.")
    return plain


def body_digest(plain: bytes) -> str:
    """The header's `body` field for this plaintext: SHA-256, hex."""
    return hashlib.sha256(plain).hexdigest()


def decode_body(plain: bytes) -> dict[str, Any]:
    """The content of a body, with its salt. Raises `InvalidInput` unless it is canonical, bounded and salted."""
    if len(plain) > BODY_BYTES_MAX:
        raise InvalidInput("body.size", f"A body of {len(plain)} bytes is above {BODY_BYTES_MAX}.")
    content = canonical.decode(plain)
    if not isinstance(content, dict):
        raise InvalidInput("body.object", "A body is a JSON object.")
    salt = content.get("salt")
    if not isinstance(salt, str) or len(salt) != SALT_CHARS:
        raise InvalidInput("body.salt", "A body needs a salt of 16 bytes.")
    return content


@dataclass(frozen=True)
class BodyKey:
    """A key that encrypts bodies. `id` names it in slots: 4 bytes, the start of SHA-256("affidavit body key" ‖ key)."""

    key: bytes

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise InvalidInput("body.key", f"A body key has {KEY_BYTES} bytes, this one {len(self.key)}.")

    @property
    def id(self) -> bytes:
        return hashlib.sha256(b"affidavit body key" + self.key).digest()[:4]


class BodySealer:
    """Turns plaintexts into encrypted slots under one key."""

    def __init__(self, key: BodyKey) -> None:
        self._key_of = KeyedHash(key.key).digest
        self._prefix = bytes([ENCRYPTED]) + key.id

    def seal(self, plain: bytes, digest: bytes) -> bytes:
        """The encrypted slot of `plain`, whose SHA-256 is `digest` (32 bytes)."""
        return self._prefix + AESGCM(self._key_of(digest)).encrypt(_ZERO_NONCE, plain, self._prefix)


@dataclass(frozen=True)
class Erased:
    """A body that was erased: its stub says that the `erase` record at the index `by` did; `left` is what stays."""

    by: int
    left: bytes = b""


@dataclass(frozen=True)
class Unreadable:
    """A body that is there but that we hold no key for. `key_id` is the key that would open it."""

    key_id: bytes


def plain_slot(plain: bytes) -> bytes:
    """The slot of a body that stands unencrypted, as in an evidence bundle."""
    return bytes([PLAIN]) + _NO_KEY + plain


def erased_slot(by: int, left: bytes) -> bytes:
    """The stub of a body that the record `by` erased; `left` is what stays of it, see docs/spec/bodies.md."""
    return bytes([ERASED]) + _NO_KEY + by.to_bytes(_BY_BYTES, "big") + left


def stub_by(slot: bytes) -> int | None:
    """The index of the `erase` record that a stub names; None for any other slot."""
    start = 1 + len(_NO_KEY)
    return int.from_bytes(slot[start : start + _BY_BYTES], "big") if slot[:1] == bytes([ERASED]) else None


def same_but_erasing(a: bytes, b: bytes, size: int) -> bool:
    """Whether two slots are the same, or one is the stub of an erasure that the first `size` records do not hold: it is
    under way, or was cut short, and the next start of the writer finishes it."""
    return a == b or any(by is not None and by >= size for by in (stub_by(a), stub_by(b)))


def open_slot(slot: bytes, digest: str, keys: Mapping[bytes, BodyKey]) -> bytes | Erased | Unreadable:
    """The plaintext of a slot whose header says `digest` (hex), checked against it.

    Raises `VerificationError` when the bytes are not the body that the header names, `Corruption` when they are no
    slot at all.
    """
    if not 5 <= len(slot) <= SLOT_BYTES_MAX:
        raise Corruption("slot.size", f"A body slot of {len(slot)} bytes cannot be one.")
    form, key_id, data = slot[0], slot[1:5], slot[5:]
    if form == ENCRYPTED:
        key = keys.get(key_id)
        if key is None:
            return Unreadable(key_id)
        try:
            secret = hmac.digest(key.key, bytes.fromhex(digest), "sha256")
        except ValueError:
            raise VerificationError("body.altered", "What its header names is no digest.") from None
        try:
            plain = AESGCM(secret).decrypt(_ZERO_NONCE, data, slot[:5])
        except InvalidTag:
            raise VerificationError("body.altered", "The encrypted body is not the one its header names.") from None
    elif form == PLAIN and key_id == _NO_KEY:
        plain = data
    elif form == ERASED and key_id == _NO_KEY:
        if len(data) < _BY_BYTES:
            raise Corruption("slot.stub", "A stub does not say which record erased the body.")
        return Erased(int.from_bytes(data[:_BY_BYTES], "big"), data[_BY_BYTES:])
    else:
        raise Corruption("slot.form", f"A body slot of form {form:#04x} is not known.")
    if body_digest(plain) != digest:
        raise VerificationError("body.altered", "The body's digest is not the one its header names.")
    return plain
