"""The secrets of a log: `DIR/secrets`, a folder of mode 0700 with files of mode 0600.

`log.key` signs (Go note signer form, one key a line: Ed25519, then ML-DSA-44 if it is switched on), `log.vkey` is its
public half; `body.keys` encrypt bodies, one hex key a line, the last one seals; `tag.key` makes tags; `digest.key`
makes digests of values. All but `log.vkey` must stay here. While the log's key is rotated, `next.key` holds the key to
come (`rotate.py`); once `log.vkey` is its public half, it is the log's key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from affidavit.durable import PRIVATE, PRIVATE_FOLDER, Disk, clear_temporary, write_whole
from affidavit.errors import InvalidInput
from affidavit.limits import SECRET_BYTES_MAX
from affidavit.record.body import KEY_BYTES, BodyKey
from affidavit.tlog.keys import ED25519, SignerKey, VerifierKey
from affidavit.tlog.rotation import check_log_keys

LOG_KEY, LOG_VKEY, BODY_KEYS, TAG_KEY, DIGEST_KEY = "log.key", "log.vkey", "body.keys", "tag.key", "digest.key"
NEXT_KEY = "next.key"
_UNFINISHED = ".unfinished"


@dataclass(frozen=True)
class Secrets:
    """All keys of one log.

    `verifiers` are an Ed25519 key and, where it is switched on, an ML-DSA-44 key behind it; `signers` are their private
    halves, none where an agent holds them. `body_keys` are in the order of their file: the last one seals.
    """

    verifiers: tuple[VerifierKey, ...]
    signers: tuple[SignerKey, ...] = field(repr=False)
    body_keys: tuple[BodyKey, ...] = field(repr=False)
    tag_key: bytes = field(repr=False)
    digest_key: bytes = field(repr=False)

    @property
    def origin(self) -> str:
        """The log's origin: the name of its key."""
        return self.verifiers[0].name

    @property
    def verifier(self) -> VerifierKey:
        """The public Ed25519 key: all that a verifier needs to trust."""
        return self.verifiers[0]

    @property
    def body_keys_by_id(self) -> dict[bytes, BodyKey]:
        """As `open_slot` wants them."""
        return {key.id: key for key in self.body_keys}

    @classmethod
    def create(
        cls,
        disk: Disk,
        folder: Path,
        origin: str,
        randomness: Callable[[int], bytes],
        types: Sequence[int] = (ED25519,),
    ) -> Secrets:
        """New keys for a new log, durable in `folder`; `types` are those of the log's own.

        Raises `InvalidInput` where keys exist: none is overwritten.
        """
        names = (LOG_KEY, LOG_VKEY, BODY_KEYS, TAG_KEY, DIGEST_KEY)
        for name in names:
            if disk.exists(folder / name):
                raise InvalidInput(
                    "secrets.exist",
                    f"{folder / name} exists; a new key would make the log that it belongs to unreadable.",
                    "Choose another folder, or move the old log away whole.",
                )
        signers = tuple(SignerKey(origin, randomness(KEY_BYTES), type_) for type_ in types)
        secrets = cls(
            tuple(key.verifier for key in signers),
            signers,
            (BodyKey(randomness(KEY_BYTES)),),
            randomness(KEY_BYTES),
            randomness(KEY_BYTES),
        )
        texts = (
            "\n".join(key.to_text() for key in secrets.signers),
            "\n".join(key.to_text() for key in secrets.verifiers),
            secrets.body_keys[0].key.hex(),
            secrets.tag_key.hex(),
            secrets.digest_key.hex(),
        )
        disk.make_folder(folder, PRIVATE_FOLDER)
        temporary = folder / _UNFINISHED
        clear_temporary(disk, temporary)
        files = [(folder / name, f"{text}\n".encode()) for name, text in zip(names, texts, strict=True)]
        write_whole(disk, temporary, files, PRIVATE)
        disk.unlink(temporary)
        return secrets

    @classmethod
    def load(cls, disk: Disk, folder: Path) -> Secrets:
        """The keys in `folder`.

        Raises `InvalidInput` for a file that is missing, open to others, malformed, or belongs to another key.
        """
        signers = load_signers(disk, folder)
        return cls._load(disk, folder, tuple(key.verifier for key in signers), signers)

    @classmethod
    def load_without_signers(cls, disk: Disk, folder: Path) -> Secrets:
        """The keys in `folder` of a log whose private key an agent holds. Raises as `load`, and where it lies here."""
        for name in (LOG_KEY, NEXT_KEY):
            if disk.exists(folder / name):
                raise InvalidInput(
                    "secrets.not_moved",
                    f"{folder / name} lies here, although an agent holds the log's key.",
                    "Move it to the agent's folder, or take `signer` out of affidavit.toml. See docs/howto/keys.md.",
                )
        path = folder / LOG_VKEY
        verifiers = tuple(VerifierKey.parse(line) for line in _read(disk, path).split("\n"))
        _check_keys(verifiers, path)
        return cls._load(disk, folder, verifiers, ())

    @classmethod
    def load_for_reading(cls, disk: Disk, folder: Path) -> Secrets:
        """The keys in `folder`, the log's private key among them only if it lies there. Raises as `load`."""
        load = cls.load if disk.exists(folder / LOG_KEY) else cls.load_without_signers
        return load(disk, folder)

    @classmethod
    def _load(
        cls, disk: Disk, folder: Path, verifiers: tuple[VerifierKey, ...], signers: tuple[SignerKey, ...]
    ) -> Secrets:
        keys = [BodyKey(_hex(line, folder / BODY_KEYS)) for line in _read(disk, folder / BODY_KEYS).split("\n")]
        return cls(
            verifiers,
            signers,
            tuple(keys),
            _hex(_read(disk, folder / TAG_KEY), folder / TAG_KEY),
            _hex(_read(disk, folder / DIGEST_KEY), folder / DIGEST_KEY),
        )


