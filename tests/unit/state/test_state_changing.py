"""Rules of state-changing records: requests, facts, the two rules beyond policy, lapse, drift and genesis."""

from __future__ import annotations

from typing import Any

import pytest
from state_world import ANN, BEN, CLEO, GROUP, NOON, grant, human, ops_of, policy, salt, settings, world

from affidavit.errors import Conflict, InvalidInput
from affidavit.state.change import Delete, Op, Put
from affidavit.state.changing import (
    check_drift,
    check_genesis,
    check_lapse,
    decide_change,
    facts_for,
    genesis_ops,
    requests_for,
    strongest,
)
from affidavit.state.deciding import Request
from affidavit.state.fold import State
from affidavit.state.policy import administrators
from affidavit.state.settings import resolve

ADMINISTRATION: dict[str, Any] = {
    "group/administrators": GROUP,
    f"membership/{ANN}/administrators": {},
    "policy/administrators": administrators(),
}
BOTH = {**ADMINISTRATION, f"membership/{BEN}/administrators": {}}


def decide(
    state: State, objects: dict[str, Any], actor: str = ANN, approvers: tuple[str, ...] = ()
) -> tuple[str, tuple[str, ...]]:
    got = decide_change(state, ops_of(state, objects), actor, approvers, NOON)
    return got.decision, got.rules


def test_one_request_for_each_object() -> None:
    state = world({"group/nurses": GROUP})
    ops = ops_of(state, {f"grant/{ANN}/g": grant("read", "clinic"), f"membership/{BEN}/nurses": {}, "policy/p": policy("permit(principal, action, resource);"),
                         "settings/floor": settings(), "group/nurses": None, f"identity/{ANN}": human("suspended")})  # fmt: skip
    expected = (
        Request("grant", "Object", f"grant/{ANN}/g"),
        Request("grant", "Object", f"membership/{BEN}/nurses"),
        Request("define", "Object", "policy/p"),
        Request("define", "Object", "settings/floor"),
        Request("admin", "Object", "group/nurses"),
        Request("admin", "Object", f"identity/{ANN}"),
    )
    assert expected == requests_for(ops)
    assert ["grant", "define", "admin"] == [strongest(ops), strongest(ops[2:]), strongest(ops[4:])]


def test_facts() -> None:
    state = world({"group/nurses": GROUP})
    ops = ops_of(state, {f"grant/{ANN}/g": grant("read", "clinic"), "group/nurses": None})
    expected = {"approvals": 2, "kinds": ("grant", "group"), "lowers_capture": False, "op": "mixed", "own": True}
    assert expected == facts_for(state, ops, ANN, 2)
    assert False is facts_for(state, ops, BEN, 2)["own"]
    assert ("put", "delete") == (facts_for(state, ops[:1], ANN, 0)["op"], facts_for(state, ops[1:], ANN, 0)["op"])


@pytest.mark.parametrize("name", [f"settings/user/{ANN}", f"grant/{ANN}/g", f"membership/{ANN}/nurses"])
def test_own(name: str) -> None:
    state = world({"group/nurses": GROUP})
    values = {"settings": settings(), "grant": grant("read", "clinic"), "membership": {}}
    ops = ops_of(state, {name: values[name.partition("/")[0]]})
    assert (True, False) == (facts_for(state, ops, ANN, 0)["own"], facts_for(state, ops, BEN, 0)["own"])


LOWER = settings(capture__result="count")


@pytest.mark.parametrize(
    ("before", "change", "expected"),
    [
        ({}, {f"settings/user/{ANN}": LOWER}, True),
        ({}, {f"settings/user/{ANN}": settings()}, False),
        ({}, {f"settings/user/{BEN}": LOWER}, False),
        # Unconfigured: whatever the organisation says, Ann stays at the fullest.
        ({}, {"settings/organisation": LOWER}, False),
        ({"settings/organisation": LOWER}, {f"settings/user/{ANN}": settings()}, True),
        ({f"settings/user/{ANN}": settings()}, {"settings/organisation": LOWER}, True),
        ({f"settings/user/{ANN}": settings()}, {"settings/system/clinic": LOWER}, True),
        ({f"settings/user/{ANN}": settings()}, {"settings/organisation": settings(guarantee__read="after")}, False),
        ({f"settings/user/{ANN}": LOWER}, {f"settings/user/{ANN}": settings()}, False),
        ({f"settings/user/{ANN}": LOWER}, {f"settings/user/{ANN}": None}, False),
        ({f"settings/user/{ANN}": LOWER, "settings/floor": settings(capture__result="rows:5")}, {"settings/floor": None}, True),
        # A group that lowers: joining it counts, directly or through another group.
        ({f"settings/user/{ANN}": settings(), "group/g": GROUP, "settings/group/g": LOWER}, {f"membership/{ANN}/g": {}}, True),
        ({f"settings/user/{ANN}": settings(), "group/g": GROUP, "group/h": GROUP, f"membership/{ANN}/h": {}, "settings/group/g": LOWER},
         {"membership/group:h/g": {}}, True),
    ],
)  # fmt: skip
def test_lowers_capture(before: dict[str, Any], change: dict[str, Any], expected: bool) -> None:
    state = world(before)
    assert expected is facts_for(state, ops_of(state, change), ANN, 0)["lowers_capture"]


