"""Hashes of RFC 6962 section 2.1, and `Tree`, which a log appends to and which gives the tiles to write.

leaf = SHA-256(0x00 ‖ entry), node = SHA-256(0x01 ‖ left ‖ right), empty tree = SHA-256(""). `Tree` keeps, for
each level of tiles, the hashes of the one unfinished tile; that right edge is all that appending and the root
need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from affidavit.errors import InvalidInput
from affidavit.limits import TILE_WIDTH, TREE_SIZE_MAX
from affidavit.tlog.tiles import HASH_BYTES, Tile, partial_width, tile_hashes

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf, RFC 6962 section 2.1."""
    return sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """The hashes of many leaves: `leaf_hash`, without the calls."""
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an interior node, RFC 6962 section 2.1."""
    return sha256(b"\x01" + left + right).digest()


def full_subtree_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes; the caller has checked that it is one."""
    while len(hashes) > 1:
        hashes = [
            sha256(b"\x01" + hashes[at] + hashes[at + 1]).digest()  # node_hash, without the call: this is the hot loop
            for at in range(0, len(hashes), 2)
        ]
    return hashes[0]


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root of the tree over these leaf hashes; `EMPTY_ROOT` for none.

    Raises `InvalidInput` for odd lengths.
    """
    _check_hashes(leaf_hashes)
    return _fold(leaf_hashes, None) or EMPTY_ROOT


class Tree:
    """An append-only tree that grows by leaf hashes; not safe to share between threads.

    It holds at most 255 hashes a level of tiles, and the full tiles finished since the size last given to
    `tiles` or `forget`.
    """

    def __init__(self) -> None:
        self._size = 0
        self._rows: list[list[bytes]] = [[]]  # by level, the hashes of the unfinished tile
        self._finished: list[tuple[int, Tile]] = []  # with the tree size that finished it, in ascending order
        self._forgotten_size = 0

    @classmethod
    def resume(cls, size: int, read_tile: Callable[[int, int, int], bytes]) -> Tree:
        """A tree of `size` from its stored partial tiles; `read_tile(level, index, width)` gives their bytes.

        The tiles are believed: compare `root()` with a checkpoint that you trust before you append. Raises
        `VerificationError` for a tile of the wrong length, and whatever `read_tile` raises.
        """
        _check_size(size)
        tree = cls()
        tree._size = tree._forgotten_size = size
        tree._rows = []
        level = 0
        while size >> 8 * level:
            width = partial_width(size, level)
            index = size >> 8 * (level + 1)
            tree._rows.append(tile_hashes(read_tile(level, index, width), width) if width else [])
            level += 1
        tree._rows = tree._rows or [[]]
        return tree

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    def append_leaf_hashes(self, leaf_hashes: Iterable[bytes]) -> None:
        """Append leaves by their hashes. Raises `InvalidInput`, and then nothing was appended."""
        added = list(leaf_hashes)
        _check_hashes(added)
        _check_size(self._size + len(added))
        row = self._rows[0]
        at = 0
        while at < len(added):
            taken = added[at : at + TILE_WIDTH - len(row)]
            row += taken
            at += len(taken)
            self._size += len(taken)
            if len(row) == TILE_WIDTH:
                self._finish_tile(0)

    def root(self) -> bytes:
        """The root hash; `EMPTY_ROOT` for a tree without leaves. Costs at most 255 hashes a level."""
        root: bytes | None = None
        for row in self._rows:
            root = _fold(row, root)
        return root or EMPTY_ROOT

    def tiles(self, old_size: int) -> list[Tile]:
        """The tiles to write for a log that is published at `old_size`: full ones, then partial ones.

        `old_size` says what is durable already: tiles finished up to it are let go, and a smaller `old_size`
        is refused afterwards with `InvalidInput`. A partial tile that did not change since `old_size` is left
        out.
        """
        self.forget(old_size)
        written = [tile for _, tile in self._finished]
        for level, row in enumerate(self._rows):
            if row and self._size >> 8 * level != old_size >> 8 * level:
                written.append(Tile(level, self._size >> 8 * (level + 1), len(row), b"".join(row)))
        return written

    def forget(self, size: int) -> None:
        """Let go of the full tiles finished up to `size`.

        Raises `InvalidInput` outside what is still held.
        """
        if not self._forgotten_size <= size <= self._size:
            raise InvalidInput(
                "tree.size",
                f"Tiles are held from size {self._forgotten_size} to {self._size}; {size} is outside.",
            )
        self._forgotten_size = size
        self._finished = [(at, tile) for at, tile in self._finished if at > size]

    def _finish_tile(self, level: int) -> None:
        """Turn the full row of `level` into a tile, and its root into a hash of the level above, and so on.

        The row list is emptied in place: `append_leaf_hashes` goes on filling the same list.
        """
        row = self._rows[level]
        index = (self._size >> 8 * (level + 1)) - 1
        self._finished.append((self._size, Tile(level, index, TILE_WIDTH, b"".join(row))))
        if level + 1 == len(self._rows):
            self._rows.append([])
        self._rows[level + 1].append(full_subtree_root(row))
        row.clear()
        if len(self._rows[level + 1]) == TILE_WIDTH:
            self._finish_tile(level + 1)


def _fold(hashes: Sequence[bytes], root: bytes | None) -> bytes | None:
    """The root over full subtrees of `hashes` with `root` to the right of them; None for nothing at all.

    The sizes of the full subtrees are the bits of the number of hashes, the smallest at the right.
    """
    end = len(hashes)
    while end:
        start = end & (end - 1)
        subtree = full_subtree_root(hashes[start:end])
        root = subtree if root is None else node_hash(subtree, root)
        end = start
    return root


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if set(map(len, hashes)) - {HASH_BYTES}:
        raise InvalidInput("tree.hash", f"A leaf hash has {HASH_BYTES} bytes.")


def _check_size(size: int) -> None:
    if not 0 <= size <= TREE_SIZE_MAX:
        raise InvalidInput("tree.size", f"A tree has 0 to 2^63 - 1 leaves, not {size}.")
