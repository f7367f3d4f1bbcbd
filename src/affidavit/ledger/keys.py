"""The secrets of a log: `DIR/secrets`, a folder of mode 0700 with files of mode 0600.

`log.key` signs (Go note signer form), `log.vkey` is its public half; `body.keys` encrypt bodies, one hex key a line,
the last one seals; `tag.key` makes tags; `digest.key` makes digests of values. All but `log.vkey` must stay here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from affidavit.durable import PRIVATE, PRIVATE_FOLDER, Disk, clear_temporary, write_whole
from affidavit.errors import InvalidInput
from affidavit.limits import SECRET_BYTES_MAX
from affidavit.record.body import KEY_BYTES, BodyKey
from affidavit.tlog.keys import SignerKey, VerifierKey

LOG_KEY, LOG_VKEY, BODY_KEYS, TAG_KEY, DIGEST_KEY = "log.key", "log.vkey", "body.keys", "tag.key", "digest.key"
_UNFINISHED = ".unfinished"


@dataclass(frozen=True)
class Secrets:
    """All keys of one log. `body_keys` are in the order of their file: the last one seals."""

    signer: SignerKey = field(repr=False)
    body_keys: tuple[BodyKey, ...] = field(repr=False)
    tag_key: bytes = field(repr=False)
    digest_key: bytes = field(repr=False)

    @property
    def origin(self) -> str:
        """The log's origin: the name of its key."""
        return self.signer.name

    @property
    def verifier(self) -> VerifierKey:
        """The public key: all that a verifier needs to trust."""
        return self.signer.verifier

    @property
    def body_keys_by_id(self) -> dict[bytes, BodyKey]:
        """As `open_slot` wants them."""
        return {key.id: key for key in self.body_keys}

    @classmethod
    def create(cls, disk: Disk, folder: Path, origin: str, randomness: Callable[[int], bytes]) -> Secrets:
        """New keys for a new log, durable in `folder`. Raises `InvalidInput` where keys exist: none is overwritten."""
        names = (LOG_KEY, LOG_VKEY, BODY_KEYS, TAG_KEY, DIGEST_KEY)
        for name in names:
            if disk.exists(folder / name):
                raise InvalidInput(
                    "secrets.exist",
                    f"{folder / name} exists; a new key would make the log that it belongs to unreadable.",
                    "Choose another folder, or move the old log away whole.",
                )
        secrets = cls(
            SignerKey(origin, randomness(KEY_BYTES)),
            (BodyKey(randomness(KEY_BYTES)),),
            randomness(KEY_BYTES),
            randomness(KEY_BYTES),
        )
        texts = (
            secrets.signer.to_text(),
            secrets.verifier.to_text(),
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
        signer = SignerKey.parse(_read(disk, folder / LOG_KEY))
        verifier = _read(disk, folder / LOG_VKEY)
        if signer.verifier.to_text() != verifier:
            raise InvalidInput(
                "secrets.mixed",
                f"{folder / LOG_VKEY} is not the public half of {folder / LOG_KEY}.",
                "One of them was replaced: put back the one that belongs to this log.",
            )
        keys = [BodyKey(_hex(line, folder / BODY_KEYS)) for line in _read(disk, folder / BODY_KEYS).split("\n")]
        return cls(
            signer,
            tuple(keys),
            _hex(_read(disk, folder / TAG_KEY), folder / TAG_KEY),
            _hex(_read(disk, folder / DIGEST_KEY), folder / DIGEST_KEY),
        )


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
