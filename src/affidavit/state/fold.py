"""The state as a fold over changes: objects with their versions, the indexes that answer quickly, and the root.

A `State` is a mutable name for persistent maps: `copy` and `preview` cost nothing, and a change either applies whole
or leaves no trace, because it is applied to a copy that then takes the state's place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affidavit import canonical
from affidavit.errors import Conflict, InvalidInput
from affidavit.state import references
from affidavit.state.change import Op, Put, check_ops, salt_bytes
from affidavit.state.hidden import ErasedValue, Hidden, HiddenOp, HiddenTake
from affidavit.state.map import StateMap, leaf_hash, owner_of, path_of, value_hash
from affidavit.state.objects import parse_name
from affidavit.state.policy import Policy, parse_policy
from affidavit.state.trie import Subtree

_HANDLE, _LOGIN, _ENDING = "handle", "login", "ending"
#: Owners in `lookups_of` whose keys lead to one identity each.
UNIQUE = frozenset({_HANDLE, _LOGIN})


@dataclass(frozen=True, slots=True)
class Version:
    """An object as a record put it. `version`: index of that record. `digest`: SHA-256 of the canonical value, hex.

    `value` must not be changed. `policy` is the parsed policy, for objects `policy/…` only. Of an object whose value
    was erased (`state/hidden.py`) only name and version are known.
    """

    name: str
    value: dict[str, Any]
    version: int
    digest: str
    salt: str
    policy: Policy | None = field(default=None, compare=False, repr=False)

    @property
    def erased(self) -> bool:
        """Whether its value was erased."""
        return self.erased_by is not None

    @property
    def known(self) -> dict[str, Any] | None:
        """Its value; None where that was erased."""
        return None if self.erased else self.value

    @property
    def erased_by(self) -> int | None:
        """The record that erased its value; None where it is here."""
        return self.value.by if isinstance(self.value, ErasedValue) else None


class State:
    """State at `index`: every state-changing record before it has been applied."""

    __slots__ = ("_hidden", "_lookup", "_objects", "index")

    def __init__(self) -> None:
        self.index = 0
        self._objects: StateMap[Version] = StateMap()
        # Names found from the other end: handle, login, members of a group, credentials of an identity, roles of a
        # system, and what has an end.
        self._lookup: StateMap[str] = StateMap()
        self._hidden: Mapping[int, Hidden] = {}  # never changed in place: copies share it

    def copy(self) -> State:
        """A state of its own, equal to this one now. O(1)."""
        copy = State()
        copy.index = self.index
        copy._objects = self._objects.copy()
        copy._lookup = self._lookup.copy()
        copy._hidden = self._hidden
        return copy

    @property
    def root(self) -> str:
        """Root of the state map, 64 hex digits."""
        return self._objects.root().hex()

    def whole(self) -> Subtree[Version | None] | None:
        """The state map as a tree to be walked with its hashes; None for an empty one."""
        return self._objects.whole()

    def get(self, name: str, /) -> Version | None:
        """The current version of an object, or None."""
        held = self._objects.get(owner_of(name), name)
        if held is not None or not self._hidden:
            return held
        hidden = self._hidden.get(int.from_bytes(path_of(name), "big"))
        return None if hidden is None else Version(name, ErasedValue(hidden), hidden.version, "", "")

    @property
    def hidden(self) -> Mapping[int, Hidden]:
        """The objects whose values were erased, by their path in the state map. Their names are not known: `names` and
        the like do not list them."""
        return self._hidden

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin with `prefix`, sorted.

        Quick for `KIND/`, `grant/P/…`, `membership/P/…`, `reported/P/…` and `observed/S/…`, whose cost is that of the
        answer; any other prefix looks at the objects of its kind, or at all.
        """
        kind, slash, rest = prefix.partition("/")
        if not slash or (owner_of(prefix) != kind and "/" not in rest):
            found = [held.name for held in self._objects.items()]
        elif kind == "observed" and "/" in rest:
            found = self._listed(f"observed/{rest.partition('/')[0]}")
        else:
            found = [held.name for held in self._objects.under(owner_of(prefix))]
        return sorted(name for name in found if name.startswith(prefix))

    def apply(self, ops: Sequence[Op], index: int) -> None:
        """Apply the change that the record `index` made, whole or not at all.

        Raises `Conflict` (code `state.based`) where an object is not at the version that the change is based on, and
        `InvalidInput` where a reference would break; the state is then as before.
        """
        if index < self.index:
            raise InvalidInput(
                "state.index", f"Record {index} lies before the state at {self.index}.", "Apply records in order."
            )
        check_ops(ops)
        held = {op.name: self.get(op.name) for op in ops}
        check_based(held.get, ops, self.index)
        after = self.copy()
        for op in ops:
            after._take(op, held[op.name])
        for op in ops:
            if isinstance(op, Put):
                after._put(op, index)
        references.check(after, ops)
        self._become(after, index)

    def apply_hidden(
        self, ops: Sequence[HiddenOp], index: int, by: int, system: str | None = None
    ) -> tuple[HiddenTake, ...]:
        """Apply what is left of the change `index`, which the record `by` erased; what that did. `system` is that of a
        drift's header.

        What it was based on and what it refers to is gone, so it is not checked; the root says whether these were its
        operations. Raises `InvalidInput` where it deletes what is not there, or puts what is there: a salt is used
        once, so no change does that, and a root would not tell. The state is then as before.
        """
        after = self.copy()
        hidden = dict(self._hidden)
        taken: list[HiddenTake] = []
        for op in ops:
            path = int.from_bytes(op.path, "big")
            if op.value is not None and after._objects.holds(path, op.value):
                raise InvalidInput("state.based", f"The erased change {index} puts what is there already.")
            held = after._objects.at(path)
            if held is not None:
                after._end(held)
            elif hidden.pop(path, None) is None and op.value is None:
                raise InvalidInput("state.based", f"The erased change {index} deletes what is not there.")
            if op.value is None:
                after._objects.delete_at(path)
            else:
                after._objects.put_at(path, op.value)
                hidden[path] = Hidden(index, by, system)
            taken.append(HiddenTake(op.path, None if held is None else held.name, hidden.get(path)))
        after._hidden = hidden
        self._become(after, index)
        return tuple(taken)

    def forget(self, index: int, by: int) -> None:
        """The record `by` erases the change `index`, which was applied here: the values of what still stands as that
        put it are hidden from now on. The root stays. Looks at every object."""
        hidden = dict(self._hidden)
        for held in [held for held in self._objects.items() if held.version == index]:
            value = value_hash(salt_bytes(held.salt), canonical.encode_trusted(held.value))
            path = int.from_bytes(path_of(held.name), "big")
            self._end(held)
            self._objects.put_at(path, value)
            hidden[path] = Hidden(index, by)
        self._hidden = hidden

    def preview(self, ops: Sequence[Op]) -> State:
        """The state as it would be, had the next record made this change. Raises what `apply` raises."""
        after = self.copy()
        after.apply(ops, self.index)
        return after

    def identity_of_handle(self, handle: str) -> str | None:
        """The identity whose profile has this handle, or None."""
        return self._lookup.get(_HANDLE, handle)

    def identity_of_login(self, issuer: str, subject: str) -> str | None:
        """The identity whose profile names this subject of this issuer, or None."""
        return self._lookup.get(_LOGIN, _login_key(issuer, subject))

    def ending(self) -> list[str]:
        """Names of the grants and credentials that have an end, sorted."""
        return self._listed(_ENDING)

    def handle_of(self, identity: str) -> str | None:
        """The handle in the profile of an identity, or None; also where the profile was erased."""
        name = f"profile/{identity}"
        profile = self._objects.get(owner_of(name), name)
        return None if profile is None else str(profile.value["handle"])

    def groups_of(self, principal: str, /) -> list[tuple[str, tuple[str, ...]]]:
        """The groups that hold an identity id or a `group:NAME`, nested too, each with its chain: `groups_above`."""
        return groups_above(self.direct_groups, principal)

    def direct_groups(self, principal: str) -> list[str]:
        """The groups that hold an identity id or a `group:NAME` without another group between, sorted."""
        return [name.rpartition("/")[2] for name in self.names(f"membership/{principal}/")]

    def members_of(self, group: str) -> list[str]:
        """The principals that a group holds directly, sorted."""
        return [parse_name(name).parts[0] for name in self._listed(f"member/{group}")]

    def credentials_of(self, identity: str) -> list[str]:
        """Names of the credentials of an identity, sorted."""
        return self._listed(f"credential/{identity}")

    def _become(self, after: State, index: int) -> None:
        self.index = index + 1
        self._objects, self._lookup, self._hidden = after._objects, after._lookup, after._hidden

    def _listed(self, owner: str) -> list[str]:
        return sorted(self._lookup.under(owner))

    def _take(self, op: Op, held: Version | None) -> None:
        """End what `op` ends, apart from the value that a put replaces in its place."""
        if held is None:
            return
        if not isinstance(op, Put):
            self._objects.delete(owner_of(op.name), op.name)
        self._end(held)

    def _end(self, held: Version) -> None:
        """An object is not what it was any more: what led to it, but for its name, goes."""
        if held.erased:
            path = int.from_bytes(path_of(held.name), "big")
            self._hidden = {at: one for at, one in self._hidden.items() if at != path}
            return
        for owner, key, _ in (*lookups_of(held.name, held.value), *_ending(held.name, held.value)):
            self._lookup.delete(owner, key)

    def _put(self, op: Put, index: int) -> None:
        data = canonical.encode_trusted(op.value)
        policy = parse_policy(op.value["text"]) if op.name.startswith("policy/") else None
        digest = hashlib.sha256(data).hexdigest()
        version = Version(op.name, op.value, index, digest, op.salt, policy)
        self._objects.put(owner_of(op.name), op.name, value_hash(salt_bytes(op.salt), data), version)
        for owner, key, item in (*lookups_of(op.name, op.value), *_ending(op.name, op.value)):
            taken = self._lookup.get(owner, key)
            if taken is not None:
                raise taken_error(owner, key, taken)
            self._lookup.put(owner, key, b"", item)


