"""Deciding without all facts: yes and no only where they hold whatever the facts are, and on what it depends."""

from __future__ import annotations

from typing import Any

import pytest
from state_world import ANN, GROUP, NOON, grant, policy, world

from affidavit.state.bounds import Bounds
from affidavit.state.context import permissions
from affidavit.state.deciding import Request
from affidavit.state.facts import Fact
from affidavit.state.fold import State
from affidavit.state.supposing import DEPENDS, NO, YES, Supposer, Verdict

READ = Request("read", "Table", "clinic/public.a")
ALL = "permit(principal, action, resource) when { %s };"
FORBID = "forbid(principal, action, resource) when { %s };"
TLS = "context has tls && context.tls"
SELECT = 'context has verb && context.verb == "SELECT"'


def suppose(state: State, *unknown: str, **facts: Fact) -> Verdict:
    supposer = Supposer(permissions(state, ANN, "clinic"), state, Bounds(frozenset(unknown)))
    return supposer.decide((READ,), facts, NOON)


@pytest.mark.parametrize(
    ("policies", "unknown", "facts", "expected"),
    [
        ([ALL % "true"], ["tls"], {}, (YES, ())),
        ([], ["tls"], {}, (NO, ())),
        ([ALL % TLS], ["tls"], {}, (DEPENDS, ("tls",))),
        ([ALL % TLS], [], {"tls": True}, (YES, ())),
        ([ALL % TLS], [], {}, (NO, ())),  # known to be absent
        ([ALL % f"({TLS}) && {SELECT}"], ["tls"], {"verb": "DELETE"}, (NO, ())),
        ([ALL % f"({TLS}) && {SELECT}"], ["tls"], {"verb": "SELECT"}, (DEPENDS, ("tls",))),
        ([ALL % f"({TLS}) || {SELECT}"], ["tls"], {"verb": "SELECT"}, (YES, ())),
        ([ALL % f"!({TLS}) && {SELECT}"], ["tls"], {"verb": "DELETE"}, (NO, ())),
        ([ALL % f"if {SELECT} then ({TLS}) else true"], ["tls"], {"verb": "DELETE"}, (YES, ())),
        ([ALL % f"if ({TLS}) then true else true"], ["tls"], {}, (DEPENDS, ("tls",))),  # never too sure
        ([ALL % "true", FORBID % TLS], ["tls"], {}, (DEPENDS, ("tls",))),
        ([ALL % "true", FORBID % f"({TLS}) && {SELECT}"], ["tls", "verb"], {}, (DEPENDS, ("tls", "verb"))),
        ([ALL % "true", FORBID % f"({TLS}) && {SELECT}"], ["tls"], {"verb": "DELETE"}, (YES, ())),
        ([ALL % TLS, FORBID % "true"], ["tls"], {}, (NO, ())),
        ([ALL % TLS, ALL % "true"], ["tls"], {}, (YES, ())),
        (["permit(principal, action, resource) unless { context has tls };"], ["tls"], {}, (DEPENDS, ("tls",))),
        (["permit(principal, action == Action::\"write\", resource) when { context has tls };"], ["tls"], {}, (NO, ())),
    ],
)  # fmt: skip
def test_the_answer_is_sure_only_where_the_facts_do_not_matter(
    policies: list[str], unknown: list[str], facts: dict[str, Fact], expected: tuple[str, tuple[str, ...]]
) -> None:
    state = world({f"policy/p{number}": policy(text) for number, text in enumerate(policies)})
    got = suppose(state, *unknown, **facts)
    assert expected == (got.answer, got.on)


def test_what_may_allow_and_what_may_forbid_are_named_apart() -> None:
    state = world(
        {
            "policy/all": policy(ALL % "true"),
            "policy/tls": policy(FORBID % TLS),
            "policy/verb": policy(ALL % SELECT),
            f"grant/{ANN}/g": grant("read", "clinic"),
        }
    )
    got = suppose(state, "tls", "verb")
    assert ["grant/" + ANN + "/g", "policy/all", "policy/verb"] == [item.policy for item in got.by]
    assert ["policy/tls"] == [item.policy for item in got.against]
    assert ("tls", "verb") == got.on


def test_a_condition_that_may_fail_to_evaluate_is_never_a_yes() -> None:
    overflowing = FORBID % "context has approvals && context.approvals + 9223372036854775807 < 0"
    state = world({"policy/all": policy(ALL % "true"), "policy/sum": policy(overflowing)})
    got = suppose(state, "approvals")
    assert (DEPENDS, ("approvals",)) == (got.answer, got.on)
    failing = suppose(state, approvals=1)
    assert (NO, ["policy/sum"]) == (failing.answer, [error.policy for error in failing.errors])
    # Behind an unknown fact it cannot be seen whether the sum is made at all.
    hidden = ALL % f"({TLS}) || (context has approvals && context.approvals + 9223372036854775807 > 0)"
    beside = world({"policy/all": policy(ALL % "true"), "policy/hidden": policy(hidden)})
    assert DEPENDS == suppose(beside, "tls", approvals=1).answer


def test_an_error_that_no_fact_can_avoid_is_a_no() -> None:
    overflowing = FORBID % "context has approvals && context.approvals + 9223372036854775807 < 0"
    state = world({"policy/all": policy(ALL % TLS), "policy/sum": policy(overflowing)})
    assert (NO, ["policy/sum"]) == (
        (got := suppose(state, "tls", approvals=1)).answer,
        [error.policy for error in got.errors],
    )


def test_an_entity_that_is_not_there_may_fail_too() -> None:
    text = ALL % f'({TLS}) && Identity::"u-00000000000000ff".kind == "human"'
    state = world({"policy/all": policy(ALL % "true"), "policy/other": policy(text)})
    assert DEPENDS == suppose(state, "tls").answer


def test_attributes_and_groups_are_known() -> None:
    objects: dict[str, Any] = {"group/g": GROUP, f"membership/{ANN}/g": {}}
    text = ALL % f'principal in Group::"g" && principal.kind == "human" && ({TLS})'
    state = world({**objects, "policy/p": policy(text)})
    assert DEPENDS == suppose(state, "tls").answer
    assert NO == suppose(world({"group/g": GROUP, "policy/p": policy(text)}), "tls").answer
