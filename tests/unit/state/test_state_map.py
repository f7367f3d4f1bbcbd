"""The state map against hashes worked out by hand; "held none"; restoring; persistence."""

from __future__ import annotations

import hashlib

import pytest

from affidavit.state.map import StateMap, owner_path, value_hash


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def path(owner: str, key: str) -> bytes:
    return sha(owner.encode())[:16] + sha(key.encode())[:16]


def leaf(owner: str, key: str, value: bytes) -> bytes:
    return sha(b"\x00" + path(owner, key) + value)


def test_the_empty_map() -> None:
    assert bytes(32) == StateMap[str]().root()


def test_one_entry_is_its_leaf() -> None:
    state_map: StateMap[str] = StateMap()
    state_map.put("policy", "policy/p", b"\x11" * 32)
    assert leaf("policy", "policy/p", b"\x11" * 32) == state_map.root()


def test_two_entries_of_one_owner_hang_below_a_chain() -> None:
    state_map: StateMap[str] = StateMap()
    keys = ("policy/p", "policy/q")
    for key in keys:
        state_map.put("policy", key, b"\x11" * 32)
    bits = {key: f"{int.from_bytes(path('policy', key), 'big'):0256b}" for key in keys}
    level = next(bit for bit in range(256) if bits["policy/p"][bit] != bits["policy/q"][bit])
    assert level >= 128
    left, right = sorted(keys, key=lambda key: bits[key])
    node = sha(b"\x01" + leaf("policy", left, b"\x11" * 32) + leaf("policy", right, b"\x11" * 32))
    for bit in reversed(bits["policy/p"][:level]):
        node = sha(b"\x01" + (bytes(32) + node if bit == "1" else node + bytes(32)))
    assert node == state_map.root()


def test_value_hash_is_salt_then_value() -> None:
    assert sha(b"s" * 16 + b"{}") == value_hash(b"s" * 16, b"{}")


def test_held_none_is_an_empty_subtree() -> None:
    """Nothing of an owner: no entry lies below the owner's 128 bits, before and after it had one."""
    state_map: StateMap[str] = StateMap()
    for n in range(40):
        state_map.put(f"grant/u-{n}", f"grant/u-{n}/g", sha(b"%d" % n), f"grant/u-{n}/g")
    before = state_map.root()
    assert [] == list(state_map.under("grant/u-none"))
    state_map.put("grant/u-none", "grant/u-none/g", b"\x22" * 32, "grant/u-none/g")
    assert ["grant/u-none/g"] == list(state_map.under("grant/u-none"))
    assert before != state_map.root()
    state_map.delete("grant/u-none", "grant/u-none/g")
    assert ([], before) == (list(state_map.under("grant/u-none")), state_map.root())
    assert owner_path("grant/u-none") == int.from_bytes(path("grant/u-none", "x")[:16], "big")


def test_deleting_what_is_not_there() -> None:
    state_map: StateMap[str] = StateMap()
    with pytest.raises(KeyError):
        state_map.delete("a", "b")
    state_map.put("a", "a", b"\x11" * 32)
    with pytest.raises(KeyError):
        state_map.delete("a", "b")


def test_a_copy_is_not_touched() -> None:
    state_map: StateMap[int] = StateMap()
    for n in range(50):
        state_map.put("a", str(n), sha(b"%d" % n), n)
    copy, before = state_map.copy(), state_map.root()
    state_map.delete("a", "7")
    state_map.put("a", "8", b"\x11" * 32, -8)
    assert (before, 7, 8) == (copy.root(), copy.get("a", "7"), copy.get("a", "8"))
    assert (None, -8) == (state_map.get("a", "7"), state_map.get("a", "8"))
    assert list(range(50)) == sorted(copy.items())
