"""Settings: what exists, which value is fuller, and what applies to an identity on a system (docs/spec/state.md).

What an application reports over user over group over system over organisation over default; then the floor raises what
lies below it. Whoever has no `settings/user/ID` is *unconfigured*: captured at the fullest level, and reported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from affidavit.errors import InvalidInput
from affidavit.limits import OBJECT_TEXT_CHARS_MAX, RETENTION_DAYS_MAX, ROWS_CAPTURED_MAX

APP_PREFIX: Final = "app."
CAPTURE_PREFIX: Final = "capture."
_APP = re.compile(r"app\.[a-z0-9][a-z0-9._-]{0,62}")
_ROWS = re.compile(r"rows:([1-9][0-9]{0,3})")
_DAYS = re.compile(r"P([1-9][0-9]{0,4})D")


@dataclass(frozen=True)
class Setting:
    """A setting: its values from the fullest to the emptiest, its default, and the default floor.

    `values` is empty for `retention`, whose values are a number of days. `unconfigured` is what applies to an
    identity without settings of its own, where that differs from the default.
    """

    name: str
    values: tuple[str, ...]
    default: str
    floor: str
    unconfigured: str | None = None


_GUARANTEES = ("before_action", "before_answer", "after")

SETTINGS: Final[Mapping[str, Setting]] = {
    setting.name: setting
    for setting in (
        Setting("capture.parameters", ("full", "digest", "off"), "full", "off", "full"),
        Setting("capture.result", ("rows:N", "digest", "count", "off"), "digest", "count", "digest"),
        Setting("capture.statement", ("full", "normalized", "digest"), "full", "normalized", "full"),
        Setting("guarantee.read", _GUARANTEES, "before_answer", "after"),
        Setting("guarantee.write", _GUARANTEES, "before_action", "before_action"),
        Setting("on_log_failure", ("refuse", "allow_and_account"), "refuse", "refuse"),
        Setting("retention", (), "P2190D", "P2190D"),
    )
}


@dataclass(frozen=True, slots=True)
class Effective:
    """What applies. `scope`: `default` `organisation` `system` `group:NAME` `user` `reported:SOURCE` `floor`
    `unconfigured`. `version`: index of the record that put the object which it comes from; None where it comes from
    none."""

    name: str
    value: str
    scope: str
    version: int | None

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a context."""
        value: dict[str, Any] = {"name": self.name, "scope": self.scope, "value": self.value}
        if self.version is not None:
            value["version"] = self.version
        return value


class Held(Protocol):
    """A version of a settings object."""

    @property
    def value(self) -> dict[str, Any]:
        """The object's value."""

    @property
    def version(self) -> int:
        """Index of the record that put it."""


class Lookup(Protocol):
    """What resolving asks of a state."""

    def get(self, name: str, /) -> Held | None:
        """The version of an object, or None."""

    def names(self, prefix: str, /) -> list[str]:
        """Names that begin with `prefix`, sorted."""

    def groups_of(self, principal: str, /) -> list[tuple[str, tuple[str, ...]]]:
        """The groups that hold a principal, sorted, each with the chain through which."""


def check_setting(name: str, value: str) -> None:
    """Raise `InvalidInput` unless `value` is one of the values of the setting `name`; says which there are."""
    setting = SETTINGS.get(name)
    if setting is None:
        if not _APP.fullmatch(name):
            known = ", ".join((*SETTINGS, "app.NAME"))
            raise InvalidInput("state.setting", f"There is no setting `{name}`.", f"Known: {known}.")
        if len(value) > OBJECT_TEXT_CHARS_MAX:
            raise InvalidInput(
                "state.setting", f"`{name}` is longer than {OBJECT_TEXT_CHARS_MAX} characters.", "Shorten it."
            )
        return
    if _rank(setting, value) is None:
        allowed = " ".join(f"`{known}`" for known in setting.values)
        if setting.name == "retention":
            allowed = f"a number of days from `P1D` to `P{RETENTION_DAYS_MAX}D`"
        elif "rows:N" in setting.values:
            allowed += f" (N from 1 to {ROWS_CAPTURED_MAX})"
        raise InvalidInput("state.setting", f"`{name}` cannot be `{value:.80}`.", f"Write {allowed}.")


