"""Members that an object has only where they say something: logins, ends, break-glass, a system's configuration."""

from __future__ import annotations

from typing import Any

import pytest
from state_world import ANN, BEN, GROUP, NOON, SYSTEM, grant, moment, ops_of, policy, put, world

from affidavit.errors import InvalidInput
from affidavit.state.change import Delete, Op
from affidavit.state.changing import check_lapse, decide_change, facts_for
from affidavit.state.objects import check_object, complete_object, has_ended
from affidavit.state.policy import administrators, mentions
from affidavit.state.reviewing import concerned

ISSUER = "https://login.example"
TOKEN = "credential/token-0123456789abcdef"


def profile(handle: str, *logins: tuple[str, str]) -> dict[str, Any]:
    value: dict[str, Any] = {"handle": handle, "name": "", "mail": ""}
    return {**value, "logins": [{"issuer": i, "subject": s} for i, s in logins]} if logins else value


def credential(end: str | None = None) -> dict[str, Any]:
    value = {"identity": ANN, "type": "token", "label": ""}
    return {**value, "end": moment(end)} if end else value


def glass(start: str = "12:00", end: str = "13:00") -> dict[str, Any]:
    return {**grant("read", "clinic", start, end), "reason": "the ward is flooded", "break_glass": True}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"profile/{ANN}", profile("ann", (ISSUER, "1"), (ISSUER, "2"), ("https://other.example", "1"))),
        (f"grant/{ANN}/g", glass()),
        (f"grant/{ANN}/g", glass("00:00", "12:00")),
        (TOKEN, credential("12:00")),
        ("system/clinic", {**SYSTEM, "configuration": [{"name": "version", "value": "16"}]}),
    ],
)
def test_what_may_be_said(name: str, value: dict[str, Any]) -> None:
    assert value == check_object(name, value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (f"profile/{ANN}", {**profile("ann"), "logins": []}, "leave it out where there are none"),
        (f"profile/{ANN}", {**profile("ann"), "logins": [{"issuer": ISSUER}]}, "`logins` must be"),
        (f"profile/{ANN}", profile("ann", (ISSUER, "2"), (ISSUER, "1")), "sorted by issuer and subject"),
        (f"profile/{ANN}", profile("ann", (ISSUER, "1"), (ISSUER, "1")), "none twice"),
        (f"profile/{ANN}", profile("ann", (ISSUER, "")), "`logins` must be"),
        (f"profile/{ANN}", profile("ann", (ISSUER, "a\nb")), "one line of text"),
        (TOKEN, {**credential(), "end": None}, "leave it out for a credential without an end"),
        (TOKEN, {**credential(), "end": "2026-11-22"}, "`end` must be a moment"),
        (f"grant/{ANN}/g", {**glass(), "break_glass": False}, "leave it out for an ordinary grant"),
        (f"grant/{ANN}/g", {**glass(), "end": None}, "at most 12 hours after `start`"),
        (f"grant/{ANN}/g", {**glass(), "start": None}, "at most 12 hours after `start`"),
        (f"grant/{ANN}/g", glass("00:00", "12:01"), "at most 12 hours after `start`"),
        (f"grant/{ANN}/g", {**glass(), "reason": " "}, "somebody will review it"),
        ("system/clinic", {**SYSTEM, "configuration": []}, "leave it out where there is none"),
        ("system/clinic", {**SYSTEM, "configuration": {"version": "16"}}, "sorted by name"),
        ("group/g", {**GROUP, "end": moment("12:00")}, "has no `end`"),
    ],
)
def test_what_may_not_be_said(name: str, value: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_object(name, value)


def test_an_author_may_write_nothing_for_nothing() -> None:
    assert credential() == complete_object(TOKEN, {**credential(), "end": None})
    assert profile("ann") == complete_object(f"profile/{ANN}", {**profile("ann"), "logins": []})
    assert grant("read", "clinic") == complete_object(
        f"grant/{ANN}/g", {**grant("read", "clinic"), "break_glass": False}
    )
    assert SYSTEM == complete_object("system/clinic", {**SYSTEM, "configuration": []})


def test_logins_at_several_issuers_lead_to_one_person() -> None:
    state = world({f"profile/{ANN}": profile("ann", (ISSUER, "1"), ("https://other.example", "1"))})
    found = [state.identity_of_login(issuer, "1") for issuer in (ISSUER, "https://other.example", "https://third")]
    assert [ANN, ANN, None] == found
    assert state.identity_of_login(ISSUER, "2") is None


def test_a_login_belongs_to_one_person_and_can_pass_to_another() -> None:
    state = world({f"profile/{ANN}": profile("ann", (ISSUER, "1"))})
    root = state.root
    with pytest.raises(InvalidInput, match=f"The login `1` at `{ISSUER}` is that of `{ANN}` already") as refused:
        put(state, {f"profile/{BEN}": profile("ben", (ISSUER, "1"))})
    assert ("state.login", root) == (refused.value.code, state.root)
    put(state, {f"profile/{ANN}": profile("ann"), f"profile/{BEN}": profile("ben", (ISSUER, "1"))})
    assert BEN == state.identity_of_login(ISSUER, "1")
    put(state, {f"profile/{BEN}": None})
    assert state.identity_of_login(ISSUER, "1") is None


def test_what_has_an_end_is_found_and_nothing_else() -> None:
    state = world(
        {
            f"grant/{ANN}/a": grant("read", "clinic", None, "12:00"),
            f"grant/{ANN}/b": grant("read", "clinic"),
            TOKEN: credential("12:00"),
            "credential/token-00000000000000ff": credential(),
        }
    )
    assert [TOKEN, f"grant/{ANN}/a"] == state.ending()
    put(state, {TOKEN: credential(), f"grant/{ANN}/a": None})
    assert [] == state.ending()


def test_the_end_is_the_first_moment_without_it() -> None:
    value = credential("12:00")
    assert (False, True, True) == (has_ended(value, NOON - 1), has_ended(value, NOON), has_ended(value, NOON + 1))
    assert not has_ended(credential(), NOON)


def test_a_credential_lapses_at_its_end_and_not_before() -> None:
    state = world({TOKEN: credential("12:00"), "credential/token-00000000000000ff": credential()})
    check_lapse(state, (Delete(TOKEN, 4),), NOON)
    refused: list[tuple[Op, int]] = [
        (Delete(TOKEN, 4), NOON - 1),
        (Delete("credential/token-00000000000000ff", 4), NOON),
    ]
    for op, at in refused:
        with pytest.raises(InvalidInput, match="A lapse deletes only what has expired"):
            check_lapse(state, (op,), at)


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ({f"grant/{ANN}/g": glass()}, True),
        ({f"grant/{ANN}/g": glass(), f"grant/{BEN}/g": glass()}, True),
        ({f"grant/{ANN}/g": glass(), f"grant/{BEN}/g": grant("read", "clinic")}, None),
        ({f"grant/{ANN}/g": glass(), "group/g": GROUP}, None),
        ({f"grant/{ANN}/g": grant("read", "clinic")}, None),
    ],
)
def test_a_change_is_break_glass_only_where_it_puts_nothing_else(
    objects: dict[str, Any], expected: bool | None
) -> None:
    state = world()
    assert expected == facts_for(state, ops_of(state, objects), ANN, 0).get("break_glass")


