"""Settings: precedence, groups, floor, who is unconfigured, order of values."""

from __future__ import annotations

import re

import pytest
from state_world import ANN, BEN, GROUP, put, settings, world

from affidavit.errors import InvalidInput
from affidavit.state.change import Delete
from affidavit.state.settings import SETTINGS, check_setting, lower, resolve

Found = dict[str, tuple[str, str, int | None]]


def found(state: object, actor: str = ANN, system: str = "clinic") -> Found:
    effective, _ = resolve(state, actor, system)  # type: ignore[arg-type]
    assert [item.name for item in effective] == sorted(item.name for item in effective)
    return {item.name: (item.value, item.scope, item.version) for item in effective}


DEFAULTS: Found = {
    "capture.parameters": ("full", "default", None),
    "capture.result": ("digest", "default", None),
    "capture.statement": ("full", "default", None),
    "guarantee.read": ("before_answer", "default", None),
    "guarantee.write": ("before_action", "default", None),
    "on_log_failure": ("refuse", "default", None),
    "retention": ("P2190D", "default", None),
}


def test_defaults_of_a_configured_user() -> None:
    state = world({f"settings/user/{ANN}": settings()})
    assert (DEFAULTS, True) == (found(state), resolve(state, ANN, "clinic")[1])


def test_unconfigured_is_captured_at_the_fullest_whatever_lower_scopes_say() -> None:
    low = settings(
        capture__statement="normalized", capture__parameters="off", capture__result="count", guarantee__read="after"
    )
    state = world({"settings/organisation": low, "settings/system/clinic": low})
    expected: Found = {
        **DEFAULTS,
        "capture.parameters": ("full", "unconfigured", None),
        "capture.result": ("digest", "unconfigured", None),
        "capture.statement": ("full", "unconfigured", None),
        "guarantee.read": ("after", "system", 4),
    }
    assert (expected, False) == (found(state), resolve(state, ANN, "clinic")[1])
    assert ("count", "system", 4) == found(put(state, {f"settings/user/{ANN}": settings()}))["capture.result"]
    assert ("digest", "unconfigured", None) == found(state, BEN)["capture.result"]


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ("", ("full", "default", None)),
        ("organisation", ("off", "organisation", 10)),
        ("organisation system", ("digest", "system", 11)),
        ("organisation system group", ("off", "group:nurses", 12)),
        ("organisation system group user", ("digest", "user", 13)),
        ("organisation user", ("digest", "user", 13)),
        ("system user", ("digest", "user", 13)),
        ("organisation group", ("off", "group:nurses", 12)),
    ],
)
def test_precedence(scopes: str, expected: tuple[str, str, int | None]) -> None:
    state = world({"group/nurses": GROUP, f"membership/{ANN}/nurses": {}, f"settings/user/{ANN}": settings()})
    layers = {
        "organisation": ("settings/organisation", "off", 10),
        "system": ("settings/system/clinic", "digest", 11),
        "group": ("settings/group/nurses", "off", 12),
        "user": (f"settings/user/{ANN}", "digest", 13),
    }
    for scope in scopes.split():
        name, value, index = layers[scope]
        put(state, {name: settings(capture__parameters=value)}, index)
    assert expected == found(state)["capture.parameters"]


def test_settings_of_another_system_do_not_count() -> None:
    state = world({"settings/system/clinic": settings(guarantee__read="after")})
    assert ("before_answer", "default", None) == found(state, system="ward")["guarantee.read"]


def test_of_several_groups_the_fullest_also_nested_and_of_equals_the_first() -> None:
    state = world(
        {
            **{f"group/{name}": GROUP for name in ("a", "b", "c", "d")},
            f"membership/{ANN}/a": {},
            f"membership/{ANN}/b": {},
            "membership/group:b/c": {},
            f"settings/user/{ANN}": settings(),
            "settings/group/a": settings(capture__result="count", guarantee__read="after", app__x="a"),
            "settings/group/b": settings(capture__result="rows:5", guarantee__read="after", app__x="b"),
            "settings/group/c": settings(capture__result="rows:10"),
            "settings/group/d": settings(capture__result="rows:1000"),
        }
    )
    got = found(state)
    assert ("rows:10", "group:c", 4) == got["capture.result"]
    assert ("after", "group:a", 4) == got["guarantee.read"]
    assert ("a", "group:a", 4) == got["app.x"]


def test_the_default_floor_raises() -> None:
    low = settings(capture__statement="digest", capture__result="off", guarantee__write="after", retention="P30D",
                   on_log_failure="allow_and_account", guarantee__read="after", capture__parameters="off")  # fmt: skip
    got = found(world({f"settings/user/{ANN}": low}))
    expected: Found = {
        "capture.parameters": ("off", "user", 4),
        "capture.result": ("count", "floor", None),
        "capture.statement": ("normalized", "floor", None),
        "guarantee.read": ("after", "user", 4),
        "guarantee.write": ("before_action", "floor", None),
        "on_log_failure": ("refuse", "floor", None),
        "retention": ("P2190D", "floor", None),
    }
    assert expected == got


