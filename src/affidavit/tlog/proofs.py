"""Inclusion and consistency proofs of RFC 6962: made from the hashes of full subtrees, verified by themselves.

Provers are honest parties: what they raise is `InvalidInput`, for a question that has no answer. Verifiers
judge evidence: whatever is wrong with a proof, its sizes or its hashes, they raise `VerificationError`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

from affidavit.errors import InvalidInput, VerificationError
from affidavit.limits import PROOF_HASHES_MAX, TILES_CACHED_MAX, TREE_SIZE_MAX
from affidavit.tlog.hashing import full_subtree_root, node_hash
from affidavit.tlog.tiles import HASH_BYTES, tile_hashes, tile_width

#: Gives the hash of the full subtree over the 2^level leaves from index·2^level.
HashAt = Callable[[int, int], bytes]


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raise `VerificationError` unless the leaf stands at `index` of the tree of `size` with `root`.

    RFC 9162 section 2.1.3.2; the proof begins with the leaf's sibling.
    """
    if not 0 <= index < size <= TREE_SIZE_MAX:
        raise VerificationError("proof.inclusion", f"No leaf has the index {index} in a tree of size {size}.")
    _check_shape(proof, leaf_hash, root)
    node, last = index, size - 1
    computed = leaf_hash
    for sibling in proof:
        if last == 0:
            raise VerificationError("proof.inclusion", "The inclusion proof has more hashes than the tree has levels.")
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise VerificationError("proof.inclusion", "The inclusion proof has fewer hashes than the tree has levels.")
    if computed != root:
        raise VerificationError(
            "proof.inclusion",
            f"The leaf at index {index} does not lead to the root of the tree of size {size}.",
        )


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Raise `VerificationError` unless the tree of `size1` is the beginning of the tree of `size2`.

    RFC 9162 section 2.1.4.2. An empty first tree is refused: it is consistent with every tree, so a proof
    from it would show nothing; a caller that kept an empty checkpoint has nothing to compare.
    """
    if not 0 < size1 <= size2 <= TREE_SIZE_MAX:
        raise VerificationError("proof.consistency", f"No proof can lead from size {size1} to size {size2}.")
    _check_shape(proof, root1, root2)
    if size1 == size2:
        if proof:
            raise VerificationError("proof.consistency", "Between trees of one size a consistency proof is empty.")
        if root1 != root2:
            raise VerificationError("proof.consistency", f"Two different trees have the size {size1}: the log forked.")
        return
    # A first tree that is a complete left subtree leaves its own hash out, so its root stands in for it.
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    if not path:
        raise VerificationError("proof.consistency", "The consistency proof is empty.")
    old, new = _walk_consistency(size1, size2, path)
    if old != root1 or new != root2:
        raise VerificationError(
            "proof.consistency", f"The tree of size {size1} is not the beginning of the tree of size {size2}."
        )


def prove_inclusion(index: int, size: int, hash_at: HashAt) -> list[bytes]:
    """The inclusion proof of the leaf at `index`, its sibling first.

    Raises `InvalidInput` outside the tree.
    """
    if not 0 <= index < size <= TREE_SIZE_MAX:
        raise InvalidInput("proof.index", f"No leaf has the index {index} in a tree of size {size}.")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(range_root(middle, end, hash_at))
            end = middle
        else:
            proof.append(range_root(start, middle, hash_at))
            start = middle
    proof.reverse()
    return proof


def prove_several(indexes: Sequence[int], size: int, hash_at: HashAt) -> list[bytes]:
    """The hashes that lead from the leaves at `indexes`, ascending, to the root of the tree of `size`: of each largest
    subtree without one of them its root, from left to right. Raises `InvalidInput` outside the tree.
    """
    if not indexes or any(a >= b for a, b in pairwise(indexes)) or not 0 <= indexes[0] <= indexes[-1] < size:
        raise InvalidInput("proof.index", f"These are no leaves of a tree of size {size}, ascending.")
    proof: list[bytes] = []

    def walk(start: int, end: int, low: int, high: int) -> None:
        if low == high:
            proof.append(range_root(start, end, hash_at))
        elif end - start > 1:
            middle = start + _split(end - start)
            cut = bisect_left(indexes, middle, low, high)
            walk(start, middle, low, cut)
            walk(middle, end, cut, high)

    walk(0, size, 0, len(indexes))
    return proof


def verify_several(leaves: Sequence[tuple[int, bytes]], size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise `VerificationError` unless the leaves (index, leaf hash), ascending, stand in the tree of `size`.

    `proof` is the one that `prove_several` gives: no hash of it may be left over.
    """
    indexes = [index for index, _ in leaves]
    if not indexes or any(a >= b for a, b in pairwise(indexes)) or not 0 <= indexes[0] <= indexes[-1] < size:
        raise VerificationError("proof.several", f"These are no leaves of a tree of size {size}, ascending.")
    if size > TREE_SIZE_MAX or any(len(item) != HASH_BYTES for item in (*proof, *(leaf for _, leaf in leaves), root)):
        raise VerificationError("proof.hash", f"A hash in the proof does not have {HASH_BYTES} bytes.")
    left = iter(proof)

    def walk(start: int, end: int, low: int, high: int) -> bytes:
        if low == high:
            found = next(left, None)
            if found is None:
                raise VerificationError("proof.several", "The proof has too few hashes.")
            return found
        if end - start == 1:
            return leaves[low][1]
        middle = start + _split(end - start)
        cut = bisect_left(indexes, middle, low, high)
        return node_hash(walk(start, middle, low, cut), walk(middle, end, cut, high))

    rebuilt = walk(0, size, 0, len(leaves))
    if next(left, None) is not None:
        raise VerificationError("proof.several", "The proof has too many hashes.")
    if rebuilt != root:
        raise VerificationError("proof.several", "The entries do not lead to the root: one of them is not in the tree.")


