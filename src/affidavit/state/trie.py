"""A persistent binary trie over 256-bit paths, with the hashes of a compact sparse Merkle tree.

Persistent: `put` and `delete` leave every older root as it was and share all but one path with it, so a copy of a
state of any size costs nothing, and "what would it be after this change" is a few dozen new nodes.

Only forks with two sides are stored (path compression): about log2(n) of them lie above a leaf. The hash is that of
the tree *without* path compression: leaf = SHA-256(0x00 ‖ path ‖ value), node = SHA-256(0x01 ‖ left ‖ right), an
empty side is 32 zero bytes, a subtree with one leaf is that leaf. So a fork whose parent fork lies several bits above
is lifted through nodes with one empty side. Objects of one owner share 128 bits: lifting dominates the cost, and its
result is kept with the fork.

Bits are counted by their shift: 255 is the most significant bit, decided at the root, 0 the least.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

PATH_BITS = 256
OWNER_BITS = 128
EMPTY = bytes(32)

_T = TypeVar("_T")
_sha256 = hashlib.sha256
_NODE_EMPTY = b"\x01" + EMPTY


class Leaf(msgspec.Struct, Generic[_T], eq=False, gc=False):
    """One entry. `hash` is its leaf hash, or empty in a trie that only looks up. `value` is the value hash in it, where
    the item does not give that. Never changed once built."""

    path: int
    hash: bytes
    item: _T
    value: bytes = b""


class _Fork(msgspec.Struct, Generic[_T], eq=False, gc=False):
    """Where two sides differ first, at bit `shift`. Only the hash fields are filled in later, once and for all."""

    shift: int
    path: int  # of any leaf below: all agree on the bits above `shift`
    left: _Node[_T]
    right: _Node[_T]
    hash: bytes = b""
    lifted: bytes = b""
    lifted_to: int = -1


_Node = Leaf[_T] | _Fork[_T]


class Trie(Generic[_T]):
    """A mutable name for a persistent tree. `copy` is O(1)."""

    __slots__ = ("_root",)

    def __init__(self, root: _Node[_T] | None = None) -> None:
        self._root = root

    def copy(self) -> Trie[_T]:
        """Another name for the same entries; later changes to one do not show in the other."""
        return Trie(self._root)

    def get(self, path: int) -> _T | None:
        """The item at `path`, or None."""
        node = self._root
        while isinstance(node, _Fork):
            node = node.right if path >> node.shift & 1 else node.left
        return node.item if node is not None and node.path == path else None

    def leaf(self, path: int) -> Leaf[_T] | None:
        """The entry at `path`, or None."""
        node = self._root
        while isinstance(node, _Fork):
            node = node.right if path >> node.shift & 1 else node.left
        return node if node is not None and node.path == path else None

    def put(self, leaf: Leaf[_T]) -> None:
        """Set the entry at `leaf.path`, new or not."""
        node = self._root
        if node is None:
            self._root = leaf
            return
        path = leaf.path
        trail: list[_Fork[_T]] = []
        while isinstance(node, _Fork):
            trail.append(node)
            node = node.right if path >> node.shift & 1 else node.left
        new: _Node[_T] = leaf
        if node.path != path:
            differs = (node.path ^ path).bit_length() - 1
            while trail and trail[-1].shift < differs:
                node = trail.pop()
            new = _Fork(differs, path, node, leaf) if path >> differs & 1 else _Fork(differs, path, leaf, node)
        self._root = _rebuild(trail, path, new)

    def delete(self, path: int) -> None:
        """Take the entry at `path` out. Raises `KeyError` where there is none."""
        trail: list[_Fork[_T]] = []
        node = self._root
        while isinstance(node, _Fork):
            trail.append(node)
            node = node.right if path >> node.shift & 1 else node.left
        if node is None or node.path != path:
            raise KeyError(path)
        if not trail:
            self._root = None
            return
        last = trail.pop()
        sibling = last.left if path >> last.shift & 1 else last.right
        self._root = _rebuild(trail, path, sibling)

    def under(self, owner: int) -> Iterator[_T]:
        """The items whose path begins with the 128 bits `owner`, in path order."""
        path = owner << OWNER_BITS
        node = self._root
        while isinstance(node, _Fork) and node.shift >= OWNER_BITS:
            node = node.right if path >> node.shift & 1 else node.left
        if node is not None and node.path >> OWNER_BITS == owner:
            yield from _items(node)

    def items(self) -> Iterator[_T]:
        """Every item, in path order."""
        if self._root is not None:
            yield from _items(self._root)

    def root(self) -> bytes:
        """The 32-byte root hash. Only what changed since the last call is hashed."""
        return EMPTY if self._root is None else _hash(self._root, PATH_BITS - 1)

    def whole(self) -> Subtree[_T] | None:
        """All of it as a subtree, to be walked with its hashes; None where nothing is in it."""
        return None if self._root is None else Subtree(self._root, PATH_BITS - 1)


class Subtree(Generic[_T]):
    """A subtree that holds something, from bit `_top` on, as the compact tree without path compression has it."""

    __slots__ = ("_node", "_top")

    def __init__(self, node: _Node[_T], top: int) -> None:
        self._node = node
        self._top = top

    @property
    def hash(self) -> bytes:
        """Its hash, 32 bytes."""
        return _hash(self._node, self._top)

    @property
    def leaf(self) -> Leaf[_T] | None:
        """The leaf that it is, or None where it holds several."""
        return None if isinstance(self._node, _Fork) else self._node

    def fork(self) -> tuple[str, Subtree[_T], Subtree[_T]]:
        """Where it first has two sides: the bits (0 left, 1 right) that lead there, and the sides. Not for a leaf."""
        node = self._node
        if not isinstance(node, _Fork):
            raise TypeError("a leaf has no sides")
        bits = f"{node.path:0256b}"[PATH_BITS - 1 - self._top : PATH_BITS - 1 - node.shift]
        return bits, Subtree(node.left, node.shift - 1), Subtree(node.right, node.shift - 1)


def lifted(value: bytes, bits: str) -> bytes:
    """The hash of a subtree with hash `value` below nodes with one empty side each; `bits` lead down to it."""
    for bit in reversed(bits):
        value = _sha256(_NODE_EMPTY + value if bit == "1" else b"\x01" + value + EMPTY).digest()
    return value


def _rebuild(trail: list[_Fork[_T]], path: int, new: _Node[_T]) -> _Node[_T]:
    """The root after `new` took its place under `trail`: each fork is copied, none is changed."""
    for fork in reversed(trail):
        if path >> fork.shift & 1:
            new = _Fork(fork.shift, fork.path, fork.left, new)
        else:
            new = _Fork(fork.shift, fork.path, new, fork.right)
    return new


def _items(node: _Node[_T]) -> Iterator[_T]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, _Fork):
            waiting += (node.right, node.left)
        else:
            yield node.item


def _hash(node: _Node[_T], top: int) -> bytes:
    """The hash of the subtree at bit `top` that holds exactly what `node` holds."""
    if isinstance(node, Leaf):
        return node.hash
    if node.lifted_to == top:
        return node.lifted
    value = node.hash
    if not value:
        below = node.shift - 1
        value = node.hash = _sha256(b"\x01" + _hash(node.left, below) + _hash(node.right, below)).digest()
    if top > node.shift:
        # A string of the bits is cheaper to walk than shifting a 256-bit integer a hundred times.
        value = lifted(value, f"{node.path:0256b}"[PATH_BITS - 1 - top : PATH_BITS - 1 - node.shift])
    node.lifted, node.lifted_to = value, top
    return value
