"""The context: every member, what is left out of it, and that it is a function of the state alone."""

from __future__ import annotations

import hashlib
from typing import Any

from state_world import ANN, BEN, GROUP, SYSTEM, grant, human, moment, policy, put, settings, world

from affidavit import canonical
from affidavit.state.context import build_context, context_digest
from affidavit.state.fold import State

OPEN = policy("permit(principal, action, resource);")
NURSES = policy('permit(principal in Group::"nurses", action, resource in System::"clinic");')
DOCTORS = policy('permit(principal in Group::"doctors", action, resource);')
ON_LOG = policy('permit(principal, action, resource in Log::"log");')


def digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(canonical.encode(value)).hexdigest()


def named(name: str, value: dict[str, Any], version: int = 4) -> dict[str, Any]:
    return {"name": name, "version": version, "digest": digest(value)}


def full_world() -> State:
    return world(
        {
            "group/nurses": GROUP,
            "group/staff": GROUP,
            "group/doctors": GROUP,
            f"membership/{ANN}/nurses": {},
            "membership/group:nurses/staff": {},
            f"grant/{ANN}/own": grant("read", "clinic/public.a", "10:00"),
            f"grant/{ANN}/elsewhere": grant("read", "ward"),
            "grant/group:staff/g": grant("login", "clinic", None, "13:00"),
            "grant/group:doctors/g": grant("write", "clinic"),
            f"grant/{BEN}/g": grant("write", "clinic"),
            "policy/open": OPEN,
            "policy/nurses": NURSES,
            "policy/doctors": DOCTORS,
            "policy/on-log": ON_LOG,
            "schema/s": {"text": "entity Person;"},
            "observed/clinic/app": {"superuser": False},
            "observed/ward/app": {},
            f"settings/user/{ANN}": settings(retention="P9999D"),
        }
    )


def test_every_member() -> None:
    nothing = [
        {"name": "capture.parameters", "scope": "default", "value": "full"},
        {"name": "capture.result", "scope": "default", "value": "digest"},
        {"name": "capture.statement", "scope": "default", "value": "full"},
        {"name": "guarantee.read", "scope": "default", "value": "before_answer"},
        {"name": "guarantee.write", "scope": "default", "value": "before_action"},
        {"name": "on_log_failure", "scope": "default", "value": "refuse"},
        {"name": "retention", "scope": "user", "value": "P9999D", "version": 4},
    ]
    own, staff = grant("read", "clinic/public.a", "10:00"), grant("login", "clinic", None, "13:00")
    expected = {
        "rules": 1,
        "actor": ANN,
        "system": "clinic",
        "identity": {"version": 2, "digest": digest(human())},
        "groups": [{"group": "nurses", "via": []}, {"group": "staff", "via": ["nurses"]}],
        "grants": [
            {**named("grant/group:staff/g", staff), "start": None, "end": moment("13:00")},
            {**named(f"grant/{ANN}/own", own), "start": moment("10:00"), "end": None},
        ],
        "policies": [named("policy/nurses", NURSES), named("policy/open", OPEN)],
        "schemas": [named("schema/s", {"text": "entity Person;"})],
        "settings": nothing,
        "configured": True,
        "declared": {"version": 3, "digest": digest(SYSTEM)},
        "observed": [named("observed/clinic/app", {"superuser": False})],
    }
    assert expected == build_context(full_world(), ANN, "clinic")


def test_on_the_log() -> None:
    got = build_context(full_world(), ANN, "log")
    assert [named("policy/on-log", ON_LOG), named("policy/open", OPEN)] == got["policies"]
    assert ([], None, []) == (got["grants"], got["declared"], got["observed"])


def test_of_nobody_known() -> None:
    got = build_context(full_world(), "u-00000000000000d4", "clinic")
    assert (None, [], [], False) == (got["identity"], got["groups"], got["grants"], got["configured"])


def test_the_digest_is_that_of_the_canonical_bytes() -> None:
    context = build_context(full_world(), ANN, "clinic")
    assert hashlib.sha256(canonical.encode(context)).hexdigest() == context_digest(context)


def test_what_does_not_concern_the_actor_does_not_change_the_context() -> None:
    state = full_world()
    before = context_digest(build_context(state, ANN, "clinic"))
    profile = {"handle": "anna", "name": "Anna", "mail": ""}
    put(state, {f"profile/{ANN}": profile, f"grant/{BEN}/g2": grant("read", "clinic"), "policy/doctors": None}, 9)
    assert before == context_digest(build_context(state, ANN, "clinic"))
    put(state, {f"grant/{ANN}/own": None}, 10)
    assert before != context_digest(build_context(state, ANN, "clinic"))
