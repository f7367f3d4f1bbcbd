"""Rotation of the log's key: in which order things become durable, so that a crash anywhere leaves one key in force.

 1. The last checkpoint under the old keys is published, and kept in `DIR/checkpoints`. Its size is S.
 2. The new private keys are durable, as `secrets/next.key`; the old public keys as `secrets/former.vkey`.
 3. Old and new keys sign the rotation note.
 4. The record `log.key` with that note is durable in the journal, at index S. *This is the rotation.* Before it, the
    next start removes `next.key` and goes on under the old keys. After it, the next start does what is left of:
 5. the note is public, as `log/key/<S>`, and listed in `log/key/sizes`;
 6. the new keys are in force: `log.vkey` is theirs, then `log.key`; `next.key` is removed. The old private keys are
    gone with that: they are kept nowhere, and what they signed needs only their public halves.
 7. The next checkpoint, of more than S records, is signed by the new keys.

Between 1 and 6 nothing else is sealed or published, so no size has two keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from affidavit.durable import PRIVATE, PUBLIC, Disk, clear_temporary, write_whole
from affidavit.errors import AffidavitError, Corruption, InvalidInput, Unavailable, VerificationError
from affidavit.ledger.keys import LOG_KEY, LOG_VKEY, NEXT_KEY, read_signers
from affidavit.ledger.layout import Layout
from affidavit.ledger.signer import SIGNER_AWAY, FileSigner, Purpose, Signer, check_purpose
from affidavit.limits import FORMER_KEYS_BYTES_MAX, NOTE_BYTES_MAX, ROTATION_SIZES_BYTES_MAX, SECRET_BYTES_MAX
from affidavit.record.body import KEY_BYTES, BodyKey, decode_body, open_slot
from affidavit.record.frame import Stored
from affidavit.record.header import decode_header
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import SignerKey, VerifierKey
from affidavit.tlog.notes import join_note, open_note, parse_note
from affidavit.tlog.rotation import (
    SIZES_PATH,
    KeyChain,
    Rotation,
    build_chain,
    decode_sizes,
    encode_sizes,
    rotation_path,
)

FORMER_VKEY = "former.vkey"
_HINT = "Nothing was written. Put the file back from a copy of the log."


class Successor(Protocol):
    """The keys to come."""

    @property
    def signer(self) -> Signer:
        """Signs with them. They have signed nothing yet."""

    def keep(self) -> None:
        """They survive a crash when this returns, and are not in force. Raises `Unavailable`."""

    def adopt(self, note: bytes) -> None:
        """They are in force when this returns, durably, and the old ones forgotten. Again does no harm.

        `note` is the rotation that says so."""

    def drop(self) -> None:
        """They will never be in force: forget them."""


class Keyring(Protocol):
    """Where a log's private keys are. Asked by one thread at a time."""

    @property
    def signer(self) -> Signer:
        """Signs with the keys in force when the keyring was made."""

    def successor(self, types: Sequence[int]) -> Successor:
        """New keys of these types. Raises `Unavailable`."""

    def waiting(self) -> Successor | None:
        """The keys of a rotation that was interrupted, or None. Raises `Unavailable`, `InvalidInput`."""


class FileKeys:
    """Keys in the folder of secrets: `keys` are those in force."""

    def __init__(
        self, disk: Disk, layout: Layout, keys: Sequence[SignerKey], randomness: Callable[[int], bytes]
    ) -> None:
        self._disk = disk
        self._layout = layout
        self._randomness = randomness
        self.signer: Signer = FileSigner(keys)

    def successor(self, types: Sequence[int]) -> FileSuccessor:
        """As `Keyring.successor` promises; nowhere but in memory before they are kept."""
        origin = self.signer.verifiers[0].name
        return FileSuccessor.make(self._disk, self._layout, origin, types, self._randomness)

    def waiting(self) -> FileSuccessor | None:
        """As `Keyring.waiting` promises."""
        return FileSuccessor.waiting(self._disk, self._layout)


