"""Reviews: which changes are due for one, and who cannot give it.

A break-glass grant needs nobody beforehand, so somebody looks at it afterwards. Each change that puts one is due for a
`review` by somebody else than who made the change and who was given the grant.
"""

from __future__ import annotations

from typing import Any

from affidavit.state.objects import GROUP_PREFIX
from affidavit.state.view import StateView


def break_glass(objects: Any) -> dict[str, dict[str, Any]]:
    """The break-glass grants that a body's `objects` put, by name."""
    return {
        str(op["name"]): op["value"]
        for op in (objects if isinstance(objects, list) else ())
        if isinstance(op, dict)
        and str(op.get("name")).startswith("grant/")
        and isinstance(op.get("value"), dict)
        and op["value"].get("break_glass") is True
    }


def principals(objects: Any) -> frozenset[str]:
    """The principals that the break-glass grants of `objects` are for: identity ids, and `group:NAME`."""
    return frozenset(name.split("/")[1] for name in break_glass(objects))


def concerned(state: StateView, actor: str | None, objects: Any) -> frozenset[str]:
    """The identities that cannot review a record by `actor` with these `objects`: who made it, whom its break-glass
    grants are for, and who is in a group that they are for now."""
    found = set() if actor is None else {actor}
    level = set(principals(objects))
    seen: set[str] = set()
    while level:
        seen |= level
        groups = {principal.removeprefix(GROUP_PREFIX) for principal in level if principal.startswith(GROUP_PREFIX)}
        level = {member for group in groups for member in state.members_of(group)} - seen
    found |= {principal for principal in seen if not principal.startswith(GROUP_PREFIX)}
    return frozenset(found)
