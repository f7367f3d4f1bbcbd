"""The log's keys from the given one on: rotation notes, their records, and which key signs which checkpoint (duty 20).

The chain is built before the log is read, since it says whether the checkpoint may be believed; what it rests on is
compared with the records and the tree as they come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from affidavit.archive.source import Source
from affidavit.errors import Corruption, InvalidInput, VerificationError
from affidavit.limits import NOTE_BYTES_MAX, ROTATION_SIZES_BYTES_MAX
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import SignatureLine, VerifierKey
from affidavit.tlog.notes import open_note, parse_note
from affidavit.tlog.rotation import SIZES_PATH, Broken, KeyChain, Rotation, build_chain, decode_sizes, rotation_path
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.line import Line
from affidavit.verify.verdict import Signature

PLACE = "log/checkpoint"


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint and the lines of its note that given keys, or keys that follow from them, verified."""

    checkpoint: Checkpoint
    lines: tuple[SignatureLine, ...]

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """The verified lines as the verdict names them."""
        return tuple(Signature(line.name, line.key_id.hex(), line.time_s) for line in self.lines)


@dataclass(frozen=True, slots=True)
class Keys:
    """The chain of one log, for all parts that ask whose signature counts. `pinned` are the keys that were given.

    `rotations` are the notes that a log shows, by size; `broken` says where they do not follow from each other.
    """

    chain: KeyChain
    pinned: tuple[VerifierKey, ...]
    rotations: dict[int, bytes]
    broken: tuple[Broken, ...]

    @property
    def paths(self) -> frozenset[str]:
        """The files in the public log that are about keys."""
        return frozenset([SIZES_PATH, *map(rotation_path, self.rotations)]) if self.rotations else frozenset()

    def follows(self, size: int, note: bytes) -> bool:
        """Whether `note` is the next rotation of the chain, after `size` records."""
        return not build_chain(self.chain.origin, self.pinned, [*self.rotations.items(), (size, note)])[1]

    def open(self, note: bytes) -> Signed:
        """The checkpoint in `note`, signed by all keys in force at its size. Raises `VerificationError`."""
        return Signed(*self.chain.open(note, [key for key in self.pinned if key.name != self.chain.origin]))

    def in_force(self, index: int) -> tuple[str, ...]:
        """The texts of the keys in force when the record at `index` was written; none where they are not known."""
        return tuple(key.to_text() for key in self.chain.keys_at(index + 1))

    def unjudged(self, size: int) -> bool:
        """Whether a checkpoint of `size` is from before the oldest key that is known."""
        return bool(self.chain.keys) and not self.chain.keys_at(size)

    def promising(self, first: int) -> tuple[VerifierKey, ...]:
        """The keys that may have promised something about the record at `first`, when it was written or later."""
        epochs = [epoch for epoch in self.chain.epochs if epoch.last is None or first < epoch.last]
        return tuple(key for epoch in epochs for key in epoch.keys)


def origin_of(note: bytes, keys: Sequence[VerifierKey]) -> str:
    """The log that a checkpoint names. Raises `VerificationError` for what is no note, or not by any of `keys`."""
    try:
        return Checkpoint.parse(parse_note(note)[0]).origin
    except VerificationError:
        return Checkpoint.parse(open_note(note, keys).text).origin  # says first who did not sign it


def read_keys(log: Source, origin: str, pinned: Sequence[VerifierKey]) -> Keys:
    """What the public log shows of its keys. Raises `Unavailable` where it cannot be read now."""
    rotations: dict[int, bytes] = {}
    broken: list[Broken] = []
    try:
        data = log.get(SIZES_PATH, ROTATION_SIZES_BYTES_MAX)
        for size in () if data is None else decode_sizes(data):
            note = log.get(rotation_path(size), NOTE_BYTES_MAX)
            if note is None:
                raise VerificationError("rotation.absent", f"log/{rotation_path(size)} is not there.")
            rotations[size] = note
    except (Corruption, InvalidInput, VerificationError) as error:
        broken.append(Broken(0, VerificationError(error.code, error.message)))
    chain, more = build_chain(origin, pinned, list(rotations.items()))
    return Keys(chain, tuple(pinned), rotations, (*more, *broken))


def note_broken(keys: Keys, notes: Notebook) -> None:
    """Duty 20: where the chain breaks."""
    for item in keys.broken:
        place = f"log/{rotation_path(item.size) if item.size else SIZES_PATH}"
        notes.fail(Duty.KEYS, item.error.code, place, item.error.message)


class KeyRecords:
    """Duty 20: the chain, its records and the tree say the same."""

    def __init__(self, keys: Keys, published: Checkpoint, notes: Notebook) -> None:
        self._keys = keys
        self._published = published
        self._notes = notes
        self._recorded: set[int] = set()
        note_broken(keys, notes)
        if not keys.rotations:
            notes.not_applicable(Duty.KEYS, "this log has had the same keys from its beginning on")

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes at which the tree's root is wanted."""
        return tuple(size for size in self._keys.rotations if size <= self._published.size)

    def take(self, line: Line) -> None:
        """Check one line."""
        if line.header.kind != "log.key" or line.header.decision == "deny":  # a denied one changes nothing: duty 15
            return
        self._notes.looked(Duty.KEYS)
        self._recorded.add(line.index)
        note = self._keys.rotations.get(line.index)
        if note is None:
            message = f"Record {line.index} says that the key changed, and the log shows no rotation note for it."
            self._fail("key.no_note", line.where, message, line.index)
        elif line.content is None:
            reason = f"the body of record {line.index} was not read, so not compared with the public rotation note"
            self._notes.remark(Duty.KEYS, reason)
        elif str(line.content.get("note")).encode() != note:
            message = f"Record {line.index} holds another rotation note than log/{rotation_path(line.index)}."
            self._fail("key.other_note", line.where, message, line.index)

    def finish(self, roots: Mapping[int, bytes], *, whole: bool) -> None:
        """Compare with the tree's roots at `sizes`; `whole`: every entry could be read."""
        size = self._published.size
        for at, note in self._keys.rotations.items():
            place = f"log/{rotation_path(at)}"
            self._notes.looked(Duty.KEYS)
            if at > size:
                self._fail("key.beyond", place, f"The key changed after {at} records; the log shows {size}.")
                continue
            if at < size and at not in self._recorded and whole:
                self._fail("key.no_record", place, f"Record {at} would have to say so, and does not.", at)
            if at == size:
                self._notes.remark(Duty.KEYS, f"no checkpoint covers the record of the rotation after {at} records yet")
            try:
                root = Rotation.parse(parse_note(note)[0]).last.root
            except VerificationError:
                continue  # the chain is broken there, which is said already
            if roots.get(at) != root:
                message = f"The first {at} entries of this log do not give the root that the rotation note names."
                self._fail("key.forked", place, message)
        unknown = [epoch.last for epoch in self._keys.chain.epochs if not epoch.keys and epoch.last is not None]
        if unknown and self._keys.chain.keys:
            reason = (
                f"who signed checkpoints of up to {unknown[-1]} records is not judged: no key from before was given"
            )
            self._notes.remark(Duty.KEYS, reason)

    def _fail(self, code: str, place: str, message: str, index: int | None = None) -> None:
        self._notes.fail(Duty.KEYS, code, place, message, index)
