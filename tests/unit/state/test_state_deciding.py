"""Deciding: identities, grants at their edges, facts, errors, requests, determinism."""

from __future__ import annotations

from typing import Any

import pytest
from state_world import ANN, GROUP, NOON, grant, human, moment, policy, put, world

from affidavit import canonical
from affidavit.errors import Conflict, InvalidInput
from affidavit.record.moment import parse_moment
from affidavit.state.context import build_context
from affidavit.state.deciding import ENGINE, Authorization, Decider, DecisionError, Determining, Request
from affidavit.state.facts import Fact
from affidavit.state.fold import State
from affidavit.state.policy import administrators, observe_all

READ = Request("read", "Table", "clinic/public.a")
OTHER = Request("read", "Table", "clinic/public.b")
LOGIN = Request("login", "System", "clinic")


def decider(state: State, system: str = "clinic", actor: str = ANN) -> Decider:
    return Decider(build_context(state, actor, system), state)


def decide(state: State, *requests: Request, at: str = "12:00", system: str = "clinic", **facts: Fact) -> Authorization:
    return decider(state, system).decide(requests, facts, parse_moment(moment(at)))


def digest(state: State, name: str) -> str:
    held = state.get(name)
    assert held is not None
    return held.digest


def test_nothing_is_allowed_by_default() -> None:
    assert Authorization((READ,), (), "deny", (), ()) == decide(world(), READ)


def test_a_permit_and_a_forbid() -> None:
    state = world({"policy/all": observe_all()})
    expected = Authorization((READ,), (), "allow", (Determining(0, "policy/all", digest(state, "policy/all")),), ())
    assert expected == decide(state, READ)
    put(state, {"policy/no-b": policy('forbid(principal, action, resource == Table::"clinic/public.b");')})
    determining = (
        Determining(0, "policy/all", digest(state, "policy/all")),
        Determining(1, "policy/no-b", digest(state, "policy/no-b")),
    )
    assert Authorization((READ, OTHER), (), "deny", determining, ()) == decide(state, READ, OTHER)
    assert "allow" == decide(state, READ).decision


def test_the_block_of_the_record() -> None:
    state = world(
        {
            "policy/all": policy(
                'permit(principal, action, resource) when { context has tables && context.tables.contains("public.a") };'
            )
        }
    )
    expected = {
        "rules": 1,
        "engine": ENGINE,
        "requests": [{"action": "read", "type": "Table", "id": "clinic/public.a"}],
        "facts": [{"name": "tables", "value": ["public.a"]}],
        "decision": "allow",
        "determining": [{"request": 0, "policy": "policy/all", "digest": digest(state, "policy/all")}],
        "errors": [],
    }
    block = decide(state, READ, tables=("public.a",), verb="SELECT").block()
    assert expected == block
    assert block == canonical.decode(canonical.encode(block))


@pytest.mark.parametrize(
    "objects", [{f"identity/{ANN}": human("suspended")}, {f"identity/{ANN}": None, f"profile/{ANN}": None}]
)
def test_absent_and_suspended_identities_are_denied(objects: dict[str, Any]) -> None:
    state = put(world({"policy/all": observe_all()}), objects)
    rules = (Determining(0, "state.inactive", ""), Determining(1, "state.inactive", ""))
    got = decide(state, READ, LOGIN)
    assert Authorization((READ, LOGIN), (), "deny", rules, ()) == got
    assert ("state.inactive",) == got.rules


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("09:59:59.999999999", "deny"),
        ("10:00:00.000000000", "allow"),
        ("12:59:59.999999999", "allow"),
        ("13:00:00.000000000", "deny"),
    ],
)
def test_a_grant_counts_from_its_start_and_not_at_its_end(at: str, expected: str) -> None:
    state = world({f"grant/{ANN}/g": grant("read", "clinic/public.a", "10:00", "13:00")})
    got = decider(state).decide((READ,), {}, parse_moment(f"2026-11-22T{at}Z"))
    assert expected == got.decision
    name = f"grant/{ANN}/g"
    assert ((Determining(0, name, digest(state, name)),) if expected == "allow" else ()) == got.determining


def test_one_decider_over_several_grants_and_times() -> None:
    state = world(
        {
            f"grant/{ANN}/always": grant("login", "clinic"),
            f"grant/{ANN}/early": grant("read", "clinic/public.a", None, "10:00"),
            f"grant/{ANN}/late": grant("read", "clinic/public.a", "11:00", None),
            f"grant/{ANN}/mid": grant("read", "clinic/public.b", "09:00", "12:00"),
        }
    )
    one = decider(state)
    times = ["12:00", "08:59", "09:00", "09:59", "10:00", "10:59", "11:00", "11:59", "00:00", "08:59"]
    expected = ["LA", "LA", "LAB", "LAB", "LB", "LB", "LAB", "LAB", "LA", "LA"]
    got = []
    for at in times:
        at_ns = parse_moment(moment(at))
        decisions = [one.decide((request,), {}, at_ns).allowed for request in (LOGIN, READ, OTHER)]
        got.append("".join(letter for letter, allowed in zip("LAB", decisions, strict=True) if allowed))
    assert expected == got


