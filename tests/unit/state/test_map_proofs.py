"""Proofs of the state map, on trees worked out by hand: presence, and absence in its three shapes; altered items."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from state_world import ANN, BEN, GROUP, grant, human, ops_of, salt

from affidavit import canonical
from affidavit.errors import InvalidInput, VerificationError
from affidavit.state.change import salt_bytes
from affidavit.state.fold import State
from affidavit.state.map import path_of
from affidavit.state.mapproof import (
    Branch,
    Form,
    Item,
    MapLeaf,
    MapProver,
    MapView,
    ProvenMap,
    decode_item,
    encode_item,
)
from affidavit.state.trie import EMPTY, Leaf


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def bits(name: str) -> str:
    return f"{int.from_bytes(path_of(name), 'big'):0256b}"


def state_of(values: dict[str, dict[str, Any]]) -> State:
    state = State()
    state.apply(ops_of(state, values), 0)
    return state


def hashed(value: dict[str, Any]) -> bytes:
    return sha(salt_bytes(salt()) + canonical.encode(value))


def leaf(name: str, value: dict[str, Any]) -> bytes:
    return sha(b"\x00" + path_of(name) + hashed(value))


def proven(state: State, ask: Any) -> tuple[list[Item], Any]:
    """The items that a question takes, and the answer, which prover and verifier must agree on."""
    prover = MapProver()
    answer = ask(prover.at(state))
    verifier = ProvenMap([decode_item(encode_item(item)) for item in prover.items])
    assert answer == ask(verifier.at(bytes.fromhex(state.root)))
    verifier.finish()
    return prover.items, answer


def test_an_empty_map_needs_no_proof() -> None:
    items, answer = proven(
        State(), lambda view: (view.root, view.find("group/a", Form.VALUE), view.under("group", Form.NAME))
    )
    assert ([], (EMPTY, None, ())) == (items, answer)


def test_one_leaf_is_the_root_and_shows_what_is_there_and_what_is_not() -> None:
    state = state_of({"group/a": GROUP})
    assert leaf("group/a", GROUP).hex() == state.root
    items, answer = proven(state, lambda view: view.find("group/a", Form.VALUE))
    assert [{"name": "group/a", "salt": salt(), "value": GROUP}] == [encode_item(item) for item in items]
    assert GROUP == answer.value
    # Another leaf where the asked one would have to be: of it the path is shown, not the name.
    items, answer = proven(state, lambda view: view.find("group/b", Form.VALUE))
    assert answer is None
    assert [MapLeaf(int.from_bytes(path_of("group/a"), "big"), hashed(GROUP))] == items


def test_two_leaves_of_one_owner_hang_below_one_branch() -> None:
    names = ("group/a", "group/b")
    state = state_of(dict.fromkeys(names, GROUP))
    level = next(bit for bit in range(256) if bits(names[0])[bit] != bits(names[1])[bit])
    left, right = sorted(names, key=bits)
    branch = Branch(bits(left)[:level], leaf(left, GROUP), leaf(right, GROUP))
    assert level >= 128
    items, answer = proven(state, lambda view: view.find(left, Form.NAME))
    assert [branch, MapLeaf(int.from_bytes(path_of(left), "big"), hashed(GROUP), left)] == items
    assert left == answer.name
    # All of an owner: both sides, the left one first.
    items, answer = proven(state, lambda view: view.under("group", Form.NAME))
    assert [left, right] == [one.name for one in answer]
    assert 3 == len(items)
    # Nothing of another owner: the branch alone shows it, for its bits lead elsewhere.
    items, answer = proven(state, lambda view: view.under(f"grant/{ANN}", Form.VALUE))
    assert ([branch], ()) == (items, answer)


def test_what_an_owner_holds_is_all_of_its_subtree() -> None:
    held = {f"grant/{ANN}/{n}": grant("read", "clinic") for n in range(5)}
    state = state_of({f"identity/{ANN}": human(), f"identity/{BEN}": human(), "group/a": GROUP, **held})
    items, answer = proven(state, lambda view: view.under(f"grant/{ANN}", Form.VALUE))
    assert sorted(held) == sorted(one.name for one in answer)
    assert [grant("read", "clinic")] * 5 == [one.value for one in answer]
    assert proven(state, lambda view: view.under(f"grant/{BEN}", Form.VALUE))[1] == ()
    assert all("identity" not in str(encode_item(item)) for item in items)


def test_what_two_roots_share_is_shown_once() -> None:
    state = state_of(
        {f"identity/{ANN}": human(), f"grant/{ANN}/a": grant("read", "clinic"), f"identity/{BEN}": human()}
    )
    after = state.copy()
    after.apply(ops_of(after, {f"identity/{BEN}": human("suspended")}), 5)
    prover = MapProver()
    first = prover.at(state).under(f"grant/{ANN}", Form.VALUE)
    count = len(prover.items)
    second = prover.at(after).under(f"grant/{ANN}", Form.VALUE)
    assert (first, 1) == (second, sum(isinstance(item, MapLeaf) for item in prover.items))
    assert len(prover.items) == count + 1  # the new root's branch
    maps = ProvenMap(prover.items)
    for one in (state, after):
        assert first == maps.at(bytes.fromhex(one.root)).under(f"grant/{ANN}", Form.VALUE)
    maps.finish()


def test_a_leaf_that_was_passed_by_shows_its_name_when_it_is_asked_for() -> None:
    state = state_of({"group/a": GROUP})

    def ask(view: MapView) -> list[MapLeaf | None]:
        return [view.find(name, Form.VALUE) for name in ("group/b", "group/a", "group/b")]

    items, answer = proven(state, ask)
    assert [Form.PATH, Form.VALUE] == [item.form for item in items if isinstance(item, MapLeaf)]
    assert [None, GROUP, None] == [one and one.value for one in answer]


def erased(state: State, name: str) -> State:
    """The state with the value of an object gone and its leaf left, as a stub leaves it."""
    held = state.get(name)
    assert held is not None
    after = state.copy()
    path, value = int.from_bytes(path_of(name), "big"), hashed(held.value)
    after._objects._trie.put(Leaf(path, sha(b"\x00" + path_of(name) + value), None, value))
    assert state.root == after.root
    return after


def test_of_an_erased_object_the_name_is_shown_to_whoever_asks_for_it() -> None:
    state = erased(state_of(WORLD), "group/a")
    items, answer = proven(state, lambda view: view.find("group/a", Form.NAME))
    assert (hashed(GROUP), "group/a", None) == (answer.value_hash, answer.name, answer.value)
    # Whoever asks for its value gets no more; a verifier is told by the statement, which has the hash.
    prover = MapProver()
    view = prover.at(state)
    assert answer == view.find("group/a", Form.VALUE) == view.find("group/a", Form.VALUE)
    assert items == prover.items


def test_an_erased_object_is_no_obstacle_to_proofs_about_others() -> None:
    state = erased(state_of({"group/a": GROUP}), "group/a")
    assert proven(state, lambda view: (view.find("group/b", Form.VALUE), view.under(f"grant/{ANN}", Form.VALUE)))[
        1
    ] == (
        None,
        (),
    )
    held = erased(state_of({**WORLD, f"grant/{ANN}/a": grant("read", "clinic")}), f"grant/{ANN}/a")
    assert () == proven(held, lambda view: view.under(f"grant/{BEN}", Form.VALUE))[1]
    with pytest.raises(InvalidInput) as error:
        MapProver().at(held).under(f"grant/{ANN}", Form.VALUE)
    assert "stateproof.erased" == error.value.code


WORLD = {f"identity/{ANN}": human(), f"identity/{BEN}": human(), "group/a": GROUP, "group/b": GROUP}


def altered(change: Any) -> None:
    """Ask with changed items; each question and each change of it."""
    state = state_of(WORLD)
    prover = MapProver()
    prover.at(state).find("group/a", Form.VALUE)
    maps = ProvenMap(change(list(prover.items)))
    maps.at(bytes.fromhex(state.root)).find("group/a", Form.VALUE)
    maps.finish()


@pytest.mark.parametrize(
    "change",
    [
        lambda items: items[:-1],
        lambda items: [*items, items[0]],
        lambda items: [*items[1:], items[0]],
        lambda items: [Branch(items[0].bits, items[0].right, items[0].left), *items[1:]],
        lambda items: [*items[:-1], MapLeaf(items[-1].path, items[-1].value_hash)],
        lambda items: [*items[:-1], MapLeaf(items[-1].path, items[-1].value_hash, "group/a")],
        lambda items: [*items[:-1], MapLeaf(items[-1].path, sha(b"other"), "group/a", salt(), GROUP)],
    ],
)
def test_items_that_do_not_fit_are_refused(change: Any) -> None:
    altered(lambda items: items)
    with pytest.raises(VerificationError):
        altered(change)


def test_a_leaf_in_the_wrong_place_is_refused() -> None:
    """A writer that computes its tree wrongly, and signs it: the same leaf on both sides of a branch."""
    name = "group/a"
    wrong = "1" if bits(name)[0] == "0" else "0"
    sides = (leaf(name, GROUP), leaf(name, GROUP))
    root = Branch("", *sides)
    item = MapLeaf(int.from_bytes(path_of(name), "big"), hashed(GROUP))
    elsewhere = next(f"group/{n}" for n in "bcdefghijk" if bits(f"group/{n}")[0] == bits(name)[0])
    maps = ProvenMap([root, item])
    assert maps.at(root.hash).find(elsewhere, Form.VALUE) is None  # where the leaf belongs
    other = next(one for one in (f"grant/u-{n:016x}/g" for n in range(64)) if bits(one)[0] == wrong)
    with pytest.raises(VerificationError, match="path does not lead"):
        ProvenMap([root, item]).at(root.hash).find(other, Form.VALUE)


def test_a_branch_below_the_last_bit_is_refused() -> None:
    path = bits("group/a")
    deep = Branch(path[1:], sha(b"x"), sha(b"y"))
    root = Branch("", *((deep.hash, sha(b"z")) if path[0] == "0" else (sha(b"z"), deep.hash)))
    with pytest.raises(VerificationError, match="below the last bit"):
        ProvenMap([root, deep]).at(root.hash).find("group/a", Form.VALUE)


@pytest.mark.parametrize(
    "item",
    [
        None,
        {},
        [],
        ["01", "x", "y"],
        ["012", "q" * 43 + "=", "q" * 43 + "="],
        ["0" * 256, "A" * 43 + "=", "A" * 43 + "="],
        ["", "A" * 43 + "=", "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo="],  # an empty side
        {"path": "A" * 43 + "="},
        {"path": "A" * 43 + "=", "hash": "A" * 43 + "=", "name": "group/a"},
        {"name": "group/a", "salt": "short", "value": {}},
        {"name": "group/a", "salt": salt(), "value": []},
        {"name": "group/a", "value": {}},
        {"name": 3, "hash": "A" * 43 + "="},
    ],
)
def test_what_is_no_item_is_refused(item: Any) -> None:
    with pytest.raises(VerificationError):
        decode_item(item)
