"""Who touched a resource: a reading of every record of a range, with counts by person and what could not be read.

Accesses of a table are found by the tags in their headers where the tag key is at hand, and looked at in their bodies;
without the key, in their bodies alone. A record that may be about the resource and whose body is gone or locked is
counted as what it is, by its tag, or listed as not told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from affidavit.evidence.asking import LOG, OBJECT, SYSTEM, TABLE, Resource
from affidavit.evidence.behind import Behind
from affidavit.history.asof import Records
from affidavit.limits import READ_TOLD_EVERY, WHO_ERASED_MAX
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.read import Record
from affidavit.record.tags import tag_under
from affidavit.state.view import StateView

_ACCESSES: Final = frozenset({"access", "access.intent"})
_CHANGES: Final = frozenset({"change", "proposal", "approval", "lapse"})
_OF_LOG: Final = frozenset({"log.key", "log.read", "log.export", "log.import", "review", "erase"})
_KINDS: Final = {SYSTEM: _ACCESSES | {"session.open"}, TABLE: _ACCESSES, LOG: _OF_LOG}
_NOT_KNOWN: Final = ""


@dataclass
class Touched:
    """What one identity did: how often it was let and refused, in which records first and last."""

    allowed: int = 0
    denied: int = 0
    first: int | None = None
    last: int | None = None
    first_at: str = ""
    last_at: str = ""
    last_allowed: int | None = None
    names: set[str] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)
    credentials: dict[str, int] = field(default_factory=dict)

    def take(self, index: int, header: Header) -> None:
        """One record about the resource."""
        if header.decision == "deny":
            self.denied += 1
        else:
            self.allowed += 1
            self.last_allowed = index
        if self.first is None:
            self.first, self.first_at = index, header.time.at
        self.last, self.last_at = index, header.time.at


@dataclass
class Reading:
    """What a range says. `touched` by identity id; empty for records that name nobody. `not_told`: records that may be
    about the resource, which nobody can tell without their bodies; `unread`: how many that are about it could not be
    read whole, by reason; `erased`: the first of both whose bodies were erased, each with the record that did."""

    touched: dict[str, Touched] = field(default_factory=dict)
    erased: list[tuple[int, int]] = field(default_factory=list)
    not_told: list[int] = field(default_factory=list)
    unread: dict[str, int] = field(default_factory=dict)
    looked_at: int = 0
    by_tags: bool = False


@dataclass(frozen=True)
class Reader:
    """Reads one log for one resource. `table_key` is the key of the table's tags, or None where it is not at hand."""

    records: Records
    resource: Resource
    action: str | None
    table_key: bytes | None

    def read(self, first: int, stop: int, told: Reading) -> Iterator[int]:
        """Put into `told` what the records from `first` to before `stop` say; gives how many were looked at, now and
        then."""
        told.by_tags = self.resource.type == TABLE and self.table_key is not None
        accounts: dict[int, str] = {}
        for index in range(first, stop):
            header = self.records.header(index)
            if self._may_concern(header, told.by_tags):
                self._take(index, header, told, accounts)
            told.looked_at += 1
            if told.looked_at % READ_TOLD_EVERY == 0:
                yield told.looked_at

    def _may_concern(self, header: Header, by_tags: bool) -> bool:
        resource = self.resource
        if header.kind not in _KINDS.get(resource.type, _CHANGES) or header.decision == "none":
            return False  # where nothing was decided, nothing came about either
        if not resource.of_log and header.system != resource.system:
            return False
        if by_tags and self.table_key is not None and _has_all_tags(header):
            return tag_under(self.table_key, header.id) in header.tags
        return self.action is None or resource.type == TABLE or header.action == self.action

    def _take(self, index: int, header: Header, told: Reading, accounts: dict[int, str]) -> None:
        record = self.records.record(index)
        held = self._held(record)
        if isinstance(held, Erased) and len(told.erased) < WHO_ERASED_MAX:
            told.erased.append((index, held.by))
        if isinstance(record.body, dict) and not isinstance(held, dict):
            told.not_told.append(index)
            return
        if not isinstance(record.body, dict):
            reason = "erased" if isinstance(record.body, Erased) else "no key"
            if not self._told_by_header(header, told.by_tags):
                told.not_told.append(index)
                return
            told.unread[reason] = told.unread.get(reason, 0) + 1
        elif not self._concerns(record):
            return
        touched = told.touched.setdefault(header.actor or _NOT_KNOWN, Touched())
        touched.take(index, header)
        self._people(record, touched, accounts)

    def _held(self, record: Record) -> object:
        """The body that says what a record is about: its own, or of an approval that of its proposal."""
        proposal = record.header.ref if record.header.kind == "approval" else None
        of_object = self.resource.type not in (SYSTEM, LOG, TABLE)
        if isinstance(record.body, dict) and of_object and proposal is not None:
            return self.records.record(proposal).body
        return record.body

    def _told_by_header(self, header: Header, by_tags: bool) -> bool:
        """Whether a header alone says that the record is about the resource, and about the action."""
        if self.action is not None and header.action != self.action:
            return False
        if self.resource.type == TABLE:
            return by_tags and _has_all_tags(header)
        return self.resource.type in (SYSTEM, LOG)

    def _concerns(self, record: Record) -> bool:
        resource, content = self.resource, record.content
        if resource.type in (SYSTEM, LOG):
            return True
        if resource.type == TABLE:
            action = content.get("action")
            tables = action.get("tables") if isinstance(action, dict) else None
            return any(
                f"{item.get('schema')}.{item.get('name')}" == resource.table
                and self.action in (None, item.get("action"))
                for item in tables or ()
                if isinstance(item, dict)
            )
        if record.header.kind == "approval" and record.header.ref is not None:
            content = self.records.record(record.header.ref).content
        objects = content.get("objects")
        names = [str(op.get("name")) for op in objects or () if isinstance(op, dict)]
        wanted = resource.id
        return any(name == wanted if resource.type == OBJECT else name.startswith(f"{wanted}/") for name in names)

    def _people(self, record: Record, touched: Touched, accounts: dict[int, str]) -> None:
        """Under which name, by which credential, and through which account of the connected system."""
        actor = _part(record.content, "actor")
        if isinstance(actor.get("name"), str):
            touched.names.add(actor["name"])
        credential = _part(actor, "authenticated").get("credential") or _part(record.content, "via").get("credential")
        if isinstance(credential, str) and credential:
            touched.credentials.setdefault(credential, record.index)
        session = record.index if record.header.kind == "session.open" else record.header.session
        if session is not None:
            if session not in accounts:
                role = _part(self.records.record(session).content, "upstream").get("role")
                accounts[session] = role if isinstance(role, str) else ""
            touched.accounts |= {accounts[session]} - {""}


