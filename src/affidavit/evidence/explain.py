"""Why a record was allowed or denied: the rules' text, the facts, the grants, the settings and where each came from,
what changed last, and whether deciding again gives the same. Everything is read from the log, as of the record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affidavit.errors import AffidavitError, InvalidInput
from affidavit.evidence.behind import Behind
from affidavit.evidence.sentence import Names, because_words, named, sentence
from affidavit.evidence.wording import duration_words
from affidavit.history.asof import Records, changes_before
from affidavit.limits import EXPLAIN_LOOK_BACK_MAX
from affidavit.record.body import Erased
from affidavit.record.header import Header
from affidavit.record.moment import parse_moment
from affidavit.record.read import Record
from affidavit.state.change import decode_ops
from affidavit.state.changing import decide_change
from affidavit.state.context import build_context
from affidavit.state.deciding import Authorization, Decider, Request
from affidavit.state.policy import observe_all
from affidavit.state.view import ChangingView, StateView

LOG_SYSTEM = "log"
ONLY_OBSERVED = "allowed only because nothing is restricted yet"
_BUILT_IN = {
    "state.inactive": "The identity was absent or not active, so nothing was allowed to it.",
    "state.lowers_capture": "It would lower what is captured of the actor's own accesses: that needs another person.",
    "state.lockout": "After it neither its actor nor an approver could undo it.",
}
_DECISION_PARTS = ("decision", "requests", "facts", "determining", "errors", "rules")
_CHANGE_KINDS = frozenset({"change", "proposal", "approval"})


@dataclass(frozen=True)
class Explainer:
    """Explains records of one log. `state_at` gives the state at a position (`History.at`), `bound_of` the bound of a
    header's time in nanoseconds, or None."""

    records: Records
    state_at: Callable[[int], ChangingView]
    names: Names
    bound_of: Callable[[Header], int | None]

    def explain(self, index: int) -> dict[str, Any]:
        """The explanation of the record at `index`, as values for JSON.

        Raises `InvalidInput` where there is no such record or nothing was decided in it, what reading raises else.
        """
        record = self._decided(index)
        authorization = record.content["authorization"]
        state = self.state_at(record.header.decided or 0)
        system = record.header.system or LOG_SYSTEM
        context = self._context(record, state, system)
        last = self._last_change(record, context, system)
        rules = [_rule(item, state, self.names) for item in _unique(authorization["determining"])]
        observed = only_observed(authorization["decision"], rules)
        said = sentence(record, self.names, self.bound_of(record.header)).rstrip(".")
        if last is not None:
            said += last["words"]
        if observed:
            said += f" ({ONLY_OBSERVED})"
        return {
            "index": index,
            "kind": record.header.kind,
            "sentence": f"{said}.",
            "decision": authorization["decision"],
            "because": because_words(record.content, self.names),
            "only_observed": observed,
            "requests": authorization["requests"],
            "facts": authorization["facts"],
            "rules": rules,
            "considered": [item["name"] for item in context["policies"]],
            "errors": authorization["errors"],
            "grants": self._grants(context, state, record),
            "settings": context["settings"],
            "configured": context["configured"],
            "context": self._context_difference(record),
            "last_change": last,
            "unseen": self._unseen(record, context, system),
            "behind": Behind(self.records, self.state_at, self.names).of(record),
            "state": record.header.decided,
            "again": self._again(record, state, context),
            "outcome": self._outcome(record),
        }

    def _decided(self, index: int) -> Record:
        if not 0 <= index < self.records.size:
            raise InvalidInput(
                "record.index", f"There is no record {index}: the log holds {self.records.size}.", "Count from 0."
            )
        record = self.records.record(index)
        if record.header.kind == "access.outcome" and record.header.ref is not None:
            record = self.records.record(record.header.ref)
        if isinstance(record.body, Erased):
            why = f"The body of record {record.index} was erased by record {record.body.by}, so nothing explains it."
            raise InvalidInput("explain.erased", why, f"See why with `affidavit show {record.body.by}`.")
        if not isinstance(record.body, dict):
            raise InvalidInput("explain.body", f"The body of record {index} cannot be read, so nothing explains it.")
        if not isinstance(record.body.get("authorization"), dict) or record.header.actor is None:
            raise InvalidInput(
                "explain.kind",
                f"Record {index} ({record.header.kind}) is not one in which a permission was decided.",
                f"See it with `affidavit show {index}`.",
            )
        return record

    def _context(self, record: Record, state: StateView, system: str) -> dict[str, Any]:
        """The context as recorded; where none is (changes, logins) as it follows from the state."""
        if record.header.context is not None:
            recorded = self.records.record(record.header.context).content
            if recorded:
                return recorded
        return build_context(state, record.header.actor or "", system)

    def _grants(self, context: Mapping[str, Any], state: StateView, record: Record) -> list[dict[str, Any]]:
        """The grants that the context holds, with what they say and whether they counted at that moment."""
        at = record.header.time.at
        found = []
        for item in context["grants"]:
            version = state.get(item["name"])
            found.append(
                {
                    "name": item["name"],
                    "shown": named(item["name"], self.names),
                    "version": item["version"],
                    "value": None if version is None or version.erased else version.value,
                    "erased_by": None if version is None else version.erased_by,
                    "counted": (item["start"] is None or item["start"] <= at)
                    and (item["end"] is None or at < item["end"]),
                }
            )
        return found

    def _last_change(self, record: Record, context: Mapping[str, Any], system: str) -> dict[str, Any] | None:
        """The last change before the decision that bears on this actor on this system; None where none does."""
        determining = {item["policy"] for item in record.content["authorization"]["determining"]}
        bears = bearing(record.header.actor or "", system, [item["group"] for item in context["groups"]])
        erased = ""
        for at in reversed(changes_before(self.records, record.header.decided or 0)):
            change = self.records.record(at)
            if isinstance(change.body, Erased) and not erased:
                erased = f" (of record {at}, erased by record {change.body.by}, nobody can tell any more)"
            touched = [str(op["name"]) for op in change.content.get("objects", ()) if bears(str(op.get("name")))]
            if not touched:
                continue
            before_ns = parse_moment(record.header.time.at) - parse_moment(change.header.time.at)
            what = sentence(change, self.names, self.bound_of(change.header))
            return {
                "index": at,
                "kind": change.header.kind,
                "at": change.header.time.at,
                "sentence": what,
                "objects": touched,
                "before_ns": str(before_ns),
                "words": f", {duration_words(before_ns)} after record {at} put that in force"
                if determining.intersection(touched)
                else f"; the last change that bears on it is record {at}, {duration_words(before_ns)} before{erased}",
            }
        return None

    def _unseen(self, record: Record, context: Mapping[str, Any], system: str) -> list[dict[str, Any]]:
        """The changes that bear on this actor here and that stand between the state decided under and the record."""
        bears = bearing(record.header.actor or "", system, [item["group"] for item in context["groups"]])
        found = []
        for at in changes_before(self.records, record.index, record.header.decided or 0):
            change = self.records.record(at)
            ops = change.content.get("objects")
            if ops is None or any(bears(str(op["name"])) for op in ops):
                found.append({"index": at, "sentence": sentence(change, self.names, self.bound_of(change.header))})
        return found

    def _context_difference(self, record: Record) -> dict[str, Any] | None:
        """The context record and how it differs from the one before of the same actor and system."""
        index = record.header.context
        if index is None:
            return None
        current = self.records.record(index)
        previous = self._context_before(current)
        both = [current] if previous is None else [previous, current]
        erased = [record.body.by for record in both if isinstance(record.body, Erased)]
        known = previous is not None and not erased
        return {
            "index": index,
            "previous": None if previous is None else previous.index,
            "differences": context_difference(previous.content, current.content) if previous and known else [],
            "erased_by": erased[0] if erased else None,
        }

    def _context_before(self, current: Record) -> Record | None:
        header = current.header
        for at in range(current.index - 1, max(current.index - 1 - EXPLAIN_LOOK_BACK_MAX, -1), -1):
            earlier = self.records.header(at)
            if (earlier.kind, earlier.actor, earlier.system) == ("context", header.actor, header.system):
                return self.records.record(at)
        return None

    def _outcome(self, record: Record) -> dict[str, Any] | None:
        """The outcome of an intent, from the record that completes it."""
        if record.header.kind != "access.intent":
            return None
        stop = min(self.records.size, record.index + EXPLAIN_LOOK_BACK_MAX)
        for at in range(record.index + 1, stop):
            header = self.records.header(at)
            if header.kind == "access.outcome" and header.ref == record.index:
                return {"index": at, "outcome": header.outcome, "result": self.records.record(at).content.get("result")}
        return None

    def _again(self, record: Record, state: ChangingView, context: Mapping[str, Any]) -> dict[str, Any]:
        """The decision made again, and whether it is the recorded one."""
        recorded = record.content["authorization"]
        at_ns, actor = parse_moment(record.header.time.at), record.header.actor or ""
        try:
            if record.header.kind in _CHANGE_KINDS:
                decided = self._change_again(record, state).block()
            else:
                requests = tuple(Request(r["action"], r["type"], r["id"]) for r in recorded["requests"])
                facts = {
                    fact["name"]: tuple(fact["value"]) if isinstance(fact["value"], list) else fact["value"]
                    for fact in recorded["facts"]
                }
                built = build_context(state, actor, context["system"])
                decided = Decider(built, state).decide(requests, facts, at_ns).block()
        except AffidavitError as error:
            return {"decision": None, "same": False, "engine": None, "why": str(error)}
        return {
            "decision": decided["decision"],
            "same": all(decided[part] == recorded.get(part) for part in _DECISION_PARTS),
            "engine": decided["engine"],
            "why": "" if decided["engine"] == recorded["engine"] else f"recorded with {recorded['engine']}",
        }

    def _change_again(self, record: Record, state: ChangingView) -> Authorization:
        actor, at_ns, content = record.header.actor or "", parse_moment(record.header.time.at), record.content
        if record.header.kind == "approval" and record.header.ref is not None:
            objects = self.records.record(record.header.ref).content.get("objects")
            return decide_change(state, decode_ops(objects), actor, (), at_ns, approving=True)
        approvers = tuple(item["approver"] for item in content["approvals"])
        return decide_change(state, decode_ops(content["objects"]), actor, approvers, at_ns)


