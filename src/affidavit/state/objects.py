"""Objects of the state: their names, and what each kind's value must be (docs/spec/state.md, "Objects").

Values are checked whole: unknown and missing members are refused, lists are sorted and hold nothing twice, so one
meaning has one canonical form. `complete_object` fills in what an author may leave out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

import cedarpy

from affidavit import canonical
from affidavit.errors import InvalidInput
from affidavit.limits import (
    BREAK_GLASS_S_MAX,
    HEARTBEAT_S_MAX,
    HEARTBEAT_S_MIN,
    ID_CHARS_MAX,
    OBJECT_BYTES_MAX,
    OBJECT_LIST_MAX,
    OBJECT_TEXT_CHARS_MAX,
    STATE_NAMES_CACHED_MAX,
)
from affidavit.record.moment import NS, parse_moment
from affidavit.state.map import owner_of
from affidavit.state.policy import LOG_SYSTEM, check_engine_text, parse_policy
from affidavit.state.settings import APP_PREFIX, check_setting

KINDS: Final = (
    "credential",
    "grant",
    "group",
    "identity",
    "membership",
    "observed",
    "policy",
    "profile",
    "reported",
    "schema",
    "settings",
    "source",
    "system",
)
GRANT_ACTIONS: Final = ("admin", "define", "grant", "login", "read", "session", "write")
SOURCE_KINDS: Final = ("administration", "application", "collector", "gateway")
GROUP_PREFIX: Final = "group:"
_IDENTITY = "u-[0-9a-f]{16}"
_LABEL = "[a-z0-9][a-z0-9._-]{0,62}"
_PRINCIPAL = f"(?:{_IDENTITY}|group:{_LABEL})"
# A role is named by the upstream: any text that can be printed.
_ROLE = rf"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{{1,{ID_CHARS_MAX}}}"
_NAMES: Final = {
    "credential": rf"(?:token-[0-9a-f]{{16,64}}|uid-{_LABEL}-(?:0|[1-9][0-9]{{0,9}}))",
    "grant": f"{_PRINCIPAL}/{_LABEL}",
    "group": _LABEL,
    "identity": _IDENTITY,
    "membership": f"{_PRINCIPAL}/{_LABEL}",
    "observed": f"{_LABEL}/{_ROLE}",
    "policy": _LABEL,
    "profile": _IDENTITY,
    "reported": f"{_IDENTITY}/{_LABEL}",
    "schema": _LABEL,
    "settings": f"(?:organisation|floor|system/{_LABEL}|group/{_LABEL}|user/{_IDENTITY})",
    "source": _LABEL,
    "system": _LABEL,
}
#: Kinds whose names have two parts, the first without a slash.
_IN_PARTS: Final = frozenset({"grant", "membership", "observed", "reported", "settings"})
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in _NAMES.items()}
_WRITE: Final = {
    "credential": "`credential/token-THUMBPRINT` or `credential/uid-HOST-UID`",
    "grant": "`grant/PRINCIPAL/ID`",
    "membership": "`membership/PRINCIPAL/GROUP`",
    "observed": "`observed/SYSTEM/ROLE`",
    "reported": "`reported/IDENTITY/SOURCE`",
    "settings": "`settings/organisation`, `…/floor`, `…/system/ID`, `…/group/GROUP` or `…/user/ID`",
}
_LABEL_PATTERN = re.compile(_LABEL)
_IDENTITY_PATTERN = re.compile(_IDENTITY)
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
_COLUMN = re.compile(r"[^.\x00-\x1f]{1,63}\.[^.\x00-\x1f]{1,63}\.[^.\x00-\x1f]{1,63}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ObjectName:
    """The name of an object. `owner` is its owner in the state map, `parts` what follows the kind."""

    kind: str
    owner: str
    text: str
    parts: tuple[str, ...]


@lru_cache(maxsize=STATE_NAMES_CACHED_MAX)
def parse_name(name: str) -> ObjectName:
    """The parts of an object's name. Raises `InvalidInput` with code `state.name`, saying what to write."""
    kind, _, rest = name.partition("/")
    pattern = _PATTERNS.get(kind)
    if pattern is None:
        raise InvalidInput("state.name", f"`{name:.80}` names no kind of object.", f"Kinds: {', '.join(KINDS)}.")
    if not pattern.fullmatch(rest):
        form = _WRITE.get(kind, f"`{kind}/ID`" if kind in ("identity", "profile") else f"`{kind}/NAME`")
        raise InvalidInput(
            "state.name",
            f"`{name:.120}` is not the name of an object.",
            f"Write {form}; names are lower-case letters, digits, `.`, `_`, `-`, at most 63; "
            "identities are `u-` and 16 hex digits.",
        )
    if kind == "system" and rest == LOG_SYSTEM:
        raise InvalidInput("state.name", f"`{LOG_SYSTEM}` means this log itself.", "Choose another system id.")
    parts = rest.split("/", 1) if kind in _IN_PARTS else [rest]
    return ObjectName(kind, owner_of(name), name, tuple(parts))


