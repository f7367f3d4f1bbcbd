"""Proofs: every proof of small trees verifies, proofs from stored tiles too, and what is wrong is refused."""

from __future__ import annotations

import pytest

from affidavit.errors import InvalidInput, VerificationError
from affidavit.tlog.hashing import Tree, leaf_hash, root_of
from affidavit.tlog.proofs import (
    TileHashes,
    prove_consistency,
    prove_inclusion,
    range_root,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(b"%d" % number) for number in range(70_000)]


def hash_at(level: int, index: int) -> bytes:
    return root_of(LEAVES[index << level : (index + 1) << level])


def tile_hashes_of(size: int) -> TileHashes:
    tree = Tree()
    tree.append_leaf_hashes(LEAVES[:size])
    stored = {(tile.level, tile.index, tile.width): tile.data for tile in tree.tiles(0)}
    return TileHashes(lambda level, index, width: stored[level, index, width], size)


def test_every_inclusion_proof_of_small_trees_verifies() -> None:
    for size in range(1, 40):
        root = root_of(LEAVES[:size])
        for index in range(size):
            verify_inclusion(index, size, LEAVES[index], prove_inclusion(index, size, hash_at), root)


def test_every_consistency_proof_of_small_trees_verifies() -> None:
    roots = [root_of(LEAVES[:size]) for size in range(40)]
    for size2 in range(1, 40):
        for size1 in range(1, size2 + 1):
            proof = prove_consistency(size1, size2, hash_at)
            verify_consistency(size1, size2, roots[size1], roots[size2], proof)


def test_the_orders_are_those_of_rfc_6962() -> None:
    """The examples of RFC 6962 section 2.1.3, over seven leaves."""
    assert [hash_at(0, 1), hash_at(1, 1), range_root(4, 7, hash_at)] == prove_inclusion(0, 7, hash_at)
    assert [hash_at(0, 2), hash_at(0, 3), hash_at(1, 0), range_root(4, 7, hash_at)] == prove_consistency(3, 7, hash_at)
    assert [range_root(4, 7, hash_at)] == prove_consistency(4, 7, hash_at)
    assert [hash_at(1, 2), hash_at(0, 6), hash_at(2, 0)] == prove_consistency(6, 7, hash_at)


@pytest.mark.parametrize("size", [1, 256, 257, 5000, 65_536, 70_000])
def test_proofs_from_stored_tiles_verify(size: int) -> None:
    stored = tile_hashes_of(size)
    root = root_of(LEAVES[:size])
    assert root == range_root(0, size, stored)
    for index in {0, 1, size // 3, size - 1} & set(range(size)):
        verify_inclusion(index, size, LEAVES[index], prove_inclusion(index, size, stored), root)
    for older in {1, size // 2, size - 1, size} & set(range(1, size + 1)):
        verify_consistency(older, size, root_of(LEAVES[:older]), root, prove_consistency(older, size, stored))


def test_a_subtree_outside_the_tree_has_no_hash() -> None:
    stored = tile_hashes_of(300)
    assert root_of(LEAVES[256:288]) == stored(5, 8)
    for level, index in [(0, 300), (9, 0), (5, 9), (-1, 0), (0, -1)]:
        with pytest.raises(InvalidInput):
            stored(level, index)


def test_the_tiles_kept_are_bounded_and_still_right() -> None:
    stored = tile_hashes_of(70_000)
    got = [stored(0, index) for index in range(0, 70_000, 256)] + [stored(0, 0)]
    assert [*LEAVES[::256], LEAVES[0]] == got
    assert 64 == len(stored._tiles)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (0, 2**63)])
def test_an_index_outside_is_refused(index: int, size: int) -> None:
    with pytest.raises(InvalidInput):
        prove_inclusion(index, size, hash_at)
    with pytest.raises(VerificationError):
        verify_inclusion(index, size, LEAVES[0], [], LEAVES[0])


def test_a_proof_of_another_shape_is_refused() -> None:
    proof = prove_inclusion(5, 13, hash_at)
    root = root_of(LEAVES[:13])
    for wrong in (proof[:-1], [*proof, root], proof[::-1], [proof[0][:31], *proof[1:]], [root] * 64, []):
        with pytest.raises(VerificationError):
            verify_inclusion(5, 13, LEAVES[5], wrong, root)
    with pytest.raises(VerificationError):
        verify_inclusion(5, 13, LEAVES[5], proof, root[:31])
    with pytest.raises(VerificationError):
        verify_inclusion(4, 13, LEAVES[5], proof, root)


def test_a_consistency_proof_that_shows_nothing_is_refused() -> None:
    root = root_of(LEAVES[:7])
    empty = root_of([])
    cases = [
        (0, 7, empty, root, []),  # from nothing
        (0, 0, empty, empty, []),
        (7, 6, root, root_of(LEAVES[:6]), []),
        (7, 7, root, empty, []),  # a fork at one size
        (7, 7, root, root, [root]),
        (6, 7, root_of(LEAVES[:6]), root, []),
        (4, 7, root_of(LEAVES[:4]), root, []),
    ]
    for case in cases:
        with pytest.raises(VerificationError):
            verify_consistency(*case)


def test_a_log_that_dropped_an_entry_is_not_consistent() -> None:
    other = [*LEAVES[:2], *LEAVES[3:8]]
    proof = prove_consistency(3, 7, lambda level, index: root_of(other[index << level : (index + 1) << level]))
    with pytest.raises(VerificationError):
        verify_consistency(3, 7, root_of(LEAVES[:3]), root_of(other), proof)


def test_proofs_between_sizes_that_cannot_be_are_refused() -> None:
    assert [] == prove_consistency(0, 7, hash_at) == prove_consistency(7, 7, hash_at)
    with pytest.raises(InvalidInput):
        prove_consistency(8, 7, hash_at)
    with pytest.raises(InvalidInput):
        range_root(3, 3, hash_at)
