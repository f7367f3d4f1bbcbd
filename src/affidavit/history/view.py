"""The state as of one state index, read row by row from the history store. It satisfies `StateView`.

Rows of an index in the past never change, so a view stays right while the store goes on. What it previews lies over
the store's rows and is never written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from affidavit import canonical
from affidavit.history.shelves import OPEN, Row
from affidavit.record.body import salt_text
from affidavit.state import references
from affidavit.state.change import SALT_BYTES, Op, Put, check_ops, salt_bytes
from affidavit.state.fold import UNIQUE, Version, check_based, groups_above, lookups_of, taken_error
from affidavit.state.hidden import ErasedValue, Hidden
from affidavit.state.map import owner_of, path_of
from affidavit.state.objects import parse_name
from affidavit.state.policy import Policy, parse_policy

#: Kinds of which there are so few that the store lists all their names in one place.
LISTED = frozenset({"group", "policy", "schema", "settings", "source", "system"})
_OWNED = frozenset({"grant", "membership", "reported"})
_values = msgspec.json.Decoder(dict[str, Any])
_erasures = msgspec.json.Decoder(tuple[int, str | None])
_OBJECT = "object/"
#: The key of the rows of objects whose values were erased: their items are paths in hex.
HIDDEN = "hidden"
_HANDLE = "handle"


class AsOf:
    """A `ChangingView` at the state index `index`."""

    def __init__(
        self,
        index: int,
        rows: Callable[[str, int], list[Row]],
        all_rows: Callable[[int], Iterable[Row]],
        over: dict[str, dict[str, Row | None]] | None = None,
    ) -> None:
        """`rows(key, index)` and `all_rows(index)` give the store's rows. `over`: what a preview puts or takes."""
        self.index = index
        self._at = index
        self._rows_at = rows
        self._all_rows_at = all_rows
        self._over = {} if over is None else over

    def get(self, name: str, /) -> Version | None:
        """The version of an object, or None."""
        for row in self._rows(object_key(name)):
            return version_of(name, row)
        hidden = self.hidden.get(int.from_bytes(path_of(name), "big")) if self.hidden else None
        return None if hidden is None else Version(name, ErasedValue(hidden), hidden.version, "", "")

    @cached_property
    def hidden(self) -> Mapping[int, Hidden]:
        """The objects whose values were erased, by their path in the state map."""
        return {int(row.item, 16): hidden_of(row) for row in self._rows(HIDDEN)}

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin with `prefix`, sorted. Quick for the prefixes that `State.names` is quick for, and for kinds
        of which there are few objects; any other looks at all objects."""
        kind, slash, rest = prefix.partition("/")
        owner = rest.partition("/")[0]
        if slash and kind in LISTED:
            found = self._items(list_key(kind))
        elif kind in _OWNED and "/" in rest:
            found = self._items(list_key(f"{kind}/{owner}"))
        elif kind == "observed" and "/" in rest:
            found = self._items(list_key(f"observed/{owner}"))
        else:
            found = self._all_names()
        return sorted(name for name in found if name.startswith(prefix))

    def groups_of(self, principal: str, /) -> list[tuple[str, tuple[str, ...]]]:
        """The groups that hold a principal, nested too, each with its chain: `groups_above`."""
        return groups_above(self.direct_groups, principal)

    def direct_groups(self, principal: str) -> list[str]:
        """The groups that hold a principal without another group between, sorted."""
        return [name.rpartition("/")[2] for name in self.names(f"membership/{principal}/")]

    def members_of(self, group: str) -> list[str]:
        """The principals that a group holds directly, sorted."""
        return [parse_name(name).parts[0] for name in sorted(self._items(list_key(f"member/{group}")))]

    def credentials_of(self, identity: str) -> list[str]:
        """Names of the credentials of an identity, sorted."""
        return sorted(self._items(list_key(f"credential/{identity}")))

    def handle_of(self, identity: str) -> str | None:
        """The handle in the profile of an identity, or None."""
        profile = self.get(f"profile/{identity}")
        return None if profile is None or profile.erased else str(profile.value["handle"])

    def identity_of_handle(self, handle: str) -> str | None:
        """The identity whose profile has this handle, or None."""
        return next(iter(self._items(list_key(f"{_HANDLE}/{handle}"))), None)

    def preview(self, ops: Sequence[Op]) -> AsOf:
        """The state as it would be, had the next record made this change. Raises what `State.apply` raises."""
        check_ops(ops)
        check_based(self.get, ops, self.index)
        over = {key: dict(items) for key, items in self._over.items()}
        after = AsOf(self.index + 1, self._rows_at, self._all_rows_at, over)
        after._at = self._at
        for op in ops:
            held = self.get(op.name)
            if held is not None and held.erased:
                over.setdefault(HIDDEN, {})[path_of(op.name).hex()] = None
            elif held is not None:
                for where, item in ((object_key(op.name), ""), *listed_under(op.name, held.value)):
                    over.setdefault(where, {})[item] = None
        for op in ops:
            if isinstance(op, Put):
                after._put(op, self.index)
        references.check(after, ops)
        return after

    def _put(self, op: Put, index: int) -> None:
        key = object_key(op.name)
        payload = object_payload(op)
        self._over.setdefault(key, {})[""] = Row(key, "", index, OPEN, payload)
        for owner, unique, _ in lookups_of(op.name, op.value):
            taken = self._items(list_key(f"{owner}/{unique}")) if owner in UNIQUE else []
            if taken:
                raise taken_error(owner, unique, taken[0])
        for where, item in listed_under(op.name, op.value):
            self._over.setdefault(where, {})[item] = Row(where, item, index, OPEN, b"")

    def _rows(self, key: str) -> list[Row]:
        over = self._over.get(key)
        if over is None:
            return self._rows_at(key, self._at)
        held: dict[str, Row | None] = {row.item: row for row in self._rows_at(key, self._at)}
        return [row for row in (held | over).values() if row is not None]

    def _items(self, key: str) -> list[str]:
        return [row.item for row in self._rows(key)]

    def _all_names(self) -> list[str]:
        found = {row.key for row in self._all_rows_at(self._at)}
        for key, items in self._over.items():
            (found.discard if items.get("") is None else found.add)(key)
        return [key.removeprefix(_OBJECT) for key in found if key.startswith(_OBJECT)]


def object_key(name: str) -> str:
    """The key of an object's versions."""
    return _OBJECT + name


