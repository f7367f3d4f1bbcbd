"""What must hold between objects, checked over the state after the whole change (docs/spec/state.md, "Objects")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from affidavit.errors import InvalidInput
from affidavit.limits import GROUP_NESTING_MAX, POLICIES_MAX
from affidavit.state.change import Op, Put
from affidavit.state.objects import GROUP_PREFIX, ObjectName, parse_name


class After(Protocol):
    """What the checks ask of the state after a change."""

    def get(self, name: str, /) -> object | None:
        """The version of an object, or None."""

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin with `prefix`, sorted."""

    def members_of(self, group: str) -> list[str]:
        """The principals that a group holds directly."""

    def credentials_of(self, identity: str) -> list[str]:
        """Names of the credentials of an identity."""


def check(after: After, ops: Sequence[Op]) -> None:
    """Raise `InvalidInput` (code `state.reference`) where an object of the change names what is not there, or others
    still name what the change deletes."""
    for op in ops:
        name = parse_name(op.name)
        if isinstance(op, Put):
            _check_put(after, name, op.value)
        else:
            _check_deleted(after, name)
    if any(isinstance(op, Put) and op.name.startswith("policy/") for op in ops):
        count = len(after.names("policy/"))
        if count > POLICIES_MAX:
            raise InvalidInput("state.policies", f"There would be {count} policies, above {POLICIES_MAX}.", "Join.")


def _check_put(after: After, name: ObjectName, value: dict[str, Any]) -> None:
    match name.kind:
        case "membership":
            principal, group = name.parts
            _need(after, name, _principal(principal))
            _need(after, name, f"group/{group}")
            if principal.startswith(GROUP_PREFIX):
                _check_nesting(after, name.text, principal.removeprefix(GROUP_PREFIX), group)
        case "grant":
            _need(after, name, _principal(name.parts[0]))
        case "credential":
            _need(after, name, f"identity/{value['identity']}")
        case "profile":
            _need(after, name, f"identity/{name.parts[0]}")
        case "reported":
            _need(after, name, f"identity/{name.parts[0]}")
            _need(after, name, f"source/{name.parts[1]}")
        case "settings" if len(name.parts) == 2:
            kind, which = name.parts
            _need(after, name, f"{'identity' if kind == 'user' else kind}/{which}")


def _principal(principal: str) -> str:
    if principal.startswith(GROUP_PREFIX):
        return f"group/{principal.removeprefix(GROUP_PREFIX)}"
    return f"identity/{principal}"


def _need(after: After, name: ObjectName, needed: str) -> None:
    if after.get(needed) is None:
        raise InvalidInput(
            "state.reference", f"`{name.text}` names `{needed}`, which is not there.", "Put that in the same change."
        )


def _check_deleted(after: After, name: ObjectName) -> None:
    which = name.parts[0]
    match name.kind:
        case "identity":
            referring = after.names(f"membership/{which}/") + after.names(f"grant/{which}/")
            referring += after.names(f"reported/{which}/") + after.credentials_of(which)
            referring += [other for other in (f"profile/{which}", f"settings/user/{which}") if after.get(other)]
        case "group":
            referring = after.names(f"membership/group:{which}/") + after.names(f"grant/group:{which}/")
            referring += [f"membership/{principal}/{which}" for principal in after.members_of(which)]
            referring += [other for other in (f"settings/group/{which}",) if after.get(other)]
        case "system":
            referring = [other for other in (f"settings/system/{which}",) if after.get(other)]
        case "source":
            referring = [other for other in after.names("reported/") if other.rpartition("/")[2] == which]
        case _:
            return
    if referring:
        raise InvalidInput(
            "state.reference",
            f"`{name.text}` cannot go: `{referring[0]}`"
            + (f" and {len(referring) - 1} more name it." if len(referring) > 1 else " names it."),
            "Delete those in the same change.",
        )


def _check_nesting(after: After, membership: str, inner: str, outer: str) -> None:
    """A group in a group: no cycle, and no chain of more than `GROUP_NESTING_MAX` groups."""

    def above(group: str) -> list[str]:
        return [name.rpartition("/")[2] for name in after.names(f"membership/group:{group}/")]

    def below(group: str) -> list[str]:
        return [
            principal.removeprefix(GROUP_PREFIX)
            for principal in after.members_of(group)
            if principal.startswith(GROUP_PREFIX)
        ]

    groups = _longest(membership, outer, above, inner) + _longest(membership, inner, below, outer)
    if groups > GROUP_NESTING_MAX:
        raise InvalidInput(
            "state.nesting",
            f"`{membership}` makes a chain of {groups} groups, above {GROUP_NESTING_MAX}.",
            "Nest less deeply.",
        )


def _longest(membership: str, start: str, step: Callable[[str], list[str]], forbidden: str) -> int:
    """Groups on the longest chain from `start`. Raises `InvalidInput` where `forbidden` lies on one (a cycle), or
    where a chain is too long to go on: that also ends a walk around a cycle elsewhere."""
    level = {start}
    length = 0
    while level:
        if forbidden in level:
            raise InvalidInput(
                "state.cycle",
                f"`{membership}`: `{start}` and `{forbidden}` would hold each other.",
                "Leave one membership out.",
            )
        length += 1
        if length > GROUP_NESTING_MAX:
            raise InvalidInput(
                "state.nesting",
                f"`{membership}`: groups around `{start}` nest deeper than {GROUP_NESTING_MAX}.",
                "Nest less deeply.",
            )
        level = {group for current in level for group in step(current)}
    return length
