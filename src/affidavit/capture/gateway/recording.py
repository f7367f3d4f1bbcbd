"""Drafts of one session: the header fields and bodies that its records share, and what is its own in each."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Mapping
from typing import Any

import msgspec

from affidavit import canonical
from affidavit.capture.gateway.rendering import Renderer
from affidavit.capture.gateway.transactions import COMMITTED, ROLLED_BACK, Transaction
from affidavit.capture.gateway.unit import Unit
from affidavit.clock import Clock
from affidavit.errors import InvalidInput
from affidavit.limits import SUBJECTS_MAX
from affidavit.record.body import SALT_BYTES, encode_body_trusted
from affidavit.record.draft import Draft
from affidavit.record.ids import RANDOM_BYTES, uuid7
from affidavit.state.deciding import Authorization

_ACCESSES_MAX = 1_000
_AUTHORIZATIONS_MAX = 256
_CUT_CHARS_MAX = 4_096  # of a statement whose body does not fit: escaped, at most 24 KiB
_POOL_BYTES = 26 * 64
_TRANSACTION_OUTCOMES = {COMMITTED: "ok", ROLLED_BACK: "none"}


class Recorder:
    """Makes drafts for one actor on one system. `actor` and `client` are the body parts that all records repeat."""

    def __init__(
        self, clock: Clock, renderer: Renderer, system: str, actor: Mapping[str, Any], client: Mapping[str, Any]
    ) -> None:
        self.clock = clock
        self.renderer = renderer
        self.system = system
        self.actor = str(actor["id"])
        self.credential = str(actor.get("authenticated", {}).get("credential", ""))
        self._actor_part = msgspec.Raw(canonical.encode(actor))
        self._client_part = msgspec.Raw(canonical.encode(client))
        self._pool = b""
        self._pool_at = 0
        self.session: int | None = None
        self._authorizations: dict[int, tuple[Authorization, msgspec.Raw]] = {}

    def salted(self, content: Mapping[str, Any]) -> bytes:
        """A body's plaintext with a fresh salt."""
        return encode_body_trusted(content, self._random(SALT_BYTES))

    def draft(self, kind: str, at_ns: int, content: Mapping[str, Any], **fields: Any) -> Draft:
        """A draft of this session's actor, system and session."""
        return Draft(
            kind=kind,
            id=uuid7(at_ns, self._random(RANDOM_BYTES)),
            at=at_ns,
            actor=self.actor,
            system=self.system,
            session=self.session,
            body=self.salted(content),
            **fields,
        )

    def access(self, unit: Unit, withheld: bool = False) -> Draft:
        """The one record of a statement: decision and outcome together."""
        content = self._content(unit)
        result = unit.result.block(unit.outcome, unit.duration_ns)
        if unit.transaction is not None:
            result["transaction"] = unit.transaction.number
        if withheld:
            result["withheld"] = True
        content["result"] = result
        return self._statement("access", unit, content, outcome=unit.outcome)

    def intent(self, unit: Unit) -> Draft:
        """The record before the effect."""
        return self._statement("access.intent", unit, self._content(unit))

    def outcome(self, unit: Unit) -> Draft:
        """What became of an intent."""
        result = unit.result.block(unit.outcome, unit.duration_ns)
        if unit.transaction is not None:
            result["transaction"] = unit.transaction.number
        if unit.sent_copy_bytes:
            result["received_bytes"] = unit.sent_copy_bytes
        content: dict[str, Any] = {"result": result}
        if unit.subjects is not None and (unit.subjects.found or unit.subjects.overflow):
            content["data_subjects"] = unit.subjects.block()
        fields: dict[str, Any] = {"outcome": unit.outcome, "ref": unit.intent, "tags": self._tags(unit)}
        return self._fitting("access.outcome", self.clock.now_ns(), content, fields)

    def transaction(self, transaction: Transaction) -> Draft:
        """How a transaction ended."""
        content: dict[str, Any] = {
            "transaction": transaction.number,
            "end": transaction.end,
            "accesses": transaction.accesses[:_ACCESSES_MAX],
        }
        if len(transaction.accesses) > _ACCESSES_MAX:
            content["overflow"] = True
        return self.draft(
            "transaction",
            self.clock.now_ns(),
            content,
            outcome=_TRANSACTION_OUTCOMES.get(transaction.end, "unknown"),
            ref=transaction.accesses[0] if transaction.accesses else None,
        )

    def _content(self, unit: Unit) -> dict[str, Any]:
        plan = unit.plan
        content: dict[str, Any] = {
            "actor": self._actor_part,
            "client": self._client_part,
            "action": self.renderer.action(plan, unit.result.capture, unit.protocol, unit.prepared, unit.parameters),
            "authorization": self._authorization(unit.authorization),
        }
        if unit.subjects is not None and (unit.subjects.found or unit.subjects.overflow):
            content["data_subjects"] = unit.subjects.block()
        return content

    def _authorization(self, authorization: Authorization) -> msgspec.Raw:
        """The part of the body, encoded once for a decision that the decider gives again and again."""
        known = self._authorizations.get(id(authorization))
        if known is None:
            if len(self._authorizations) >= _AUTHORIZATIONS_MAX:
                self._authorizations.clear()
            # The decision is kept beside its encoding: an id may be used again only after its object is gone.
            known = authorization, msgspec.Raw(canonical.encode(authorization.block()))
            self._authorizations[id(authorization)] = known
        return known[1]

    def _statement(self, kind: str, unit: Unit, content: dict[str, Any], **fields: Any) -> Draft:
        fields.update(
            action=unit.plan.action,
            decision=unit.authorization.decision,
            context=unit.view.context,
            decided=unit.view.state,
            guarantee=unit.guarantee,
            tags=self._tags(unit),
        )
        return self._fitting(kind, unit.at_ns, content, fields)

    def _fitting(self, kind: str, at_ns: int, content: dict[str, Any], fields: dict[str, Any]) -> Draft:
        """A draft whose body fits: parts are bounded before they are escaped, which can make six bytes of one."""
        try:
            return self.draft(kind, at_ns, content, **fields)
        except InvalidInput:
            # Keep the digests, say that it was cut. What ran must not stay without a record for its length.
            return self.draft(kind, at_ns, self._cut(content), **fields)

    def _cut(self, content: dict[str, Any]) -> dict[str, Any]:
        cut = dict(content)
        if "action" in content:
            cut["action"] = self._cut_action(content["action"])
        if "result" in content:
            result = dict(content["result"])
            if result.pop("captured", None) is not None:
                result.update(captured=[], captured_overflow=True)
            cut["result"] = result
        if "data_subjects" in content:
            cut["data_subjects"] = {"values": [], "overflow": True}
        return cut

    def _cut_action(self, whole: dict[str, Any]) -> dict[str, Any]:
        action = dict(whole)
        for name in ("parameters", "columns"):
            if name in action:
                action[name] = (
                    [{"digest": self.renderer.digest(canonical.encode(action[name]))}] if name == "parameters" else []
                )
        if len(action["statement"]) > _CUT_CHARS_MAX:
            action.setdefault("digest", self.renderer.digest(action["statement"].encode()))
            action["statement"] = action["statement"][:_CUT_CHARS_MAX]
        action["truncated"] = True
        return action

    def _tags(self, unit: Unit) -> tuple[str, ...]:
        names = unit.plan.tags
        if unit.subjects is None or not unit.subjects.found:
            return names
        found = sorted(unit.subjects.found)[:SUBJECTS_MAX]
        return names + tuple(f"{self.system}|subject|{column}={value}" for column, value in found)

    def _random(self, count: int) -> bytes:
        # One call into the kernel for many records: os.urandom costs more than a salt is worth each time.
        if self._pool_at + count > len(self._pool):
            self._pool = randomness.token_bytes(_POOL_BYTES)
            self._pool_at = 0
        start = self._pool_at
        self._pool_at = start + count
        return self._pool[start : start + count]
