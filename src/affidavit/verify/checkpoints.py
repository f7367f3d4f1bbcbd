"""The checkpoint that a log shows and the ones kept elsewhere: opened under the given keys, compared with the tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from affidavit.archive.source import Source
from affidavit.errors import Corruption, Unavailable, VerificationError
from affidavit.limits import NOTE_BYTES_MAX, VERIFY_BESIDE_MAX
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.notes import parse_note
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.evidence import Evidence, read
from affidavit.verify.keys import PLACE, Keys, Signed, note_broken, origin_of, read_keys
from affidavit.verify.unfinished import Unfinished
from affidavit.verify.verdict import Kept

_BESIDE_DIGITS = 20


def check_published(
    evidence: Evidence, pinned: Sequence[VerifierKey], unfinished: Unfinished, notes: Notebook
) -> tuple[Keys, Signed] | None:
    """Duty 1: the log's keys and its own checkpoint; None where there is none that can be believed."""
    note = read(evidence.log, "checkpoint", NOTE_BYTES_MAX, place=PLACE, duty=Duty.CHECKPOINT, notes=notes)
    notes.looked(Duty.CHECKPOINT)
    if note is None:
        if not notes.failed(Duty.CHECKPOINT) and not unfinished.absent(notes):
            notes.fail(Duty.CHECKPOINT, "log.absent", PLACE, "The log has no checkpoint.")
        return None
    keys: Keys | None = None
    try:
        keys = read_keys(evidence.log, origin_of(note, pinned), pinned)
        signed = keys.open(note)
        if any(size > signed.checkpoint.size for size in keys.rotations):
            # A rotation in between: the checkpoint that it ends lay there before its note did.
            newer = read(evidence.log, "checkpoint", NOTE_BYTES_MAX, place=PLACE, duty=Duty.CHECKPOINT, notes=notes)
            signed = signed if newer is None else keys.open(newer)
        unfinished.explain(signed.checkpoint, notes)
        return keys, signed
    except VerificationError as error:
        notes.fail(Duty.CHECKPOINT, error.code, PLACE, str(error))
        if keys is not None:
            note_broken(keys, notes)
        return None


class KeptElsewhere:
    """Duty 5. Opened before the tree is read, so that `sizes` tells at which sizes the tree's root is wanted."""

    def __init__(
        self, kept: Sequence[bytes], keys: Keys, published: Checkpoint, notes: Notebook, *, with_journal: bool
    ) -> None:
        self._published = published
        self._with_journal = with_journal
        self._keys = keys
        self._notes = notes
        self._opened: list[tuple[str, Signed | None, str]] = []
        for number, note in enumerate(kept, 1):
            place = f"kept checkpoint {number}"
            notes.looked(Duty.KEPT)
            self._opened.append((place, *self._open(place, note)))
        if not kept:
            notes.not_applicable(Duty.KEPT, "no checkpoint kept elsewhere was given")

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes, ascending, up to the published one, at which the tree's root is compared."""
        return tuple(size for size in self._all_sizes if 0 < size <= self._published.size)

    @property
    def sizes_beyond(self) -> tuple[int, ...]:
        """The sizes, ascending, beyond the published one: only the journal can hold as much."""
        return tuple(size for size in self._all_sizes if size > self._published.size)

    @property
    def _all_sizes(self) -> list[int]:
        return sorted({one.checkpoint.size for _, one, _ in self._opened if one})

    def compare(self, roots: Mapping[int, bytes]) -> tuple[Kept, ...]:
        """Compare with the roots that the entries gave at `sizes`, and they and the journal at `sizes_beyond`."""
        return tuple(
            Kept(None, None, why)
            if one is None
            else Kept(one.checkpoint.size, one.checkpoint.root.hex(), self._compare(place, one.checkpoint, roots))
            for place, one, why in self._opened
        )

    def consistent(self, compared: Sequence[Kept]) -> list[Signed]:
        """Those that `compare` found to be the beginning of the log, with their signatures."""
        found = zip(self._opened, compared, strict=True)
        return [one for (_, one, _), kept in found if one is not None and kept.result == "consistent"]

    def _open(self, place: str, note: bytes) -> tuple[Signed | None, str]:
        """The checkpoint, or why there is none to compare."""
        try:
            named = Checkpoint.parse(parse_note(note)[0])
            if named.origin == self._published.origin and self._keys.unjudged(named.size):
                self._notes.skip(Duty.KEPT, "it was signed before the oldest key that was given")
                return None, "not judged"
        except VerificationError:
            pass  # opening it says what is wrong with it
        try:
            return self._keys.open(note), ""
        except VerificationError as error:
            self._notes.fail(Duty.KEPT, error.code, place, str(error))
            return None, "refused"

    def _compare(self, place: str, kept: Checkpoint, roots: Mapping[int, bytes]) -> str:
        if kept.size > self._published.size and kept.size not in roots:
            self._notes.fail(Duty.KEPT, "kept.ahead", place, self._ahead(kept.size))
            return "ahead"
        if kept.size == 0:
            return "empty"
        if roots.get(kept.size) != kept.root:
            message = (
                f"The first {kept.size} entries of this log do not give the root that was signed then: the log was "
                "rewritten since."
            )
            self._notes.fail(Duty.KEPT, "kept.forked", place, message)
            return "forked"
        if kept.size > self._published.size:
            self._notes.remark(
                Duty.KEPT,
                f"a kept checkpoint of {kept.size} records is ahead of the log, which shows {self._published.size}: "
                "the journal holds the records between, and with them gives its root, so they are not lost, they are "
                "not published; the next start publishes them",
            )
            return "not published"
        return "consistent"

    def _ahead(self, size: int) -> str:
        said = f"It was signed at size {size}, but this log shows {self._published.size}"
        if self._with_journal:
            return f"{said}, and its journal holds no more of it: records were cut off, or this is an older copy."
        return (
            f"{said}: records were cut off, or this is an older copy, or the machine stopped while it published and "
            "nobody started the log since, which only its journal can tell."
        )