def entries_of(ops: Sequence[Op]) -> list[tuple[bytes, bytes]]:
    """What a change does to the state map: the path of each object, and its leaf hash, or nothing where it goes."""
    found = []
    for op in ops:
        path = path_of(op.name)
        leaf = b""
        if isinstance(op, Put):
            leaf = leaf_hash(path, value_hash(salt_bytes(op.salt), canonical.encode_trusted(op.value)))
        found.append((path, leaf))
    return found


def groups_above(direct_groups: Callable[[str], list[str]], principal: str) -> list[tuple[str, tuple[str, ...]]]:
    """The groups that hold `principal`, nested too, sorted, by the groups that hold one directly (`direct_groups`).

    With each the chain of groups that lead to it, without itself: empty where the membership is direct. The shortest
    chain; of equals the first in text order.
    """
    found: dict[str, tuple[str, ...]] = {}
    frontier: list[tuple[tuple[str, ...], str]] = [((), group) for group in direct_groups(principal)]
    while frontier:
        onward: list[tuple[tuple[str, ...], str]] = []
        for via, group in sorted(frontier):
            if group not in found:
                found[group] = via
                onward += [((*via, group), parent) for parent in direct_groups(f"group:{group}")]
        frontier = onward
    return sorted(found.items())


def check_based(get: Callable[[str], Version | None], ops: Sequence[Op], index: int) -> None:
    """Raise `Conflict` (code `state.based`) where an object is not at the version that its op is based on.

    `get` gives the versions at the state index `index`.
    """
    for op in ops:
        held = get(op.name)
        version = None if held is None else held.version
        if version != op.based:
            now = "does not exist" if version is None else f"was put by record {version}"
            seen = "as new" if op.based is None else f"on version {op.based}"
            raise Conflict(
                "state.based",
                f"`{op.name}` {now}; the change is based {seen}.",
                "Look at it again and repeat the change.",
                state=index,
            )