def check_object(name: str, value: object) -> dict[str, Any]:
    """A copy of `value`, checked to be a whole value for the object `name`.

    Raises `InvalidInput` naming the object, the member and what to write.
    """
    parsed = parse_name(name)
    data = canonical.encode(value)
    if len(data) > OBJECT_BYTES_MAX:
        raise InvalidInput("state.object", f"`{name}` has {len(data)} bytes, above {OBJECT_BYTES_MAX}.", "Cut it.")
    copy = canonical.decode(data)
    if not isinstance(copy, dict):
        raise InvalidInput("state.object", f"`{name}` must be a mapping.")
    _CHECKS[parsed.kind](_Value(parsed, copy))
    return copy


def complete_object(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """`value` with the members that its author left out, as far as they have a default, and with lists sorted.

    For authors only: what stands in a change is complete already.
    """
    kind = parse_name(name).kind
    filled = {**_DEFAULTS.get(kind, {}), **value}
    for member in _SORTED.get(kind, ()):
        items = filled.get(member)
        if isinstance(items, list):
            filled[member] = sorted(items, key=_sort_key)
    for member in _OPTIONAL.get(kind, ()):
        if filled.get(member, ...) in (None, False, []):
            del filled[member]
    return filled


def end_ns(value: Mapping[str, Any]) -> int | None:
    """When a grant or credential ends, in nanoseconds since 1970; None where it does not end."""
    end = value.get("end")
    return None if end is None else parse_moment(end)


def has_ended(value: Mapping[str, Any], at_ns: int) -> bool:
    """Whether a grant or credential counts no more at `at_ns`: its end is the first moment without it."""
    end = end_ns(value)
    return end is not None and end <= at_ns


def _sort_key(item: object) -> tuple[str, str]:
    if not isinstance(item, dict):
        return str(item), ""
    return str(item.get("name", item.get("issuer", ""))), str(item.get("subject", ""))


_SORTED: Final[dict[str, tuple[str, ...]]] = {
    "identity": ("attributes",),
    "profile": ("logins",),
    "reported": ("values",),
    "settings": ("values",),
    "grant": ("actions",),
    "system": ("key_columns", "configuration", "past_gateway"),
}
#: Members that are absent where they say nothing: an author may write null, false or an empty list for that.
_OPTIONAL: Final[dict[str, tuple[str, ...]]] = {
    "profile": ("logins",),
    "grant": ("break_glass",),
    "system": ("configuration", "past_gateway"),
    "credential": ("end",),
}


_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "identity": {"status": "active", "attributes": []},
    "profile": {"name": "", "mail": ""},
    "group": {"description": ""},
    "grant": {"start": None, "end": None, "reason": "", "ticket": ""},
    "settings": {"values": []},
    "system": {"description": "", "key_columns": []},
    "source": {"description": "", "heartbeat_s": None, "system": None},
    "credential": {"label": ""},
}