def list_key(owner: str) -> str:
    """The key of a list of names."""
    return f"list/{owner}"


def object_payload(put: Put) -> bytes:
    """What the row of a version carries: its salt and canonical value."""
    return salt_bytes(put.salt) + canonical.encode_trusted(put.value)


def hidden_payload(hidden: Hidden) -> bytes:
    """What the row of a hidden object carries: who erased it, and on which system it was."""
    return msgspec.json.encode((hidden.by, hidden.system))


def hidden_of(row: Row) -> Hidden:
    """The hidden object of a row."""
    by, system = _erasures.decode(row.payload)
    return Hidden(row.start, by, system)


def version_of(name: str, row: Row) -> Version:
    """The version that a row of an object holds."""
    data, value = row.payload[SALT_BYTES:], value_of(row)
    policy = _policy(value["text"]) if name.startswith("policy/") else None
    digest = hashlib.sha256(data).hexdigest()
    return Version(name, value, row.start, digest, salt_text(row.payload[:SALT_BYTES]), policy)


def value_of(row: Row) -> dict[str, Any]:
    """The value that a row of an object holds."""
    return _values.decode(row.payload[SALT_BYTES:])


def listed_under(name: str, value: dict[str, Any]) -> set[tuple[str, str]]:
    """The lists that an object of this value stands in: key and item."""
    kind = name.partition("/")[0]
    found = {(list_key(kind), name)} if kind in LISTED else set()
    if kind in _OWNED:
        found.add((list_key(owner_of(name)), name))
    for owner, key, item in lookups_of(name, value):
        # An owner of one word, such as `handle`, leads from a key to one item; any other is a list of names.
        found.add((list_key(owner if "/" in owner else f"{owner}/{key}"), item))
    return found


@lru_cache(maxsize=1024)
def _policy(text: str) -> Policy:
    return parse_policy(text)
