"""How names, texts and bytes are spelled in signed notes and keys: one spelling each (C2SP signed-note)."""

from __future__ import annotations

import base64
import binascii

from affidavit.errors import InvalidInput
from affidavit.limits import NOTE_BYTES_MAX, NOTE_NAME_BYTES_MAX


def is_note_text(text: str) -> bool:
    """Whether a note may hold this text: valid Unicode, and no control character but LF."""
    return all(character >= " " or character == "\n" for character in text) and _is_unicode(text)


def check_text(text: str) -> None:
    """Raise `InvalidInput` for a text that no note may have."""
    if not text.endswith("\n") or not is_note_text(text) or len(text.encode()) > NOTE_BYTES_MAX // 2:
        raise InvalidInput("note.text", "The text of a note ends in LF, is bounded and holds no control characters.")


def is_name(name: str) -> bool:
    """Whether a key may have this name: not empty, bounded, without Unicode space or plus sign."""
    if not name or "+" in name or not is_note_text(name) or len(name.encode()) > NOTE_NAME_BYTES_MAX:
        return False
    return not any(character.isspace() for character in name)


def check_name(name: str) -> None:
    """Raise `InvalidInput` for a name that no key may have."""
    if not is_name(name):
        raise InvalidInput(
            "key.name",
            f"{name[:100]!r} cannot name a key.",
            "A name is not empty and holds no space, plus sign or control character.",
        )


def to_base64(data: bytes) -> str:
    """Standard, padded base64."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes | None:
    """The bytes of standard, padded base64 in its one spelling; None for anything else."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data if to_base64(data) == text else None


def _is_unicode(text: str) -> bool:
    """Whether the text has a UTF-8 form, that is, holds no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