def taken_error(owner: str, key: str, by: str) -> InvalidInput:
    """The error for a change that lets a handle or login (`owner`, one of `UNIQUE`) lead to two identities."""
    if owner == _LOGIN:
        issuer, _, subject = key.partition("\n")
        return InvalidInput(
            "state.login",
            f"The login `{subject}` at `{issuer}` is that of `{by}` already.",
            "A login leads to one person: leave it out of one of the two.",
        )
    return InvalidInput("state.handle", f"The handle `{key}` is taken by `{by}`.", "Choose another handle.")


def lookups_of(name: str, value: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Where else an object is to be found: owner, key, item."""
    parsed = parse_name(name)
    match parsed.kind:
        case "profile":
            who = parsed.parts[0]
            logins = [(_LOGIN, _login_key(it["issuer"], it["subject"]), who) for it in value.get("logins", ())]
            return [(_HANDLE, value["handle"], who), *logins]
        case "membership":
            return [(f"member/{parsed.parts[1]}", name, name)]
        case "credential":
            return [(f"credential/{value['identity']}", name, name)]
        case "observed":
            return [(f"observed/{parsed.parts[0]}", name, name)]
    return []


def _login_key(issuer: str, subject: str) -> str:
    return f"{issuer}\n{subject}"  # neither holds a line feed


def _ending(name: str, value: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Where what has an end is listed. Only for those who record lapses: no answer asks for it."""
    ends = name.startswith(("grant/", "credential/")) and value.get("end") is not None
    return [(_ENDING, name, name)] if ends else []
