"""What is left in the state of a change whose body was erased: paths and value hashes, nothing else.

The stub of an erased body (docs/spec/bodies.md) holds, for each operation of the change, where in the state map it acts
and the hash that it leaves there. That suffices for every root. A path is a hash of a name, so whoever knows a name
can tell whether an object of that name is meant; of the value nothing can be told, since its salt is gone.

An object put by such a change is *hidden*: its version is known, its value is not. Whatever needs the value raises
`ErasedContent`; whatever lists names asks `bearing` first whether one of the hidden could have been among them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from affidavit import canonical
from affidavit.errors import Corruption, Unavailable
from affidavit.limits import CHANGE_OBJECTS_MAX
from affidavit.state.change import Op, Put, salt_bytes
from affidavit.state.map import OWNED_KINDS, owner_path, path_of, value_hash
from affidavit.state.objects import KINDS
from affidavit.state.trie import OWNER_BITS

_PATH_BYTES = _HASH_BYTES = 32
_PUT, _DELETE = 1, 0
_KIND_OF: Final[Mapping[int, str]] = {owner_path(kind): kind for kind in KINDS if kind not in OWNED_KINDS}
_SETTINGS = ("settings/organisation", "settings/floor")


@dataclass(frozen=True, slots=True)
class HiddenOp:
    """An operation of an erased change: its path, and the value hash that it leaves there, None for a delete."""

    path: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Hidden:
    """An object whose value was erased: put by the record `version`, which the record `by` erased. `system` is that of
    a `drift`, whose header names it."""

    version: int
    by: int
    system: str | None = None


@dataclass(frozen=True, slots=True)
class HiddenTake:
    """What an operation of an erased change did to a state: the object of a known name that it ended (`taken`), and the
    hidden one that stands at `path` since; None after a delete."""

    path: bytes
    taken: str | None
    hidden: Hidden | None


#: What a change does to a state.
Step = Op | HiddenTake


class ErasedContent(Unavailable):
    """An answer needs what was erased. `versions` are the erased records, `by` those that erased them."""

    def __init__(self, hidden: Collection[Hidden]) -> None:
        super().__init__(
            "state.erased",
            f"This cannot be told: {erased_words(hidden)}.",
            "It can be asked of a state in which a later record put those objects again.",
        )
        self.reason = f"{erased_words(hidden)}, and it needs what was in it"
        #: A clause about what is missing: `record 17 put, which record 50 erased`.
        self.what = put_words(hidden)


def erased_words(hidden: Collection[Hidden]) -> str:
    """`record 17 was erased by record 50`."""
    return _listed(hidden, "record {} was erased by record {}")


def put_words(hidden: Collection[Hidden]) -> str:
    """`record 17 put, which record 50 erased`."""
    return _listed(hidden, "record {} put, which record {} erased")


def _listed(hidden: Collection[Hidden], words: str) -> str:
    pairs = sorted({(one.version, one.by) for one in hidden})
    said = [words.format(version, by) for version, by in pairs[:3]]
    more = len(pairs) - len(said)
    return ", ".join(said) + (f", and {more} more" if more else "")


class ErasedValue(dict[str, Any]):
    """The value of a hidden object: it equals nothing, and raises `ErasedContent` when it is looked into."""

    def __init__(self, hidden: Hidden) -> None:
        super().__init__()
        self._hidden = hidden

    @property
    def by(self) -> int:
        """The record that erased it."""
        return self._hidden.by

    def _refuse(self, *_: object) -> NoReturn:
        raise ErasedContent([self._hidden])

    __getitem__ = get = items = keys = values = __iter__ = __contains__ = __len__ = _refuse

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None


def hide(ops: Sequence[Op]) -> tuple[HiddenOp, ...]:
    """What stays of operations."""
    return tuple(
        HiddenOp(
            path_of(op.name),
            value_hash(salt_bytes(op.salt), canonical.encode_trusted(op.value)) if isinstance(op, Put) else None,
        )
        for op in ops
    )


def encode_hidden(ops: Sequence[HiddenOp]) -> bytes:
    """The bytes of a stub after the index: for each operation 0x01 ‖ path ‖ value hash, or 0x00 ‖ path for a delete."""
    return b"".join(
        bytes([_DELETE]) + op.path if op.value is None else bytes([_PUT]) + op.path + op.value for op in ops
    )


def decode_hidden(data: bytes) -> tuple[HiddenOp, ...]:
    """The operations of a stub. Raises `Corruption` where they are none, too many, or one acts where another does."""
    found: dict[bytes, HiddenOp] = {}
    at = 0
    while at < len(data):
        start, end = at + 1, at + 1 + _PATH_BYTES + (_HASH_BYTES if data[at] == _PUT else 0)
        path, value = data[start : start + _PATH_BYTES], data[start + _PATH_BYTES : end]
        if data[at] not in (_PUT, _DELETE) or end > len(data) or path in found:
            break
        found[path] = HiddenOp(path, value if data[at] == _PUT else None)
        at = end
    if at != len(data) or not 1 <= len(found) <= CHANGE_OBJECTS_MAX:
        raise Corruption("slot.stub", "The stub of an erased change does not hold operations as it should.")
    return tuple(found.values())


def kind_at(path: int) -> str | None:
    """The kind of object that lies at a path; None for one of `OWNED_KINDS`, or what no name leads to."""
    return _KIND_OF.get(path >> OWNER_BITS)


def held_by(hidden: Mapping[int, Hidden], kinds: Collection[str], principals: Collection[str]) -> Iterator[Hidden]:
    """The hidden objects of `kinds`, each one of `OWNED_KINDS`, about these principals (identity ids, `group:NAME`)."""
    owners = {owner_path(f"{kind}/{principal}") for kind in kinds for principal in principals}
    return (one for path, one in hidden.items() if path >> OWNER_BITS in owners)


def bearing_on_settings(
    hidden: Mapping[int, Hidden], actor: str, system: str, groups: Collection[str]
) -> Iterator[Hidden]:
    """The hidden objects that may bear on the settings of `actor`, a member of `groups`, on `system`."""
    names = [f"identity/{actor}", *_SETTINGS, f"settings/system/{system}", f"settings/user/{actor}"]
    paths = {int.from_bytes(path_of(name), "big") for name in (*names, *(f"settings/group/{one}" for one in groups))}
    yield from (one for path, one in hidden.items() if path in paths)
    yield from held_by(hidden, ("reported",), (actor,))
    yield from held_by(hidden, ("membership",), (actor, *(f"group:{group}" for group in groups)))


def bearing(hidden: Mapping[int, Hidden], actor: str, system: str, groups: Collection[str]) -> Iterator[Hidden]:
    """The hidden objects that may bear on the context of `actor`, a member of `groups`, on `system`."""
    if not hidden:
        return
    yield from bearing_on_settings(hidden, actor, system, groups)
    yield from held_by(hidden, ("grant",), (actor, *(f"group:{group}" for group in groups)))
    declared = int.from_bytes(path_of(f"system/{system}"), "big")
    for path, one in hidden.items():
        kind = kind_at(path)
        if path == declared or kind in ("policy", "schema") or (kind == "observed" and one.system in (None, system)):
            yield one
