"""The live state's decisions are those of a decider made anew, over random histories of changes and questions."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from affidavit.errors import AffidavitError
from affidavit.history.live import Live
from affidavit.record.header import Header, Log, Source, Time
from affidavit.record.moment import format_moment
from affidavit.record.read import Record
from affidavit.state.change import Delete, Op, Put, encode_ops
from affidavit.state.context import build_context
from affidavit.state.deciding import Decider, Request
from affidavit.state.fold import State

PEOPLE = ("u-0000000000000001", "u-0000000000000002")
GROUPS = ("a", "b", "c", "d")
SALT = base64.urlsafe_b64encode(bytes(16)).decode().rstrip("=")
TIMES = (10, 22)
QUESTIONS = tuple(
    (Request(action, "Table", f"clinic/public.{table}"),)
    for action, table in (("read", "x"), ("read", "y"), ("write", "x"))
)
TEXTS = (
    'permit(principal in Group::"a", action, resource);',
    'permit(principal, action == Action::"read", resource) when { Group::"c" in Group::"d" };',
    'forbid(principal in Group::"d", action == Action::"write", resource == Table::"clinic/public.x");',
    'permit(principal, action, resource) when { principal.hasTag("w") && principal.getTag("w") == "1" };',
    "forbid(principal, action, resource) when { context has tls && !context.tls };",
    'permit(principal, action, resource) when { context has verb && context.verb == "SELECT" };',
    "forbid(principal, action, resource) when { context has approvals && context.approvals + 9223372036854775807 < 0 };",
)
FACTS: tuple[dict[str, Any], ...] = ({}, {"tls": True}, {"tls": False, "verb": "SELECT"}, {"approvals": 1})


def identity(status: str, ward: str) -> dict[str, Any]:
    return {"kind": "human", "status": status, "attributes": [{"name": "w", "value": ward}] if ward else []}


def grant(table: str, start: int | None, end: int | None) -> dict[str, Any]:
    moments = [None if at is None else format_moment(at) for at in (start, end)]
    resource = {"type": "Table", "id": f"clinic/public.{table}"}
    value = {"actions": ["read"], "resource": resource, "start": moments[0], "end": moments[1]}
    return {**value, "reason": "", "ticket": ""}


PUTS = st.one_of(
    st.tuples(
        st.sampled_from(PEOPLE).map("identity/{}".format),
        st.builds(identity, st.sampled_from(("active", "suspended")), st.sampled_from(("", "1", "2"))),
    ),
    st.tuples(
        st.tuples(st.sampled_from((*PEOPLE, *(f"group:{g}" for g in GROUPS))), st.sampled_from(GROUPS)).map(
            lambda pair: f"membership/{pair[0]}/{pair[1]}"
        ),
        st.just({}),
    ),
    st.tuples(st.integers(0, 1).map("policy/p{}".format), st.sampled_from(TEXTS).map(lambda text: {"text": text})),
    st.tuples(
        st.tuples(st.sampled_from((*PEOPLE, "group:b")), st.integers(0, 1)).map(lambda p: f"grant/{p[0]}/g{p[1]}"),
        st.builds(grant, st.sampled_from("xy"), st.sampled_from((None, 10)), st.sampled_from((None, 20, 25))),
    ),
)
STEPS = st.lists(st.tuples(PUTS, st.booleans()), min_size=1, max_size=12)
#: C in D by the way over B too: taking that away, the shortest chain to D stays what it was.
DIAMOND = [
    (("policy/p0", {"text": TEXTS[1]}), False),
    ((f"membership/{PEOPLE[0]}/a", {}), False),
    (("membership/group:a/b", {}), False),
    (("membership/group:a/c", {}), False),
    (("membership/group:b/d", {}), False),
    (("membership/group:c/d", {}), False),
    (("membership/group:c/d", {}), True),
]


def record(index: int, ops: list[Op], root: str) -> Record:
    at = format_moment(index)
    header = Header(
        v=1, id="", kind="change", source=Source("0" * 32, 0), time=Time(at), log=Log(at, 0), basis="observed",
        root=root,
    )  # fmt: skip
    return Record(index, b"", header, {"objects": encode_ops(ops)})


def first() -> list[Op]:
    values: dict[str, dict[str, Any]] = {f"identity/{one}": identity("active", "") for one in PEOPLE}
    values |= {f"group/{group}": {"description": ""} for group in GROUPS}
    values["system/clinic"] = {"kind": "postgresql", "description": "", "key_columns": []}
    return [Put(name, None, value, SALT) for name, value in values.items()]


@settings(max_examples=60, deadline=None)
@given(STEPS)
@example(DIAMOND)
def test_a_cached_decision_is_a_fresh_one(steps: list[tuple[tuple[str, dict[str, Any]], bool]]) -> None:
    state, live = State(), Live(State())
    state.apply(first(), 0)
    live.applied([record(0, first(), state.root)])
    for index, ((name, value), take) in enumerate(steps, 1):
        held = state.get(name)
        version = None if held is None else held.version
        op: Op = Put(name, version, value, SALT) if version is None or not take else Delete(name, version)
        try:
            state.apply([op], index)
        except AffidavitError:
            continue
        live.applied([record(index, [op], state.root)])
        for who in PEOPLE:
            fresh = Decider(build_context(state, who, "clinic"), state)
            cached = live.context(who, "clinic").decider
            for at in TIMES:
                for question in QUESTIONS:
                    for facts in FACTS:
                        assert fresh.decide(question, facts, at) == cached.decide(question, facts, at)
