"""What a state-changing record must satisfy, for those who write it and those who verify it alike.

A `change` is decided by policy like an access, on the log, one request for each object; on top of policy stand two
rules that no policy can switch off: nobody lowers their own capture alone, and no change may leave both its actor and
its approvers unable to make it again. A `lapse` may only delete what has expired, a `drift` only put what an upstream
reports, and the genesis creates one administrator; these three are not decided.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from affidavit.errors import InvalidInput
from affidavit.state.change import Delete, Op, Put, check_ops
from affidavit.state.context import build_context
from affidavit.state.deciding import Authorization, Decider, Request
from affidavit.state.facts import Fact
from affidavit.state.fold import State
from affidavit.state.objects import has_ended, parse_name
from affidavit.state.policy import LOG_SYSTEM, administrators
from affidavit.state.settings import CAPTURE_PREFIX, SETTINGS, lower, resolve
from affidavit.state.view import ChangingView, StateView

RULE_LOWERS_CAPTURE: Final = "state.lowers_capture"
RULE_LOCKOUT: Final = "state.lockout"
#: Header actions of changes, the strongest first.
_STRENGTH: Final = ("grant", "define", "admin")
_ACTIONS: Final = {
    "grant": "grant",
    "membership": "grant",
    "policy": "define",
    "reported": "define",
    "schema": "define",
    "system": "define",
    "settings": "define",
}
#: Facts that only changes of objects of one kind come with.
OF_ONE_KIND: Final[Mapping[str, str]] = {"break_glass": "grant", "sources": "reported"}
_CAPTURE_KINDS: Final = frozenset({"settings", "membership"})
#: Only these kinds bear on who may change the state: the rest cannot lock anybody out.
_LOCKING_KINDS: Final = frozenset({"identity", "membership", "policy", "credential"})


def requests_for(ops: Sequence[Op]) -> tuple[Request, ...]:
    """What is asked of policy: one request for each object, in order."""
    return tuple(Request(action_for(parse_name(op.name).kind), "Object", op.name) for op in ops)


def action_for(kind: str) -> str:
    """The action that policy is asked about for a change of an object of this kind."""
    return _ACTIONS.get(kind, "admin")


def strongest(ops: Sequence[Op]) -> str:
    """The header's `action`: grant before define before admin."""
    asked = {request.action for request in requests_for(ops)}
    return next(action for action in _STRENGTH if action in asked)


def facts_for(state: ChangingView, ops: Sequence[Op], actor: str, approvals: int) -> dict[str, Fact]:
    """The facts that policies are asked with. Raises what `State.apply` raises where the change cannot apply."""
    return {"approvals": approvals, "lowers_capture": _lowers_capture(state, ops, actor), **told_by(ops, actor)}


def told_by(ops: Sequence[Op], actor: str) -> dict[str, Fact]:
    """The facts of a change by `actor` that its objects tell, whatever the state.

    Those of `OF_ONE_KIND` are absent where they say nothing, as in decisions made before there was such a fact.
    """
    puts = sum(isinstance(op, Put) for op in ops)
    facts: dict[str, Fact] = {
        "kinds": tuple(sorted({parse_name(op.name).kind for op in ops})),
        "op": "put" if puts == len(ops) else "mixed" if puts else "delete",
        "own": _own(ops, actor),
    }
    if all(isinstance(op, Put) and op.value.get("break_glass") is True for op in ops):
        facts["break_glass"] = True
    reports = [name.parts[1] for name in map(parse_name, (op.name for op in ops)) if name.kind == "reported"]
    if reports:
        facts["sources"] = tuple(sorted(set(reports)))
    return facts


def decide_change(
    state: ChangingView,
    ops: Sequence[Op],
    actor: str,
    approvers: Collection[str],
    at_ns: int,
    *,
    approving: bool = False,
) -> Authorization:
    """The decision on a change by `actor`, with the proved approvals of `approvers` (identity ids).

    Approvals by the actor, or by identities that are not active now, do not count. With `approving` it is the
    decision on an approval by `actor`: no approvals count, and the rules beyond policy wait for the change itself.
    Raises what `State.apply` raises where the change cannot apply: then there is nothing to decide.
    """
    others = sorted(other for other in set(approvers) if other != actor and _is_active(state, other))
    facts = facts_for(state, ops, actor, 0 if approving else len(others))
    if approving:
        facts["approving"] = True
    decided = _decide(state, actor, ops, facts, at_ns)
    if approving or not decided.allowed:
        return decided
    if facts["lowers_capture"] and not others:
        return decided.denied_by(RULE_LOWERS_CAPTURE)
    if _locks_out(state, ops, (actor, *others), facts, at_ns):
        return decided.denied_by(RULE_LOCKOUT)
    return decided


