"""Changes and the fold: versions, references, all or nothing."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from state_world import ANN, BEN, CLEO, GROUP, SYSTEM, grant, human, ops_of, policy, put, salt, settings, world

from affidavit import canonical
from affidavit.errors import Conflict, InvalidInput
from affidavit.state.change import Delete, Put, decode_ops, encode_ops
from affidavit.state.fold import State
from affidavit.state.map import path_of

PERMIT = policy("permit(principal, action, resource);")


def profile(handle: str) -> dict[str, Any]:
    return {"handle": handle, "name": "", "mail": ""}


def test_an_empty_state() -> None:
    state = State()
    assert (0, "00" * 32, [], None) == (state.index, state.root, state.names(), state.get("group/x"))


def test_the_root_of_two_objects_by_hand() -> None:
    state = put(State(), {"group/a": GROUP, f"identity/{ANN}": human()}, 2)

    def leaf(name: str, value: dict[str, Any]) -> tuple[bytes, bytes]:
        hashed = hashlib.sha256(bytes(16) + canonical.encode(value)).digest()
        return path_of(name), hashlib.sha256(b"\x00" + path_of(name) + hashed).digest()

    (first, one), (second, other) = sorted([leaf("group/a", GROUP), leaf(f"identity/{ANN}", human())])
    level = next(bit for bit in range(256) if first[bit // 8] >> 7 - bit % 8 & 1 != second[bit // 8] >> 7 - bit % 8 & 1)
    node = hashlib.sha256(b"\x01" + one + other).digest()
    for bit in reversed(range(level)):
        sides = (bytes(32), node) if first[bit // 8] >> 7 - bit % 8 & 1 else (node, bytes(32))
        node = hashlib.sha256(b"\x01" + sides[0] + sides[1]).digest()
    assert node.hex() == state.root


def test_path_is_owner_then_key() -> None:
    name = f"grant/{ANN}/g1"
    expected = hashlib.sha256(f"grant/{ANN}".encode()).digest()[:16] + hashlib.sha256(name.encode()).digest()[:16]
    assert expected == path_of(name)
    expected = hashlib.sha256(b"policy").digest()[:16] + hashlib.sha256(b"policy/p").digest()[:16]
    assert expected == path_of("policy/p")


def test_versions_and_digests() -> None:
    state = put(world(), {"group/nurses": GROUP}, 9)
    held = state.get("group/nurses")
    assert held is not None
    assert (9, GROUP, hashlib.sha256(b'{"description":""}').hexdigest()) == (held.version, held.value, held.digest)
    assert 10 == state.index


def test_an_equal_value_with_a_fresh_salt_changes_the_root() -> None:
    state = world({"group/nurses": GROUP})
    before = state.root
    state.apply((Put("group/nurses", 4, GROUP, salt(7)),), 5)
    assert before != state.root


@pytest.mark.parametrize("based", [None, 3, 5])
def test_a_stale_change_conflicts_and_leaves_no_trace(based: int | None) -> None:
    state = world({"group/nurses": GROUP})
    before = (state.index, state.root, state.names())
    ops = (Put("group/other", None, GROUP, salt()), Put("group/nurses", based, {"description": "x"}, salt()))
    with pytest.raises(Conflict, match="`group/nurses` was put by record 4") as caught:
        state.apply(ops, 8)
    assert ("state.based", 5) == (caught.value.code, caught.value.state)
    assert before == (state.index, state.root, state.names())


def test_deleting_what_is_not_there_conflicts() -> None:
    with pytest.raises(Conflict, match="does not exist"):
        world().apply((Delete("group/nurses", 4),), 5)


def test_records_apply_in_order() -> None:
    with pytest.raises(InvalidInput, match="lies before"):
        put(world(), {"group/a": GROUP}, 2)


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({f"membership/{ANN}/nurses": {}}, "names `group/nurses`"),
        ({"membership/u-00000000000000d4/old": {}}, "names `identity/u-00000000000000d4`"),
        ({"membership/group:nurses/old": {}}, "names `group/nurses`"),
        ({"grant/group:nurses/g": grant("read", "clinic")}, "names `group/nurses`"),
        ({"settings/user/u-00000000000000d4": settings()}, "names `identity/u-00000000000000d4`"),
        ({"settings/group/nurses": settings()}, "names `group/nurses`"),
        ({"settings/system/ward": settings()}, "names `system/ward`"),
        ({"settings/system/log": settings()}, "names `system/log`"),
        ({"profile/u-00000000000000d4": profile("dan")}, "names `identity/u-00000000000000d4`"),
        ({"credential/uid-host-1": {"identity": "u-00000000000000d4", "type": "uid", "label": ""}}, "names `identity/"),
        ({f"profile/{BEN}": profile("ann")}, "The handle `ann` is taken"),
        ({f"identity/{ANN}": None}, "cannot go"),
        ({"group/old": None}, r"`group/old` cannot go: `grant/group:old/g` and 2 more name it"),
        ({"system/clinic": None}, "`settings/system/clinic` names it"),
        ({"membership/group:old/young": {}}, "would hold each other"),
        ({"membership/group:old/old": {}}, "would hold each other"),
    ],
)  # fmt: skip
def test_broken_references_are_refused_whole(objects: dict[str, Any], words: str) -> None:
    state = world(
        {
            "group/old": GROUP,
            "group/young": GROUP,
            f"membership/{ANN}/old": {},
            "membership/group:young/old": {},
            "grant/group:old/g": grant("read", "clinic"),
            "settings/system/clinic": settings(),
        }
    )
    before = (state.index, state.root, state.names())
    with pytest.raises(InvalidInput, match=words):
        put(state, {"group/extra": GROUP, **objects}, 9)
    assert before == (state.index, state.root, state.names())


def test_references_hold_over_the_whole_change() -> None:
    state = world({f"membership/{ANN}/nurses": {}, "group/nurses": GROUP})
    put(state, {"group/nurses": None, f"membership/{ANN}/nurses": None})
    assert None is state.get("group/nurses")


def test_handles_can_be_swapped_in_one_change() -> None:
    state = put(world(), {f"profile/{ANN}": profile("ben"), f"profile/{BEN}": profile("ann")})
    assert (BEN, ANN, "ben") == (state.identity_of_handle("ann"), state.identity_of_handle("ben"), state.handle_of(ANN))


def test_a_deleted_person_leaves_the_handle_free() -> None:
    state = put(world(), {f"profile/{BEN}": None, f"identity/{BEN}": None})
    assert (None, None) == (state.identity_of_handle("ben"), state.handle_of(BEN))
    put(state, {f"profile/{ANN}": profile("ben")})
    assert ANN == state.identity_of_handle("ben")


def test_nested_groups_with_the_shortest_chain() -> None:
    groups = {f"group/{name}": GROUP for name in ("a", "b", "c", "d", "e")}
    nested = {f"membership/group:{inner}/{outer}": {} for inner, outer in ("ab", "bd", "ac", "cd", "de")}
    state = world({**groups, **nested, f"membership/{ANN}/a": {}, f"membership/{BEN}/d": {}})
    assert [("a", ()), ("b", ("a",)), ("c", ("a",)), ("d", ("a", "b")), ("e", ("a", "b", "d"))] == state.groups_of(ANN)
    assert [("d", ()), ("e", ("d",))] == state.groups_of(BEN)
    assert [] == state.groups_of(CLEO)
    assert [("d", ()), ("e", ("d",))] == state.groups_of("group:b")
    with pytest.raises(InvalidInput, match="hold each other"):
        put(state, {"membership/group:e/a": {}})


def test_a_cycle_made_by_one_change_is_found() -> None:
    cycle = {f"membership/group:{inner}/{outer}": {} for inner, outer in ("ab", "bc", "ca")}
    with pytest.raises(InvalidInput, match="hold each other"):
        world({f"group/{name}": GROUP for name in "abc"} | cycle)


def test_a_chain_of_sixteen_groups_and_no_more() -> None:
    groups = {f"group/g{n}": GROUP for n in range(17)}
    chain = {f"membership/group:g{n}/g{n + 1}": {} for n in range(15)}
    state = world({**groups, **chain})
    with pytest.raises(InvalidInput, match="a chain of 17 groups"):
        put(state, {"membership/group:g15/g16": {}})


def test_names_by_prefix() -> None:
    state = world(
        {
            "group/nurses": GROUP,
            f"grant/{ANN}/b": grant("read", "clinic"),
            f"grant/{ANN}/a": grant("read", "clinic"),
            f"grant/{BEN}/a": grant("read", "clinic"),
            "grant/group:nurses/a": grant("read", "clinic"),
            f"membership/{ANN}/nurses": {},
            "observed/clinic/x": {},
            "observed/clinic/y/z": {},
            "observed/clinic2/x": {},
        }
    )
    assert [f"grant/{ANN}/a", f"grant/{ANN}/b"] == state.names(f"grant/{ANN}/")
    assert ["grant/group:nurses/a", f"grant/{ANN}/a", f"grant/{ANN}/b", f"grant/{BEN}/a"] == state.names("grant/")
    assert [f"grant/{ANN}/b"] == state.names(f"grant/{ANN}/b")
    assert ["observed/clinic/x", "observed/clinic/y/z"] == state.names("observed/clinic/")
    assert 3 == len(state.names("observed/"))
    assert ["group/nurses"] == state.names("gro")
    assert [f"membership/{ANN}/nurses"] == state.names(f"membership/{ANN}/")
    assert ([ANN], ["system/clinic"]) == (state.members_of("nurses"), state.names("system/"))
    assert 16 == len(state.names())


def test_preview_and_copy_leave_the_state_alone() -> None:
    state = world()
    before = (state.index, state.root)
    ops = ops_of(state, {"group/nurses": GROUP, f"membership/{ANN}/nurses": {}})
    after, copy = state.preview(ops), state.copy()
    assert before == (state.index, state.root)
    state.apply(ops, 40)
    assert after.root == state.root
    assert before == (copy.index, copy.root)
    assert [("nurses", ())] == after.groups_of(ANN)


def test_too_many_policies() -> None:
    state = State()
    text = "permit(principal, action, resource);"
    for first in range(0, 1000, 200):
        put(state, {f"policy/p{n}": policy(text) for n in range(first, first + 200)})
    with pytest.raises(InvalidInput, match="1001 policies"):
        put(state, {"policy/one-more": policy(text)})


def test_ops_round_trip() -> None:
    ops = (Put("group/a", None, GROUP, salt(1)), Put("system/x", 3, SYSTEM, salt(2)), Delete("group/b", 4))
    assert ops == decode_ops(encode_ops(ops))
    assert {"op": "delete", "name": "group/b", "based": 4} == encode_ops(ops)[2]


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([], "1 to 200"),
        ("x", "must be a list"),
        ([{"op": "delete", "name": f"group/g{n}", "based": 1} for n in range(201)], "1 to 200"),
        ([{"op": "delete", "name": "group/a", "based": 1}] * 2, "stands twice"),
        ([{"op": "delete", "name": "group/a", "based": None}], "must name the version"),
        ([{"op": "delete", "name": "group/a", "based": True}], "index of a record"),
        ([{"op": "delete", "name": "group/a", "based": -1}], "index of a record"),
        ([{"op": "delete", "name": "group/a"}], "Object 0"),
        ([{"op": "move", "name": "group/a", "based": 1}], "Object 0"),
        ([{"op": "put", "name": "group/a", "based": None, "value": GROUP, "salt": salt(), "more": 1}], "Object 0"),
        ([{"op": "put", "name": "group/a", "based": None, "value": {}, "salt": salt()}], "lacks `description`"),
        ([{"op": "put", "name": "group/a", "based": None, "value": GROUP, "salt": "AAAA"}], "16 bytes"),
        ([{"op": "put", "name": "group/a", "based": None, "value": GROUP, "salt": salt()[:-1] + "B"}], "16 bytes"),
        ([{"op": "put", "name": "group/a", "based": None, "value": GROUP, "salt": salt(255).replace("_", "/")}], "16 bytes"),
    ],
)  # fmt: skip
def test_refused_ops(objects: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        decode_ops(objects)


def test_a_put_keeps_no_hold_on_the_callers_value() -> None:
    value = {"description": "x"}
    op = Put("group/a", None, value, base64.urlsafe_b64encode(bytes(16)).decode().rstrip("="))
    value["description"] = "y"
    assert {"description": "x"} == op.value


def test_a_policy_stands_parsed_in_its_version() -> None:
    held = world({"policy/p": PERMIT}).get("policy/p")
    assert held is not None and held.policy is not None
    assert "permit" == held.policy.effect
