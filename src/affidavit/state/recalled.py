"""A view of a state that remembers what it was asked, for answers that ask the same of it for each of many people."""

from __future__ import annotations

from collections.abc import Mapping

from affidavit.state.fold import Version, groups_above
from affidavit.state.hidden import Hidden
from affidavit.state.view import StateView

_SHARED = ("policy/", "group/", "grant/group:", "membership/group:")


class Recalled:
    """The `StateView` that `state` is. What belongs to one person is passed on; what many share is kept.

    For one answer: it keeps as much as it was asked. Not for several threads.
    """

    def __init__(self, state: StateView) -> None:
        self._state = state
        self._versions: dict[str, Version | None] = {}
        self._names: dict[str, list[str]] = {}
        self._parents: dict[str, list[str]] = {}

    @property
    def index(self) -> int:
        """As the state that it is of."""
        return self._state.index

    @property
    def hidden(self) -> Mapping[int, Hidden]:
        """As in the state that it is of."""
        return self._state.hidden

    def get(self, name: str, /) -> Version | None:
        """The version of an object, or None."""
        if not name.startswith(_SHARED):
            return self._state.get(name)
        if name not in self._versions:
            self._versions[name] = self._state.get(name)
        return self._versions[name]

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin with `prefix`, sorted."""
        if not prefix.startswith(_SHARED):
            return self._state.names(prefix)
        if prefix not in self._names:
            self._names[prefix] = self._state.names(prefix)
        return self._names[prefix]

    def groups_of(self, principal: str, /) -> list[tuple[str, tuple[str, ...]]]:
        """The groups that hold a principal, nested too, each with its chain."""
        return groups_above(self.direct_groups, principal)

    def direct_groups(self, principal: str) -> list[str]:
        """The groups that hold a principal directly, sorted."""
        if not principal.startswith("group:"):
            return self._state.direct_groups(principal)
        if principal not in self._parents:
            self._parents[principal] = self._state.direct_groups(principal)
        return self._parents[principal]

    def members_of(self, group: str) -> list[str]:
        """The principals that a group holds directly, sorted."""
        return self._state.members_of(group)

    def credentials_of(self, identity: str) -> list[str]:
        """Names of the credentials of an identity, sorted."""
        return self._state.credentials_of(identity)

    def handle_of(self, identity: str) -> str | None:
        """The handle in the profile of an identity, or None."""
        return self._state.handle_of(identity)

    def identity_of_handle(self, handle: str) -> str | None:
        """The identity whose profile has this handle, or None."""
        return self._state.identity_of_handle(handle)