class KeptBeside:
    """The checkpoints in `DIR/checkpoints`, which the log keeps of itself: they can accuse it, and prove nothing.

    One that is not the beginning of the log fails duty 5. That all of them are is a remark: whoever rewrites the log
    can rewrite or remove them, as long as they lie there.
    """

    def __init__(self, folder: Source | None, keys: Keys, published: Checkpoint, notes: Notebook) -> None:
        self._notes = notes
        self._published = published
        self._opened: list[tuple[str, Checkpoint]] = []
        self._unjudged = 0
        names = [] if folder is None else _names(folder)
        self._left_out = max(0, len(names) - VERIFY_BESIDE_MAX)
        for name in names[self._left_out :]:
            self._open(folder, name, keys)

    @property
    def sizes(self) -> tuple[int, ...]:
        """As `KeptElsewhere.sizes`."""
        return tuple(sorted({one.size for _, one in self._opened if 0 < one.size <= self._published.size}))

    def compare(self, roots: Mapping[int, bytes]) -> None:
        """Compare with the roots that the entries gave at `sizes`."""
        agreeing = 0
        for place, one in self._opened:
            if one.size > self._published.size:
                message = f"It was signed at size {one.size}, but this log shows {self._published.size}."
                self._notes.fail(Duty.KEPT, "kept.ahead", place, message)
            elif roots.get(one.size) != one.root:
                message = f"The first {one.size} entries of this log do not give the root that was signed then."
                self._notes.fail(Duty.KEPT, "kept.forked", place, message)
            else:
                agreeing += 1
        if agreeing:
            self._notes.remark(
                Duty.KEPT,
                f"{agreeing} checkpoints that lie beside the log agree with it, which shows no more than that whoever "
                "rewrote it, if anybody did, rewrote those too",
            )
        if self._unjudged or self._left_out:
            count = self._unjudged + self._left_out
            self._notes.remark(
                Duty.KEPT, f"{count} more beside the log were not looked at: signed by earlier keys, or many"
            )

    def _open(self, folder: Source | None, name: str, keys: Keys) -> None:
        place = f"checkpoints/{name}"
        if keys.unjudged(int(name)):
            self._unjudged += 1
            return
        try:
            note = None if folder is None else folder.get(name, NOTE_BYTES_MAX)
            if note is None:
                return
            one = keys.open(note).checkpoint
        except (Corruption, VerificationError) as error:
            self._notes.fail(Duty.KEPT, error.code, place, error.message)
            return
        if one.size != int(name):
            self._notes.fail(Duty.KEPT, "kept.name", place, f"It is a checkpoint of {one.size} records.")
        self._opened.append((place, one))


def _names(folder: Source) -> list[str]:
    try:
        return [name for name in folder.paths() or () if name.isdigit() and len(name) == _BESIDE_DIGITS]
    except (Corruption, Unavailable):
        return []