def lower(name: str, a: str, b: str) -> bool:
    """Whether `a` captures, guarantees or keeps less than `b`. Settings of applications have no order: False."""
    setting = SETTINGS.get(name)
    return setting is not None and _known_rank(setting, a) < _known_rank(setting, b)


def floor_of(state: Lookup, name: str) -> str | None:
    """The value below which nothing goes for the setting `name`; None for settings of applications."""
    setting = SETTINGS.get(name)
    return None if setting is None else _values(state.get("settings/floor")).get(name, setting.floor)


def resolve(state: Lookup, actor: str, system: str) -> tuple[tuple[Effective, ...], bool]:
    """What applies to `actor` on `system`, sorted by name; and whether the actor has settings of its own."""
    layers, configured = _layers(state, actor, system)
    names = set(SETTINGS)
    for _, values, _ in layers:
        names.update(values)
    floor = state.get("settings/floor")
    floor_values = _values(floor)
    resolved = []
    for name in sorted(names):
        setting = SETTINGS.get(name)
        found = _strongest(layers, name, setting)
        if setting is not None:
            if not configured and setting.unconfigured is not None:
                found = Effective(name, setting.unconfigured, "unconfigured", None)
            found = found or Effective(name, setting.default, "default", None)
            floor_value = floor_values.get(name, setting.floor)
            if lower(name, found.value, floor_value):
                version = floor.version if floor is not None and name in floor_values else None
                found = Effective(name, floor_value, "floor", version)
        if found is not None:
            resolved.append(found)
    return tuple(resolved), configured


_Layer = tuple[str, dict[str, str], int]


def _layers(state: Lookup, actor: str, system: str) -> tuple[list[_Layer], bool]:
    """Scope, values and version of each settings object that speaks, the strongest first."""
    user = state.get(f"settings/user/{actor}")
    reports = state.names(f"reported/{actor}/")
    objects = [(f"reported:{name.rpartition('/')[2]}", state.get(name)) for name in reports]
    objects.append(("user", user))
    objects += [(f"group:{group}", state.get(f"settings/group/{group}")) for group, _ in state.groups_of(actor)]
    objects += [
        ("system", state.get(f"settings/system/{system}")),
        ("organisation", state.get("settings/organisation")),
    ]
    layers = [(scope, _values(held), held.version) for scope, held in objects if held is not None]
    return layers, user is not None


def _strongest(layers: list[_Layer], name: str, setting: Setting | None) -> Effective | None:
    """The value of the first layer that has one; among groups the fullest, and of equals the first by name."""
    found: Effective | None = None
    for scope, values, version in layers:
        value = values.get(name)
        if value is None:
            continue
        among_groups = scope.startswith("group:") and found is not None and found.scope.startswith("group:")
        if found is None or (among_groups and setting is not None and lower(name, found.value, value)):
            found = Effective(name, value, scope, version)
    return found


def _values(held: Held | None) -> dict[str, str]:
    return {} if held is None else {item["name"]: item["value"] for item in held.value["values"]}


def _known_rank(setting: Setting, value: str) -> tuple[int, int]:
    rank = _rank(setting, value)
    if rank is None:
        check_setting(setting.name, value)
        raise InvalidInput("state.setting", f"`{setting.name}` cannot be `{value:.80}`.")
    return rank


def _rank(setting: Setting, value: str) -> tuple[int, int] | None:
    """Higher is fuller; None for what is no value of this setting."""
    if setting.name == "retention":
        days = _DAYS.fullmatch(value)
        return (0, int(days[1])) if days and int(days[1]) <= RETENTION_DAYS_MAX else None
    rows = _ROWS.fullmatch(value)
    if rows and "rows:N" in setting.values:
        return (len(setting.values), int(rows[1])) if int(rows[1]) <= ROWS_CAPTURED_MAX else None
    if value == "rows:N" or value not in setting.values:
        return None
    return len(setting.values) - setting.values.index(value), 0