class _Value:
    """A value being checked; the methods raise with the place and what to write."""

    def __init__(self, name: ObjectName, value: dict[str, Any]) -> None:
        self.name = name
        self.value = value

    def refuse(self, member: str, write: str) -> InvalidInput:
        """The error for `member`."""
        return InvalidInput("state.object", f"`{self.name.text}`: `{member}` must be {write}.")

    def members(self, *names: str) -> None:
        """Exactly these members, and those that the kind may have."""
        optional = _OPTIONAL.get(self.name.kind, ())
        for member in self.value:
            if member not in names and member not in optional:
                known = ", ".join(f"`{name}`" for name in (*names, *optional)) or "none"
                raise InvalidInput("state.object", f"`{self.name.text}` has no `{member:.80}`.", f"Known: {known}.")
        for member in names:
            if member not in self.value:
                raise InvalidInput("state.object", f"`{self.name.text}` lacks `{member}`.", "Give it.")

    def choice(self, member: str, *choices: str) -> str:
        """One of these words."""
        value = self.value[member]
        if not isinstance(value, str) or value not in choices:
            raise self.refuse(member, " or ".join(f"`{choice}`" for choice in choices))
        return value

    def text(self, member: str) -> str:
        """One line of text, perhaps empty."""
        return self.line(member, self.value[member])

    def line(self, member: str, value: object) -> str:
        """`value` as one line of text, perhaps empty, called `member` where it is not."""
        if not isinstance(value, str) or len(value) > OBJECT_TEXT_CHARS_MAX or _UNPRINTABLE.search(value):
            raise self.refuse(member, f"one line of text of at most {OBJECT_TEXT_CHARS_MAX} characters")
        return value

    def moment(self, member: str) -> int | None:
        """A moment, in nanoseconds since 1970, or None for null."""
        value = self.value[member]
        if value is None:
            return None
        try:
            return parse_moment(str(value))
        except InvalidInput:
            raise self.refuse(member, "a moment in UTC such as 2026-11-22T14:17:03.000000000Z, or null") from None

    def matching(self, member: str, pattern: re.Pattern[str], write: str) -> str:
        """Text of this form."""
        value = self.value[member]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self.refuse(member, write)
        return value

    def sorted_texts(self, member: str, write: str) -> list[str]:
        """A sorted list of different texts."""
        value = self.value[member]
        if (
            not isinstance(value, list)
            or len(value) > OBJECT_LIST_MAX
            or not all(isinstance(item, str) for item in value)
            or value != sorted(set(value))
        ):
            raise self.refuse(member, f"a sorted list of {write}, none twice, at most {OBJECT_LIST_MAX}")
        return value

    def pairs(self, member: str) -> list[tuple[str, str]]:
        """A list of `{name, value}`, sorted by name, no name twice."""
        value = self.value[member]
        write = f"a list of `{{name, value}}` texts sorted by name, no name twice, at most {OBJECT_LIST_MAX}"
        if not isinstance(value, list) or len(value) > OBJECT_LIST_MAX:
            raise self.refuse(member, write)
        pairs = []
        for item in value:
            if not isinstance(item, dict) or set(item) != {"name", "value"} or not isinstance(item["name"], str):
                raise self.refuse(member, write)
            pairs.append((item["name"], self.line(f"{member}.{item['name']:.80}", item["value"])))
        names = [name for name, _ in pairs]
        if names != sorted(set(names)):
            raise self.refuse(member, write)
        return pairs


def _check_identity(it: _Value) -> None:
    it.members("kind", "status", "attributes")
    it.choice("kind", "human", "service", "agent")
    it.choice("status", "active", "suspended")
    for name, _ in it.pairs("attributes"):
        if not _ATTRIBUTE.fullmatch(name):
            raise it.refuse("attributes", "named by a letter and letters, digits, `_`, `.`, `-`, at most 63")


def _check_profile(it: _Value) -> None:
    it.members("handle", "name", "mail")
    it.matching("handle", _LABEL_PATTERN, "lower-case letters, digits, `.`, `_`, `-`, at most 63")
    it.text("name")
    it.text("mail")
    if "logins" in it.value:
        _check_logins(it)


