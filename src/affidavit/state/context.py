"""What applied: the context of an actor on a system, a pure function of the state (docs/spec/state.md, rules 1).

A `context` record holds exactly this; a verifier folds the changes, computes it again, and compares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from affidavit import canonical
from affidavit.state.fold import Version
from affidavit.state.hidden import ErasedContent, bearing
from affidavit.state.settings import resolve
from affidavit.state.view import StateView

RULES: Final = 1


def build_context(state: StateView, actor: str, system: str) -> dict[str, Any]:
    """The context of `actor` (an identity id) on `system` (a system id, or `log`), lists sorted.

    Raises `ErasedContent` where an object that was erased may bear on it.
    """
    effective, configured = resolve(state, actor, system)
    return {
        "rules": RULES,
        **permissions(state, actor, system),
        "schemas": [_named(version) for version in _versions(state, "schema/")],
        "settings": [setting.as_dict() for setting in effective],
        "configured": configured,
        "declared": _brief(state.get(f"system/{system}")),
        "observed": [_named(version) for version in _versions(state, f"observed/{system}/")],
    }


def permissions(state: StateView, actor: str, system: str) -> dict[str, Any]:
    """The part of a context that decisions rest on, which is all that a `Decider` reads of it.

    Raises `ErasedContent` where an object that was erased may bear on the context.
    """
    groups = state.groups_of(actor)
    held = frozenset(group for group, _ in groups)
    erased = tuple(bearing(state.hidden, actor, system, held))
    if erased:
        raise ErasedContent(erased)
    return {
        "actor": actor,
        "system": system,
        "identity": _brief(state.get(f"identity/{actor}")),
        "groups": [{"group": group, "via": list(via)} for group, via in groups],
        "grants": _grants(state, actor, held, system),
        "policies": [
            _named(version)
            for version in _versions(state, "policy/")
            if version.policy is not None and version.policy.can_match(actor, held, system)
        ],
    }


def context_digest(context: Mapping[str, Any]) -> str:
    """SHA-256 of the context's canonical bytes, hex. Raises `InvalidInput` where it has none."""
    return hashlib.sha256(canonical.encode(dict(context))).hexdigest()


def grant_system(resource: Mapping[str, str]) -> str:
    """The system that a grant's resource belongs to."""
    return resource["id"].partition("/")[0]


def _versions(state: StateView, prefix: str) -> list[Version]:
    return [version for name in state.names(prefix) if (version := state.get(name)) is not None]


def _grants(state: StateView, actor: str, groups: frozenset[str], system: str) -> list[dict[str, Any]]:
    principals = [actor, *(f"group:{group}" for group in groups)]
    grants = []
    for principal in principals:
        for version in _versions(state, f"grant/{principal}/"):
            if grant_system(version.value["resource"]) == system:
                grants.append({**_named(version), "start": version.value["start"], "end": version.value["end"]})
    return sorted(grants, key=lambda grant: str(grant["name"]))


def _brief(version: Version | None) -> dict[str, Any] | None:
    return None if version is None else {"version": version.version, "digest": version.digest}


def _named(version: Version) -> dict[str, Any]:
    return {"name": version.name, "version": version.version, "digest": version.digest}
