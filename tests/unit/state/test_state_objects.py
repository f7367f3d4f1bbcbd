"""Names and values of objects: what is taken, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pytest
from state_world import ANN, GROUP, SYSTEM, grant, human, policy, settings

from affidavit.errors import InvalidInput
from affidavit.state.objects import ObjectName, check_object, complete_object, parse_name

PERMIT = policy("permit(principal, action, resource);")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"identity/{ANN}", ObjectName("identity", "identity", f"identity/{ANN}", (ANN,))),
        (
            f"membership/{ANN}/nurses",
            ObjectName("membership", f"membership/{ANN}", f"membership/{ANN}/nurses", (ANN, "nurses")),
        ),
        (
            "grant/group:nurses/g1",
            ObjectName("grant", "grant/group:nurses", "grant/group:nurses/g1", ("group:nurses", "g1")),
        ),
        ("settings/floor", ObjectName("settings", "settings", "settings/floor", ("floor",))),
        ("settings/system/clinic", ObjectName("settings", "settings", "settings/system/clinic", ("system", "clinic"))),
        (
            "observed/clinic/Role A/b",
            ObjectName("observed", "observed", "observed/clinic/Role A/b", ("clinic", "Role A/b")),
        ),
        (
            "credential/uid-my-host-1000",
            ObjectName("credential", "credential", "credential/uid-my-host-1000", ("uid-my-host-1000",)),
        ),
    ],
)
def test_names(name: str, expected: ObjectName) -> None:
    assert expected == parse_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "identity", "identity/", "identity/ann", "identity/u-00000000000000A1", f"identity/{ANN}/x", "animal/cat",
        "group/Nurses", "group/-x", "group/" + "a" * 64, f"membership/{ANN}", "membership/ann/nurses",
        f"grant/{ANN}/a/b", "settings/user/ann", "settings/organisation/x", "settings/team/x", "system/log",
        "observed/clinic/", "observed/clinic/a\nb", "credential/uid-host", "credential/uid-host-01", "credential/token-xyz",
        f"identity/{ANN}\n", "policy/a\n",
    ],
)  # fmt: skip
def test_refused_names(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_name(name)
    assert (caught.value.code, bool(caught.value.hint)) == ("state.name", True)


SOURCE: dict[str, Any] = {"kind": "application", "description": "", "heartbeat_s": None, "system": None}
WHOLE: list[tuple[str, dict[str, Any]]] = [
    (f"identity/{ANN}", human(ward="3b", unit="x")),
    (f"profile/{ANN}", {"handle": "ann", "name": "Ann Ö", "mail": "ann@example.org"}),
    ("group/nurses", GROUP),
    (f"membership/{ANN}/nurses", {}),
    ("policy/p", PERMIT),
    ("schema/s", {"text": "entity Person;"}),
    (f"grant/{ANN}/g1", grant("read write", "clinic", "10:00", "11:00")),
    (f"grant/{ANN}/g1", grant("read", "clinic/public.patients")),
    ("settings/floor", settings(capture__result="count")),
    ("settings/organisation", settings(app__psql__timing="on", retention="P30D")),
    ("system/clinic", {**SYSTEM, "key_columns": ["public.a.id", "public.b.id"]}),
    ("system/clinic", {**SYSTEM, "past_gateway": ["a@b@::1", "backup@10.0.0.9", "m@local", "r@10.0.1.0/24"]}),
    ("observed/clinic/app", {"roles": ["a"], "superuser": False}),
    ("source/collector", {"kind": "collector", "description": "", "heartbeat_s": 60, "system": "clinic"}),
    ("source/gateway", {"kind": "gateway", "description": "", "heartbeat_s": None, "system": "clinic"}),
    ("credential/uid-host-0", {"identity": ANN, "type": "uid", "label": ""}),
]


@pytest.mark.parametrize(("name", "value"), WHOLE)
def test_whole_values_are_taken_as_they_are(name: str, value: dict[str, Any]) -> None:
    got = check_object(name, value)
    assert value == got
    assert got is not value


@pytest.mark.parametrize(("name", "value"), [case for case in WHOLE if not case[0].startswith("observed/")])
def test_unknown_and_missing_members_are_refused(name: str, value: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="has no `surprise`"):
        check_object(name, {**value, "surprise": 1})
    for member in value.keys() - {"past_gateway"}:
        with pytest.raises(InvalidInput, match=f"lacks `{member}`"):
            check_object(name, {key: item for key, item in value.items() if key != member})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (f"identity/{ANN}", {**human(), "kind": "robot"}, "`kind` must be `human` or `service` or `agent`"),
        ("source/s", {**SOURCE, "kind": "gateway"}, "`system` must be the system that the gateway stands before"),
        ("source/s", {**SOURCE, "kind": "administration", "system": "clinic"}, "`system` must be null"),
        ("source/s", {**SOURCE, "system": "log"}, "`system` must be a system's id"),
        ("source/s", {**SOURCE, "kind": "robot"}, "`kind` must be `administration` or"),
        ("source/s", {**SOURCE, "heartbeat_s": 0}, "`heartbeat_s` must be seconds from 1 to 604800, or null"),
        ("source/s", {**SOURCE, "heartbeat_s": True}, "`heartbeat_s` must be seconds"),
        (f"identity/{ANN}", {**human(), "status": None}, "`status` must be `active` or `suspended`"),
        (f"identity/{ANN}", {**human(), "attributes": [{"name": "b", "value": ""}, {"name": "a", "value": ""}]}, "sorted by name"),
        (f"identity/{ANN}", {**human(), "attributes": [{"name": "a", "value": ""}] * 2}, "no name twice"),
        (f"identity/{ANN}", {**human(), "attributes": [{"name": "a", "value": "x\x1b[2J"}]}, "one line of text"),
        (f"profile/{ANN}", {"handle": "Ann", "name": "", "mail": ""}, "`handle` must be"),
        (f"profile/{ANN}", {"handle": "ann", "name": "a" * 1025, "mail": ""}, "`name` must be one line"),
        ("policy/p", policy("permit(principal, action"), "`policy/p` is refused"),
        ("policy/p", {"text": 1}, "text of one Cedar policy"),
        ("schema/s", {"text": "entity"}, "`schema/s` is refused"),
        ("schema/s", {"text": "type a = " + "Set<" * 40 + "Long" + ">" * 40 + ";"}, "nest deeper"),
        (f"grant/{ANN}/g", grant("", "clinic"), "`actions` must be"),
        (f"grant/{ANN}/g", grant("fly", "clinic"), "`actions` must be"),
        (f"grant/{ANN}/g", {**grant("read", "clinic"), "actions": ["write", "read"]}, "sorted"),
        (f"grant/{ANN}/g", grant("read", "clinic", "11:00", "11:00"), "`end` must be after `start`"),
        (f"grant/{ANN}/g", {**grant("read", "clinic"), "end": "tomorrow"}, "a moment in UTC such as"),
        (f"grant/{ANN}/g", grant("read", "log"), "`resource` must be"),
        (f"grant/{ANN}/g", {**grant("read", "clinic"), "resource": {"type": "System", "id": "clinic/public.a"}}, "`resource`"),
        (f"grant/{ANN}/g", {**grant("read", "clinic"), "resource": {"type": "Table", "id": "clinic"}}, "`resource`"),
        (f"grant/{ANN}/g", {**grant("read", "clinic"), "resource": {"type": "Object", "id": "clinic"}}, "`resource`"),
        ("settings/floor", settings(app__x="1"), "settings of applications have no order"),
        ("settings/floor", settings(capture__statment="full"), "There is no setting `capture.statment`"),
        ("settings/floor", settings(capture__statement="ful"), "Write `full` `normalized` `digest`"),
        ("settings/floor", settings(capture__result="rows:0"), r"N from 1 to 1000"),
        ("settings/floor", settings(capture__result="rows:N"), "cannot be `rows:N`"),
        ("settings/floor", settings(capture__result="rows:1001"), "cannot be"),
        ("settings/floor", settings(retention="P0D"), "a number of days"),
        ("settings/floor", settings(retention="P1Y"), "a number of days"),
        ("system/clinic", {**SYSTEM, "kind": "oracle"}, "`kind` must be `postgresql`"),
        ("system/clinic", {**SYSTEM, "key_columns": ["patients.id"]}, "schema.table.column"),
        ("system/clinic", {**SYSTEM, "past_gateway": []}, "leave it out where it is empty"),
        ("system/clinic", {**SYSTEM, "past_gateway": ["backup"]}, "`ROLE@ADDRESS`"),
        ("system/clinic", {**SYSTEM, "past_gateway": ["@10.0.0.9"]}, "`ROLE@ADDRESS`"),
        ("system/clinic", {**SYSTEM, "past_gateway": ["backup@host"]}, "`ROLE@ADDRESS`"),
        ("system/clinic", {**SYSTEM, "past_gateway": ["backup@10.0.0.9/24"]}, "`ROLE@ADDRESS`"),
        ("system/clinic", {**SYSTEM, "past_gateway": ["backup@10.0.0.9/32"]}, "`ROLE@ADDRESS`"),
        ("system/clinic", {**SYSTEM, "past_gateway": ["backup@::0001"]}, "`ROLE@ADDRESS`"),
        ("system/clinic", {**SYSTEM, "past_gateway": ["b@local", "a@local"]}, "sorted"),
        ("credential/uid-host-0", {"identity": ANN, "type": "token", "label": ""}, "the one that the name begins with"),
        ("credential/uid-host-0", {"identity": "ann", "type": "uid", "label": ""}, "an identity id"),
        ("observed/clinic/app", {"text": "a" * 32_768}, "above 32768"),
        ("observed/clinic/app", {"load": 0.5}, "no canonical form"),
        ("observed/clinic/app", ["a"], "must be a mapping"),
    ],
)  # fmt: skip
def test_refused_values_say_what_to_write(name: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words.replace("(", r"\(")):
        check_object(name, value)


def test_authors_may_leave_out_what_has_a_default() -> None:
    assert human() == complete_object(f"identity/{ANN}", {"kind": "human"})
    given = {"actions": ["write", "read"], "resource": {"type": "System", "id": "clinic"}}
    assert grant("read write", "clinic") == complete_object(f"grant/{ANN}/g", given)
    assert settings(app__a="1", retention="P1D") == complete_object(
        "settings/floor", {"values": [{"name": "retention", "value": "P1D"}, {"name": "app.a", "value": "1"}]}
    )
