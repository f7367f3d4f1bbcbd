"""The fold, groups and settings against a plain slow model: dictionaries, and rules read off the specification."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from affidavit.errors import AffidavitError, Conflict, InvalidInput
from affidavit.state.change import Delete, Op, Put, decode_ops, encode_ops
from affidavit.state.context import build_context, context_digest
from affidavit.state.fold import State
from affidavit.state.settings import SETTINGS, resolve

PEOPLE = ("u-0000000000000001", "u-0000000000000002")
GROUPS = ("a", "b", "c")
PRINCIPALS = (*PEOPLE, *(f"group:{group}" for group in GROUPS))
HUMAN = {"kind": "human", "status": "active", "attributes": []}
RESULTS = ("rows:9", "rows:2", "digest", "count", "off")  # the fullest first
STATEMENTS = ("full", "normalized", "digest")
Model = dict[str, tuple[dict[str, Any], int]]

NAMES = st.one_of(
    st.sampled_from(PEOPLE).map("identity/{}".format),
    st.sampled_from(GROUPS).map("group/{}".format),
    st.just("system/clinic"),
    st.tuples(st.sampled_from(PRINCIPALS), st.sampled_from(GROUPS)).map(lambda pair: f"membership/{pair[0]}/{pair[1]}"),
    st.sampled_from(
        ("organisation", "floor", "system/clinic", *(f"group/{g}" for g in GROUPS), *(f"user/{p}" for p in PEOPLE))
    ).map("settings/{}".format),
)
VALUES = st.fixed_dictionaries(
    {}, optional={"capture.result": st.sampled_from(RESULTS), "capture.statement": st.sampled_from(STATEMENTS), "app.x": st.sampled_from("12")}
)  # fmt: skip
#: What to do with a name: the settings to put (other kinds ignore them), or None to delete; and whether to be stale.
WISHES = st.lists(
    st.tuples(NAMES, st.none() | VALUES, st.integers(0, 9)), min_size=1, max_size=5, unique_by=lambda wish: wish[0]
)


def value_of(name: str, values: dict[str, str]) -> dict[str, Any]:
    kind = name.partition("/")[0]
    if kind == "settings":
        pairs = sorted(values.items())
        return {
            "values": [
                {"name": key, "value": value} for key, value in pairs if name != "settings/floor" or key != "app.x"
            ]
        }
    fixed: dict[str, dict[str, Any]] = {
        "identity": HUMAN,
        "group": {"description": ""},
        "membership": {},
        "system": {"kind": "postgresql", "description": "", "key_columns": []},
    }
    return dict(fixed[kind])


def salt(number: int) -> str:
    return base64.urlsafe_b64encode(bytes([number]) * 16).decode().rstrip("=")


def ops_of(model: Model, wishes: list[tuple[str, dict[str, str] | None, int]]) -> list[Op]:
    ops: list[Op] = []
    for name, values, stale in wishes:
        version = model[name][1] if name in model else None
        based = version if stale else (version or 0) + 1
        if values is not None:
            ops.append(Put(name, based, value_of(name, values), salt(1)))
        elif based is not None:
            ops.append(Delete(name, based))
    return ops


def model_apply(model: Model, ops: list[Op], index: int) -> Model | type[AffidavitError]:
    for op in ops:
        if (model[op.name][1] if op.name in model else None) != op.based:
            return Conflict
    after = dict(model)
    for op in ops:
        after.pop(op.name, None)
        if isinstance(op, Put):
            after[op.name] = (op.value, index)
    for name in after:
        kind, _, rest = name.partition("/")
        needs = []
        if kind == "membership":
            principal, group = rest.split("/")
            needs = [
                f"group/{group}",
                f"group/{principal[6:]}" if principal.startswith("group:") else f"identity/{principal}",
            ]
        elif kind == "settings" and "/" in rest:
            scope, which = rest.split("/")
            needs = [f"{'identity' if scope == 'user' else scope}/{which}"]
        if any(need not in after for need in needs):
            return InvalidInput
    if any(group in model_groups(after, f"group:{group}") for group in GROUPS):
        return InvalidInput
    return after


def model_groups(model: Model, principal: str) -> set[str]:
    """All groups that hold a principal, by going round until nothing is added."""
    found: set[str] = set()
    while True:
        inside = {principal, *(f"group:{group}" for group in found)}
        more = {name.split("/")[2] for name in model if name.startswith("membership/") and name.split("/")[1] in inside}
        if more <= found:
            return found
        found |= more


def model_setting(model: Model, actor: str, name: str, order: tuple[str, ...]) -> tuple[str, str]:
    """Value and scope, by the sentences of the specification, one after the other."""

    def said(settings_name: str) -> str | None:
        value, _ = model.get(settings_name, ({"values": []}, 0))
        return {item["name"]: item["value"] for item in value["values"]}.get(name)

    groups = [
        (order.index(value), group, value)
        for group in model_groups(model, actor)
        if (value := said(f"settings/group/{group}"))
    ]
    candidates: list[tuple[str | None, str]] = [(said(f"settings/user/{actor}"), "user")]
    candidates += [(value, f"group:{group}") for _, group, value in sorted(groups)[:1]]
    candidates += [(said("settings/system/clinic"), "system"), (said("settings/organisation"), "organisation")]
    candidates += [(SETTINGS[name].default, "default")]
    value, scope = next((value, scope) for value, scope in candidates if value is not None)
    if f"settings/user/{actor}" not in model:
        value, scope = ("digest" if name == "capture.result" else "full"), "unconfigured"
    floor = said("settings/floor") or SETTINGS[name].floor
    return (floor, "floor") if order.index(value) > order.index(floor) else (value, scope)


@given(st.lists(WISHES, max_size=12))
@settings(max_examples=120, deadline=None)
def test_fold_groups_and_settings_follow_the_model(history: list[list[tuple[str, dict[str, str] | None, int]]]) -> None:
    state, model = State(), {}  # type: tuple[State, Model]
    everybody = [(f"identity/{person}", {}, 1) for person in PEOPLE] + [(f"group/{group}", {}, 1) for group in GROUPS]
    for index, wishes in enumerate([everybody, *history]):
        ops = ops_of(model, wishes)
        if not ops:
            continue
        before = (state.index, state.root)
        expected = model_apply(model, ops, index)
        if isinstance(expected, type):
            try:
                state.apply(ops, index)
            except AffidavitError as error:
                assert (expected, before) == (type(error), (state.index, state.root))
                continue
            raise AssertionError(f"{ops} should have raised {expected}")
        previewed = state.preview(ops).root
        state.apply(decode_ops(encode_ops(ops)), index)
        model = expected
        assert (index + 1, previewed) == (state.index, state.root)
    assert model == {name: (held.value, held.version) for name in state.names() if (held := state.get(name))}
    for person in PEOPLE:
        assert sorted(model_groups(model, person)) == [group for group, _ in state.groups_of(person)]
        found = {item.name: (item.value, item.scope) for item in resolve(state, person, "clinic")[0]}
        for name, order in (("capture.result", RESULTS), ("capture.statement", STATEMENTS)):
            assert model_setting(model, person, name, order) == found[name]


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=12, unique_by=lambda item: item[0]), st.randoms(use_true_random=False)
)
@settings(max_examples=60, deadline=None)
def test_the_same_objects_put_in_another_order_are_the_same_state(
    items: list[tuple[str, dict[str, str]]], random: Any
) -> None:
    base: Model = {}
    needed = (
        [(f"identity/{person}", {}) for person in PEOPLE]
        + [(f"group/{group}", {}) for group in GROUPS]
        + [("system/clinic", {})]
    )
    wanted = dict(needed) | dict(items)
    shuffled = list(wanted.items())
    random.shuffle(shuffled)
    states = []
    for order in (list(wanted.items()), shuffled):
        ops = ops_of(base, [(name, values, 1) for name, values in order])
        if isinstance(model_apply(base, ops, 0), type):
            return
        state = State()
        state.apply(ops, 0)
        states.append(state)
    assert states[0].root == states[1].root
    for person in PEOPLE:
        contexts = [build_context(state, person, "clinic") for state in states]
        assert context_digest(contexts[0]) == context_digest(contexts[1])
