"""A change: an ordered list of puts and deletes, each with the version that its author saw."""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from affidavit.errors import InvalidInput
from affidavit.limits import CHANGE_OBJECTS_MAX, INTEGER_MAX
from affidavit.state.objects import check_object, parse_name

SALT_BYTES = 16
_FROM_URL = str.maketrans("-_", "+/")
_SALT = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")  # the last character has two bits; the other four of them are zero


def salt_bytes(text: str) -> bytes:
    """The 16 bytes of a salt: 22 characters of base64url. Raises `InvalidInput` for any other spelling."""
    if not _SALT.fullmatch(text):
        raise InvalidInput("state.change", "A salt must be 16 bytes as 22 characters of base64url.")
    return binascii.a2b_base64(text.translate(_FROM_URL) + "==")


def _check_based(name: str, based: object) -> None:
    if based is not None and (isinstance(based, bool) or not isinstance(based, int) or not 0 <= based <= INTEGER_MAX):
        raise InvalidInput("state.change", f"`{name}`: `based` must be the index of a record, or null for none.")


@dataclass(frozen=True)
class Put:
    """Set an object. `based` is the version that the author saw, None for none. `salt` is fresh at every put.

    Raises `InvalidInput` when built with a value that is not whole.
    """

    name: str
    based: int | None
    value: dict[str, Any]
    salt: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", check_object(self.name, self.value))
        _check_based(self.name, self.based)
        salt_bytes(self.salt)


@dataclass(frozen=True)
class Delete:
    """Take an object away. `based` is the version that the author saw."""

    name: str
    based: int

    def __post_init__(self) -> None:
        parse_name(self.name)
        _check_based(self.name, self.based)
        if self.based is None:
            raise InvalidInput("state.change", f"`{self.name}`: a delete must name the version that it deletes.")


Op = Put | Delete


def check_ops(ops: Sequence[Op]) -> None:
    """Raise `InvalidInput` unless there is at least one object, not too many, and none twice."""
    if not 1 <= len(ops) <= CHANGE_OBJECTS_MAX:
        raise InvalidInput(
            "state.change", f"A change holds 1 to {CHANGE_OBJECTS_MAX} objects, not {len(ops)}.", "Split it."
        )
    seen = set()
    for op in ops:
        if op.name in seen:
            raise InvalidInput("state.change", f"`{op.name}` stands twice in one change.", "Join the two.")
        seen.add(op.name)


def decode_ops(objects: object) -> tuple[Op, ...]:
    """The operations of a body's `objects`. Raises `InvalidInput` naming what is wrong."""
    if not isinstance(objects, list) or len(objects) > CHANGE_OBJECTS_MAX:
        raise InvalidInput("state.change", f"`objects` must be a list of 1 to {CHANGE_OBJECTS_MAX}.", "Split it.")
    ops = tuple(_decode(item, position) for position, item in enumerate(objects))
    check_ops(ops)
    return ops


def encode_ops(ops: Sequence[Op]) -> list[dict[str, Any]]:
    """The `objects` of a body. Raises `InvalidInput` as `check_ops` does."""
    check_ops(ops)
    return [
        {"op": "put", "name": op.name, "based": op.based, "value": op.value, "salt": op.salt}
        if isinstance(op, Put)
        else {"op": "delete", "name": op.name, "based": op.based}
        for op in ops
    ]


def _decode(item: object, position: int) -> Op:
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        members = set(item)
        if (
            item.get("op") == "put"
            and members == {"op", "name", "based", "value", "salt"}
            and isinstance(item["salt"], str)
        ):
            return Put(item["name"], item["based"], item["value"], item["salt"])
        if item.get("op") == "delete" and members == {"op", "name", "based"}:
            return Delete(item["name"], item["based"])
    raise InvalidInput(
        "state.change",
        f"Object {position} of the change is neither a put nor a delete.",
        "Write {op: put, name, based, value, salt} or {op: delete, name, based}.",
    )