class FileSuccessor:
    """New keys in the folder of secrets."""

    def __init__(self, disk: Disk, layout: Layout, keys: Sequence[SignerKey]) -> None:
        self._disk = disk
        self._layout = layout
        self._folder = layout.secrets
        self._keys = tuple(keys)
        self.signer: Signer = FileSigner(self._keys)

    @classmethod
    def make(
        cls,
        disk: Disk,
        layout: Layout,
        origin: str,
        types: Sequence[int],
        randomness: Callable[[int], bytes],
    ) -> FileSuccessor:
        """New keys of these types, nowhere but in memory yet."""
        keys = [SignerKey(origin, randomness(KEY_BYTES), type_) for type_ in types]
        return cls(disk, layout, keys)

    @classmethod
    def waiting(cls, disk: Disk, layout: Layout) -> FileSuccessor | None:
        """The keys of a rotation that a crash interrupted, or None."""
        path = layout.secrets / NEXT_KEY
        data = disk.read_private(path, SECRET_BYTES_MAX)
        if data is None:
            return None
        try:
            keys = read_signers(data.decode().removesuffix("\n"), path)
        except UnicodeDecodeError:
            raise InvalidInput("secrets.form", f"{path} is not text.", "Put the right file in its place.") from None
        return cls(disk, layout, keys)

    def keep(self) -> None:
        """As `Successor.keep` promises."""
        self._write(NEXT_KEY, [key.to_text() for key in self._keys])

    def adopt(self, note: bytes) -> None:
        """As `Successor.adopt` promises. The ledger has verified `note`."""
        del note
        # Written anew, not renamed: should a rename tear, `next.key` must not be what is lost.
        self._write(LOG_VKEY, [key.verifier.to_text() for key in self._keys])
        self._write(LOG_KEY, [key.to_text() for key in self._keys])
        self.drop()

    def drop(self) -> None:
        """As `Successor.drop` promises."""
        self._disk.unlink(self._folder / NEXT_KEY)
        self._disk.sync_folder(self._folder)

    def _write(self, name: str, lines: Sequence[str]) -> None:
        data = "".join(f"{line}\n" for line in lines).encode()
        write_secret(self._disk, self._layout, self._folder / name, data)


def own_chain(disk: Disk, layout: Layout, verifiers: Sequence[VerifierKey]) -> KeyChain:
    """All keys that this log had, up to `verifiers`, by the sizes that they sign; for whoever has the log's secrets.

    Raises `Corruption` where a rotation note is gone, altered or does not follow from the keys before it.
    """
    pinned = known_keys(disk, layout, verifiers)
    notes: list[tuple[int, bytes]] = []
    for size in _sizes(disk, layout):
        note = disk.read(layout.log / rotation_path(size), NOTE_BYTES_MAX)
        if note is None:
            raise Corruption("key.note", f"The rotation note {layout.log / rotation_path(size)} is gone.", _HINT)
        notes.append((size, note))
    chain, broken = build_chain(verifiers[0].name, pinned, notes)
    for item in broken:
        raise Corruption("key.note", f"{layout.log / rotation_path(item.size)}: {item.error.message}", _HINT)
    return chain