def _check_logins(it: _Value) -> None:
    """Who the person is at issuers of logins: `{issuer, subject}`, as the issuer's `iss` and `sub` have it."""
    logins = it.value["logins"]
    write = (
        f"a list of 1 to {OBJECT_LIST_MAX} `{{issuer, subject}}` texts, sorted by issuer and subject, none twice; "
        "leave it out where there are none"
    )
    if not isinstance(logins, list) or not 1 <= len(logins) <= OBJECT_LIST_MAX:
        raise it.refuse("logins", write)
    pairs = []
    for item in logins:
        if not isinstance(item, dict) or set(item) != {"issuer", "subject"}:
            raise it.refuse("logins", write)
        pairs.append(tuple(it.line(f"logins.{member}", item[member]) for member in ("issuer", "subject")))
    if pairs != sorted(set(pairs)) or not all(text for pair in pairs for text in pair):
        raise it.refuse("logins", write)


def _check_described(it: _Value) -> None:
    it.members("description")
    it.text("description")


def _check_source(it: _Value) -> None:
    it.members("kind", "description", "heartbeat_s", "system")
    kind = it.choice("kind", *SOURCE_KINDS)
    it.text("description")
    system, beat = it.value["system"], it.value["heartbeat_s"]
    if system is None:
        if kind == "gateway":
            raise it.refuse("system", "the system that the gateway stands before")
    elif kind == "administration":
        raise it.refuse("system", "null: the administration of the log belongs to no system")
    elif not isinstance(system, str) or not _LABEL_PATTERN.fullmatch(system) or system == LOG_SYSTEM:
        raise it.refuse("system", "a system's id, or null")
    if beat is not None and not (type(beat) is int and HEARTBEAT_S_MIN <= beat <= HEARTBEAT_S_MAX):
        raise it.refuse("heartbeat_s", f"seconds from {HEARTBEAT_S_MIN} to {HEARTBEAT_S_MAX}, or null")


def _check_membership(it: _Value) -> None:
    it.members()


def _check_policy(it: _Value) -> None:
    it.members("text")
    if not isinstance(it.value["text"], str):
        raise it.refuse("text", "the text of one Cedar policy")
    parse_policy(it.value["text"], f"`{it.name.text}`")


def _check_schema(it: _Value) -> None:
    it.members("text")
    text = it.value["text"]
    if not isinstance(text, str):
        raise it.refuse("text", "the text of a Cedar schema")
    check_engine_text(text, f"`{it.name.text}`", "([{<", ")]}>")
    try:
        cedarpy.Schema.from_str(text)
    except ValueError as error:
        raise InvalidInput("state.object", f"`{it.name.text}` is refused: {error}.") from None


def _check_grant(it: _Value) -> None:
    it.members("actions", "resource", "start", "end", "reason", "ticket")
    actions = it.sorted_texts("actions", "actions")
    if not actions or not set(actions) <= set(GRANT_ACTIONS):
        raise it.refuse("actions", f"a sorted list out of {', '.join(GRANT_ACTIONS)}, not empty")
    _check_grant_resource(it)
    start, end = it.moment("start"), it.moment("end")
    if start is not None and end is not None and start >= end:
        raise it.refuse("end", "after `start`")
    it.text("reason")
    it.text("ticket")
    if "break_glass" in it.value:
        _check_break_glass(it, start, end)


def _check_break_glass(it: _Value, start: int | None, end: int | None) -> None:
    """A grant for an emergency: short, with a reason, and reviewed afterwards."""
    if it.value["break_glass"] is not True:
        raise it.refuse("break_glass", "true; leave it out for an ordinary grant")
    if start is None or end is None or end - start > BREAK_GLASS_S_MAX * NS:
        raise it.refuse(
            "end", f"at most {BREAK_GLASS_S_MAX // 3_600} hours after `start`, both given: it is break-glass"
        )
    if not it.value["reason"].strip():
        raise it.refuse("reason", "given: it is break-glass, and somebody will review it")


