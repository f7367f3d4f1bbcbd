"""Every moment at which what somebody may do on a system changed, and why: by which record, or by none.

What counts is what decisions and capture rest on: the identity (kind, status, attributes), its groups, the grants in
force, the policies that can apply, the values of settings (those of applications aside, on which neither rests), and
what the system was found to enforce. Two kinds of
change need no record about the person: a record at a wider scope (a policy, a group above theirs, a setting of the
organisation), and a grant's start or end, which the clock reaches and nobody writes down. Its lapse comes later.

A record counts from the moment that the sequencer sealed it, and a start or end at its own moment.

Where what somebody may do rests on an object whose value was erased, nobody can tell it until a later record puts that
object again: one moment says since when and why, and the next one that it is known again, compared with what was known
last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from affidavit.errors import InvalidInput
from affidavit.evidence.explain import bearing
from affidavit.evidence.governing import live_at
from affidavit.evidence.sentence import Names, named
from affidavit.evidence.statehistory import approvals_of
from affidavit.history.asof import Period, Records, changes_before
from affidavit.limits import PERMITTED_CHANGES_MAX, PERMITTED_MOMENTS_MAX, READ_TOLD_EVERY
from affidavit.record.read import Record
from affidavit.state.context import build_context
from affidavit.state.hidden import ErasedContent
from affidavit.state.objects import GROUP_PREFIX
from affidavit.state.settings import APP_PREFIX
from affidavit.state.view import StateView

#: How a record reached somebody, from the nearest.
REACHES: Final = ("person", "group", "nested group", "policy", "wider setting", "system")
_DECIDED_ON: Final = ("kind", "status", "attributes")

#: What somebody may do: each part and name with what is shown of it. Two are compared by their values.
_Facts = dict[tuple[str, str], dict[str, Any]]


class Permitted:
    """The moments of `actor` (an identity id) on `system`. `state_at` gives the state at a position."""

    def __init__(
        self, records: Records, state_at: Callable[[int], StateView], names: Names, actor: str, system: str
    ) -> None:
        self._records = records
        self._state_at = state_at
        self._names = names
        self._actor = actor
        self._system = system
        self._context: dict[str, Any] = {"groups": [], "grants": []}  # as long as none is known
        self._unknown = ""  # what the present state would have to be asked, and was erased
        self._state: StateView = state_at(0)
        self._held: _Facts = {}
        self._over: dict[str, dict[str, Any]] = {}
        self._before: list[dict[str, Any]] = []
        self._unknown_before = ""
        self.moments: list[dict[str, Any]] = []

    def read(self, period: Period) -> Iterator[tuple[int, int]]:
        """Find `moments` in a period, two positions each with its moment; gives how many changes of how many were read.

        Raises `InvalidInput` where it ends before it begins or holds too much.
        """
        (first, begins), (last, ends) = period
        if first > last or begins > ends:
            raise InvalidInput("permitted.period", "The period ends before it begins.", "Give a later --to.")
        changes = changes_before(self._records, last, first)
        if len(changes) > PERMITTED_CHANGES_MAX:
            raise InvalidInput("permitted.changes", f"{len(changes):,} changes lie in it.", "Take a shorter period.")
        self._take_state(first)
        self._unknown_before = self._unknown
        self._held = {} if self._unknown else self._facts(begins)
        self._before = [{**_shown(key, self._names), "held": value} for key, value in sorted(self._held.items())]
        moment = begins
        for count, index in enumerate(changes):
            record = self._records.record(index)
            sealed = max(record.header.log.at, moment)
            self._by_clock(moment, sealed)
            self._by_record(record, sealed)
            moment = sealed
            if count % READ_TOLD_EVERY == 0:
                yield count, len(changes)
        self._by_clock(moment, ends)

    def as_dict(self) -> dict[str, Any]:
        """`before`: what held at the beginning, and `before_unknown`, why that cannot be told, or ""; `moments`;
        `counts` of them: by the clock alone, altogether without a record about the person, and from which on it is not
        known."""
        return {
            "before": self._before,
            "before_unknown": self._unknown_before,
            "moments": self.moments,
            "counts": {
                "moments": len(self.moments),
                "by_clock": sum(one["cause"] == "clock" for one in self.moments),
                "without_record_about": sum(one["about_person"] is False for one in self.moments),
                "unknown": sum(bool(one["unknown"]) for one in self.moments),
            },
        }

    def _take_state(self, position: int) -> None:
        self._state = self._state_at(position)
        try:
            self._context = build_context(self._state, self._actor, self._system)
            self._unknown = ""
        except ErasedContent as error:
            self._unknown = error.what

    def _facts(self, at: str) -> _Facts:
        """What holds at a moment, in the state taken last."""
        context, state = self._context, self._state
        found: _Facts = {}
        identity = state.get(f"identity/{self._actor}")
        if identity is None:
            return found  # whatever else there is: who does not exist may do nothing, and nothing is captured
        found["identity", self._actor] = {part: identity.value[part] for part in _DECIDED_ON}
        for item in context["groups"]:
            # The chain is shown, and no difference: by whichever chain, the group is held.
            found["group", item["group"]] = {"via": item["via"]}
        for item in context["grants"]:
            if live_at(item, at) == "live":
                found["grant", item["name"]] = {"digest": item["digest"]}
        for part, items in (("policy", context["policies"]), ("enforced", context["observed"])):
            found |= {(part, item["name"]): {"digest": item["digest"]} for item in items}
        for item in (one for one in context["settings"] if not one["name"].startswith(APP_PREFIX)):
            found["setting", item["name"]] = {"value": item["value"], "scope": item["scope"]}
        return found

    def _by_record(self, record: Record, sealed: str) -> None:
        ops = record.content.get("objects")
        groups = [item["group"] for item in self._context["groups"]]
        bears = bearing(self._actor, self._system, groups)
        touched = [str(op["name"]) for op in ops or () if bears(str(op["name"]))]
        before, unknown = self._state, self._unknown
        if ops is not None and not touched and not unknown:
            return
        self._take_state(record.index + 1)
        if record.header.kind == "lapse":
            for name in set(touched) & set(self._over):
                self._over.pop(name)["lapse"] = record.index
        differences = [] if self._unknown else self._differences(sealed)
        if not differences and bool(unknown) == bool(self._unknown):
            return
        # What was put again as it was explains nothing. Who reads no body cannot say what was touched.
        objects = [
            {"name": name, "shown": named(name, self._names), "reach": self._reach(name, before)}
            for name in touched
            if _digest(before, name) != _digest(self._state, name)
        ]
        objects.sort(key=lambda item: (REACHES.index(item["reach"]), item["name"]))
        header, content = record.header, record.content
        recorded = header.kind in ("lapse", "drift") or header.actor is None
        self._add(
            {
                "at": sealed,
                "cause": "record",
                "index": record.index,
                "kind": header.kind,
                "who": None if recorded else self._names(header.actor or ""),
                "reason": str(content.get("reason") or ""),
                "ticket": str(content.get("ticket") or ""),
                "approvals": approvals_of(content, self._names),
                "objects": objects,
                "reach": objects[0]["reach"] if objects else None,
                "about_person": objects[0]["reach"] == "person" if objects else None,
                "unknown": self._unknown,
                "known_again": bool(unknown),
                "differences": differences,
            }
        )

    def _by_clock(self, after: str, until: str) -> None:
        """The starts and ends of grants that the clock reached after one moment and until another, with it."""
        edges: dict[str, list[tuple[str, str, int]]] = {}
        if self._unknown:
            return
        for item in self._context["grants"]:
            for edge in ("start", "end"):
                if item[edge] is not None and after < item[edge] <= until:
                    edges.setdefault(item[edge], []).append((item["name"], edge, item["version"]))
        for at, reached in sorted(edges.items()):
            grants: list[dict[str, Any]] = [
                {"name": name, "shown": named(name, self._names), "edge": edge, "put": put, "lapse": None}
                for name, edge, put in sorted(reached)
            ]
            self._over |= {item["name"]: item for item in grants if item["edge"] == "end"}
            differences = self._differences(at)
            self._add(
                {
                    "at": at,
                    "cause": "clock",
                    "index": None,
                    "grants": grants,
                    "reach": None,
                    "about_person": False,
                    "unknown": "",
                    "known_again": False,
                    "differences": differences,
                }
            )

    def _add(self, moment: dict[str, Any]) -> None:
        if len(self.moments) >= PERMITTED_MOMENTS_MAX:
            raise InvalidInput(
                "permitted.moments", f"More than {PERMITTED_MOMENTS_MAX:,} moments lie in it.", "Take a shorter period."
            )
        self.moments.append(moment)

    def _differences(self, at: str) -> list[dict[str, Any]]:
        """What differs since the last moment; from now on, what holds at this one is compared with."""
        before, after = self._held, self._facts(at)
        self._held = after
        found = []
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key), after.get(key)
            if _compared(key, old) != _compared(key, new):
                change = "gained" if old is None else "lost" if new is None else "changed"
                found.append({**_shown(key, self._names), "change": change, "before": old, "after": new})
        return found

    def _reach(self, name: str, before: StateView) -> str:
        """How an object that bears on somebody reaches them, as one of `REACHES`."""
        kind, _, rest = name.partition("/")
        owner = rest.partition("/")[0]
        if self._actor in rest.split("/"):
            return "person"
        if kind == "policy":
            versions = [state.get(name) for state in (before, self._state)]
            names = [version.policy.identities for version in versions if version is not None and version.policy]
            return "person" if any(self._actor in found for found in names) else "policy"
        if kind == "membership":
            return "nested group"
        if owner.startswith(GROUP_PREFIX) or name.startswith("settings/group/"):
            return "group"
        return "wider setting" if kind == "settings" else "system"


def _compared(key: tuple[str, str], value: Mapping[str, Any] | None) -> Any:
    if value is None:
        return None
    return {"group": True, "setting": value.get("value")}.get(key[0], value)


def _shown(key: tuple[str, str], names: Names) -> dict[str, Any]:
    part, name = key
    return {"part": part, "name": name, "shown": named(name, names)}


def _digest(state: StateView, name: str) -> str | None:
    version = state.get(name)
    return None if version is None else version.digest
