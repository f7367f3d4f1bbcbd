"""Receipts: a log's signed promise that records it has accepted will stand in it (docs/spec/receipt.md).

What is signed, once for a group of records that became durable together, is a *promise*: which indexes, accepted when,
published by when, and the root of a tree of its own (RFC 6962 hashing) with one leaf a record. A *receipt* is one leaf
with its path to that root, and the signed promise: a text file that stands alone.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from affidavit import canonical
from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import PROOF_HASHES_MAX, RECEIPT_BYTES_MAX, TREE_SIZE_MAX
from affidavit.tlog.hashing import leaf_hash
from affidavit.tlog.keys import ED25519, VerifierKey
from affidavit.tlog.notes import open_note
from affidavit.tlog.proofs import verify_inclusion
from affidavit.tlog.spelling import from_base64
from affidavit.tlog.tiles import HASH_BYTES

PROMISE_START = "affidavit receipt v1\n"
_FILE_START = "affidavit receipt file v1\n"
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_ID = re.compile(r"[0-9a-f-]{36}")
_LEAF = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Promise:
    """What the log `origin` signs: records `first` to `first + count` (exclusive), whose leaves lead to `root`, were
    accepted at one moment and will be published by another. Moments are texts as in headers."""

    origin: str
    first: int
    count: int
    accepted: str
    publish_by: str
    root: bytes

    def format(self) -> str:
        """The text to sign."""
        root = base64.b64encode(self.root).decode()
        return f"{PROMISE_START}{self.origin}\n{self.first}\n{self.count}\n{self.accepted}\n{self.publish_by}\n{root}\n"

    @classmethod
    def parse(cls, text: str) -> Promise:
        """The promise of a note's text. Raises `VerificationError` for anything but its one spelling."""
        lines = text.removeprefix(PROMISE_START).split("\n", 6)
        if not text.startswith(PROMISE_START) or len(lines) != 7 or lines[6]:
            raise _malformed("what is signed is no promise of a log")
        origin, first, count, accepted, publish_by, root_text, _ = lines
        root = from_base64(root_text)
        if not (_NUMBER.fullmatch(first) and _NUMBER.fullmatch(count)) or root is None or len(root) != HASH_BYTES:
            raise _malformed("its numbers or its root are not as they are written")
        if not (_MOMENT.fullmatch(accepted) and _MOMENT.fullmatch(publish_by)) or publish_by < accepted:
            raise _malformed("its moments are not as they are written")
        promise = cls(origin, int(first), int(count), accepted, publish_by, root)
        if promise.count < 1 or promise.first + promise.count > TREE_SIZE_MAX or promise.format() != text:
            raise _malformed("it promises records that no log can have")
        return promise


def receipt_leaf(index: int, record_id: str, leaf: bytes) -> bytes:
    """The leaf of a promise's tree for one record: its index, its id, and its leaf hash in the log."""
    return canonical.encode({"id": record_id, "index": index, "leaf": leaf.hex()})


@dataclass(frozen=True, slots=True)
class Receipt:
    """One record's receipt. `leaf` is the record's leaf hash in the log, `path` leads from `receipt_leaf` to the
    promise's root, its sibling first; `note` is the signed promise. Nothing is checked before `open`."""

    index: int
    id: str
    leaf: bytes
    path: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """The file's bytes."""
        hashes = "".join(f"{base64.b64encode(one).decode()}\n" for one in self.path)
        said = receipt_leaf(self.index, self.id, self.leaf).decode()
        return f"{_FILE_START}{said}\n{hashes}\n".encode() + self.note

    @classmethod
    def decode(cls, data: bytes) -> Receipt:
        """The receipt in a file. Raises `VerificationError` for anything but its one spelling."""
        if len(data) > RECEIPT_BYTES_MAX:
            raise _malformed(f"it is longer than {RECEIPT_BYTES_MAX} bytes")
        head, blank, note = data.partition(b"\n\n")
        try:
            start, said, *hashes = head.decode().split("\n")
        except (UnicodeDecodeError, ValueError):
            raise _malformed("it does not begin with a leaf") from None
        path = [from_base64(line) for line in hashes]
        if f"{start}\n" != _FILE_START or not blank or len(path) > PROOF_HASHES_MAX:
            raise _malformed("it is not a leaf, a path and a signed promise")
        if any(one is None or len(one) != HASH_BYTES for one in path):
            raise _malformed("its path is not hashes in base64, one a line")
        index, record_id, leaf = _leaf(said)
        receipt = cls(index, record_id, leaf, tuple(one for one in path if one is not None), note)
        if receipt.encode() != data:
            raise _malformed("it is not in its one spelling")
        return receipt

    def open(self, keys: Iterable[VerifierKey]) -> Promise:
        """The promise, once its signature by a log's own key and the path from this record to it hold.

        Raises `VerificationError`: the codes of `open_note`, `receipt.malformed`, `receipt.key` (signed, but by no key
        of the log that it names), `receipt.index` (of another group), `proof.…` (the path leads elsewhere).
        """
        given = tuple(keys)
        opened = open_note(self.note, given)
        promise = Promise.parse(opened.text)
        own = {(key.name, key.key_id) for key in given if key.type == ED25519 and key.name == promise.origin}
        if not any((line.name, line.key_id) in own for line in opened.verified):
            raise VerificationError(
                "receipt.key",
                f"The receipt is of the log {promise.origin!r}, and no given key of that log signed it.",
                "Give the key of the log that the receipt names.",
            )
        at = self.index - promise.first
        if not 0 <= at < promise.count:
            raise VerificationError(
                "receipt.index",
                f"The promise is about {promise.count} records from {promise.first} on, not about {self.index}.",
            )
        leaf = leaf_hash(receipt_leaf(self.index, self.id, self.leaf))
        verify_inclusion(at, promise.count, leaf, self.path, promise.root)
        return promise


def _leaf(text: str) -> tuple[int, str, bytes]:
    try:
        said: Any = canonical.decode(text.encode())
    except InvalidInput:
        said = None
    if not isinstance(said, dict) or set(said) != {"id", "index", "leaf"}:
        raise _malformed("its second line is not the leaf of a record")
    index, record_id, leaf = said["index"], said["id"], said["leaf"]
    numbered = type(index) is int and 0 <= index < TREE_SIZE_MAX
    named = isinstance(record_id, str) and isinstance(leaf, str) and _ID.fullmatch(record_id) and _LEAF.fullmatch(leaf)
    if not numbered or not named:
        raise _malformed("its second line does not say index, id and leaf hash")
    return index, record_id, bytes.fromhex(leaf)


def _malformed(why: str) -> VerificationError:
    return VerificationError("receipt.malformed", f"This is no receipt: {why}.", "Is the file whole and unchanged?")
