"""Proofs about the state map: what a root says of some names and owners, shown without the rest of the map.

A proof is a list of *items*, each opening one hash: a branch (the bits that lead to where the subtree first has two
sides, and the hashes of the sides) or a leaf. Whoever looks something up walks down from a root and takes the next item
whenever they meet a hash that was not opened yet. So the order follows from the questions, nothing can be left over,
what several roots have in common stands there once, and any other byte is another hash (docs/spec/stateproof.md).

Prover and verifier run the same walk, over an `Opener`: `MapProver` answers from a state and writes items down,
`ProvenMap` takes them from the list and believes none that does not hash to what it is to open.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from affidavit import canonical
from affidavit.errors import Corruption, InvalidInput, VerificationError
from affidavit.state.change import salt_bytes
from affidavit.state.fold import State, Version
from affidavit.state.map import owner_path, path_of, value_hash
from affidavit.state.trie import EMPTY, OWNER_BITS, PATH_BITS, Leaf, Subtree, lifted
from affidavit.tlog.spelling import from_base64, to_base64

_BITS = re.compile(rf"[01]{{0,{PATH_BITS - 1}}}")
_sha256 = hashlib.sha256


class Form(IntEnum):
    """How much a leaf shows: its path, the object's name, the object's value. The hash of the value stands in each."""

    PATH = 0
    NAME = 1
    VALUE = 2


@dataclass(frozen=True, slots=True)
class Branch:
    """Opens the hash of a subtree with several leaves: `bits` lead to where both sides hold something."""

    bits: str
    left: bytes
    right: bytes

    @property
    def hash(self) -> bytes:
        """The hash that it opens."""
        return lifted(_sha256(b"\x01" + self.left + self.right).digest(), self.bits)


@dataclass(frozen=True, slots=True)
class MapLeaf:
    """Opens the hash of a subtree with one leaf. `name` is None where only the path is shown; `value` where the value
    is not, which then is unknown, not empty."""

    path: int
    value_hash: bytes
    name: str | None = None
    salt: str | None = None
    value: dict[str, Any] | None = None

    @property
    def hash(self) -> bytes:
        """The hash that it opens."""
        return _sha256(b"\x00" + self.path.to_bytes(PATH_BITS // 8, "big") + self.value_hash).digest()

    @property
    def form(self) -> Form:
        """How much it shows."""
        return Form.PATH if self.name is None else Form.NAME if self.value is None else Form.VALUE


Item = Branch | MapLeaf


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: leaves whose paths begin with the `length` bits `prefix`, and how much they have to show.

    `name` is that of the one object looked for, where it is one.
    """

    prefix: int
    length: int
    form: Form
    name: str | None = None

    def at(self, path: int) -> Form:
        """How much a leaf at this path has to show: its path alone, where it is not what is looked for."""
        return self.form if path >> PATH_BITS - self.length == self.prefix else Form.PATH


#: For what is looked for: the leaves of it below a node at a depth.
Known = dict[Wanted, dict[tuple[bytes, int], tuple[MapLeaf, ...]]]


class Opener(Protocol):
    """What is behind the hashes of a map."""

    def open(self, node: bytes, wanted: Wanted) -> Item:
        """The item that opens the hash `node`, not that of an empty subtree; a leaf shows at least what is wanted."""


