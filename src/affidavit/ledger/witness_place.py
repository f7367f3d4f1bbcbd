"""A witness as a place: asked to cosign each checkpoint, and believed in nothing that it cannot show.

The log keeps no list of what its witnesses have seen: the first request says that it has seen the newest checkpoint,
which after an orderly stop is true, and a conflict names the size from which to prove. What a witness answers is
verified under its key, over our own text, before it goes anywhere. A witness that is ahead, or cannot be led from what
it saw to what we have, ends the log's writing; where it shows what it cosigned (the read side), that is kept as
evidence and judged by our own tiles. So a witness that merely miscounts is a problem to report, not a reason to stop.
One that saw less than what we hold its own cosignature of has lost its memory, and is given nothing more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from affidavit.durable import Disk
from affidavit.errors import Corruption, Unavailable, VerificationError
from affidavit.ledger.guard import PublishedTree, behind, check_continues, other
from affidavit.ledger.place import Published, Seen
from affidavit.ledger.witness_http import Answer, WitnessHttp
from affidavit.limits import NOTE_BYTES_MAX, WITNESS_TRIES_MAX
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import SignatureLine, VerifierKey
from affidavit.tlog.notes import open_note
from affidavit.tlog.witness import ADD_CHECKPOINT, AddCheckpoint, log_id, parse_size, read_cosignatures

_MEANINGS = {
    400: "it does not understand the request",
    403: "it does not know the key that signed, or does not follow this log: give its operator the log's key",
    404: "it does not follow this log: give its operator the log's key",
    429: "it asks for patience",
}


class WitnessPlace:
    """One witness, for the log in the folder `log` whose own `keys` sign."""

    kind = "witness"

    def __init__(
        self,
        name: str,
        key: VerifierKey,
        http: WitnessHttp,
        disk: Disk,
        log: Path,
        keys: Sequence[VerifierKey],
        kept: Sequence[Path] = (),
    ) -> None:
        """`kept` are files that may hold a note of this log which this witness cosigned."""
        self.name = name
        self._key = key
        self._http = http
        self._disk = disk
        self._log = log
        self._keys = keys
        self._kept = kept
        self._seen: int | None = None
        #: The note with which it contradicted this log, where it showed one.
        self.evidence = b""

    def look(self) -> Seen | None:
        """As `Place.look`, from the read side."""
        return self._shown()

    def compare(self, now: Published) -> None:
        """As `Place.compare`: only by being asked to cosign does a witness say what it holds."""
        self.push(now, "")

    def push(self, now: Published, at: str) -> tuple[SignatureLine, ...]:
        """As `Place.push`."""
        del at  # a cosignature bears the witness's own time
        size = now.checkpoint.size
        old = size if self._seen is None else min(self._seen, size)
        for _ in range(WITNESS_TRIES_MAX):
            tree = PublishedTree(self._disk, self._log, size)
            body = AddCheckpoint(old, tree.proof(old), now.note).encode()
            answer = self._http.post(ADD_CHECKPOINT, body)
            if answer.status == 200:
                with self._under_its_key():
                    lines = read_cosignatures(now.checkpoint, answer.body, self._key)
                self._seen = size
                return lines
            if answer.status == 422:
                raise self._contradicted(now, tree, old)
            if answer.status != 409:
                raise self._refused(_MEANINGS.get(answer.status, f"it answers with the status {answer.status}"))
            told = self._conflict(answer, now)
            if told > size:
                raise self._ahead(size, told)
            self._check_memory(told)
            if told == old:  # as the specification's first version had it for equal sizes with different roots
                raise self._contradicted(now, tree, old)
            old = told
        raise self._refused("it names another size each time")

    def _conflict(self, answer: Answer, now: Published) -> int:
        """The size that it saw last. Some give none where the roots differ: then what it shows must tell."""
        try:
            return parse_size(answer.body)
        except VerificationError:
            shown = self._shown()
        if shown is None:
            raise self._refused("it speaks of a conflict, but not of which size it saw")
        seen = shown.checkpoint
        if seen.size == now.checkpoint.size and seen.root != now.checkpoint.root:
            raise other(seen.size, self.name)
        return seen.size

    def _check_memory(self, told: int) -> None:
        """Raise unless `told`, what it says that it saw last, is at least what we hold its cosignature of."""
        known = max([self._seen or 0, *(self._cosigned_size(path) for path in self._kept)])
        if told < known:
            raise VerificationError(
                "witness.forgot",
                f"The witness {self.name} cosigned size {known} and says that it saw {told} last: it was put back to "
                "an earlier time, and would cosign a second history.",
                "Tell its operator: a witness that forgot begins anew, under a new name. This one gets nothing more.",
            )

    def _cosigned_size(self, path: Path) -> int:
        """The size of the note at `path` if it bears this witness's cosignature; 0 if it does not."""
        note = self._disk.read(path, NOTE_BYTES_MAX)
        try:
            opened = None if note is None else open_note(note, [self._key])
            return 0 if opened is None else Checkpoint.parse(opened.text).size
        except VerificationError:
            return 0  # without a line of this witness, which is no fault: it may be new

    def _contradicted(self, now: Published, tree: PublishedTree, old: int) -> Corruption | Unavailable:
        """Why it does not accept that `now` continues what it saw: because it does not, or because it errs."""
        try:
            shown = self._shown()
        except (Unavailable, VerificationError):
            shown = None  # its word stands alone: it is the operator's witness, and writing on could not be undone
        if shown is not None:
            try:
                check_continues(tree, now.checkpoint, shown.checkpoint, self.name)
            except Corruption as error:
                return error
            self.evidence = b""
            return self._refused("it refuses a proof that holds by what it shows itself")
        return other(old, self.name)

    def _ahead(self, size: int, told: int) -> Corruption:
        try:
            shown = self._shown()
        except (Unavailable, VerificationError):
            shown = None
        proved = shown is not None and shown.checkpoint.size > size
        return behind(size, told, self.name if proved else f"{self.name} says, without showing it, that it")

    def _shown(self) -> Seen | None:
        """What the read side shows, signed by this log and by the witness, with its time; None where it has none."""
        answer = self._http.get(f"{log_id(self._keys[0].name)}/checkpoint")
        if answer.status != 200:
            return None
        checkpoint = Checkpoint.parse(open_note(answer.body, self._keys).text)
        with self._under_its_key():
            cosigned = open_note(answer.body, [self._key]).verified
        if checkpoint.origin != self._keys[0].name:
            raise self._refused("it shows a checkpoint of another log")
        self.evidence = answer.body
        return Seen(checkpoint, max(line.time_s or 0 for line in cosigned) or None)

    @contextlib.contextmanager
    def _under_its_key(self) -> Iterator[None]:
        """Where no line is of the key that was configured, say so in the words of who configured it."""
        try:
            yield
        except VerificationError as error:
            if error.code != "note.unknown":
                raise
            raise VerificationError(
                "witness.other_key",
                f"The witness {self.name} signs with another key than affidavit.toml names, {self._key.name} "
                f"{self._key.key_id.hex()}.",
                "Ask its operator why: a new key is a new witness. Then put its witness.vkey into affidavit.toml.",
            ) from None

    def _refused(self, why: str) -> Unavailable:
        return Unavailable("witness.refused", f"The witness {self.name} gives no cosignature: {why}.")
