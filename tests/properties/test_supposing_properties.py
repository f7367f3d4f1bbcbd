"""What is said without all facts holds for each of them: every verdict against all ways in which the facts can be."""

from __future__ import annotations

import base64
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from affidavit.state.bounds import Bounds
from affidavit.state.change import Put
from affidavit.state.context import build_context
from affidavit.state.deciding import Decider, Request
from affidavit.state.facts import Fact
from affidavit.state.fold import State
from affidavit.state.supposing import DEPENDS, NO, YES, Supposer

WHO = "u-0000000000000001"
SALT = base64.urlsafe_b64encode(bytes(16)).decode().rstrip("=")
READ = (Request("read", "Table", "clinic/public.a"),)
#: All that each fact can be; None is absent.
VALUES: dict[str, tuple[Fact | None, ...]] = {
    "tls": (None, True, False),
    "verb": (None, "SELECT", "DELETE"),
    "approvals": (None, 0, 1),
}
ATOMS = st.sampled_from(
    (
        "true",
        "false",
        "context has tls",
        "(context has tls && context.tls)",
        'context has verb && context.verb == "SELECT"',
        'context has verb && ["DELETE", "DROP"].contains(context.verb)',
        'principal in Group::"in"',
        'principal in Group::"out"',
        'principal.hasTag("ward") && principal.getTag("ward") == "3b"',
        "context has approvals && context.approvals >= 1",
        "context has approvals && context.approvals + 9223372036854775807 > 0",
    )
)
CONDITIONS = st.recursive(
    ATOMS.map("({})".format),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(("&&", "||")), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map("!{}".format),
        st.tuples(inner, inner, inner).map(lambda p: f"(if {p[0]} then {p[1]} else {p[2]})"),
    ),
    max_leaves=5,
)
POLICIES = st.lists(
    st.tuples(st.sampled_from(("permit", "forbid")), st.sampled_from(("when", "unless")), CONDITIONS).map(
        lambda p: f"{p[0]}(principal, action, resource) {p[1]} {{ {p[2]} }};"
    ),
    min_size=1,
    max_size=4,
)


def state_with(policies: list[str]) -> State:
    ward = [{"name": "ward", "value": "3b"}]
    objects: dict[str, dict[str, Any]] = {
        f"identity/{WHO}": {"kind": "human", "status": "active", "attributes": ward},
        "group/in": {"description": ""},
        f"membership/{WHO}/in": {},
        "system/clinic": {"kind": "postgresql", "description": "", "key_columns": []},
        **{f"policy/p{number}": {"text": text} for number, text in enumerate(policies)},
    }
    state = State()
    state.apply([Put(name, None, value, SALT) for name, value in objects.items()], 0)
    return state


@settings(max_examples=250, deadline=None)
@given(POLICIES, st.sets(st.sampled_from(sorted(VALUES)), min_size=1), st.data())
def test_a_verdict_holds_whatever_the_unknown_facts_are(policies: list[str], unknown: set[str], data: Any) -> None:
    state = state_with(policies)
    context = build_context(state, WHO, "clinic")
    drawn = {name: data.draw(st.sampled_from(VALUES[name]), name) for name in sorted(VALUES.keys() - unknown)}
    known = {name: value for name, value in drawn.items() if value is not None}
    got = Supposer(context, state, Bounds(frozenset(unknown))).decide(READ, known, 0)
    names, decider = sorted(unknown), Decider(context, state)
    decisions = set()
    for values in product(*(VALUES[name] for name in names)):
        facts = known | {name: value for name, value in zip(names, values, strict=True) if value is not None}
        decisions.add(decider.decide(READ, facts, 0).allowed)
    assert got.answer in (YES, NO, DEPENDS)
    if got.answer != DEPENDS:
        assert {got.answer == YES} == decisions
    elif len(decisions) == 2:
        assert got.on