def load_signers(disk: Disk, folder: Path) -> tuple[SignerKey, ...]:
    """The private keys in `folder` that are in force: `log.vkey` is their public half. Raises as `Secrets.load`."""
    signers = read_signers(_read(disk, folder / LOG_KEY), folder / LOG_KEY)
    verifiers = _read(disk, folder / LOG_VKEY).split("\n")
    if _public(signers) != verifiers and disk.exists(folder / NEXT_KEY):
        # A rotation was interrupted after the new key came into force; the next writer removes the old one.
        signers = read_signers(_read(disk, folder / NEXT_KEY), folder / NEXT_KEY)
    if _public(signers) != verifiers:
        raise InvalidInput(
            "secrets.mixed",
            f"{folder / LOG_VKEY} is not the public half of {folder / LOG_KEY}.",
            "One of them was replaced: put back the one that belongs to this log.",
        )
    return signers


def read_signers(text: str, path: Path) -> tuple[SignerKey, ...]:
    """The private keys of a text, one a line. Raises `InvalidInput` naming `path` for what no log signs with."""
    signers = tuple(SignerKey.parse(line) for line in text.split("\n"))
    _check_keys([key.verifier for key in signers], path)
    return signers


def _check_keys(verifiers: Sequence[VerifierKey], path: Path) -> None:
    try:
        check_log_keys(verifiers[0].name, verifiers)
    except InvalidInput as error:
        raise InvalidInput("secrets.form", f"{path}: {error.message}") from None


def _public(signers: Sequence[SignerKey]) -> list[str]:
    return [key.verifier.to_text() for key in signers]


def _read(disk: Disk, path: Path) -> str:
    data = disk.read_private(path, SECRET_BYTES_MAX)
    if data is None:
        raise InvalidInput("secrets.missing", f"{path} is missing.", "Put it back from where it is kept.")
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise InvalidInput("secrets.form", f"{path} is not text.", "Put the right file in its place.") from None


def _hex(text: str, path: Path) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidInput("secrets.form", f"{path} holds a line that is not a key of {KEY_BYTES} bytes in hex.")
    return key
