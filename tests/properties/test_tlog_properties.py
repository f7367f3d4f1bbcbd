"""Properties of trees, tiles, proofs, bundles and notes over generated sizes and mutations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affidavit.errors import VerificationError
from affidavit.tlog.hashing import Tree, leaf_hash, root_of
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.notes import open_note, sign_note
from affidavit.tlog.proofs import (
    TileHashes,
    prove_consistency,
    prove_inclusion,
    range_root,
    verify_consistency,
    verify_inclusion,
)
from affidavit.tlog.tiles import TileAddress, decode_entries, encode_entries, parse_path, tiles_of

LEAVES = [leaf_hash(b"%d" % number) for number in range(1200)]
SIZES = st.integers(1, len(LEAVES))
STEPS = st.lists(st.integers(0, 400), min_size=1, max_size=3)


def tiles_from_scratch(size: int) -> dict[str, bytes]:
    """The tiles of a tree by their definition, each hash from its own leaves."""
    tiles = {}
    for address in tiles_of(size):
        assert address.level is not None
        span = 256**address.level
        start = address.index * 256 * span
        hashes = [root_of(LEAVES[start + i * span : start + (i + 1) * span]) for i in range(address.width)]
        tiles[address.path] = b"".join(hashes)
    return tiles


def stored_tiles(size: int) -> TileHashes:
    tree = Tree()
    tree.append_leaf_hashes(LEAVES[:size])
    stored = {(tile.level, tile.index, tile.width): tile.data for tile in tree.tiles(0)}
    return TileHashes(lambda level, index, width: stored[level, index, width], size)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_tiles_written_in_steps_are_the_tiles_from_scratch(steps: list[int]) -> None:
    tree = Tree()
    written: dict[str, bytes] = {}
    for step in steps:
        published = tree.size
        tree.append_leaf_hashes(LEAVES[published : published + step])
        for tile in tree.tiles(published):
            assert tile.path not in written, "a tile is written once"
            written[tile.path] = tile.data
        assert root_of(LEAVES[: tree.size]) == tree.root()
    scratch = tiles_from_scratch(tree.size)
    assert scratch == {path: written[path] for path in scratch}


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(0, 600))
def test_resuming_is_going_on(size: int, more: int) -> None:
    tree = Tree()
    tree.append_leaf_hashes(LEAVES[:size])
    stored = {(tile.level, tile.index, tile.width): tile.data for tile in tree.tiles(0)}
    resumed = Tree.resume(size, lambda level, index, width: stored[level, index, width])
    for grown in (tree, resumed):
        grown.append_leaf_hashes(LEAVES[size : size + more])
    assert tree.root() == resumed.root()
    assert tree.tiles(size) == resumed.tiles(size)


@settings(max_examples=100, deadline=None)
@given(SIZES, st.data())
def test_inclusion_proofs_verify_and_mutated_ones_fail(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    stored = stored_tiles(size)
    root = range_root(0, size, stored)
    proof = prove_inclusion(index, size, stored)
    verify_inclusion(index, size, LEAVES[index], proof, root)
    mutated = data.draw(mutations([*proof, LEAVES[index], root]))
    with pytest.raises(VerificationError):
        verify_inclusion(index, size, mutated[-2], mutated[:-2], mutated[-1])
    other = data.draw(st.integers(-1, size + 1).filter(lambda i: i != index))
    with pytest.raises(VerificationError):
        verify_inclusion(other, size, LEAVES[index], proof, root)
    with pytest.raises(VerificationError):
        verify_inclusion(index, size, LEAVES[index], [*proof, root], root)
    with pytest.raises(VerificationError):
        verify_inclusion(index, size, LEAVES[index], proof[:-1], root if proof else LEAVES[index][::-1])


@settings(max_examples=100, deadline=None)
@given(SIZES, st.data())
def test_consistency_proofs_verify_and_mutated_ones_fail(size2: int, data: st.DataObject) -> None:
    size1 = data.draw(st.integers(1, size2))
    roots = root_of(LEAVES[:size1]), root_of(LEAVES[:size2])
    proof = prove_consistency(size1, size2, stored_tiles(size2))
    verify_consistency(size1, size2, *roots, proof)
    mutated = data.draw(mutations([*proof, *roots]))
    with pytest.raises(VerificationError):
        verify_consistency(size1, size2, mutated[-2], mutated[-1], mutated[:-2])
    with pytest.raises(VerificationError):
        verify_consistency(size1, size2, *roots, [*proof, roots[0]])
    if proof:
        with pytest.raises(VerificationError):
            verify_consistency(size1, size2, *roots, proof[1:])
        with pytest.raises(VerificationError):
            verify_consistency(size1, size2, *roots, proof[:-1])


def mutations(hashes: list[bytes]) -> st.SearchStrategy[list[bytes]]:
    """The same hashes with one bit of one of them flipped."""

    def flip(at: int, bit: int) -> list[bytes]:
        flipped = bytearray(hashes[at])
        flipped[bit // 8] ^= 1 << bit % 8
        return [*hashes[:at], bytes(flipped), *hashes[at + 1 :]]

    return st.builds(flip, st.integers(0, len(hashes) - 1), st.integers(0, 255))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**61), st.integers(0, 2**60))  # above 2^62 a consistency proof can need 64 hashes
def test_proofs_of_huge_trees_have_the_right_shape(size1: int, more: int) -> None:
    """All subtrees of one size have one hash here, so that no tree needs to be built."""
    by_level = [leaf_hash(b"")]
    for _ in range(63):
        by_level.append(root_of([by_level[-1]] * 2))

    def hash_at(level: int, index: int) -> bytes:
        return by_level[level]

    size1 += 1
    size2 = size1 + more
    root1, root2 = range_root(0, size1, hash_at), range_root(0, size2, hash_at)
    verify_consistency(size1, size2, root1, root2, prove_consistency(size1, size2, hash_at))
    verify_inclusion(size1 - 1, size2, by_level[0], prove_inclusion(size1 - 1, size2, hash_at), root2)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_round_trip_and_no_other_count_is_accepted(entries: list[bytes]) -> None:
    data = encode_entries(entries)
    assert entries == decode_entries(data, len(entries))
    for count in {len(entries) - 1, len(entries) + 1} - {0, 257}:
        with pytest.raises(VerificationError):
            decode_entries(data, count)


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, (2**63 - 1) // 256), st.integers(1, 256))
def test_paths_round_trip(level: int | None, index: int, width: int) -> None:
    address = TileAddress(level, index, width)
    assert address == parse_path(address.path)


KEY = SignerKey("log.example", b"\1" * 32)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=60).map(
    lambda text: text + "\n"
)


@given(TEXTS)
def test_notes_round_trip(text: str) -> None:
    assert text == open_note(sign_note(text, KEY), [KEY.verifier]).text


@settings(max_examples=300)
@given(TEXTS, st.data())
def test_a_note_with_a_changed_byte_never_opens_with_another_text(text: str, data: st.DataObject) -> None:
    note = bytearray(sign_note(text, KEY))
    at = data.draw(st.integers(0, len(note) - 1))
    note[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VerificationError):
        open_note(bytes(note), [KEY.verifier])