def who_did(
    told: Reading, stop: int, state_at: Callable[[int], StateView], name_of: Callable[[str], str], records: Records
) -> list[dict[str, Any]]:
    """What `told` says of each person, as values for JSON, by handle. People are named as at `stop`, the end of the
    range; whoever is not in that state by `name_of`.

    Of a service or an agent `behind` says who gave it each credential that it used, as it was then, in which record.
    """
    state, behind = state_at(stop), Behind(records, state_at, name_of)
    people = []
    for identity, touched in told.touched.items():
        version = state.get(f"identity/{identity}") if identity else None
        kind = "" if version is None or version.erased else str(version.value["kind"])
        people.append(
            {
                "identity": identity,
                "handle": (state.handle_of(identity) or name_of(identity)) if identity else "",
                "kind": kind,
                "allowed": touched.allowed,
                "denied": touched.denied,
                "first": touched.first,
                "first_at": touched.first_at,
                "last": touched.last,
                "last_at": touched.last_at,
                "last_allowed": touched.last_allowed,
                "names": sorted(touched.names),
                "accounts": sorted(touched.accounts),
                "behind": []
                if kind == "human"
                else [behind.given(*one) for one in sorted(touched.credentials.items())],
            }
        )
    return sorted(people, key=lambda item: str(item["handle"]))


def _has_all_tags(header: Header) -> bool:
    """Whether tags can rule a table out: a producer that gives none, or more than fit, leaves it to the body."""
    return bool(header.tags) and not header.tags_overflow


def _part(content: Any, name: str) -> dict[str, Any]:
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, dict) else {}
