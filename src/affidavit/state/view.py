"""What answers ask of a state: its objects at one state index, whoever holds them.

`State` folds the whole log into memory. A view as of an earlier index may read from a store instead. Whatever
satisfies `StateView` gives the same contexts, settings and decisions, because these are functions of it alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from affidavit.state.change import Op
from affidavit.state.fold import Version
from affidavit.state.hidden import Hidden


class StateView(Protocol):
    """The state at one state index: every change with a smaller index applied, and none after it.

    An implementation must answer from exactly that state for as long as it is used; where it cannot, it raises.
    """

    @property
    def index(self) -> int:
        """The state index: the index after the last change that was applied, 0 before the first."""

    @property
    def hidden(self) -> Mapping[int, Hidden]:
        """The objects whose values were erased, by their path in the state map (`state/hidden.py`)."""

    def get(self, name: str, /) -> Version | None:
        """The version of an object, or None. Reading the value of one that was erased raises `ErasedContent`."""

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin with `prefix`, sorted."""

    def groups_of(self, principal: str, /) -> list[tuple[str, tuple[str, ...]]]:
        """The groups that hold an identity id or a `group:NAME`, nested too, sorted, each with the shortest chain of
        groups that leads to it, without itself."""

    def direct_groups(self, principal: str) -> list[str]:
        """The groups that hold a principal without another group between, sorted."""

    def members_of(self, group: str) -> list[str]:
        """The principals that a group holds directly, sorted."""

    def credentials_of(self, identity: str) -> list[str]:
        """Names of the credentials of an identity, sorted."""

    def handle_of(self, identity: str) -> str | None:
        """The handle in the profile of an identity, or None."""

    def identity_of_handle(self, handle: str) -> str | None:
        """The identity whose profile has this handle, or None."""


class ChangingView(StateView, Protocol):
    """A state that can say what it would be after a change."""

    def preview(self, ops: Sequence[Op]) -> StateView:
        """The state as it would be, had the next record made this change. Raises what `State.apply` raises."""