def check_lapse(state: State, ops: Sequence[Op], expired_at_ns: int) -> None:
    """Raise `InvalidInput` (code `state.lapse`) unless the change only deletes grants and credentials that
    had ended by then."""
    check_ops(ops)
    for op in ops:
        held = state.get(op.name)
        ends = held is not None and op.name.startswith(("grant/", "credential/"))
        if not isinstance(op, Delete) or held is None or not ends or not has_ended(held.value, expired_at_ns):
            raise InvalidInput("state.lapse", f"A lapse deletes only what has expired; `{op.name}` has not.")


def check_drift(state: State, ops: Sequence[Op], system: str) -> None:
    """Raise `InvalidInput` (code `state.drift`) unless the change is one put of what `system` reports, and news."""
    check_ops(ops)
    op = ops[0]
    name = parse_name(op.name)
    if len(ops) != 1 or not isinstance(op, Put) or name.kind != "observed" or name.parts[0] != system:
        raise InvalidInput("state.drift", f"A drift is one put of `observed/{system}/…`, not of `{op.name}`.")
    held = state.get(op.name)
    if held is not None and held.value == op.value:
        raise InvalidInput("state.drift", f"`{op.name}` reports nothing new.")


def check_genesis(state: State, ops: Sequence[Op], administrator: str) -> None:
    """Raise `InvalidInput` (code `state.genesis`) unless the change creates objects in an empty state, and among them
    the administrator that `log.open` names, who may go on changing it."""
    if state.names() or not all(isinstance(op, Put) for op in ops):
        raise InvalidInput("state.genesis", "The genesis only puts objects, into an empty state.")
    after = state.preview(ops)
    facts = facts_for(state, ops, administrator, 0)
    # Policies have no start or end, and grants never reach the log: the time of the decision does not matter.
    if not _decide(after, administrator, ops, facts, 0).allowed:
        raise InvalidInput("state.genesis", f"The genesis does not make `{administrator}` an administrator.")


def restoration_ops(
    state: State, *, administrator: str, host: str, uid: int, salt: Callable[[], str]
) -> tuple[Op, ...]:
    """The puts that make an identity an administrator again, proved by the uid on `host`; none where it is one.

    Raises `InvalidInput` where the uid proves somebody else.
    """
    credential = f"credential/uid-{host}-{uid}"
    held = state.get(credential)
    if held is not None and held.value.get("identity") != administrator:
        raise InvalidInput(
            "state.restoration",
            f"The user {uid} on {host} proves another identity already.",
            "Run it as a user of this machine who proves nobody yet.",
        )
    identity = state.get(f"identity/{administrator}")
    if identity is None:
        raise InvalidInput("state.restoration", f"There is no identity `{administrator}`.", "Name one that exists.")
    wanted: dict[str, dict[str, Any]] = {
        f"identity/{administrator}": {**identity.value, "status": "active"},
        credential: {"identity": administrator, "type": "uid", "label": f"uid {uid} on {host}"},
        "group/administrators": {"description": "May change identities, permissions and configuration"},
        f"membership/{administrator}/administrators": {},
        "policy/administrators": administrators(),
    }
    ops = []
    for name, value in wanted.items():
        now = state.get(name)
        keeps = now is not None and (now.value == value or name.startswith(("credential/", "group/")))
        if not keeps:
            ops.append(Put(name, None if now is None else now.version, value, salt()))
    return tuple(ops)


def check_restoration(state: State, ops: Sequence[Op], administrator: str) -> None:
    """Raise `InvalidInput` (code `state.restoration`) unless the change does nothing but make `administrator` an active
    member of the group administrators, with a uid that proves them, and give that group its first policy back."""
    check_ops(ops)
    for op in ops:
        fits = isinstance(op, Put) and (
            op.name in ("group/administrators", f"membership/{administrator}/administrators")
            or (op.name == f"identity/{administrator}" and _only_activates(state, op))
            or (op.name.startswith("credential/uid-") and _proves(state, op, administrator))
            or (op.name == "policy/administrators" and op.value == administrators())
        )
        if not fits:
            raise InvalidInput("state.restoration", f"Giving administration back does not touch `{op.name}` so.")
    after = state.preview(ops)
    if not _is_active(after, administrator) or after.get(f"membership/{administrator}/administrators") is None:
        raise InvalidInput("state.restoration", f"The change does not make `{administrator}` an administrator.")