def test_grants_allow_their_actions_on_their_resource_only() -> None:
    state = world(
        {f"grant/{ANN}/t": grant("read", "clinic/public.a"), f"grant/{ANN}/s": grant("login session", "clinic")}
    )
    asked = [READ, OTHER, LOGIN, Request("write", "Table", "clinic/public.a"), Request("read", "System", "clinic"),
             Request("session", "System", "clinic"), Request("login", "Table", "clinic/public.a")]  # fmt: skip
    assert [True, False, True, False, False, True, True] == [decide(state, request).allowed for request in asked]


def test_grants_of_groups_nested_too_and_of_other_systems_not() -> None:
    state = world(
        {
            "group/nurses": GROUP,
            "group/staff": GROUP,
            f"membership/{ANN}/nurses": {},
            "membership/group:nurses/staff": {},
            "grant/group:staff/g": grant("read", "clinic"),
            f"grant/{ANN}/ward": grant("write", "ward"),
        }
    )
    assert (True, False) == (decide(state, READ).allowed, decide(state, Request("write", "System", "clinic")).allowed)
    put(state, {"membership/group:nurses/staff": None})
    assert False is decide(state, READ).allowed


ERRING = policy(
    "forbid(principal, action, resource) when { context has approvals && context.approvals + 9223372036854775807 < 0 };"
)


def test_a_forbid_that_errs_denies_and_is_named() -> None:
    """Cedar skips it and says Allow: that must not be the answer."""
    state = world({"policy/all": observe_all(), "policy/erring": ERRING})
    got = decide(state, READ, LOGIN, approvals=1)
    assert ("deny", ()) == (got.decision, got.determining)
    assert [(0, "policy/erring"), (1, "policy/erring")] == [(error.request, error.policy) for error in got.errors]
    assert got.errors[0].message.startswith("integer overflow")
    assert [("policy/erring", got.errors[0].message)] * 2 == [(e.policy, e.message) for e in got.errors]
    assert Authorization((READ,), (("approvals", 0),), "allow", (Determining(0, "policy/all", digest(state, "policy/all")),), ()) == decide(state, READ, approvals=0)  # fmt: skip


def test_errors_stand_in_the_block() -> None:
    error = DecisionError(0, "policy/p", "why")
    block = Authorization((READ,), (), "deny", (), (error,)).block()
    assert [{"request": 0, "policy": "policy/p", "message": "why"}] == block["errors"]


def test_facts_that_no_policy_mentions_are_left_out() -> None:
    state = world({"policy/p": policy("permit(principal, action, resource) when { context has tls && context.tls };")})
    given: dict[str, Fact] = {"verb": "SELECT", "tls": True, "tables": ("public.a",)}
    got = decider(state).decide((READ,), given, NOON)
    assert ((("tls", True),), "allow", ("tls",)) == (got.facts, got.decision, decider(state).mentions)


def test_absent_facts_are_absent() -> None:
    text = "forbid(principal, action, resource) unless { context has tls && context.tls };"
    state = world({"policy/all": observe_all(), "policy/tls": policy(text)})
    assert ("deny", ()) == (decide(state, READ).decision, decide(state, READ).facts)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("10.1.2.3", True), ("11.1.2.3", False), ("::ffff:10.1.2.3", True), ("fd00::1", False), ("fc00::1", True)],
)
def test_addresses(address: str, expected: bool) -> None:
    text = """permit(principal, action, resource) when { context has client_address &&
      (context.client_address.isInRange(ip("10.0.0.0/8")) || context.client_address == ip("fc00::1")) };"""
    state = world({"policy/p": policy(text)})
    got = decide(state, READ, client_address=address)
    assert (expected, (("client_address", address),), ()) == (got.allowed, got.facts, got.errors)


def test_attributes_of_the_identity_are_tags() -> None:
    text = 'permit(principal, action, resource) when { principal.hasTag("ward") && principal.getTag("ward") == "3b" && principal.kind == "human" };'
    state = put(world({"policy/p": policy(text)}), {f"identity/{ANN}": human(ward="3b")})
    assert True is decide(state, READ).allowed
    assert False is decide(put(state, {f"identity/{ANN}": human(ward="4a")}), READ).allowed
    assert False is decide(put(state, {f"identity/{ANN}": human()}), READ).allowed


