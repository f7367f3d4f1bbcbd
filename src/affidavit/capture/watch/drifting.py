"""Drift: what an upstream enforces differs from what stands in the log, so it is put there, with what explains it."""

from __future__ import annotations

import asyncio
import secrets as randomness
from collections.abc import Iterator, Mapping
from typing import Any

from affidavit.capture.gateway.opening import AsyncLog, LiveState, appended, restless
from affidavit.capture.watch.difference import Told, bounded, difference, explained
from affidavit.capture.watch.enforced import Enforced, Sections, listed_sections
from affidavit.clock import Clock
from affidavit.errors import Conflict
from affidavit.history.asof import Records
from affidavit.limits import CONFLICTS_MAX, DRIFT_EXPLAIN_RECORDS_MAX, DRIFT_EXPLAIN_S, DRIFT_TOLD_MAX
from affidavit.record.body import SALT_BYTES, encode_body, salt_text
from affidavit.record.draft import Draft
from affidavit.record.ids import RANDOM_BYTES, uuid7
from affidavit.record.moment import NS, format_moment
from affidavit.state.change import Op, Put, encode_ops
from affidavit.state.objects import GROUP_PREFIX, parse_name

_STATEMENTS = frozenset({"access", "access.intent"})
_EXPLAINING = frozenset({"define", "grant"})
_FAILED = frozenset({"error", "none"})


class Drifts:
    """Records the drift of one system."""

    def __init__(self, system: str, log: AsyncLog, live: LiveState, records: Records, clock: Clock) -> None:
        self._system, self._log, self._live, self._records, self._clock = system, log, live, records, clock
        self._last: tuple[str, Sections] | None = None  # digest and entries of the last look: more than the log holds

    async def note(self, now: Enforced) -> bool:
        """Put what the upstream enforces into the state where it differs; whether it did.

        Raises `Unavailable` when it cannot be recorded.
        """
        name = f"observed/{self._system}/{now.role}"
        for _ in range(CONFLICTS_MAX):
            index = self._live.index
            known = self._live.version(name)
            if known is not None and known.value == now.observed:
                self._last = now.observed["digest"], now.sections
                return False
            salt = salt_text(randomness.token_bytes(SALT_BYTES))
            ops: tuple[Op, ...] = (Put(name, None if known is None else known.version, now.observed, salt),)
            lines = [] if known is None else await self._lines(known.value, now)
            content = {"objects": encode_ops(ops), "difference": bounded(lines)}
            try:
                root = self._live.preview(ops).root
            except Conflict:
                continue  # somebody else recorded it since we looked: the state moves on the ledger's thread
            if await appended(self._log, self._live, self._draft(index, root, content)):
                self._last = now.observed["digest"], now.sections
                return True
        raise restless()

    def _draft(self, decided: int, root: str, content: dict[str, Any]) -> Draft:
        at = self._clock.now_ns()
        return Draft(
            kind="drift",
            id=uuid7(at, randomness.token_bytes(RANDOM_BYTES)),
            at=at,
            system=self._system,
            decided=decided,
            root=root,
            body=encode_body(content, randomness.token_bytes(SALT_BYTES)),
        )

    async def _lines(self, before: dict[str, Any], now: Enforced) -> list[dict[str, Any]]:
        last = self._last
        sections = last[1] if last is not None and last[0] == before.get("digest") else listed_sections(before)
        lines = difference(before, sections, now.observed, now.sections)
        if not lines:
            return lines
        told = await asyncio.to_thread(told_before, self._records, self._system, self._clock.now_ns())
        return explained(lines, told, now.role)


def told_before(records: Records, system: str, now_ns: int) -> list[Told]:
    """The records of the last hour that may explain a difference on `system`, newest first: statements of the class
    `define` or `grant` that were let through and did not fail, and changes that were allowed."""
    since = format_moment(max(0, now_ns - DRIFT_EXPLAIN_S * NS))
    found: list[Told] = []
    undone: set[int] = set()  # statements that the database refused, or whose transaction was rolled back
    unsure: set[int] = set()  # sessions that rolled back nobody knows what any more
    for index in range(records.size - 1, max(-1, records.size - 1 - DRIFT_EXPLAIN_RECORDS_MAX), -1):
        header = records.header(index)
        if header.log.at < since or len(found) >= DRIFT_TOLD_MAX:
            break
        if header.system == system and header.kind == "access.outcome" and header.outcome in _FAILED:
            undone.add(-1 if header.ref is None else header.ref)
        elif header.system == system and header.kind == "transaction" and header.outcome == "none":
            accesses = records.record(index).content.get("accesses")
            undone.update(accesses or ())
            unsure.update(() if accesses is not None or header.session is None else (header.session,))
        if header.decision != "allow" or header.outcome in _FAILED or index in undone or header.session in unsure:
            continue
        if header.kind in _STATEMENTS and header.system == system and header.action in _EXPLAINING:
            action = records.record(index).content.get("action")
            found.append(Told(index, _statement(action) if isinstance(action, dict) else ""))
        elif header.kind == "change":
            found.append(Told(index, _declared(records.record(index).content)))
    return found


def _declared(content: Mapping[str, Any]) -> str:
    """What a change names: its reason and ticket, the names of its objects without their kinds, and the texts in their
    values. What members of a record are called names nothing: a table may be called `ticket`."""
    said = [str(content.get("reason") or ""), str(content.get("ticket") or "")]
    for op in content.get("objects") or ():
        name = parse_name(str(op["name"]))
        said += name.parts[1:] if name.kind == "settings" else name.parts
        said += _texts(op.get("value"))
    return " ".join(part.removeprefix(GROUP_PREFIX) for part in said)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _statement(action: dict[str, Any]) -> str:
    tables = [f"{item.get('schema', '')}.{item.get('name', '')}" for item in action.get("tables", ())]
    return " ".join([str(action.get("statement", "")), *tables])
