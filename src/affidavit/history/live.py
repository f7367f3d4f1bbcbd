"""The live state: a follower of the ledger that folds each durable change, and keeps contexts ready for decisions.

Theory: the ledger calls `applied` on its writer thread, in order, once records are durable and before their own
producers hear of it. So whoever has been told that a change is in the log finds it applied here. Readers on other
threads see either the state before a change or after it: one lock guards the fold. A `ContextView` is frozen; it says
at which state index it was built, and the ledger refuses a decision made under an older one, so a view that has just
become stale does no harm.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from affidavit.errors import Corruption, InvalidInput
from affidavit.history.asof import Records, apply_record, changes_before
from affidavit.history.folding import fold
from affidavit.history.progress import Progress
from affidavit.limits import CONTEXT_VIEWS_MAX
from affidavit.record.kinds import STATE_KINDS
from affidavit.record.read import Record
from affidavit.state.change import Op
from affidavit.state.context import build_context, context_digest
from affidavit.state.deciding import Decider, nesting_of
from affidavit.state.fold import State, Version
from affidavit.state.hidden import Step
from affidavit.state.objects import has_ended
from affidavit.state.settings import Effective, resolve

#: The kinds of records that the live state has to be shown.
FOLLOWED_KINDS = STATE_KINDS | {"context", "erase"}

_HEARD_EVERY = 1_000  # changes, a tenth of a second


@dataclass(frozen=True)
class ContextView:
    """What decisions about one actor on one system rest on.

    `state` is the state index it was built at, `content` the body of a `context` record without its salt, `digest`
    its digest. `recorded` is the index of the last `context` record of this actor and system where that says the
    same as `content`, else None: then one must be recorded before a decision refers to it.
    """

    state: int
    actor: str
    system: str
    digest: str
    content: dict[str, Any]
    decider: Decider
    settings: Mapping[str, Effective]
    configured: bool
    recorded: int | None


class Live:
    """The state as of the last durable change. Safe to use from any thread."""

    def __init__(self, state: State) -> None:
        self._lock = threading.Lock()
        self._state = state
        self._views: OrderedDict[tuple[str, str], ContextView] = OrderedDict()
        self._recorded: dict[tuple[str, str], tuple[int, str]] = {}
        self._progress = Progress(state.index, "The live state")
        #: The state index: the index after the last change that was applied. For reading only.
        self.index: int = state.index

    @classmethod
    def load(
        cls,
        reader: Records,
        also: Callable[[Record, Sequence[Step]], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Live:
        """The live state of the log that `reader` reads, up to its last record. `also` is shown each change once it has
        been applied and its root was found as the log says it; `progress` hears how many of how many.

        Contexts recorded earlier are not looked up: that would read the whole log. Each actor and system that acts
        gets one more `context` record after a start. Raises `Corruption` where a change does not apply.
        """
        changes = changes_before(reader, reader.size)
        done = itertools.count(1)

        def found(record: Record, ops: Sequence[Step]) -> None:
            if also is not None:
                also(record, ops)
            count = next(done)
            if progress is not None and count % _HEARD_EVERY == 0:
                progress(min(count, len(changes)), len(changes))

        return cls(fold(reader, changes, found))

    def applied(self, records: Sequence[Record]) -> None:
        """Fold durable records of `FOLLOWED_KINDS`, in order. Called by the ledger's writer thread only."""
        with self._lock:
            for record in records:
                if record.header.kind in STATE_KINDS:
                    apply_record(self._state, record)
                elif record.header.kind == "context":
                    self._learn(record)
                else:
                    self._forget(record)
            self.index = self._state.index
        if self.index != self._progress.value:
            self._progress.advance(self.index)

    def context(self, actor: str, system: str) -> ContextView:
        """What decisions about `actor` on `system` rest on now. Cached for each state index."""
        view = self._views.get((actor, system))
        if view is not None and view.state == self.index:
            return view
        with self._lock:
            return self._build(actor, system)

    def identity_by_handle(self, handle: str) -> str | None:
        """The identity id whose profile has this handle, or None."""
        with self._lock:
            return self._state.identity_of_handle(handle)

    def resolve(self, name: str) -> str:
        """The identity id that `name` (a handle, or an id) names. Raises `InvalidInput` where nobody has it."""
        with self._lock:
            if self._state.get(f"identity/{name}") is not None:
                return name
            identity = self._state.identity_of_handle(name)
        if identity is None:
            raise InvalidInput(
                "who.unknown", f"Nobody has the handle {name!r}.", "See `affidavit state at now profile/` for all."
            )
        return identity

    def name_of(self, identity: str) -> str:
        """The handle of an identity as it is now; its id where it has none."""
        with self._lock:
            return self._state.handle_of(identity) or identity

    def credential(self, name: str) -> dict[str, Any] | None:
        """The value of `credential/NAME`, or None."""
        return self._value(f"credential/{name}")

    def system(self, system: str) -> dict[str, Any] | None:
        """The value of `system/ID`, or None."""
        return self._value(f"system/{system}")

    def version(self, name: str) -> Version | None:
        """The object `name` as it is now, or None."""
        with self._lock:
            return self._state.get(name)

    def identity(self, identity: str) -> dict[str, Any] | None:
        """The value of `identity/ID`, or None."""
        return self._value(f"identity/{identity}")

    def tokens_of(self, identity: str, at_ns: int) -> list[str]:
        """The names (`token-…`) of an identity's token credentials that have not ended by `at_ns`, newest first."""
        with self._lock:
            held = [self._state.get(name) for name in self._state.credentials_of(identity)]
        tokens = [
            version
            for version in held
            if version is not None and version.value["type"] == "token" and not has_ended(version.value, at_ns)
        ]
        tokens.sort(key=lambda version: version.version, reverse=True)
        return [version.name.removeprefix("credential/") for version in tokens]

    def preview(self, ops: Sequence[Op]) -> State:
        """The state as it would be after `ops`, for its root. Raises what applying them would raise."""
        with self._lock:
            return self._state.preview(ops)

    def snapshot(self) -> State:
        """A copy of the state that nobody else changes: for planning and for answers."""
        with self._lock:
            return self._state.copy()

    async def reached(self, index: int, timeout_s: float) -> None:
        """Wait until the state index is at least `index`. Raises `Unavailable` after `timeout_s` seconds."""
        await self._progress.reached(index, timeout_s)

    def _value(self, name: str) -> dict[str, Any] | None:
        with self._lock:
            version = self._state.get(name)
        return None if version is None else version.value

    def _build(self, actor: str, system: str) -> ContextView:
        key = (actor, system)
        view = self._views.get(key)
        if view is not None and view.state == self._state.index:
            return view
        content = build_context(self._state, actor, system)
        digest = context_digest(content)
        if view is not None and view.digest == digest and view.decider.nesting == nesting_of(content, self._state):
            # Most changes touch others: the prepared decider and its cache stay good.
            view = replace(view, state=self._state.index)
        else:
            settings, configured = resolve(self._state, actor, system)
            view = ContextView(
                state=self._state.index,
                actor=actor,
                system=system,
                digest=digest,
                content=content,
                decider=Decider(content, self._state),
                settings={effective.name: effective for effective in settings},
                configured=configured,
                recorded=None,
            )
        index, recorded_digest = self._recorded.get(key, (None, ""))
        view = replace(view, recorded=index if recorded_digest == digest else None)
        self._views[key] = view
        self._views.move_to_end(key)
        if len(self._views) > CONTEXT_VIEWS_MAX:
            self._views.popitem(last=False)
        return view

    def _forget(self, record: Record) -> None:
        """An `erase` record: what an erased change put is known no longer, as it would not be after a start."""
        erased = record.content.get("record")
        kind = erased.get("kind") if isinstance(erased, dict) else None
        if record.header.decision == "allow" and record.header.ref is not None and kind in STATE_KINDS:
            self._state.forget(record.header.ref, record.index)

    def _learn(self, record: Record) -> None:
        actor, system = record.header.actor, record.header.system
        if actor is None or system is None or not isinstance(record.body, dict):
            raise Corruption("live.context", f"The context record {record.index} has no readable body.")
        content = {name: value for name, value in record.body.items() if name != "salt"}
        digest = context_digest(content)
        self._recorded[actor, system] = (record.index, digest)
        view = self._views.get((actor, system))
        if view is not None:
            self._views[actor, system] = replace(view, recorded=record.index if view.digest == digest else None)