def test_nobody_lowers_their_own_capture_alone() -> None:
    state, change = world(BOTH), {f"settings/user/{ANN}": LOWER}
    assert ("deny", ("state.lowers_capture",)) == decide(state, change)
    assert ("allow", ()) == decide(state, change, approvers=(BEN,))
    assert ("deny", ("state.lowers_capture",)) == decide(state, change, approvers=(ANN,))
    assert ("deny", ("state.lowers_capture",)) == decide(state, change, approvers=("u-00000000000000d4",))
    assert ("allow", ()) == decide(state, change, actor=BEN)


def test_policy_decides_changes() -> None:
    state = world(ADMINISTRATION)
    assert ("allow", ()) == decide(state, {"group/x": GROUP})
    assert ("deny", ()) == decide(state, {"group/x": GROUP}, actor=BEN)
    assert ("deny", ("state.inactive",)) == decide(state, {"group/x": GROUP}, actor="u-00000000000000d4")


def test_approvals_that_policy_asks_for() -> None:
    text = """forbid(principal, action == Action::"grant", resource in ObjectKind::"grant")
      unless { (context has approvals && context.approvals >= 1) || (context has approving && context.approving) };"""
    state = world({**BOTH, "policy/two": policy(text)})
    change = {f"grant/{CLEO}/g": grant("read", "clinic")}
    ops = ops_of(state, change)
    assert ("deny", ()) == decide(state, change)
    assert ("allow", ()) == decide(state, change, approvers=(BEN,))
    assert ("deny", ()) == decide(state, change, approvers=(ANN,)), "who asks does not approve"
    approval = decide_change(state, ops, BEN, (), NOON, approving=True)
    assert ("allow", (("approvals", 0), ("approving", True))) == (approval.decision, approval.facts)
    assert approval == decide_change(state, ops, BEN, (ANN,), NOON, approving=True)
    assert "deny" == decide_change(state, ops, CLEO, (), NOON, approving=True).decision
    suspended = world({**BOTH, "policy/two": policy(text), f"identity/{BEN}": human("suspended")})
    assert ("deny", ()) == decide(suspended, change, approvers=(BEN,))


def test_an_approval_waits_for_the_rules_beyond_policy_until_the_change() -> None:
    state = world({**BOTH, f"settings/user/{ANN}": settings(), f"settings/user/{BEN}": settings()})
    ops = ops_of(state, {"settings/organisation": LOWER})
    assert "allow" == decide_change(state, ops, BEN, (), NOON, approving=True).decision
    assert "allow" == decide_change(state, ops, ANN, (BEN,), NOON).decision
    assert "deny" == decide_change(state, ops, ANN, (), NOON).decision


@pytest.mark.parametrize(
    "change",
    [
        {"policy/administrators": None},
        {"policy/administrators": policy('permit(principal in Group::"others", action, resource);')},
        {f"membership/{ANN}/administrators": None},
        {f"identity/{ANN}": human("suspended")},
        {"policy/none": policy("forbid(principal, action, resource);")},
        {"credential/uid-host-0": None},
    ],
)
def test_nobody_locks_themselves_out_alone(change: dict[str, Any]) -> None:
    own = {"credential/uid-host-0": {"identity": ANN, "type": "uid", "label": ""}}
    state = world({**ADMINISTRATION, **own})
    assert ("deny", ("state.lockout",)) == decide(state, change)