def context_difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs between two contexts: `{what, before, after}`, null where one of them lacks it."""
    found: list[dict[str, Any]] = []
    for part in ("configured", "identity", "declared"):
        if before.get(part) != after.get(part):
            found.append({"what": part, "before": before.get(part), "after": after.get(part)})
    for part, key in (
        ("groups", "group"),
        ("grants", "name"),
        ("policies", "name"),
        ("schemas", "name"),
        ("observed", "name"),
        ("settings", "name"),
    ):
        old = {item[key]: item for item in before.get(part, ())}
        new = {item[key]: item for item in after.get(part, ())}
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                found.append({"what": f"{part} {name}", "before": old.get(name), "after": new.get(name)})
    return found


def bearing(actor: str, system: str, groups: list[str]) -> Callable[[str], bool]:
    """Whether a change to an object bears on what `actor` may do on `system`, and on how that is captured."""
    principals = (actor, *(f"group:{group}" for group in groups))
    exact = {
        f"identity/{actor}",
        f"system/{system}",
        "settings/organisation",
        "settings/floor",
        f"settings/system/{system}",
        f"settings/user/{actor}",
        *(f"settings/group/{group}" for group in groups),
    }
    prefixes = (
        "policy/",
        "schema/",
        f"observed/{system}/",
        f"reported/{actor}/",
        *(f"{kind}/{principal}/" for kind in ("grant", "membership") for principal in principals),
    )
    return lambda name: name in exact or name.startswith(prefixes)


def _unique(determining: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted({(item["policy"], item["digest"]) for item in determining})


def _rule(item: tuple[str, str], state: StateView, names: Names) -> dict[str, Any]:
    """A determining rule with its text as of the decision, and whether that is the text whose digest was recorded; null
    where it was erased."""
    name, digest = item
    version = state.get(name) if digest else None
    erased_by = None if version is None else version.erased_by
    value = None if version is None or version.erased else version.value
    return {
        "name": name,
        "shown": named(name, names),
        "text": _BUILT_IN.get(name, "") if not digest else (value or {}).get("text"),
        "value": value,
        "version": None if version is None else version.version,
        "erased_by": erased_by,
        "agrees": None if erased_by is not None else not digest or (version is not None and version.digest == digest),
    }


def only_observed(decision: str, rules: Sequence[Mapping[str, Any]]) -> bool:
    """Whether what allowed it are rules that allow everything. Each of `rules` has its `name`, and its `text`."""
    text = observe_all()["text"]
    return (
        decision == "allow"
        and bool(rules)
        and all(rule["name"] == "policy/observe-all" or rule["text"] == text for rule in rules)
    )
