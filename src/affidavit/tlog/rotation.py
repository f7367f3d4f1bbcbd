"""How a log's key gives way to the next: rotation notes, and the chain of keys that follows from them.

A rotation note is signed by every key that it ends and by every key that it begins, the second to show possession. Its
text: `affidavit key rotation v1`, origin, size, base64 root, then one new verifier key a line, the Ed25519 key first.
(size, root) is the last checkpoint of the keys that end. What is larger must be signed by all of the new keys, what is
not larger by all of the old ones: so the thief of an old key cannot go on with the log, and the thief of a new one
cannot rewrite what was signed before it.

The chain begins where the verifier's own keys stand. It says nothing of the keys before that: a note can only be
checked by someone who knows the key that it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import KEY_ROTATIONS_MAX
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import ED25519, ML_DSA_44, SignatureLine, VerifierKey
from affidavit.tlog.notes import open_note, parse_note

ROTATION_START = "affidavit key rotation v1\n"
SIZES_PATH = "key/sizes"
_SIZE_DIGITS = 20


def rotation_path(size: int) -> str:
    """Where the note of the rotation after `size` records lies in the public log."""
    return f"key/{size:0{_SIZE_DIGITS}d}"


def encode_sizes(sizes: Sequence[int]) -> bytes:
    """The file that lists all rotations, so that a reader who cannot list a folder finds them: a size a line."""
    return "".join(f"{size:0{_SIZE_DIGITS}d}\n" for size in sizes).encode()


def decode_sizes(data: bytes) -> tuple[int, ...]:
    """The sizes that the file lists. Raises `VerificationError` for anything but its one spelling, ascending."""
    lines = data.split(b"\n")[:-1]
    sizes = tuple(int(line) for line in lines if line.isdigit() and len(line) == _SIZE_DIGITS)
    if not sizes or encode_sizes(sizes) != data or list(sizes) != sorted(set(sizes)) or len(sizes) > KEY_ROTATIONS_MAX:
        raise VerificationError(
            "rotation.sizes", "This is no list of sizes in ascending order, one of 20 digits a line."
        )
    return sizes


def check_log_keys(origin: str, keys: Sequence[VerifierKey]) -> None:
    """Raise `InvalidInput` unless these can be the keys of one log: Ed25519, and at most ML-DSA-44 behind it."""
    if tuple(key.type for key in keys) not in ((ED25519,), (ED25519, ML_DSA_44)) or any(k.name != origin for k in keys):
        raise InvalidInput(
            "rotation.keys",
            f"The keys of the log {origin!r} are one of type Ed25519 and at most one of type ML-DSA-44 behind it, of "
            "that name.",
        )


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation note says: from `last` on, `keys` sign."""

    last: Checkpoint
    keys: tuple[VerifierKey, ...]

    def __post_init__(self) -> None:
        check_log_keys(self.last.origin, self.keys)

    def format(self) -> str:
        """The text to sign."""
        return ROTATION_START + self.last.format() + "".join(f"{key.to_text()}\n" for key in self.keys)

    @classmethod
    def parse(cls, text: str) -> Rotation:
        """The rotation of a note's text. Raises `VerificationError` for anything but its one spelling."""
        lines = text.removeprefix(ROTATION_START).split("\n")
        try:
            keys = tuple(VerifierKey.parse(line) for line in lines[3:-1])
            rotation = cls(Checkpoint.parse("".join(f"{line}\n" for line in lines[:3])), keys)
        except (InvalidInput, VerificationError) as error:
            raise VerificationError("rotation.malformed", f"This is no rotation note: {error.message}") from None
        if rotation.format() != text:
            raise VerificationError("rotation.malformed", "This is no rotation note in its one spelling.")
        return rotation


@dataclass(frozen=True, slots=True)
class Epoch:
    """The keys for checkpoints of more than `after` records and, once they ended, of at most `last`.

    `keys` is empty where the verifier cannot know them.
    """

    after: int
    last: int | None
    keys: tuple[VerifierKey, ...]

    def signs(self, size: int) -> bool:
        """Whether a checkpoint of `size` is of this epoch."""
        return (self.after < size or not self.after) and (self.last is None or size <= self.last)