def test_an_approver_who_stays_can_undo_it() -> None:
    change = {f"membership/{ANN}/administrators": None}
    assert ("allow", ()) == decide(world(BOTH), change, approvers=(BEN,))
    assert ("deny", ("state.lockout",)) == decide(world(BOTH), change)
    assert ("deny", ("state.lockout",)) == decide(world(BOTH), change, approvers=(CLEO,))
    last = {**change, f"membership/{BEN}/administrators": None}
    assert ("deny", ("state.lockout",)) == decide(world(BOTH), last, approvers=(BEN,))


def test_somebody_else_may_be_locked_out() -> None:
    assert ("allow", ()) == decide(world(BOTH), {f"membership/{BEN}/administrators": None})


def test_a_change_that_cannot_apply_is_not_decided() -> None:
    state = world(ADMINISTRATION)
    with pytest.raises(InvalidInput):
        decide(state, {f"membership/{BEN}/nurses": {}})
    with pytest.raises(Conflict):
        decide_change(state, (Put("group/administrators", None, GROUP, salt()),), ANN, (), NOON)


def test_lapse() -> None:
    state = world(
        {
            f"grant/{ANN}/a": grant("read", "clinic", None, "12:00"),
            f"grant/{ANN}/b": grant("read", "clinic"),
            "group/g": GROUP,
        }
    )
    check_lapse(state, (Delete(f"grant/{ANN}/a", 4),), NOON)
    refused: list[tuple[tuple[Op, ...], int]] = [
        ((Delete(f"grant/{ANN}/a", 4),), NOON - 1),
        ((Delete(f"grant/{ANN}/b", 4),), NOON),
        ((Delete("group/g", 4),), NOON),
        ((Delete(f"grant/{ANN}/c", 4),), NOON),
        ((Delete(f"grant/{ANN}/a", 4), Delete(f"grant/{ANN}/b", 4)), NOON),
        (ops_of(state, {f"grant/{ANN}/a": grant("read", "clinic", None, "12:00")}), NOON),
        ((), NOON),
    ]
    for ops, at in refused:
        with pytest.raises(InvalidInput):
            check_lapse(state, ops, at)


def test_drift() -> None:
    state = world({"observed/clinic/app": {"superuser": False}})
    check_drift(state, ops_of(state, {"observed/clinic/app": {"superuser": True}}), "clinic")
    check_drift(state, ops_of(state, {"observed/clinic/new": {}}), "clinic")
    for objects, system in [
        ({"observed/clinic/app": {"superuser": True}}, "ward"),
        ({"observed/clinic/app": {"superuser": False}}, "clinic"),
        ({"observed/clinic/app": None}, "clinic"),
        ({"observed/clinic/app": {}, "observed/clinic/b": {}}, "clinic"),
        ({"group/g": GROUP}, "clinic"),
    ]:
        with pytest.raises(InvalidInput):
            check_drift(state, ops_of(state, objects), system)  # type: ignore[arg-type]


def genesis(**changed: Any) -> tuple[Op, ...]:
    numbers = iter(range(100))
    given = {"administrator": ANN, "handle": "ann", "name": "Ann", "mail": "", "host": "box", "uid": 1000}
    return genesis_ops(**{**given, **changed}, salt=lambda: salt(next(numbers)))


def test_genesis() -> None:
    ops = genesis()
    check_genesis(State(), ops, ANN)
    state = State()
    state.apply(ops, 2)
    names = ["credential/uid-box-1000", "group/administrators", f"identity/{ANN}", f"membership/{ANN}/administrators",
             "policy/administrators", f"profile/{ANN}", "settings/floor", "settings/organisation"]  # fmt: skip
    assert names == state.names()
    assert len(ops) == len({op.salt for op in ops if isinstance(op, Put)})
    assert {"organisation", "unconfigured"} == {item.scope for item in resolve(state, ANN, "clinic")[0]}
    assert ("allow", ()) == decide(
        state, {"system/clinic": {"kind": "postgresql", "description": "", "key_columns": []}}
    )


def test_what_is_no_genesis() -> None:
    with pytest.raises(InvalidInput):
        check_genesis(State(), genesis(), BEN)
    with pytest.raises(InvalidInput):
        check_genesis(State(), tuple(op for op in genesis() if op.name != "policy/administrators"), ANN)
    with pytest.raises(InvalidInput):
        check_genesis(world(), genesis(administrator="u-00000000000000d4", handle="dan"), "u-00000000000000d4")
    with pytest.raises(InvalidInput):
        genesis(host="Box")
