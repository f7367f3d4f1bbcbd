"""Judges a receipt: was the promise kept? In order, and the first thing that does not hold ends it:

 1. the file is a receipt in its one spelling;
 2. its promise is signed by a given key, named as the log that it is of;
 3. the record's leaf leads to the promise's root;
 4. the log shows a checkpoint that a given key of the same log signed;
 5. under that checkpoint the record's leaf hash stands at the promised index, and the entry there has it: *kept*;
 6. another leaf stands there, or the promised moment is over and the checkpoint does not reach the index: *broken*;
 7. else it is *not due* yet.

A broken promise is evidence against the log: two statements under its own key that cannot both be right. What cannot be
told is whether an old checkpoint was shown on purpose, or by a copy that lags.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from affidavit import canonical
from affidavit.archive.log import LogFiles
from affidavit.archive.source import Source
from affidavit.errors import InvalidInput, Unavailable, VerificationError
from affidavit.limits import NOTE_BYTES_MAX, TILE_WIDTH
from affidavit.record.moment import parse_moment
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.hashing import leaf_hash
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.notes import parse_note
from affidavit.tlog.proofs import TileHashes, prove_inclusion, verify_inclusion
from affidavit.tlog.receipts import Promise, Receipt
from affidavit.tlog.tiles import tile_width
from affidavit.verify.keys import Keys, origin_of, read_keys

_STATUS = {"kept": 0, "broken": 1, "not_due": 3}


@dataclass(frozen=True, slots=True)
class ReceiptVerdict:
    """What became of a promise. `checkpoint` is the note that it was compared with, `size` that one's.

    `found` is the leaf hash (hex) that stands at the index, None where the checkpoint does not reach it; `proof` leads
    from it to the checkpoint's root (base64, its sibling first).
    """

    result: Literal["kept", "not_due", "broken"]
    message: str
    origin: str
    index: int
    id: str
    leaf: str
    accepted: str
    publish_by: str
    size: int
    checkpoint: str
    found: str | None = None
    proof: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """0 kept, 1 broken, 3 not due yet."""
        return _STATUS[self.result]

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        return {**asdict(self), "proof": list(self.proof), "exit_status": self.exit_status}


def check_receipt(data: bytes, keys: Sequence[VerifierKey], log: Source, now_ns: int) -> ReceiptVerdict:
    """Compare a receipt with the log, at `now_ns` (nanoseconds since 1970, by the clock of who checks).

    Raises `VerificationError` where the receipt, or the log that it is compared with, does not hold by itself,
    `InvalidInput` for the receipt of another log, `Unavailable` where the log cannot be read.
    """
    receipt = Receipt.decode(data)
    try:
        receipt.open(keys)
    except VerificationError as error:
        if error.code != "note.unknown":  # it may be by a key that follows from the given one
            raise
    files = LogFiles(log)
    note = log.get("checkpoint", NOTE_BYTES_MAX)
    if note is None:
        raise Unavailable(
            "receipt.no_log", f"There is no log at {log.name}: it gives no checkpoint.", "Check the place."
        )
    own = read_keys(log, origin_of(note, keys), keys)
    others = [key for key in keys if key.name != own.chain.origin]
    promise = _open(receipt, own, others)
    checkpoint = own.open(note).checkpoint
    if checkpoint.origin != promise.origin:
        raise InvalidInput(
            "receipt.other_log",
            f"The receipt is of the log {promise.origin}, {log.name} is {checkpoint.origin}.",
            "Give the place of the log that the receipt names.",
        )
    if receipt.index >= checkpoint.size:
        result, message = _absent(receipt, promise, checkpoint, now_ns)
        return _verdict(result, message, receipt, promise, checkpoint, note)
    hashes = TileHashes(files.tile, checkpoint.size)
    found = hashes(0, receipt.index)
    proof = prove_inclusion(receipt.index, checkpoint.size, hashes)
    verify_inclusion(receipt.index, checkpoint.size, found, proof, checkpoint.root)
    if found == receipt.leaf:
        _check_entry(files, receipt, checkpoint.size)
        message = f"The promise was kept: record {receipt.index} stands in the log of {checkpoint.size:,} records."
        return _verdict("kept", message, receipt, promise, checkpoint, note, found, proof)
    message = (
        f"The promise was broken: another record than the promised one stands at {receipt.index}. Keep this receipt "
        "and the checkpoint: both bear the log's signature, and they cannot both be right."
    )
    return _verdict("broken", message, receipt, promise, checkpoint, note, found, proof)


def _open(receipt: Receipt, own: Keys, others: Sequence[VerifierKey]) -> Promise:
    """The promise, signed by a key that may have promised it. Where none did, what is known of the one that signed."""
    promising = own.promising(receipt.index)
    try:
        return receipt.open([*others, *promising])
    except VerificationError as error:
        if error.code != "note.unknown":
            raise
    retired = [key for key in own.chain.keys if key not in promising]
    signed = {line.key_id for line in parse_note(receipt.note)[1] if line.name == own.chain.origin}
    if any(key.key_id in signed for key in retired):
        raise VerificationError(
            "key.not_in_force",
            f"The promise about record {receipt.index} is by a key that was taken out of use before that record.",
            "Somebody holds a key that was taken out of use: do not trust this receipt.",
        )
    if own.unjudged(receipt.index + 1) and signed:
        raise VerificationError(
            "key.not_judged",
            f"The promise about record {receipt.index} is older than the oldest key that was given, and by another.",
            "Give the key that was in force then.",
        )
    return receipt.open([*others, *promising])


def _absent(
    receipt: Receipt, promise: Promise, checkpoint: Checkpoint, now_ns: int
) -> tuple[Literal["not_due", "broken"], str]:
    try:
        due_ns = parse_moment(promise.publish_by)
    except InvalidInput:
        raise VerificationError("receipt.malformed", "This is no receipt: its moments are none.") from None
    reaches = f"the log shows {checkpoint.size:,} records, and the promised one is {receipt.index}"
    if now_ns <= due_ns:
        return "not_due", f"Not due yet: {reaches}; it was promised by {promise.publish_by}."
    return "broken", (
        f"The promise was broken: {reaches}, promised by {promise.publish_by}. Keep this receipt and the checkpoint; "
        "look at another copy of the log, because a copy that lags shows the same."
    )


def _check_entry(files: LogFiles, receipt: Receipt, size: int) -> None:
    bundle, at = divmod(receipt.index, TILE_WIDTH)
    entry = files.entries(bundle, tile_width(size, 0, bundle))[at]
    if leaf_hash(entry) != receipt.leaf:
        raise VerificationError(
            "entry.altered", f"The entry {receipt.index} is not the one whose hash stands in the tree: it was altered."
        )
    try:
        header = canonical.decode(entry)
    except InvalidInput:
        header = None
    if not isinstance(header, dict) or header.get("id") != receipt.id:
        raise VerificationError(
            "receipt.id", f"The record {receipt.index} has not the id {receipt.id} that the log signed for it."
        )


def _verdict(
    result: Literal["kept", "not_due", "broken"],
    message: str,
    receipt: Receipt,
    promise: Promise,
    checkpoint: Checkpoint,
    note: bytes,
    found: bytes | None = None,
    proof: Sequence[bytes] = (),
) -> ReceiptVerdict:
    return ReceiptVerdict(
        result=result,
        message=message,
        origin=promise.origin,
        index=receipt.index,
        id=receipt.id,
        leaf=receipt.leaf.hex(),
        accepted=promise.accepted,
        publish_by=promise.publish_by,
        size=checkpoint.size,
        checkpoint=note.decode(),
        found=None if found is None else found.hex(),
        proof=tuple(base64.b64encode(one).decode() for one in proof),
    )