def known_keys(disk: Disk, layout: Layout, verifiers: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
    """All public keys that this log had, up to `verifiers`, whenever they were in force; none is checked."""
    former = disk.read_private(layout.secrets / FORMER_VKEY, FORMER_KEYS_BYTES_MAX) or b""
    held = [VerifierKey.parse(line) for line in former.decode("ascii", "replace").split()]
    return tuple(dict.fromkeys([*held, *verifiers]))


def prepare_rotation(disk: Disk, layout: Layout, last: Checkpoint, old: Signer, successor: Successor) -> bytes:
    """Steps 2 and 3: the note that gives the log the keys of `successor` after `last`.

    Raises `Unavailable` or `Corruption`; then the successor is dropped, and the old keys stay in force.
    """
    try:
        successor.keep()
        keep_former(disk, layout, old.verifiers)
        return sign_rotation(last, old, successor.signer)
    except AffidavitError:
        with suppress(AffidavitError):  # what is left of it, the next start removes
            successor.drop()
        raise


def finish_rotation(disk: Disk, layout: Layout, note: bytes, successor: Successor) -> None:
    """Steps 5 and 6. Again does no harm."""
    publish_rotation(disk, layout, note)
    successor.adopt(note)


def sign_rotation(last: Checkpoint, old: Signer, new: Signer) -> bytes:
    """Step 3: the note that ends the keys of `old` at `last`.

    Raises `Unavailable` where a signer cannot be reached, `Corruption` where one answers wrongly.
    """
    text = Rotation(last, new.verifiers).format()
    check_purpose(Purpose.ROTATION, text, last.origin)
    note = join_note(text, [*old.sign(Purpose.ROTATION, text), *new.sign(Purpose.ROTATION, text)])
    every = [*old.verifiers, *new.verifiers]
    try:
        verified = open_note(note, every).verified
    except VerificationError as error:
        raise Corruption("signer.wrong", f"A signer's answer for the rotation does not verify: {error}") from None
    if len(verified) != len(every):
        raise Corruption("signer.wrong", "Not every key signed the rotation.", "Does each signer hold its keys?")
    return note


def keep_former(disk: Disk, layout: Layout, verifiers: Sequence[VerifierKey]) -> None:
    """Step 2: the public keys that will have been in force, so that what they signed can be opened here for ever."""
    path = layout.secrets / FORMER_VKEY
    held = (disk.read_private(path, FORMER_KEYS_BYTES_MAX) or b"").decode("ascii", "replace").split()
    lines = dict.fromkeys([*held, *(key.to_text() for key in verifiers)])
    data = "".join(f"{line}\n" for line in lines).encode()
    write_secret(disk, layout, path, data)


def publish_rotation(disk: Disk, layout: Layout, note: bytes) -> None:
    """Step 5. Again does no harm."""
    size = Rotation.parse(parse_note(note)[0]).last.size
    sizes = sorted({*_sizes(disk, layout), size})
    write_whole(disk, layout.publishing, [(layout.log / rotation_path(size), note)], PUBLIC)
    write_whole(disk, layout.publishing, [(layout.log / SIZES_PATH, encode_sizes(sizes))], PUBLIC)


def waiting_note(
    published: Checkpoint, base: int, recent: Sequence[Stored], keys: Mapping[bytes, BodyKey]
) -> bytes | None:
    """The note of the `log.key` record right behind the checkpoint, or None where none stands there, or a denied one.

    `recent` are the records from `base` on. Raises `Corruption` for a record of that kind that cannot be read.
    """
    at = published.size - base
    if at >= len(recent):
        return None
    header = decode_header(recent[at][0])
    if header.kind != "log.key" or header.decision == "deny":
        return None
    try:
        plain = open_slot(recent[at][1], header.body or "", keys)
        note = decode_body(plain)["note"] if isinstance(plain, bytes) else None
    except (VerificationError, Corruption, InvalidInput, KeyError) as error:
        raise Corruption("key.record", f"The log.key record {published.size} cannot be read: {error}") from None
    if not isinstance(note, str):
        raise Corruption(
            "key.record", f"The log.key record {published.size} cannot be read.", "Is secrets/body.keys complete?"
        )
    return note.encode()


def resume_signer(
    disk: Disk, layout: Layout, keyring: Keyring, published: Checkpoint, note: bytes | None
) -> tuple[Signer, Callable[[], None]]:
    """Which keys sign from now on, and what is left to do of an interrupted rotation, or of one that came to nothing.

    `note` is that of the `log.key` record right behind the checkpoint `published`, or None where none stands there.
    What is left to do is done once all that was read is durable. Raises `Corruption` where the keys in force are not
    here, `Unavailable` where a rotation is half done and its keys cannot be reached.
    """
    signer = keyring.signer
    waiting = _waiting(keyring, needed=note is not None)
    if note is None:
        chain = own_chain(disk, layout, signer.verifiers)
        if chain.epochs[-1].keys != signer.verifiers:
            raise _not_in_force(chain.epochs[-1].keys)
        return signer, _nothing if waiting is None else waiting.drop
    try:
        rotation = Rotation.parse(parse_note(note)[0])
    except VerificationError as error:
        raise Corruption("key.record", f"The log.key record behind the checkpoint holds no rotation: {error}") from None
    if rotation.last != published:
        raise Corruption("key.record", "The log.key record behind the checkpoint does not speak of that checkpoint.")
    wanted = rotation.keys
    if waiting is not None and waiting.signer.verifiers == wanted:
        return waiting.signer, lambda: finish_rotation(disk, layout, note, waiting)
    if signer.verifiers == wanted:
        return signer, lambda: publish_rotation(disk, layout, note)
    raise _not_in_force(wanted)


def _waiting(keyring: Keyring, *, needed: bool) -> Successor | None:
    """Where nothing was interrupted, keys that are away hold up publication, not the start."""
    try:
        return keyring.waiting()
    except Unavailable as error:
        if needed or error.code != SIGNER_AWAY:
            raise
        return None


def _nothing() -> None:
    """No rotation was interrupted."""


def write_secret(disk: Disk, layout: Layout, path: Path, data: bytes) -> None:
    """A file that is whole, durable and private after this, or as before."""
    # In a folder of its own: a draft that a failed write left behind keeps its mode.
    clear_temporary(disk, layout.changing_keys)
    write_whole(disk, layout.changing_keys, [(path, data)], PRIVATE)


def _sizes(disk: Disk, layout: Layout) -> tuple[int, ...]:
    data = disk.read(layout.log / SIZES_PATH, ROTATION_SIZES_BYTES_MAX)
    if data is None:
        return ()
    try:
        return decode_sizes(data)
    except VerificationError as error:
        raise Corruption("key.note", f"{layout.log / SIZES_PATH}: {error.message}", _HINT) from None


def _not_in_force(wanted: Sequence[VerifierKey]) -> Corruption:
    names = ", ".join(f"{key.type_name} {key.key_id.hex()}" for key in wanted) or "unknown"
    return Corruption(
        "key.not_in_force",
        f"The keys here are not those that the log names as in force: {names}.",
        "Nothing was written. Put back secrets/log.key and secrets/log.vkey of that key; an older copy signs no more.",
    )