def _check_grant_resource(it: _Value) -> None:
    resource = it.value["resource"]
    write = "`{type: System, id: SYSTEM}` or `{type: Table, id: SYSTEM/schema.table}`"
    if not isinstance(resource, dict) or set(resource) != {"type", "id"} or not isinstance(resource["id"], str):
        raise it.refuse("resource", write)
    system, slash, table = resource["id"].partition("/")
    whole = resource["type"] == "System" and not slash
    one = resource["type"] == "Table" and "." in table and not _UNPRINTABLE.search(table)
    if not (whole or one) or not _LABEL_PATTERN.fullmatch(system) or len(table) > ID_CHARS_MAX or system == LOG_SYSTEM:
        raise it.refuse("resource", write)


def _check_settings(it: _Value) -> None:
    it.members("values")
    for name, value in it.pairs("values"):
        if it.name.parts == ("floor",) and name.startswith(APP_PREFIX):
            raise it.refuse("values", f"without `{name:.80}`: settings of applications have no order, so no floor")
        check_setting(name, value)


def _check_reported(it: _Value) -> None:
    it.members("values")
    pairs = it.pairs("values")
    if not pairs or not all(name.startswith(APP_PREFIX) for name, _ in pairs):
        raise it.refuse("values", f"settings named `{APP_PREFIX}…`, at least one; delete it where there is none")
    for name, value in pairs:
        check_setting(name, value)


def _check_system(it: _Value) -> None:
    it.members("kind", "description", "key_columns")
    it.choice("kind", "postgresql")
    it.text("description")
    for column in it.sorted_texts("key_columns", "`schema.table.column`"):
        if not _COLUMN.fullmatch(column):
            raise it.refuse("key_columns", "a sorted list of `schema.table.column`")
    if "configuration" in it.value and not it.pairs("configuration"):
        raise it.refuse("configuration", "a list that is not empty; leave it out where there is none")
    if "past_gateway" in it.value:
        _check_past_gateway(it)


def _check_past_gateway(it: _Value) -> None:
    """Who may connect past the gateway: `ROLE@WHERE`, an address, a network, or `local` for the database's socket."""
    write = "a sorted list of `ROLE@ADDRESS`, `ROLE@NETWORK/BITS` or `ROLE@local`; leave it out where it is empty"
    entries = it.sorted_texts("past_gateway", "`ROLE@ADDRESS`")
    if not entries:
        raise it.refuse("past_gateway", write)
    for entry in entries:
        role, _, where = entry.rpartition("@")
        if not re.fullmatch(_ROLE, role) or not (where == "local" or _is_place(where)):
            raise it.refuse("past_gateway", write)


def _is_place(where: str) -> bool:
    """Whether it is an address or a network, as Python's `ipaddress` writes it; one address alone has no bits."""
    try:
        if "/" not in where:
            return str(ip_address(where)) == where
        network = ip_network(where)
    except ValueError:
        return False
    return str(network) == where and network.prefixlen < network.max_prefixlen


def _check_observed(it: _Value) -> None:
    """What an upstream reports belongs to the gateway that reads it; here it is only bounded."""


def _check_credential(it: _Value) -> None:
    it.members("identity", "type", "label")
    it.matching("identity", _IDENTITY_PATTERN, "an identity id, `u-` and 16 hex digits")
    kind = it.choice("type", "token", "uid")
    if not it.name.parts[0].startswith(f"{kind}-"):
        raise it.refuse("type", "the one that the name begins with")
    it.text("label")
    if "end" in it.value and it.moment("end") is None:
        raise it.refuse("end", "a moment; leave it out for a credential without an end")


_CHECKS: Final[dict[str, Callable[[_Value], None]]] = {
    "credential": _check_credential,
    "grant": _check_grant,
    "group": _check_described,
    "identity": _check_identity,
    "membership": _check_membership,
    "observed": _check_observed,
    "policy": _check_policy,
    "profile": _check_profile,
    "reported": _check_reported,
    "schema": _check_schema,
    "settings": _check_settings,
    "source": _check_source,
    "system": _check_system,
}
