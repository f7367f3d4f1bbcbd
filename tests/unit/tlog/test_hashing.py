"""Trees: hashes, the incremental tree against the definition, the tiles it gives and resuming from them."""

from __future__ import annotations

from hashlib import sha256

import pytest

from affidavit.errors import InvalidInput, VerificationError
from affidavit.tlog.hashing import EMPTY_ROOT, Tree, leaf_hash, node_hash, root_of
from affidavit.tlog.tiles import tiles_of


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(count)]


def defined_root(hashes: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(defined_root(hashes[:split]), defined_root(hashes[split:]))


def test_the_hash_of_an_empty_leaf_is_the_published_one() -> None:
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 255, 256, 257, 511, 513, 1000])
def test_roots_follow_the_definition(count: int) -> None:
    hashes = leaves(count)
    assert defined_root(hashes) == root_of(hashes)


def test_the_tree_has_the_defined_root_at_every_size() -> None:
    hashes = leaves(600)
    tree = Tree()
    assert EMPTY_ROOT == tree.root()
    for size, value in enumerate(hashes, start=1):
        tree.append_leaf_hashes([value])
        if size % 7 == 0 or size in (1, 255, 256, 257, 511, 512, 513):
            assert defined_root(hashes[:size]) == tree.root()


def test_tiles_since_an_older_size() -> None:
    tree = Tree()
    hashes = leaves(700)
    tree.append_leaf_hashes(hashes[:200])
    assert ["tile/0/000.p/200"] == [tile.path for tile in tree.tiles(0)]
    tree.append_leaf_hashes(hashes[200:700])
    expected = ["tile/0/000", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"]
    got = tree.tiles(200)
    assert expected == [tile.path for tile in got]
    assert b"".join(hashes[256:512]) == got[1].data
    assert root_of(hashes[:256]) + root_of(hashes[256:512]) == got[3].data
    assert [] == tree.tiles(700)


def test_a_partial_tile_that_did_not_change_is_not_given_again() -> None:
    tree = Tree()
    tree.append_leaf_hashes(leaves(256))
    tree.tiles(0)
    tree.append_leaf_hashes(leaves(1))
    assert ["tile/0/001.p/1"] == [tile.path for tile in tree.tiles(256)]


def test_the_tiles_of_size_70000_are_those_of_the_specification() -> None:
    tree = Tree()
    tree.append_leaf_hashes(leaves(70_000))
    paths = [tile.path for tile in tree.tiles(0)]
    assert sorted(address.path for address in tiles_of(70_000)) == sorted(paths)
    assert 273 + 1 + 1 + 1 + 1 == len(paths)
    assert ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"] == paths[-3:]


def test_tiles_that_were_let_go_are_refused() -> None:
    tree = Tree()
    tree.append_leaf_hashes(leaves(300))
    tree.forget(300)
    with pytest.raises(InvalidInput) as refused:
        tree.tiles(100)
    assert "tree.size" == refused.value.code
    with pytest.raises(InvalidInput):
        tree.tiles(301)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_536, 65_900])
def test_a_resumed_tree_goes_on_like_the_first(size: int) -> None:
    hashes = leaves(size + 300)
    first = Tree()
    first.append_leaf_hashes(hashes[:size])
    stored = {(tile.level, tile.index, tile.width): tile.data for tile in first.tiles(0)}
    resumed = Tree.resume(size, lambda level, index, width: stored[level, index, width])
    assert (first.size, first.root()) == (resumed.size, resumed.root())
    for tree in (first, resumed):
        tree.append_leaf_hashes(hashes[size:])
    assert first.root() == resumed.root()
    assert first.tiles(size) == resumed.tiles(size)


def test_a_stored_tile_of_the_wrong_length_stops_resuming() -> None:
    with pytest.raises(VerificationError) as refused:
        Tree.resume(3, lambda level, index, width: b"\0" * 95)
    assert "tile.length" == refused.value.code


def test_a_refused_append_appends_nothing() -> None:
    tree = Tree()
    with pytest.raises(InvalidInput):
        tree.append_leaf_hashes([leaf_hash(b"a"), b"short"])
    assert (0, EMPTY_ROOT) == (tree.size, tree.root())


def test_sizes_beyond_the_bound_are_refused() -> None:
    with pytest.raises(InvalidInput):
        Tree.resume(2**63, lambda level, index, width: b"")
    with pytest.raises(InvalidInput):
        Tree.resume(-1, lambda level, index, width: b"")