def test_a_policy_may_let_people_break_the_glass_for_themselves() -> None:
    text = """permit (principal, action == Action::"grant", resource in ObjectKind::"grant")
        when { context has break_glass && context.break_glass && context has own && context.own };"""
    assert mentions(text) == {"break_glass", "own"}
    state = world({"policy/glass": policy(text)})
    asked = [{f"grant/{ANN}/g": glass()}, {f"grant/{BEN}/g": glass()}, {f"grant/{ANN}/g": grant("read", "clinic")}]
    got = [decide_change(state, ops_of(state, objects), ANN, (), NOON).decision for objects in asked]
    assert ["allow", "deny", "deny"] == got


def test_a_policy_that_reads_the_whole_context_sees_no_new_fact_where_there_is_none() -> None:
    """What an older version recorded must come out the same when it is decided again."""
    state = world({"policy/any": policy("permit (principal, action, resource) when { context == context };")})
    facts = decide_change(state, ops_of(state, {f"grant/{ANN}/g": grant("read", "clinic")}), ANN, (), NOON).facts
    assert ["approvals", "kinds", "lowers_capture", "op", "own"] == [name for name, _ in facts]


def test_a_last_credential_that_will_end_locks_its_owner_out() -> None:
    state = world(
        {
            "group/administrators": GROUP,
            f"membership/{ANN}/administrators": {},
            "policy/administrators": administrators(),
            TOKEN: credential(),
        }
    )
    ending = decide_change(state, ops_of(state, {TOKEN: credential("13:00")}), ANN, (), NOON)
    assert ("deny", ("state.lockout",)) == (ending.decision, ending.rules)
    more = {"credential/token-00000000000000ff": credential("13:00")}
    assert "allow" == decide_change(state, ops_of(state, more), ANN, (), NOON).decision


def test_nobody_whom_a_break_glass_grant_concerns_reviews_it() -> None:
    state = world(
        {"group/night": GROUP, "group/ward": GROUP, f"membership/{BEN}/ward": {}, "membership/group:ward/night": {}}
    )
    op = {"op": "put", "name": "grant/group:night/g", "value": glass()}
    assert {ANN, BEN} == concerned(state, ANN, [op])
    assert {ANN} == concerned(state, ANN, [{**op, "value": grant("read", "clinic")}])
    assert {ANN, BEN} == concerned(state, ANN, [{**op, "name": f"grant/{BEN}/g"}])