def test_the_declared_floor_stands_over_the_default_floor_both_ways() -> None:
    low = settings(capture__result="off", capture__parameters="off", retention="P30D")
    floor = settings(capture__result="rows:3", retention="P10D")
    got = found(world({f"settings/user/{ANN}": low, "settings/floor": floor}))
    assert ("rows:3", "floor", 4) == got["capture.result"]
    assert ("P30D", "user", 4) == got["retention"]
    assert ("off", "user", 4) == got["capture.parameters"]


def test_the_floor_raises_the_unconfigured_too() -> None:
    got = found(world({"settings/floor": settings(capture__result="rows:3")}))
    assert ("rows:3", "floor", 4) == got["capture.result"]
    assert ("full", "unconfigured", None) == got["capture.statement"]


def test_settings_of_applications_are_listed_with_their_scope() -> None:
    state = world({"settings/organisation": settings(app__b="1"), f"settings/user/{ANN}": settings(app__a="2")})
    got = found(state)
    assert (("2", "user", 4), ("1", "organisation", 4)) == (got["app.a"], got["app.b"])


ORDER = [
    ("capture.statement", ["full", "normalized", "digest"]),
    ("capture.parameters", ["full", "digest", "off"]),
    ("capture.result", ["rows:1000", "rows:12", "rows:9", "digest", "count", "off"]),
    ("guarantee.read", ["before_action", "before_answer", "after"]),
    ("on_log_failure", ["refuse", "allow_and_account"]),
    ("retention", ["P2190D", "P365D", "P1D"]),
]


@pytest.mark.parametrize(("name", "values"), ORDER)
def test_order_of_values(name: str, values: list[str]) -> None:
    expected = {(a, b): values.index(a) > values.index(b) for a in values for b in values}
    assert expected == {(a, b): lower(name, a, b) for a in values for b in values}


def test_settings_of_applications_have_no_order() -> None:
    assert (False, False) == (lower("app.x", "a", "b"), lower("app.x", "b", "a"))


def test_every_default_and_floor_is_a_value() -> None:
    for setting in SETTINGS.values():
        for value in (setting.default, setting.floor):
            check_setting(setting.name, value)
        assert False is lower(setting.name, setting.default, setting.floor)


def test_comparing_what_is_no_value() -> None:
    with pytest.raises(InvalidInput):
        lower("capture.result", "rows:N", "off")


def source(kind: str = "application") -> dict[str, object]:
    return {"kind": kind, "description": "", "heartbeat_s": None, "system": None}


def test_what_an_application_reports_of_somebody_is_above_what_they_declared_and_configures_nobody() -> None:
    state = world(
        {
            "source/desk": source(),
            "source/ward": source(),
            f"settings/user/{ANN}": settings(app__theme="dark", app__zoom="2"),
            f"reported/{ANN}/ward": settings(app__beds="12", app__theme="grey"),
            f"reported/{BEN}/ward": settings(app__theme="white"),
        }
    )
    got = found(state)
    assert ("grey", "reported:ward", 4) == got["app.theme"]
    assert ("12", "reported:ward", 4) == got["app.beds"]
    assert ("2", "user", 4) == got["app.zoom"]
    # Of two applications that report the same, the first by name.
    put(state, {f"reported/{ANN}/desk": settings(app__theme="light")}, 9)
    assert ("light", "reported:desk", 9) == found(state)["app.theme"]
    theirs, configured = resolve(state, BEN, "clinic")
    assert ("white", False) == ({item.name: item.value for item in theirs}["app.theme"], configured)
    assert ("digest", "unconfigured", None) == found(state, BEN)["capture.result"]


@pytest.mark.parametrize(
    ("values", "place"),
    [
        (settings(capture__result="off"), "`values` must be settings named `app.…`"),
        (settings(), "at least one"),
        ({"values": [{"name": "app.", "value": "x"}]}, "There is no setting `app.`"),
        ({"values": [{"name": "app.x", "value": 5}]}, "`values.app.x` must be"),
    ],
)
def test_an_application_reports_its_own_settings_and_no_others(values: dict[str, object], place: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(place)):
        put(world({"source/ward": source()}), {f"reported/{ANN}/ward": values})


def test_a_report_names_somebody_and_a_source_and_keeps_both() -> None:
    state = world({"source/ward": source()})
    report = settings(app__theme="grey")
    for name, missing in ((f"reported/{ANN}/desk", "source/desk"), ("reported/u-00000000000000ff/ward", "identity/u-")):
        with pytest.raises(InvalidInput, match=missing) as refused:
            put(state, {name: report})
        assert "state.reference" == refused.value.code
    put(state, {f"reported/{ANN}/ward": report})
    for name in ("source/ward", f"identity/{ANN}"):
        held = state.get(name)
        assert held is not None
        with pytest.raises(InvalidInput, match=f"reported/{ANN}/ward"):
            state.preview((Delete(name, held.version),))
