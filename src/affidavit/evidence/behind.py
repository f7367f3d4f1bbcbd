"""Who stands behind a record, as far as the log shows it, and what it cannot know.

A record names an identity and the credential that proved it. The change that put the credential names who gave it;
where that is a service again, the same is asked of it, until a human is reached. Nothing here is guessed: where the
chain ends without a human, or a body cannot be read, that is what is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from affidavit.evidence.sentence import Names
from affidavit.history.asof import Records
from affidavit.limits import GIVERS_MAX
from affidavit.record.body import Erased
from affidavit.record.read import Record
from affidavit.state.fold import Version
from affidavit.state.view import StateView


@dataclass(frozen=True)
class Behind:
    """Answers for records of one log. `state_at` gives the state at a position."""

    records: Records
    state_at: Callable[[int], StateView]
    names: Names

    def of(self, record: Record) -> dict[str, Any] | None:
        """Who stands behind `record`, as values for JSON; None where it names no identity.

        `identity`, `handle`, `kind`; `how`, `strength`, `credential`: how it was proved; `given`: who gave that
        credential, and who gave the giver theirs where that was no human; `human`: who answers for it, or null;
        `account` of the connected system, `address`, and `application`, which the client claims; `unknown`: sentences.
        """
        actor = record.header.actor
        if actor is None or record.header.kind in ("lapse", "drift"):
            return None
        proved = self._proved(record)
        state = self.state_at(proved.index)
        if state.get(f"identity/{actor}") is None:
            state = self.state_at(proved.index + 1)  # the first administrator makes the change that makes them one
        version = state.get(f"identity/{actor}")
        kind = _kind(version)
        said, client = _part(proved.content, "actor"), _part(proved.content, "client")
        shown = _part(said, "authenticated") or _part(proved.content, "via")
        credential = str(shown.get("credential") or "")
        given = self._givers(credential, proved.index) if credential else []
        found = {
            "identity": actor,
            "handle": state.handle_of(actor) or self.names(actor),
            "kind": kind,
            "how": shown.get("how") or shown.get("method"),
            "strength": shown.get("strength"),
            "credential": credential or None,
            "given": given,
            "human": self._human(actor, kind, given, state),
            "account": self._account(record),
            "address": client.get("address"),
            "application": client.get("application"),
        }
        if isinstance(proved.body, Erased):
            said_so = f"How it was proved: record {proved.index} says so, and record {proved.body.by} erased it."
            return {**found, "unknown": [said_so]}
        if version is not None and version.erased:
            what = f"What kind of identity it was: record {version.version} says so, and record {version.erased_by}"
            return {**found, "unknown": [f"{what} erased it."]}
        return {**found, "unknown": _unknown(found, readable=isinstance(proved.body, dict))}

    def given(self, credential: str, position: int) -> dict[str, Any]:
        """A credential as it was at a position: its label, and who put it, in which record."""
        then = self.state_at(position)
        version = then.get(f"credential/{credential}")
        giver = None if version is None else self.records.header(version.version).actor
        return {
            "credential": credential,
            "label": "" if version is None or version.erased else str(version.value.get("label", "")),
            "given_by": None if giver is None else then.handle_of(giver) or self.names(giver),
            "record": None if version is None else version.version,
        }

    def _proved(self, record: Record) -> Record:
        """The record that says how the actor was proved: itself, or the beginning of its session; of a change that an
        approval made, in which the approver was proved, the proposal."""
        content, session = record.content, record.header.session
        if record.header.kind == "change" and record.header.ref is not None:
            return self.records.record(record.header.ref)
        if "authenticated" in _part(content, "actor") or "via" in content or session is None:
            return record
        return self.records.record(session)

    def _givers(self, credential: str, position: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while credential and len(found) < GIVERS_MAX:
            given = self.given(credential, position)
            put = given["record"]
            if put is None or put in [one["record"] for one in found]:
                return found
            giver = self.records.header(put).actor
            version = None if giver is None else self.state_at(put + 1).get(f"identity/{giver}")
            kind = _kind(version)
            found.append({**given, "identity": giver, "kind": kind})
            if kind == "human":
                return found
            credential, position = str(_part(self.records.record(put).content, "via").get("credential") or ""), put
        return found

    def _human(self, actor: str, kind: str | None, given: list[dict[str, Any]], state: StateView) -> str | None:
        if kind == "human":
            return state.handle_of(actor) or self.names(actor)
        return str(given[-1]["given_by"]) if given and given[-1]["kind"] == "human" else None

    def _account(self, record: Record) -> str | None:
        opened = record.index if record.header.kind == "session.open" else record.header.session
        role = None if opened is None else _part(self.records.record(opened).content, "upstream").get("role")
        return role if isinstance(role, str) else None


def _kind(version: Version | None) -> str | None:
    """What kind of identity it was; None where there was none, or nobody knows any more."""
    return None if version is None or version.erased else str(version.value["kind"])


def _unknown(found: Mapping[str, Any], *, readable: bool) -> list[str]:
    """What the log cannot know of who it was."""
    who, given = found["handle"], found["given"]
    if not readable:
        return ["How it was proved: the body that says so cannot be read."]
    if found["kind"] is None:
        return ["Who it was: no such identity was declared by then."]
    said = []
    if found["kind"] == "human":
        said.append(f"Whether it was {who} in person: whoever had this credential is {who} to the log.")
    else:
        said.append(f"Which person, if any, had {who} act at that moment: nothing that it presents says so.")
        if found["human"] is None:
            said.append("Who answers for it: no human gave it its credential, by any record here.")
    if given and given[0]["given_by"] != who and str(found["credential"]).startswith("token-"):
        said.append(f"Whether {given[0]['given_by']}, who saw the token when it was made, kept or passed it on.")
    if found["application"]:
        said.append("Whether the application is what it calls itself.")
    return said


def _part(content: Any, name: str) -> dict[str, Any]:
    value = content.get(name) if isinstance(content, Mapping) else None
    return value if isinstance(value, dict) else {}