@dataclass(frozen=True, slots=True)
class KeyChain:
    """The keys of one log by the sizes that they sign, oldest first, without a hole."""

    origin: str
    epochs: tuple[Epoch, ...]

    @classmethod
    def unbroken(cls, keys: Sequence[VerifierKey]) -> KeyChain:
        """For a log that has had these keys from its beginning on."""
        return cls(keys[0].name, (Epoch(0, None, tuple(keys)),))

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """All keys that are known, oldest first."""
        return tuple(key for epoch in self.epochs for key in epoch.keys)

    def keys_at(self, size: int) -> tuple[VerifierKey, ...]:
        """The keys that must sign a checkpoint of `size`; none where they are not known."""
        return next(epoch.keys for epoch in self.epochs if epoch.signs(size))

    def open(self, note: bytes, others: Sequence[VerifierKey] = ()) -> tuple[Checkpoint, tuple[SignatureLine, ...]]:
        """A checkpoint of this log, signed by all keys in force at its size, and the lines that were verified.

        `others` are keys of witnesses. Raises `VerificationError`: the codes of `open_note`, `checkpoint.malformed`,
        `checkpoint.origin`, `key.not_in_force` (signed by a key of this log, at a size that it does not sign),
        `key.line_missing` (not signed by all), `key.not_judged` (from before the oldest key that is known).
        """
        opened = open_note(note, [*self.keys, *others])
        checkpoint = Checkpoint.parse(opened.text)
        if checkpoint.origin != self.origin:
            raise VerificationError("checkpoint.origin", f"It is of the log {checkpoint.origin!r}.")
        signed = {(line.name, line.key_id) for line in opened.verified}
        wanted = self.keys_at(checkpoint.size)
        missing = [key for key in wanted if (key.name, key.key_id) not in signed]
        if wanted and not missing:
            return checkpoint, opened.verified
        self._refuse(checkpoint, signed, wanted, missing)

    def _refuse(
        self,
        checkpoint: Checkpoint,
        signed: Collection[tuple[str, bytes]],
        wanted: Sequence[VerifierKey],
        missing: Sequence[VerifierKey],
    ) -> NoReturn:
        size = checkpoint.size
        if len(missing) < len(wanted):
            names = ", ".join(f"{key.type_name} {key.key_id.hex()}" for key in missing)
            raise VerificationError(
                "key.line_missing",
                f"The checkpoint of size {size} lacks the signature of a key that must sign it: {names}.",
                "It was made by someone who has only a part of the log's keys, or a key does not belong to this log.",
            )
        for epoch in self.epochs:
            if any((key.name, key.key_id) in signed for key in epoch.keys):
                until = "" if epoch.last is None else f" and at most {epoch.last}"
                raise VerificationError(
                    "key.not_in_force",
                    f"The checkpoint of size {size} is signed by the key {epoch.keys[0].key_id.hex()}, which signs "
                    f"checkpoints of more than {epoch.after}{until} records.",
                    "Somebody holds a key that was taken out of use, or not yet in use: do not trust this checkpoint.",
                )
        if self.keys and not wanted:
            raise VerificationError(
                "key.not_judged",
                f"The checkpoint of size {size} is older than the oldest key that was given.",
                "Give the key that was in force then.",
            )
        raise VerificationError(
            "checkpoint.origin",
            f"No given key of the log {self.origin!r} signed this checkpoint.",
            "Check the key and the location.",
        )


@dataclass(frozen=True, slots=True)
class Broken:
    """Where a chain breaks: at the rotation after `size` records, and why."""

    size: int
    error: VerificationError


def build_chain(
    origin: str, pinned: Sequence[VerifierKey], notes: Sequence[tuple[int, bytes]]
) -> tuple[KeyChain, tuple[Broken, ...]]:
    """The chain that follows from `pinned`, keys that the verifier trusts, and the rotation notes by size, ascending.

    A pinned key belongs where a note begins it, else to the log's beginning. Each note must be signed by the keys that
    the note before it began, or that were pinned; the chain ends before the first that is not. What stands before the
    oldest pinned key is held to that, too, but believed by nobody.
    """
    own = tuple(dict.fromkeys(key for key in pinned if key.name == origin and key.type in (ED25519, ML_DSA_44)))
    rotations: list[tuple[Rotation, bytes]] = []
    broken: list[Broken] = []
    for size, note in notes:
        try:
            rotations.append((_parse(origin, size, note), note))
        except VerificationError as error:
            broken.append(Broken(size, error))
            break
    begun: dict[VerifierKey, int] = {}
    for at, (rotation, _) in enumerate(rotations, 1):
        for key in rotation.keys:
            begun.setdefault(key, at)
    start = min((begun.get(key, 0) for key in own), default=len(rotations) + 1)  # without a key nothing is believed
    ended = current = tuple(key for key in own if key not in begun) if not start else ()
    epochs: list[Epoch] = []
    after = 0
    for at, (rotation, note) in enumerate(rotations, 1):
        try:
            _check_signed(rotation, note, ended)
            _check_new(rotation, note, at, begun)
        except VerificationError as error:
            broken.insert(0, Broken(rotation.last.size, error))
            break
        epochs.append(Epoch(after, rotation.last.size, current))
        after, ended = rotation.last.size, rotation.keys
        current = ended if at >= start else ()
    epochs.append(Epoch(after, None, current))
    return KeyChain(origin, tuple(epochs)), tuple(broken)


def _check_new(rotation: Rotation, note: bytes, at: int, begun: Mapping[VerifierKey, int]) -> None:
    """No key comes into force twice: else the thief of one that ended could let it begin again."""
    lines = {(line.name, line.key_id) for line in parse_note(note)[1]}
    late = [key for key, first in begun.items() if first > at and (key.name, key.key_id) in lines]
    if late or any(begun[key] != at for key in rotation.keys):
        raise VerificationError("rotation.reused", "A key that was in use before comes into force again.")


def _parse(origin: str, size: int, note: bytes) -> Rotation:
    rotation = Rotation.parse(parse_note(note)[0])
    if rotation.last.origin != origin:
        raise VerificationError("rotation.origin", f"This rotation is of the log {rotation.last.origin!r}.")
    if rotation.last.size != size or not size:
        raise VerificationError("rotation.size", f"This rotation is for the size {rotation.last.size}, not {size}.")
    return rotation


def _check_signed(rotation: Rotation, note: bytes, ended: Sequence[VerifierKey]) -> None:
    """Every key that ends, as far as known, and every key that begins has signed."""
    opened = open_note(note, [*ended, *rotation.keys])
    signed = {(line.name, line.key_id) for line in opened.verified}
    for key, what in [*((key, "ends") for key in ended), *((key, "begins") for key in rotation.keys)]:
        if (key.name, key.key_id) not in signed:
            raise VerificationError(
                "rotation.signature",
                f"The rotation after {rotation.last.size} records is not signed by the {key.type_name} key "
                f"{key.key_id.hex()}, which it {what}.",
            )
