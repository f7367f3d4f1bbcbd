"""What a proof of state can claim, and whether states bear it out (docs/spec/stateproof.md, "Statements").

A statement speaks of every state that held from one state index to another, both included; where both are one, of a
moment. Prover and verifier look the same things up in the same order, because the proof's items follow from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from affidavit.errors import InvalidInput, VerificationError
from affidavit.record.moment import parse_moment
from affidavit.state.chain import Held
from affidavit.state.mapproof import Form, MapLeaf, MapView
from affidavit.state.objects import GROUP_PREFIX, parse_name
from affidavit.tlog.spelling import to_base64


class Position(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A state index: how many records it takes into account. `time`: the moment, by the log's clock, that it is the
    position of: the record before it was sealed not later, the record at it later."""

    index: int
    time: str | None = None


class Version(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an object was since a state index: its value; or, where that is withheld, the hash of it in the state map
    (base64); neither where it did not exist."""

    since: int
    value: dict[str, Any] | None = None
    hash: str | None = None


class _Statement(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="shows"):
    """From where to where it speaks."""

    first: Position = msgspec.field(name="from")
    last: Position = msgspec.field(name="to")


class ObjectWas(_Statement, tag="object", frozen=True, kw_only=True):
    """The object had these versions, one after the other, and no others."""

    name: str
    versions: tuple[Version, ...]


class NoGrant(_Statement, tag="no_grant", frozen=True, kw_only=True):
    """No state had a grant on `system` (None: on anything) to the principal or to a group that held it, nested too,
    whatever the grant's interval."""

    principal: str
    system: str | None = None


class NoMembership(_Statement, tag="no_membership", frozen=True, kw_only=True):
    """In no state did the group hold the principal, directly or through other groups."""

    principal: str
    group: str


Statement: TypeAlias = ObjectWas | NoGrant | NoMembership
States: TypeAlias = Iterable[tuple[Held, MapView]]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """An object that contradicts a statement, since which state index, and the groups through which it applies."""

    name: str
    since: int
    via: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """What looking at the states gave. `contradiction` is None where the statement is true.

    `elsewhere`: grants, by name and value, that were held on other systems than the statement's. `absent`: objects that
    the statement speaks of and that did not exist at its end.
    """

    versions: tuple[Version, ...] = ()
    contradiction: Contradiction | None = None
    elsewhere: tuple[tuple[str, dict[str, Any]], ...] = ()
    absent: tuple[str, ...] = ()


def check_statement(statement: Statement) -> None:
    """Raise `InvalidInput` for names that no object can have, and for an interval that ends before it begins."""
    first, last = statement.first, statement.last
    if not 0 <= first.index <= last.index or last.index < 1 or (first.time or "") > (last.time or first.time or ""):
        raise InvalidInput(
            "stateproof.interval",
            f"No states stand between the positions {first.index} and {last.index}.",
            "A proof speaks of the states from one position to the same or a later one, and of 1 at least.",
        )
    for position in (first, last):
        if position.time is not None:
            parse_moment(position.time)
    match statement:
        case ObjectWas():
            parse_name(statement.name)
        case NoGrant():
            _check_principal(statement.principal)
            if statement.system is not None:
                parse_name(f"system/{statement.system}")
        case NoMembership():
            _check_principal(statement.principal)
            parse_name(f"group/{statement.group}")


def examine(statement: Statement, states: States, form: Callable[[int], Form]) -> Examined:
    """Look up what the statement is about in each state, oldest first. The first contradiction ends it.

    `form` says how much is shown of the object that a statement is about, in the state that held since an index.
    """
    match statement:
        case ObjectWas():
            return _object(statement.name, states, form)
        case NoGrant():
            return _grants(statement, states)
        case NoMembership():
            return _memberships(statement, states)


def form_shown(statement: Statement, since: int) -> Form:
    """How much the statement itself shows of its object in the state that held since an index."""
    shown = [version for version in versions_of(statement) if version.since <= since]
    return Form.NAME if shown and shown[-1].hash is not None else Form.VALUE


def versions_of(statement: Statement) -> tuple[Version, ...]:
    """The versions that a statement about an object claims; none for others."""
    return statement.versions if isinstance(statement, ObjectWas) else ()


def _object(name: str, states: States, form: Callable[[int], Form]) -> Examined:
    versions: list[Version] = []
    before: object = ()
    for held, view in states:
        leaf = view.find(name, form(held.since))
        now = None if leaf is None else leaf.hash
        if now == before:
            continue
        before = now
        if leaf is None:
            versions.append(Version(held.since))
        elif leaf.value is None:
            versions.append(Version(held.since, hash=to_base64(leaf.value_hash)))
        else:
            versions.append(Version(held.since, value=leaf.value))
    return Examined(versions=tuple(versions))


def _grants(statement: NoGrant, states: States) -> Examined:
    elsewhere: dict[bytes, MapLeaf] = {}
    last: MapView | None = None
    for held, last in states:
        for principal, via in principals(last, statement.principal):
            for leaf in last.under(f"grant/{principal}", Form.VALUE):
                if statement.system is None or _system_of(leaf) == statement.system:
                    return Examined(contradiction=Contradiction(str(leaf.name), held.since, via))
                elsewhere[leaf.hash] = leaf
    named = [(str(leaf.name), leaf.value or {}) for leaf in elsewhere.values()]
    wanted = [_object_of(statement.principal)]
    if statement.system is not None:
        wanted.append(f"system/{statement.system}")
    return Examined(elsewhere=tuple(named), absent=_absent(last, wanted))


def _memberships(statement: NoMembership, states: States) -> Examined:
    last: MapView | None = None
    for held, last in states:
        for principal, via in principals(last, statement.principal):
            if principal == GROUP_PREFIX + statement.group:
                holder = GROUP_PREFIX + via[-2] if len(via) > 1 else statement.principal
                name = f"membership/{holder}/{statement.group}"
                return Examined(contradiction=Contradiction(name, held.since, via[:-1]))
    return Examined(absent=_absent(last, [_object_of(statement.principal), f"group/{statement.group}"]))


def principals(view: MapView, principal: str) -> list[tuple[str, tuple[str, ...]]]:
    """The principal and, as `group:NAME`, every group that holds it, nested too; with each the groups that lead to it,
    itself included."""
    found: dict[str, tuple[str, ...]] = {principal: ()}
    waiting = [principal]
    for holder in waiting:  # grows while it is walked
        owner = f"membership/{holder}"
        for leaf in view.under(owner, Form.NAME):
            group = str(leaf.name).removeprefix(f"{owner}/")
            inner = GROUP_PREFIX + group
            if inner not in found:
                found[inner] = (*found[holder], group)
                waiting.append(inner)
    return list(found.items())


def _system_of(leaf: MapLeaf) -> str:
    """The system that a grant's resource belongs to. Raises `VerificationError`: what it is on must be known."""
    resource = (leaf.value or {}).get("resource")
    which = resource.get("id") if isinstance(resource, dict) else None
    if not isinstance(which, str):
        raise VerificationError("stateproof.grant", f"What `{leaf.name}` is on cannot be told from its value.")
    return which.partition("/")[0]


def _object_of(principal: str) -> str:
    group = principal.removeprefix(GROUP_PREFIX)
    return f"identity/{principal}" if group == principal else f"group/{group}"


def _absent(view: MapView | None, names: Sequence[str]) -> tuple[str, ...]:
    return () if view is None else tuple(name for name in names if view.find(name, Form.NAME) is None)


def _check_principal(principal: str) -> None:
    parse_name(f"grant/{principal}/any")
    if "/" in principal:
        raise InvalidInput("stateproof.principal", f"`{principal:.80}` is neither an identity's id nor `group:NAME`.")
