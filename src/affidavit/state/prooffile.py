"""The file of a proof of state: one canonical JSON object, with all that is needed beside the log's public key.

docs/spec/stateproof.md has the bytes. Decoding checks the form alone; what a proof is worth is for `verify` to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from affidavit import canonical
from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import STATE_PROOF_BYTES_MAX
from affidavit.state.mapproof import Item, decode_item, encode_item
from affidavit.state.statement import NoGrant, NoMembership, ObjectWas, Statement, check_statement
from affidavit.tlog.spelling import from_base64, to_base64

FORMAT: Final = "affidavit state proof v1"
START: Final = b'{"checkpoint":"'


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    header: dict[str, Any]
    index: int


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    checkpoint: str
    format: str
    hashes: tuple[str, ...]
    map: tuple[Any, ...]
    records: tuple[_Entry, ...]
    statement: ObjectWas | NoGrant | NoMembership
    rotations: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(_File)


@dataclass(frozen=True, slots=True)
class StateProof:
    """A proof of state in its parts.

    `checkpoint` is a signed note. `records` are entries of the log by index, ascending; `hashes` lead from them to its
    root. `items` open the state map. `rotations` are the notes of all rotations of the log's key up to the checkpoint.
    """

    statement: Statement
    checkpoint: bytes
    records: tuple[tuple[int, bytes], ...]
    hashes: tuple[bytes, ...]
    items: tuple[Item, ...]
    rotations: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """The file. Raises `InvalidInput` where it is larger than a proof may be."""
        entries = tuple(_Entry(canonical.decode(entry), index) for index, entry in self.records)
        data = canonical.encode_trusted(
            _File(
                checkpoint=self.checkpoint.decode(),
                format=FORMAT,
                hashes=tuple(map(to_base64, self.hashes)),
                map=tuple(map(encode_item, self.items)),
                records=entries,
                statement=self.statement,
                rotations=tuple(note.decode() for note in self.rotations),
            )
        )
        if len(data) + 1 > STATE_PROOF_BYTES_MAX:
            raise InvalidInput(
                "stateproof.size",
                f"The proof would have {len(data):,} bytes, above {STATE_PROOF_BYTES_MAX:,}.",
                "Prove the interval in parts: each begins where the one before it ends.",
            )
        return data + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> StateProof:
        """The proof in a file. Raises `VerificationError` for anything but its one spelling, `InvalidInput` for a
        format of another version."""
        if len(data) > STATE_PROOF_BYTES_MAX:
            raise _malformed(f"it is larger than {STATE_PROOF_BYTES_MAX} bytes")
        if not data.endswith(b"\n"):
            raise _malformed("it does not end in a line feed")
        value = _value(data[:-1])
        _check_format(value)
        try:
            file = _decoder.decode(data[:-1])
            check_statement(file.statement)
        except canonical.UNREADABLE as error:
            raise _malformed(str(error)) from None
        except InvalidInput as error:
            raise _malformed(error.message) from None
        if canonical.encode_trusted(file) != data[:-1]:
            raise _malformed("something in it is spelled in another way than the one that it has")
        return cls(
            statement=file.statement,
            checkpoint=file.checkpoint.encode(),
            records=tuple((entry.index, canonical.encode_trusted(entry.header)) for entry in file.records),
            hashes=_hashes(file.hashes),
            items=tuple(map(decode_item, file.map)),
            rotations=tuple(note.encode() for note in file.rotations),
        )


def _value(data: bytes) -> Any:
    try:
        return canonical.decode(data)
    except InvalidInput as error:
        raise _malformed(error.message) from None


def _check_format(value: Any) -> None:
    found = value.get("format") if isinstance(value, dict) else None
    if not isinstance(found, str) or not found.startswith("affidavit state proof "):
        raise _malformed("it does not name its format")
    if found != FORMAT:
        raise InvalidInput(
            "stateproof.format", f"This proof is of the format {found:.60}.", "Check it with a newer Affidavit."
        )


def _hashes(texts: Sequence[str]) -> tuple[bytes, ...]:
    found = tuple(map(from_base64, texts))
    hashes = tuple(item for item in found if item is not None)
    if len(hashes) < len(found):
        raise _malformed("a hash is not in base64")
    return hashes


def _malformed(why: str) -> VerificationError:
    return VerificationError("stateproof.malformed", f"This is no proof of state: {why.rstrip('.')}.", "Is it whole?")