class MapView:
    """The state map under one root, as far as an opener opens it.

    `known` is what was found below a node, for views of several roots: most of what a lookup walks through is the same
    as under the root before. All of it was opened then, so walking it again would take no item.
    """

    def __init__(self, opener: Opener, root: bytes, known: Known) -> None:
        self._opener = opener
        self._known = known
        self.root = root

    def find(self, name: str, form: Form) -> MapLeaf | None:
        """The leaf of the object `name`, None where the map holds none."""
        path = int.from_bytes(path_of(name), "big")
        found = self._under(Wanted(path, PATH_BITS, form, name))
        return found[0] if found else None

    def under(self, owner: str, form: Form) -> tuple[MapLeaf, ...]:
        """All leaves of an owner, in path order."""
        return self._under(Wanted(owner_path(owner), OWNER_BITS, form))

    def _under(self, wanted: Wanted) -> tuple[MapLeaf, ...]:
        """What is looked for: down to where it would be, then all that hangs there."""
        known, length = self._known.setdefault(wanted, {}), wanted.length
        text = f"{wanted.prefix:0{length}b}"
        node, depth = self.root, 0
        walked: list[tuple[bytes, int]] = []
        found: tuple[MapLeaf, ...] = ()
        while node != EMPTY:
            if (node, depth) in known:
                found = known[node, depth]
                break
            walked.append((node, depth))
            item = self._opener.open(node, wanted)
            if isinstance(item, MapLeaf):
                found = tuple(self._all(item, text[:depth], wanted))
                break
            at = _below(depth, item)
            if text[depth:at] != item.bits[: length - depth]:
                break  # the map goes another way: nothing is there
            if at >= length:
                found = tuple(self._all(item, text[:depth], wanted))
                break
            node, depth = (item.right if text[at] == "1" else item.left), at + 1
        known.update(dict.fromkeys(walked, found))
        return found

    def _all(self, first: Item, above: str, wanted: Wanted) -> Iterator[MapLeaf]:
        """What is looked for of all that hangs below `above`, left first. Raises `VerificationError`."""
        waiting: list[tuple[Item | bytes, str]] = [(first, above)]
        while waiting:
            node, above = waiting.pop()
            item = self._opener.open(node, wanted) if isinstance(node, bytes) else node
            if isinstance(item, Branch):
                _below(len(above), item)
                waiting += ((item.right, f"{above}{item.bits}1"), (item.left, f"{above}{item.bits}0"))
                continue
            if not f"{item.path:0{PATH_BITS}b}".startswith(above):
                raise _malformed("a leaf stands where its path does not lead")
            if wanted.at(item.path) is not Form.PATH:
                yield item


class MapProver:
    """Opens the maps of states, one after the other, and writes down each item that a verifier will ask for."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._opened: dict[bytes, Item] = {}
        self._subtrees: dict[bytes, Subtree[Version | None]] = {}
        self._known: Known = {}

    def at(self, state: State) -> MapView:
        """The map of a state."""
        whole = state.whole()
        if whole is None:
            return MapView(self, EMPTY, self._known)
        self._subtrees[whole.hash] = whole
        return MapView(self, whole.hash, self._known)

    def open(self, node: bytes, wanted: Wanted) -> Item:
        """As `Opener.open`; but of an object whose value was erased no more than its name. Raises `InvalidInput` where
        that is not known either, `Corruption` where the state does not hold what it says."""
        item = self._opened.get(node)
        if isinstance(item, Branch):
            return item
        subtree = self._subtrees[node]
        leaf = subtree.leaf
        if leaf is None:
            bits, left, right = subtree.fork()
            item = Branch(bits, left.hash, right.hash)
            self._subtrees[item.left], self._subtrees[item.right] = left, right
        elif item is not None and (item.form >= wanted.at(leaf.path) or (leaf.item is None and item.form is Form.NAME)):
            return item
        else:
            item = _shown(leaf, wanted)
        self.items.append(item)
        self._opened[node] = item
        return item


class ProvenMap:
    """Opens hashes by a proof's items, in their order. Raises `VerificationError` for one that does not fit."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = iter(items)
        self._opened: dict[bytes, Item] = {}
        self._known: Known = {}

    def at(self, root: bytes) -> MapView:
        """The map with this root."""
        return MapView(self, root, self._known)

    def open(self, node: bytes, wanted: Wanted) -> Item:
        """As `Opener.open`."""
        item = self._opened.get(node)
        if isinstance(item, Branch) or (item is not None and item.form >= wanted.at(item.path)):
            return item
        item = next(self._items, None)
        if item is None:
            raise _malformed("items are missing")
        if item.hash != node:
            raise VerificationError(
                "stateproof.map", "The proof's map does not lead to the root in the record: something was changed."
            )
        if isinstance(item, MapLeaf) and item.form is not wanted.at(item.path):
            raise _malformed("a leaf shows more or less than is asked for")
        self._opened[node] = item
        return item

    def finish(self) -> None:
        """Raise `VerificationError` where items are left over."""
        if next(self._items, None) is not None:
            raise _malformed("items are left over")


