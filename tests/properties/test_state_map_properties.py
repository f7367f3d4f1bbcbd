"""The state map against the definition, read literally: recursive, without path compression."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from affidavit.state.map import StateMap

OWNERS = ("policy", "identity", "grant/u-1", "grant/u-2", "membership/u-1")
KEYS = st.tuples(st.sampled_from(OWNERS), st.integers(0, 12).map(str))
VALUES = st.integers(0, 3).map(lambda n: bytes([n + 1]) * 32)
STEPS = st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=40)
Entries = Mapping[tuple[str, str], bytes]


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def reference(entries: Entries) -> bytes:
    leaves = []
    for (owner, key), value in entries.items():
        path = sha(owner.encode())[:16] + sha(key.encode())[:16]
        leaves.append((f"{int.from_bytes(path, 'big'):0256b}", sha(b"\x00" + path + value)))
    return subtree(leaves, 0)


def subtree(leaves: list[tuple[str, bytes]], depth: int) -> bytes:
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return leaves[0][1]
    left = subtree([leaf for leaf in leaves if leaf[0][depth] == "0"], depth + 1)
    right = subtree([leaf for leaf in leaves if leaf[0][depth] == "1"], depth + 1)
    return sha(b"\x01" + left + right)


def replay(steps: list[tuple[tuple[str, str], bytes | None]]) -> tuple[StateMap[str], dict[tuple[str, str], bytes]]:
    state_map: StateMap[str] = StateMap()
    entries: dict[tuple[str, str], bytes] = {}
    for (owner, key), value in steps:
        if value is not None:
            state_map.put(owner, key, value, key)
            entries[owner, key] = value
        elif entries.pop((owner, key), None) is not None:
            state_map.delete(owner, key)
        state_map.root()  # cached hashes must survive what follows
    return state_map, entries


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_the_root_is_that_of_the_definition(steps: list[tuple[tuple[str, str], bytes | None]]) -> None:
    state_map, entries = replay(steps)
    assert reference(entries) == state_map.root()
    for owner in OWNERS:
        expected = sorted(key for held, key in entries if held == owner)
        assert expected == sorted(state_map.under(owner))


@given(st.dictionaries(KEYS, VALUES, max_size=30), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_puts_does_not_matter(entries: dict[tuple[str, str], bytes], random: object) -> None:
    first: StateMap[str] = StateMap()
    second: StateMap[str] = StateMap()
    for (owner, key), value in entries.items():
        first.put(owner, key, value)
    shuffled = list(entries.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for (owner, key), value in shuffled:
        second.put(owner, key, bytes(32))
        second.root()
        second.put(owner, key, value)
    assert first.root() == second.root()


@given(st.dictionaries(KEYS, VALUES, max_size=20), KEYS, VALUES)
@settings(max_examples=60, deadline=None)
def test_deleting_restores_the_earlier_root(
    entries: dict[tuple[str, str], bytes], key: tuple[str, str], value: bytes
) -> None:
    state_map, _ = replay([(name, held) for name, held in entries.items() if name != key])
    before, copy = state_map.root(), state_map.copy()
    state_map.put(*key, value)
    state_map.delete(*key)
    assert (before, before) == (state_map.root(), copy.root())