def prove_consistency(size1: int, size2: int, hash_at: HashAt) -> list[bytes]:
    """The consistency proof from `size1` to `size2`, deepest hash first (RFC 6962 section 2.1.2).

    Empty for equal sizes and from size 0, as the witness protocol wants it. Raises `InvalidInput` for `size1`
    above `size2`.
    """
    if not 0 <= size1 <= size2 <= TREE_SIZE_MAX:
        raise InvalidInput("proof.sizes", f"No proof can lead from size {size1} to size {size2}.")
    if size1 in (0, size2):
        return []
    proof: list[bytes] = []
    start, end = 0, size2
    while end != size1:
        middle = start + _split(end - start)
        if size1 <= middle:
            proof.append(range_root(middle, end, hash_at))
            end = middle
        else:
            proof.append(range_root(start, middle, hash_at))
            start = middle
    if start:  # else the first tree is a complete left subtree and the verifier has its hash
        proof.append(range_root(start, end, hash_at))
    proof.reverse()
    return proof


def range_root(start: int, end: int, hash_at: HashAt) -> bytes:
    """The root over leaves `start` to `end` (exclusive) where RFC 6962 makes that range a subtree.

    So `range_root(0, size, hash_at)` is the root of the tree of `size`. Raises `InvalidInput` for an empty
    range.
    """
    if not 0 <= start < end:
        raise InvalidInput("proof.range", f"The range {start} to {end} holds no leaf.")
    root: bytes | None = None
    while start < end:
        count = (end - start) & -(end - start)  # the smallest full subtree, at the right
        level = count.bit_length() - 1
        subtree = hash_at(level, (end >> level) - 1)
        root = subtree if root is None else node_hash(subtree, root)
        end -= count
    if root is None:
        raise InvalidInput("proof.range", "The range holds no leaf.")
    return root


class TileHashes:
    """A `HashAt` over stored tiles of a tree of `size`; `read_tile(level, index, width)` gives them.

    The tiles are believed: a proof made from them is worth what its verification against a trusted root says.
    Keeps the last tiles it read; not safe to share between threads.
    """

    def __init__(self, read_tile: Callable[[int, int, int], bytes], size: int) -> None:
        self._read_tile = read_tile
        self._size = size
        self._tiles: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def __call__(self, level: int, index: int) -> bytes:
        """The hash of the full subtree over 2^level leaves from index·2^level.

        Raises `InvalidInput` outside.
        """
        if level < 0 or index < 0 or (index + 1) << level > self._size:
            raise InvalidInput(
                "proof.subtree", f"Subtree {index} of level {level} is not in a tree of size {self._size}."
            )
        tile_level, height = divmod(level, 8)
        tile_index, start = divmod(index << height, 256)
        hashes = self._tile(tile_level, tile_index)
        return full_subtree_root(hashes[start : start + (1 << height)])

    def _tile(self, level: int, index: int) -> list[bytes]:
        key = (level, index)
        if key in self._tiles:
            self._tiles.move_to_end(key)
            return self._tiles[key]
        width = tile_width(self._size, level, index)
        hashes = tile_hashes(self._read_tile(level, index, width), width)
        self._tiles[key] = hashes
        if len(self._tiles) > TILES_CACHED_MAX:
            self._tiles.popitem(last=False)
        return hashes


def _walk_consistency(size1: int, size2: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of the first and the second tree that a proof, with its starting hash, leads to (RFC 9162)."""
    node, last = size1 - 1, size2 - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise VerificationError("proof.consistency", "The consistency proof has too many hashes.")
        if node & 1 or node == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise VerificationError("proof.consistency", "The consistency proof has too few hashes.")
    return old, new


def _split(count: int) -> int:
    """The largest power of two below `count`, which is at least 2."""
    return 1 << (count - 1).bit_length() - 1


def _check_shape(proof: Sequence[bytes], *hashes: bytes) -> None:
    """Bound a proof before walking it: at most 63 hashes, each of exactly 32 bytes (C2SP tlog-proof)."""
    if len(proof) > PROOF_HASHES_MAX:
        raise VerificationError("proof.length", f"A proof has at most {PROOF_HASHES_MAX} hashes, not {len(proof)}.")
    if any(len(item) != HASH_BYTES for item in (*proof, *hashes)):
        raise VerificationError("proof.hash", f"A hash in the proof does not have {HASH_BYTES} bytes.")
