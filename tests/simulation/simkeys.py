"""The keys of a simulated log as its records name them, and the rotations that its lives try.

Which key signs which size is read here from the records themselves: a `log.key` record at index S ends the keys before
it at size S. What product code says of the chain is compared with that.
"""

from __future__ import annotations

from ledgercase import ADMINISTRATOR, ORIGIN, Case
from simtruth import Truth, demand

from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.own import denied_rotation
from affidavit.ledger.rotate import FileSuccessor
from affidavit.record.body import decode_body, open_slot
from affidavit.record.header import decode_header
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import ED25519, VerifierKey
from affidavit.tlog.notes import open_note, parse_note
from affidavit.tlog.rotation import Rotation

_FIELDS = {"actor": ADMINISTRATOR, "action": "admin"}


class NamedKeys:
    """Whose signature counts at which size, by the records in `truth`."""

    def __init__(self, case: Case, truth: Truth, layout: Layout, first: tuple[VerifierKey, ...]) -> None:
        self._case = case
        self._truth = truth
        self._layout = layout
        self.first = first
        self.forget()

    def forget(self) -> None:
        """After a stop: records that nobody was told of may be others now."""
        self._looked_at = 0
        self._found: list[tuple[int, tuple[VerifierKey, ...]]] = []

    def rotations(self) -> list[tuple[int, tuple[VerifierKey, ...]]]:
        """Each rotation: its index, and the keys that begin there."""
        secrets, records = self._case.secrets, self._truth.records
        for index in range(self._looked_at, len(records)):
            raw, slot = records[index]
            if b'"kind":"log.key"' not in raw or secrets is None:
                continue
            header = decode_header(raw)
            plain = open_slot(slot, header.body or "", secrets.body_keys_by_id)
            if header.decision != "deny" and isinstance(plain, bytes):
                self._found.append((index, Rotation.parse(parse_note(decode_body(plain)["note"].encode())[0]).keys))
        self._looked_at = len(records)
        return self._found

    def at(self, size: int) -> tuple[VerifierKey, ...]:
        """The keys that must sign a checkpoint of `size`."""
        keys = self.first
        for index, begins in self.rotations():
            if index < size:
                keys = begins
        return keys

    def open(self, note: bytes) -> Checkpoint:
        """A checkpoint that all keys in force at its size signed. Raises `VerificationError` for what is no note."""
        checkpoint = Checkpoint.parse(parse_note(note)[0])
        wanted = self.at(checkpoint.size)
        verified = open_note(note, wanted).verified
        demand(checkpoint.origin == ORIGIN, "a checkpoint of another log was signed")
        demand(len(verified) == len(wanted), f"not all keys in force signed the checkpoint of {checkpoint.size}")
        return checkpoint

    def check_kept(self, durable: bool) -> int:
        """The last checkpoint under each key that has ended is kept, durably. Gives how many that were."""
        rotations = self.rotations()
        for size, _ in rotations:
            path = self._layout.kept / f"{size:020d}"
            disk = self._truth.disk
            note = disk.durable(path) if durable else disk.copy(path) if disk.exists(path) else None
            demand(note is not None, f"the last checkpoint of the keys that ended at {size} is not kept")
            checkpoint = self.open(bytes(note or b""))
            demand(checkpoint.size == size, f"under the name of {size} a checkpoint of {checkpoint.size} is kept")
            demand(checkpoint.root == self._truth.root(size), f"the checkpoint kept for {size} has another root")
        return len(rotations)


def rotate(case: Case, ledger: Ledger, layout: Layout) -> int:
    """Ask for new keys, and get them. Raises what `Ledger.rotate` raises."""
    # ML-DSA-44 signs with randomness of its own, and a seed would not replay.
    successor = FileSuccessor.make(case.disk, layout, ORIGIN, (ED25519,), case.random.randbytes)
    return ledger.rotate(successor, "it is time", {}, _FIELDS)


def deny_rotation(ledger: Ledger) -> None:
    """Somebody asks for new keys who may not."""
    ledger.note(denied_rotation("for me", {}, {**_FIELDS, "decision": "deny"}))
