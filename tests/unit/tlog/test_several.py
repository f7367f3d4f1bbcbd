"""Proofs of several leaves at once: against trees worked out by hand, against single proofs, and altered."""

from __future__ import annotations

import hashlib
from itertools import combinations

import pytest

from affidavit.errors import InvalidInput, VerificationError
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.proofs import TileHashes, prove_inclusion, prove_several, verify_several


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha(b"\x01" + left + right)


LEAVES = [leaf_hash(b"entry %d" % n) for n in range(11)]


def hashes(size: int) -> TileHashes:
    tree = Tree()
    tree.append_leaf_hashes(LEAVES[:size])
    tiles = {(tile.level, tile.index): tile.data for tile in tree.tiles(0)}
    return TileHashes(lambda level, index, width: tiles[level, index], size)


def root(size: int) -> bytes:
    tree = Tree()
    tree.append_leaf_hashes(LEAVES[:size])
    return tree.root()


def test_the_hashes_of_a_tree_of_five_by_hand() -> None:
    a, b, c, d, e = LEAVES[:5]
    assert [node(a, b), d] == prove_several([2, 4], 5, hashes(5))
    assert node(node(node(a, b), node(c, d)), e) == root(5)
    assert [] == prove_several([0, 1, 2, 3, 4], 5, hashes(5))
    assert [b, node(c, d), e] == prove_several([0], 5, hashes(5))


def test_every_choice_of_leaves_leads_to_the_root() -> None:
    for size in range(1, 8):
        for count in range(1, size + 1):
            for chosen in combinations(range(size), count):
                proof = prove_several(chosen, size, hashes(size))
                verify_several([(index, LEAVES[index]) for index in chosen], size, proof, root(size))


def test_one_leaf_takes_the_hashes_of_its_inclusion_proof() -> None:
    for index in range(11):
        assert sorted(prove_inclusion(index, 11, hashes(11))) == sorted(prove_several([index], 11, hashes(11)))


@pytest.mark.parametrize(
    "alter",
    [
        lambda leaves, proof: (leaves, proof[:-1]),
        lambda leaves, proof: (leaves, [*proof, bytes(32)]),
        lambda leaves, proof: (leaves, [bytes(32), *proof[1:]]),
        lambda leaves, proof: (leaves, [proof[1], proof[0], *proof[2:]]),
        lambda leaves, proof: (leaves, [proof[0][:31], *proof[1:]]),
        lambda leaves, proof: ([(3, leaves[0][1]), leaves[1]], proof),
        lambda leaves, proof: ([(2, LEAVES[3]), leaves[1]], proof),
        lambda leaves, proof: (leaves[:1], proof),
        lambda leaves, proof: ([*leaves, (9, LEAVES[9])], proof),
        lambda leaves, proof: (leaves[::-1], proof),
        lambda leaves, proof: ([], [root(11)]),
        lambda leaves, proof: ([leaves[0], (11, leaves[1][1])], proof),
        lambda leaves, proof: ([(-1, leaves[0][1]), leaves[1]], proof),
    ],
)
def test_an_altered_proof_is_refused(alter: object) -> None:
    leaves, proof = [(2, LEAVES[2]), (7, LEAVES[7])], prove_several([2, 7], 11, hashes(11))
    verify_several(leaves, 11, proof, root(11))
    with pytest.raises(VerificationError):
        verify_several(*_with_size(alter(leaves, proof)))  # type: ignore[operator]


def _with_size(altered: tuple[list[tuple[int, bytes]], list[bytes]]) -> tuple[object, ...]:
    leaves, proof = altered
    return leaves, 11, proof, root(11)


@pytest.mark.parametrize("size", [7, 8, 17])
def test_another_size_or_root_is_refused(size: int) -> None:
    leaves, proof = [(2, LEAVES[2]), (7, LEAVES[7])], prove_several([2, 7], 11, hashes(11))
    with pytest.raises(VerificationError):
        verify_several(leaves, size, proof, root(11))
    with pytest.raises(VerificationError):
        verify_several(leaves, 11, proof, root(min(size, 10)))


@pytest.mark.parametrize("indexes", [[], [3, 3], [4, 2], [-1], [11]])
def test_a_question_without_an_answer(indexes: list[int]) -> None:
    with pytest.raises(InvalidInput):
        prove_several(indexes, 11, hashes(11))
