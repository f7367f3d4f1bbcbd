"""Alterations of a log of which somebody holds a receipt: a record's promise that left the machine with its answer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace

from logmaker import ORIGIN, SIGNER, Rec, stored, with_content, write_log

from affidavit.tlog.hashing import leaf_hash, root_of
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.notes import sign_note
from affidavit.tlog.proofs import prove_inclusion
from affidavit.tlog.receipts import Promise, Receipt, receipt_leaf
from tampering.kinds import RECEIPT_CHECK, Case, Found, Need, Tampering
from tampering.thief import DENIED, FIRST, later

#: The group commit that the receipt is of, and which of its records.
_GROUP, _AT = 4, 1
_RECEIPT = frozenset({Need.RECEIPT})
_BROKEN = Found(RECEIPT_CHECK, "broken", _RECEIPT)
_FORKED, _AHEAD = (Found(5, code, frozenset({Need.KEPT})) for code in ("kept.forked", "kept.ahead"))


def receipt_of(records: Sequence[Rec], first: int, signer: SignerKey = SIGNER) -> bytes:
    """A receipt of the second record of a group of four that begins at `first`."""
    raws = [raw for raw, _ in stored(records)][first : first + _GROUP]
    named = [(first + at, json.loads(raw)["id"], leaf_hash(raw)) for at, raw in enumerate(raws)]
    leaves = [leaf_hash(receipt_leaf(*one)) for one in named]
    times = sorted(record.header.log.at for record in records[first : first + _GROUP])
    promise = Promise(ORIGIN, first, len(raws), times[-1], times[-1], root_of(leaves))
    path = prove_inclusion(_AT, len(raws), lambda level, at: root_of(leaves[at << level : at + 1 << level]))
    return Receipt(*named[_AT], tuple(path), sign_note(promise.format(), signer)).encode()


def _row(part: str, deed: str, change: Callable[[Case], object], *found: Found, why: str = "") -> Tampering:
    def alter(case: Case) -> None:
        case.receipt = receipt_of(case.records, FIRST)
        change(case)

    return Tampering(part, deed, alter, found, why)


def _cut_before_publication(case: Case) -> None:
    """Records that were durable and acknowledged, and not yet published, cut from the journal."""
    shutil.rmtree(case.folder)
    write_log(case.folder, case.records, (3, FIRST), journal_end=FIRST)
    case.kept = case.kept[:1]


def _rewritten(case: Case) -> None:
    """The record, another one in its place and everything sealed anew, before anything was kept of it elsewhere."""
    at = FIRST + _AT
    case.write([with_content(one, _other) if index == at else one for index, one in enumerate(case.records)])


def _other(content: dict[str, object]) -> None:
    action = content["action"]
    assert isinstance(action, dict)
    action["statement"] = "SELECT 1 FROM visits"


def _older(case: Case) -> None:
    shutil.rmtree(case.folder)
    write_log(case.folder, case.records[:FIRST], (3,))


def _edited(change: Callable[[bytes], bytes]) -> Callable[[Case], None]:
    def alter(case: Case) -> None:
        case.receipt = change(case.receipt)

    return alter


def _exchanged(case: Case) -> None:
    """The leaf of one receipt over the path and promise of another."""
    one, other = (Receipt.decode(receipt_of(case.records, first)) for first in (FIRST, DENIED))
    case.receipt = replace(one, path=other.path, note=other.note).encode()


def _refused(code: str) -> Found:
    return Found(RECEIPT_CHECK, code, _RECEIPT)


def _rows() -> list[Tampering]:
    log, part = "log of which a receipt was given", "receipt"
    return [
        _row(log, "records cut that were acknowledged but not yet published", _cut_before_publication, _BROKEN),
        _row(log, "the record of the receipt exchanged, everything sealed anew", _rewritten, _BROKEN, _FORKED),
        _row(log, "put back to a state before the receipt", _older, _BROKEN, _AHEAD),
        _row(
            log, "another history from behind the receipt on",
            lambda case: case.write(later(case.records, DENIED, 30)), _FORKED,
            why="a receipt speaks of one record, and of those before it nothing",
        ),
        _row(part, "changed", _edited(lambda data: data.replace(b'"index":', b'"index":1')), _refused("receipt.index")),
        _row(part, "another leaf in it", _edited(_other_leaf), _refused("proof.inclusion")),
        _row(part, "cut", _edited(lambda data: data[:-30]), _refused("note.malformed")),
        _row(part, "extended", _edited(lambda data: data + b"more\n"), _refused("note.malformed")),
        _row(part, "swapped with another one's promise", _exchanged, _refused("receipt.index")),
        _row(
            part, "made up, and signed by another key",
            lambda case: setattr(case, "receipt", receipt_of(case.records, FIRST, SignerKey(ORIGIN, bytes(32)))),
            _refused("note.unknown"),
        ),
    ]  # fmt: skip


def _other_leaf(data: bytes) -> bytes:
    receipt = Receipt.decode(data)
    return replace(receipt, leaf=bytes(32)).encode()


RECEIPT_ROWS = _rows()