@pytest.mark.parametrize(
    "facts",
    [
        {"verb": 1}, {"verb": "x" * 1025}, {"tls": "yes"}, {"tls": 1}, {"approvals": True}, {"approvals": -1},
        {"tables": "a"}, {"tables": ("a",) * 257}, {"tables": (1,)}, {"tables": ["a"]},
        {"client_address": "10.0.0.1:5432"}, {"client_address": "local"}, {"client_address": "fe80::1%eth0"},
        {"client_address": 167772161},
    ],
)  # fmt: skip
def test_facts_of_another_type_are_refused(facts: dict[str, Any]) -> None:
    text = " || ".join(f"context has {name}" for name in ("verb", "tls", "approvals", "tables", "client_address"))
    state = world({"policy/p": policy(f"permit(principal, action, resource) when {{ {text} }};")})
    with pytest.raises(InvalidInput) as caught:
        decider(state).decide((READ,), facts, NOON)
    assert "state.fact" == caught.value.code


@pytest.mark.parametrize(
    ("system", "request_"),
    [
        ("clinic", Request("read", "Table", "ward/public.a")),
        ("clinic", Request("read", "Table", "clinic2/public.a")),
        ("clinic", Request("read", "System", "ward")),
        ("clinic", Request("define", "Object", "policy/p")),
        ("clinic", Request("read", "Log", "log")),
        ("clinic", Request("fly", "System", "clinic")),
        ("log", Request("read", "System", "log")),
        ("log", Request("read", "Table", "log/public.a")),
        ("log", Request("read", "Log", "other")),
        ("log", Request("admin", "Object", "animal/cat")),
        ("log", Request("admin", "ObjectKind", "animal")),
    ],
)
def test_requests_that_do_not_belong_there_are_refused(system: str, request_: Request) -> None:
    with pytest.raises(InvalidInput) as caught:
        decide(world({"policy/all": policy("permit(principal, action, resource);")}), request_, system=system)
    assert "state.request" == caught.value.code


def test_one_request_at_least() -> None:
    with pytest.raises(InvalidInput, match="1 to 256"):
        decide(world())


def test_on_the_log() -> None:
    state = world(
        {
            "group/administrators": GROUP,
            f"membership/{ANN}/administrators": {},
            "policy/administrators": administrators(),
        }
    )
    asked = [Request("grant", "Object", f"grant/{ANN}/x"), Request("admin", "ObjectKind", "identity"),
             Request("define", "Log", "log"), Request("read", "Log", "log")]  # fmt: skip
    assert [True, True, True, False] == [decide(state, request, system="log").allowed for request in asked]
    assert False is decide(put(state, {f"membership/{ANN}/administrators": None}), asked[0], system="log").allowed


def test_observe_all_never_reaches_the_log() -> None:
    state = world({"policy/all": observe_all()})
    for request in (
        Request("read", "Log", "log"),
        Request("grant", "Object", f"grant/{ANN}/x"),
        Request("admin", "ObjectKind", "policy"),
    ):
        assert "deny" == decide(state, request, system="log").decision


def test_table_names_may_hold_anything() -> None:
    state = world({"policy/all": observe_all()})
    odd = Request("read", "Table", 'clinic/pub"lic.\\a\n;--é\U0001f600')
    assert True is decide(state, odd, odd).allowed


def test_the_same_question_has_the_same_answer_from_a_new_decider_and_a_used_one() -> None:
    state = world({"policy/all": observe_all(), "policy/erring": ERRING, f"grant/{ANN}/g": grant("read", "clinic")})
    used = decider(state)
    for approvals in (1, 0, 1, 0):
        fresh = decider(state)
        assert fresh.decide((READ, LOGIN), {"approvals": approvals}, NOON) == used.decide(
            (READ, LOGIN), {"approvals": approvals}, NOON
        )


def test_a_decider_does_not_follow_its_state() -> None:
    state = world({"policy/all": observe_all()})
    before = decider(state)
    put(state, {"policy/all": None})
    assert (True, False) == (before.decide((READ,), {}, NOON).allowed, decider(state).decide((READ,), {}, NOON).allowed)


@pytest.mark.parametrize("member", ["policies", "grants", "identity"])
def test_a_context_of_another_state_is_a_conflict(member: str) -> None:
    state = world({"policy/all": observe_all(), f"grant/{ANN}/g": grant("read", "clinic")})
    context = build_context(state, ANN, "clinic")
    replaced = {"policies": {"policy/all": observe_all()}, "grants": {f"grant/{ANN}/g": grant("read", "clinic")}}
    put(state, replaced.get(member, {f"identity/{ANN}": human(ward="1")}), 9)
    with pytest.raises(Conflict):
        Decider(context, state)
