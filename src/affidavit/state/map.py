"""The state map: one 32-byte root that commits to every object of the state (docs/spec/state.md, "State map").

Path = SHA-256(owner)[:16] ‖ SHA-256(key)[:16]. The owner of a grant or membership is its principal, so that all that
a principal holds is one subtree, and "held none" is one empty subtree. Value = SHA-256(salt ‖ canonical value).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Generic, TypeVar

from affidavit.limits import STATE_NAMES_CACHED_MAX
from affidavit.state.trie import OWNER_BITS, PATH_BITS, Leaf, Subtree, Trie

_T = TypeVar("_T")
_sha256 = hashlib.sha256
#: Kinds of objects that lie together by whom they are about.
OWNED_KINDS = ("grant", "membership", "reported")


def owner_of(name: str) -> str:
    """The owner of the object `name`: `grant/PRINCIPAL`, `membership/PRINCIPAL` or `reported/IDENTITY` for those kinds,
    else the kind."""
    kind, _, rest = name.partition("/")
    return f"{kind}/{rest.partition('/')[0]}" if kind in OWNED_KINDS else kind


def path_of(name: str) -> bytes:
    """The 32-byte path of the object `name`."""
    return _path(owner_of(name), name).to_bytes(PATH_BITS // 8, "big")


def value_hash(salt: bytes, canonical_value: bytes) -> bytes:
    """What the map holds for a value: SHA-256(salt ‖ canonical value). `salt` is 16 bytes."""
    return _sha256(salt + canonical_value).digest()


def leaf_hash(path: bytes, value: bytes) -> bytes:
    """The hash of an entry alone. `path` and `value` are 32 bytes."""
    return _sha256(b"\x00" + path + value).digest()


@lru_cache(maxsize=STATE_NAMES_CACHED_MAX)
def owner_path(owner: str) -> int:
    """The first half of a path, as a number."""
    return int.from_bytes(_sha256(owner.encode()).digest()[:16], "big")


@lru_cache(maxsize=STATE_NAMES_CACHED_MAX)
def _path(owner: str, key: str) -> int:
    return owner_path(owner) << OWNER_BITS | int.from_bytes(_sha256(key.encode()).digest()[:16], "big")


class StateMap(Generic[_T]):
    """A compact sparse Merkle tree of (owner, key) → value hash. Each entry may carry an item that is not hashed.

    Entries with an empty value hash have no place in a root: a map of those only looks up.
    """

    __slots__ = ("_trie",)

    def __init__(self, trie: Trie[_T | None] | None = None) -> None:
        self._trie: Trie[_T | None] = Trie() if trie is None else trie

    def copy(self) -> StateMap[_T]:
        """A copy, in O(1): both share what they have in common."""
        return StateMap(self._trie.copy())

    def put(self, owner: str, key: str, value: bytes, item: _T | None = None) -> None:
        """Set the entry. `value` is its value hash, 32 bytes."""
        path = _path(owner, key)
        self._trie.put(Leaf(path, leaf_hash(path.to_bytes(PATH_BITS // 8, "big"), value) if value else b"", item))

    def delete(self, owner: str, key: str) -> None:
        """Take the entry out. Raises `KeyError` where there is none."""
        self._trie.delete(_path(owner, key))

    def put_at(self, path: int, value: bytes) -> None:
        """Set the entry at a path whose name is not known, without an item. `value` is its value hash, 32 bytes."""
        self._trie.put(Leaf(path, leaf_hash(path.to_bytes(PATH_BITS // 8, "big"), value), None, value))

    def holds(self, path: int, value: bytes) -> bool:
        """Whether the entry at a path has this value hash already."""
        leaf = self._trie.leaf(path)
        return leaf is not None and leaf.hash == leaf_hash(path.to_bytes(PATH_BITS // 8, "big"), value)

    def delete_at(self, path: int) -> None:
        """Take out the entry at a path. Raises `KeyError` where there is none."""
        self._trie.delete(path)

    def at(self, path: int) -> _T | None:
        """The item of the entry at a path, or None."""
        return self._trie.get(path)

    def get(self, owner: str, key: str) -> _T | None:
        """The item of an entry, or None."""
        return self._trie.get(_path(owner, key))

    def under(self, owner: str) -> Iterator[_T]:
        """The items of one owner, in no order that means anything."""
        return (item for item in self._trie.under(owner_path(owner)) if item is not None)

    def items(self) -> Iterator[_T]:
        """The items of all owners."""
        return (item for item in self._trie.items() if item is not None)

    def root(self) -> bytes:
        """The root hash, 32 bytes; zeros for an empty map."""
        return self._trie.root()

    def whole(self) -> Subtree[_T | None] | None:
        """The map as a tree to be walked with its hashes; None for an empty one."""
        return self._trie.whole()
