"""What governed somebody on a system at a moment: the context then, written out.

A context names objects by version and digest. Here each is shown with what it says, who put it there, and whether it
counted at that moment; settings with the scope and the record that each value came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affidavit.evidence.sentence import Names, named
from affidavit.state.context import build_context, context_digest
from affidavit.state.fold import Version
from affidavit.state.objects import GROUP_PREFIX
from affidavit.state.view import StateView


def governing(state: StateView, actor: str, system: str, at: str, names: Names) -> dict[str, Any]:
    """The context of `actor` (an identity id) on `system` in `state`, written out, as values for JSON.

    `at` is the moment that the intervals of grants are compared with, as in headers. Each part that a record put has
    its index as `version`; `versions` lists them all.
    """
    context = build_context(state, actor, system)
    identity = state.get(f"identity/{actor}")
    profile = state.get(f"profile/{actor}")
    declared = state.get(f"system/{system}")
    groups = context["groups"]
    found: dict[str, Any] = {
        "actor": actor,
        "handle": state.handle_of(actor),
        "system": system,
        "weighed_at": at,
        "identity": _shown(identity, names),
        "profile": _shown(profile, names),
        "groups": [_group(state, actor, item) for item in groups],
        "grants": [_grant(state, item, groups, at, names) for item in context["grants"]],
        "policies": [_shown(state.get(item["name"]), names) for item in context["policies"]],
        "schemas": [_shown(state.get(item["name"]), names) for item in context["schemas"]],
        "settings": context["settings"],
        "configured": context["configured"],
        "declared": _shown(declared, names),
        "observed": [_shown(state.get(item["name"]), names) for item in context["observed"]],
        "digest": context_digest(context),
    }
    return {**found, "versions": sorted(_versions(found))}


def live_at(value: Mapping[str, Any], at: str) -> str:
    """Whether a grant's interval held the moment: `live`, `not yet` or `over`."""
    if value["start"] is not None and at < value["start"]:
        return "not yet"
    return "over" if value["end"] is not None and at >= value["end"] else "live"


def _shown(version: Version | None, names: Names) -> dict[str, Any] | None:
    if version is None:
        return None
    return {
        "name": version.name,
        "shown": named(version.name, names),
        "version": version.version,
        "digest": version.digest,
        "value": version.known,
        **({} if version.erased_by is None else {"erased_by": version.erased_by}),
    }


def _group(state: StateView, actor: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """A group with the chain that leads to it, and the record that made each step."""
    chain = [*item["via"], item["group"]]
    steps = zip([actor, *(f"{GROUP_PREFIX}{group}" for group in chain)], chain, strict=False)
    memberships = [state.get(f"membership/{principal}/{group}") for principal, group in steps]
    return {**item, "memberships": [step.version for step in memberships if step is not None]}


def _grant(
    state: StateView, item: Mapping[str, Any], groups: list[dict[str, Any]], at: str, names: Names
) -> dict[str, Any]:
    version = state.get(item["name"])
    principal = str(item["name"]).split("/")[1]
    held = next((group for group in groups if principal == f"{GROUP_PREFIX}{group['group']}"), None)
    return {
        **(_shown(version, names) or item),
        "through": None if held is None else [*held["via"], held["group"]],
        "state": live_at(item, at),
    }


def _versions(found: Any) -> set[int]:
    """Every record index that a part of the answer came from."""
    if isinstance(found, dict):
        own = {found["version"]} if isinstance(found.get("version"), int) else set()
        own.update(found.get("memberships", ()))
        return own.union(*(_versions(part) for name, part in found.items() if name != "value"))
    return set().union(*map(_versions, found)) if isinstance(found, list) else set()