def encode_item(item: Item) -> Any:
    """As it stands in the file."""
    if isinstance(item, Branch):
        return [item.bits, to_base64(item.left), to_base64(item.right)]
    if item.name is None:
        path = to_base64(item.path.to_bytes(PATH_BITS // 8, "big"))
        return {"hash": to_base64(item.value_hash), "path": path}
    if item.value is None:
        return {"hash": to_base64(item.value_hash), "name": item.name}
    return {"name": item.name, "salt": item.salt, "value": item.value}


def decode_item(value: Any) -> Item:
    """The item of what stands in the file. Raises `VerificationError`."""
    match value:
        case [str(bits), str(left), str(right)]:
            branch = Branch(bits, _hash(left), _hash(right))
            if not _BITS.fullmatch(bits) or EMPTY in (branch.left, branch.right):
                raise _malformed("a branch has bits that are none, or an empty side")
            return branch
        case {"hash": str(hashed), "path": str(path), **rest} if not rest:
            return MapLeaf(int.from_bytes(_hash(path), "big"), _hash(hashed))
        case {"hash": str(hashed), "name": str(name), **rest} if not rest:
            return MapLeaf(int.from_bytes(path_of(name), "big"), _hash(hashed), name)
        case {"name": str(name), "salt": str(salt), "value": dict(content), **rest} if not rest:
            return MapLeaf(int.from_bytes(path_of(name), "big"), _value_hash(salt, content), name, salt, content)
    raise _malformed("an item is neither a branch nor a leaf")


def _below(depth: int, branch: Branch) -> int:
    """The depth at which a branch has its two sides. Raises `VerificationError` where that is beyond the last bit."""
    at = depth + len(branch.bits)
    if at >= PATH_BITS:
        raise _malformed("a branch stands below the last bit")
    return at


def _shown(leaf: Leaf[Version | None], wanted: Wanted) -> MapLeaf:
    version, form = leaf.item, wanted.at(leaf.path)
    if version is None:
        return _erased(leaf, form, wanted.name)
    hashed = value_hash(salt_bytes(version.salt), canonical.encode_trusted(version.value))
    if form is Form.PATH:
        return MapLeaf(leaf.path, hashed)
    if form is Form.NAME:
        return MapLeaf(leaf.path, hashed, version.name)
    return MapLeaf(leaf.path, hashed, version.name, version.salt, version.value)


def _erased(leaf: Leaf[Version | None], form: Form, name: str | None) -> MapLeaf:
    if not leaf.value:
        raise Corruption("stateproof.content", "The state lacks the hash of an erased value.", "Build it anew.")
    if form is Form.PATH:
        return MapLeaf(leaf.path, leaf.value)
    if name is None:
        raise InvalidInput(
            "stateproof.erased",
            "A grant or membership that the statement is about was erased: what it was cannot be shown any more.",
            "Prove the time before and after it. Proofs that were made before it was erased still hold.",
        )
    return MapLeaf(leaf.path, leaf.value, name)


def _hash(text: str) -> bytes:
    data = from_base64(text)
    if data is None or len(data) != len(EMPTY):
        raise _malformed("a hash is not 32 bytes in base64")
    return data


def _value_hash(salt: str, content: dict[str, Any]) -> bytes:
    try:
        return value_hash(salt_bytes(salt), canonical.encode_trusted(content))
    except InvalidInput:
        raise _malformed("a salt is not 16 bytes") from None


def _malformed(why: str) -> VerificationError:
    return VerificationError("stateproof.malformed", f"This is no proof of state: {why}.", "Is the file whole?")