def _only_activates(state: State, op: Put) -> bool:
    held = state.get(op.name)
    return held is not None and op.value == {**held.value, "status": "active"}


def _proves(state: State, op: Put, administrator: str) -> bool:
    return state.get(op.name) is None and (op.value.get("type"), op.value.get("identity")) == ("uid", administrator)


def genesis_ops(
    *, administrator: str, handle: str, name: str, mail: str, host: str, uid: int, salt: Callable[[], str]
) -> tuple[Op, ...]:
    """The first change: one administrator, proved by the uid on `host`, and the defaults written out.

    `administrator` is a fresh identity id, `host` a lower-case name, `salt` gives a fresh salt at every call.
    Raises `InvalidInput` where a value is not one.
    """
    credential = {"identity": administrator, "type": "uid", "label": f"uid {uid} on {host}"}
    defaults = [{"name": setting.name, "value": setting.default} for setting in SETTINGS.values()]
    floor = [{"name": setting.name, "value": setting.floor} for setting in SETTINGS.values()]
    values: dict[str, dict[str, Any]] = {
        f"identity/{administrator}": {"kind": "human", "status": "active", "attributes": []},
        f"profile/{administrator}": {"handle": handle, "name": name, "mail": mail},
        f"credential/uid-{host}-{uid}": credential,
        "group/administrators": {"description": "May change identities, permissions and configuration"},
        f"membership/{administrator}/administrators": {},
        "policy/administrators": administrators(),
        "settings/organisation": {"values": defaults},
        "settings/floor": {"values": floor},
    }
    return tuple(Put(text, None, value, salt()) for text, value in values.items())


def _has_lasting(state: StateView, identity: str) -> bool:
    """Whether the identity has a credential without an end."""
    held = (state.get(name) for name in state.credentials_of(identity))
    return any(version is not None and "end" not in version.value for version in held)


def _is_active(state: StateView, identity: str) -> bool:
    held = state.get(f"identity/{identity}")
    return held is not None and held.value["status"] == "active"


def _decide(state: StateView, actor: str, ops: Sequence[Op], facts: dict[str, Fact], at_ns: int) -> Authorization:
    return Decider(build_context(state, actor, LOG_SYSTEM), state).decide(requests_for(ops), facts, at_ns)


def _own(ops: Sequence[Op], actor: str) -> bool:
    """Whether the change touches the actor's own settings, grants or memberships, or what is reported of the actor."""
    owners = (f"grant/{actor}", f"membership/{actor}", f"reported/{actor}")
    return any(op.name == f"settings/user/{actor}" or parse_name(op.name).owner in owners for op in ops)


def _lowers_capture(state: ChangingView, ops: Sequence[Op], actor: str) -> bool:
    """Whether the actor's own `capture.…` resolves lower on some system than before."""
    after = state.preview(ops)
    if not any(parse_name(op.name).kind in _CAPTURE_KINDS for op in ops):
        return False
    # Systems differ only by `settings/system/…`: one name without such settings stands for all the others.
    names = {*state.names("settings/system/"), *after.names("settings/system/")}
    for system in sorted(name.removeprefix("settings/system/") for name in names | {LOG_SYSTEM}):
        before = {setting.name: setting.value for setting in resolve(state, actor, system)[0]}
        for setting in resolve(after, actor, system)[0]:
            if setting.name.startswith(CAPTURE_PREFIX) and lower(setting.name, setting.value, before[setting.name]):
                return True
    return False


def _locks_out(
    state: ChangingView, ops: Sequence[Op], candidates: Sequence[str], facts: dict[str, Fact], at_ns: int
) -> bool:
    """Whether after the change none of the candidates may make a change to the same objects."""
    if not any(parse_name(op.name).kind in _LOCKING_KINDS for op in ops):
        return False
    after = state.preview(ops)
    for candidate in candidates:
        # Who had a credential here and has none any more cannot log in; others log in by an issuer elsewhere. One
        # that ends does not count: its lapse is decided by nobody.
        if _has_lasting(state, candidate) and not _has_lasting(after, candidate):
            continue
        again = {**facts, "lowers_capture": False, "own": _own(ops, candidate)}
        if _decide(after, candidate, ops, again, at_ns).allowed:
            return False
    return True
