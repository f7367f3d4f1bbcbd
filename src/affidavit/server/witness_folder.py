"""A witness's folder: its keys, the logs that it follows, and what it has cosigned of each.

    DIR/witness.key     private keys, one a line, mode 0600
    DIR/witness.vkey    their public halves, one a line
    DIR/logs            the verifier keys of the logs that are followed, one a line; `#` begins a comment
    DIR/seen/<SHA-256 of the origin>    the newest checkpoint that was cosigned, with the lines that were verified; an
                        empty file where none was yet
    DIR/lock            held by the process that serves

That a log's file in `seen` is gone is not the same as that nothing was cosigned: a witness that forgot would cosign a
second history. So the file is made when the log is added, and where it is missing nothing is answered for that log.
What no file can show is that the whole folder was put back to an earlier time: a witness restored from a copy must not
go on under its old key.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affidavit.durable import PRIVATE, PUBLIC, Disk, Lock, clear_temporary, write_whole
from affidavit.errors import AffidavitError, Corruption, InvalidInput, Unavailable, VerificationError
from affidavit.limits import NOTE_BYTES_MAX, SECRET_BYTES_MAX, WITNESS_LOGS_BYTES_MAX
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import COSIGNATURE_ED25519, ED25519, ML_DSA_44, SignerKey, VerifierKey
from affidavit.tlog.notes import open_note
from affidavit.tlog.witness import log_id

KEY, VKEY, LOGS, SEEN, LOCK = "witness.key", "witness.vkey", "logs", "seen", "lock"
_ADDING = "adding"
_UNFINISHED = "unfinished"
_LOGS_HEAD = "# Verifier keys of the logs that this witness follows, one a line. `affidavit witness add` adds one.\n"


class WitnessFolder:
    """One witness's files. Reading takes no lock; `cosigned` is called by the one process that holds `lock`."""

    def __init__(self, disk: Disk, root: Path) -> None:
        self._disk = disk
        self.root = root

    def create(self, name: str, types: Sequence[int]) -> list[VerifierKey]:
        """Make the folder with new keys of these types. Raises `InvalidInput` where it holds anything."""
        if self._disk.names(self.root):
            raise InvalidInput(
                "witness.exists",
                f"{self.root} is not empty.",
                "Name a new folder. A witness that lost its folder begins anew, under a new name.",
            )
        keys = [SignerKey.generate(name, one) for one in types]
        self._write("making", KEY, "".join(f"{key.to_text()}\n" for key in keys), PRIVATE)
        self._write("making", VKEY, "".join(f"{key.verifier.to_text()}\n" for key in keys), PUBLIC)
        self._write("making", LOGS, _LOGS_HEAD, PUBLIC)
        return [key.verifier for key in keys]

    def signers(self) -> list[SignerKey]:
        """The witness's own keys. Raises `InvalidInput` where there are none, or others may read them."""
        data = self._disk.read_private(self.root / KEY, SECRET_BYTES_MAX)
        if data is None:
            raise InvalidInput(
                "witness.none", f"{self.root} is no witness's folder: it has no {KEY}.", "See `affidavit witness init`."
            )
        keys = [SignerKey.parse(line) for line in data.decode("ascii", "replace").splitlines()]
        if not keys or any(key.type == ED25519 or key.name != keys[0].name for key in keys):
            raise InvalidInput(
                "witness.key",
                f"{self.root / KEY} does not hold keys for cosignatures under one name.",
                "Put back the file that `affidavit witness init` made.",
            )
        return keys

    def lock(self) -> Lock:
        """Held by the process that serves. Raises `Unavailable` where another one does."""
        return self._locked(LOCK, "Another process serves this witness. Two would each cosign by themselves.")

    def logs(self) -> dict[str, list[VerifierKey]]:
        """The keys of each log that is followed, by its origin. Raises `InvalidInput` naming the line."""
        data = self._disk.read(self.root / LOGS, WITNESS_LOGS_BYTES_MAX)
        if data is None:
            raise InvalidInput("witness.logs", f"{self.root / LOGS} is missing.", "Put it back from a copy.")
        found: dict[str, list[VerifierKey]] = {}
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            text = line.strip()
            if text and not text.startswith("#"):
                key = _log_key(text, f"Line {number} of {self.root / LOGS}")
                if key not in found.setdefault(key.name, []):
                    found[key.name].append(key)
        return found

    def add(self, text: str) -> tuple[VerifierKey, bool]:
        """Follow the log whose verifier key this is; a second key of a log is trusted beside the first.

        Gives the key, and whether it is new. A witness that serves takes it up at the next request.
        """
        key = _log_key(text, "This")
        lock = self._locked(_ADDING, "Another process is adding a log.")
        try:
            logs = self.logs()
            if key in logs.get(key.name, []):
                return key, False
            if self._disk.exists(self.seen(key.name)):
                self.latest(key.name, [signer.verifier for signer in self.signers()])
            elif key.name in logs:
                raise _lost(key.name)
            else:
                self._write("adding", f"{SEEN}/{log_id(key.name)}", "", PUBLIC)
            before = (self._disk.read(self.root / LOGS, WITNESS_LOGS_BYTES_MAX) or b"").decode(
                "utf-8", "surrogateescape"
            )
            ended = before if before.endswith("\n") or not before else f"{before}\n"
            self._write("adding", LOGS, f"{ended}{key.to_text()}\n", PUBLIC)
        finally:
            lock.release()
        return key, True

    def seen(self, origin: str) -> Path:
        """Where the newest checkpoint of the log `origin` lies."""
        return self.root / SEEN / log_id(origin)

    def latest(self, origin: str, keys: Sequence[VerifierKey]) -> Checkpoint | None:
        """The newest checkpoint that was cosigned of the log `origin`, None where none was yet.

        Raises `Corruption` where the file is gone, or is not one that these keys, the witness's own, cosigned.
        """
        note = self._disk.read(self.seen(origin), NOTE_BYTES_MAX)
        if note is None:
            raise _lost(origin)
        if not note:
            return None
        try:
            checkpoint = Checkpoint.parse(open_note(note, keys).text)
        except VerificationError as error:
            raise Corruption("witness.seen", f"{self.seen(origin)} is not what was cosigned: {error}", _HINT) from None
        if checkpoint.origin != origin:
            raise Corruption("witness.seen", f"{self.seen(origin)} is of another log, {checkpoint.origin!r}.", _HINT)
        return checkpoint

    def cosigned(self, origin: str, note: str) -> None:
        """`note` is the newest checkpoint of the log `origin`: durable when this returns."""
        self._write("serving", f"{SEEN}/{log_id(origin)}", note, PUBLIC)

    def shown(self, log: str) -> bytes | None:
        """The newest checkpoint of the log of that id, as it may be shown; None where there is none."""
        return self._disk.read(self.root / SEEN / log, NOTE_BYTES_MAX) or None

    def _write(self, who: str, name: str, text: str, mode: int) -> None:
        temporary = self.root / _UNFINISHED / who
        clear_temporary(self._disk, temporary)
        write_whole(self._disk, temporary, [(self.root / name, text.encode("utf-8", "surrogateescape"))], mode)

    def _locked(self, name: str, why: str) -> Lock:
        try:
            return self._disk.lock(self.root / name)
        except Unavailable as error:
            if error.code != "log.locked":
                raise
            raise Unavailable("witness.locked", why, "Speak to the one that runs, or stop it first.") from None


_HINT = "Nothing is cosigned for that log. Look at what happened; a witness that forgot begins anew, under a new key."


def _log_key(text: str, where: str) -> VerifierKey:
    try:
        key = VerifierKey.parse(text.strip())
    except AffidavitError as error:
        raise InvalidInput("witness.log", f"{where} is no verifier key: {error.message}", error.hint) from None
    if key.type == COSIGNATURE_ED25519:
        raise InvalidInput("witness.log", f"{where} is the key of a witness, {key.name!r}.", "Give the log's own key.")
    return key


def _lost(origin: str) -> Corruption:
    return Corruption("witness.lost", f"What this witness has cosigned of the log {origin!r} is gone.", _HINT)


#: Types of keys that cosign, by the name that the command line has for them.
TYPES = {"ed25519": COSIGNATURE_ED25519, "ml-dsa-44": ML_DSA_44}
