"""What a draft must be, by itself and by what it refers to, before the sequencer seals it.

These are the rules of docs/spec/record.md, read from the table in `record/kinds.py`. Whatever breaks one is refused
with a `Refusal` whose code says what the producer should do: `draft` (wrong, never retry), `reference`, `conflict`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from affidavit import canonical
from affidavit.errors import Corruption, Unavailable
from affidavit.ledger.standing import Session, Standing, Stream
from affidavit.limits import BODY_BYTES_MAX, ID_CHARS_MAX
from affidavit.record.draft import Draft, Earlier, Receipt, Reference, Refusal
from affidavit.record.ids import is_uuid7
from affidavit.record.kinds import ACTIONS, BASES, DECIDED_KINDS, DECISIONS, GUARANTEES, KINDS, OUTCOMES

#: Kinds that only the ledger itself writes.
OWN_KINDS = frozenset({"log.open", "log.close", "log.key", "erase"})
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_CLOSED: tuple[tuple[str, frozenset[str]], ...] = (
    ("basis", BASES),
    ("guarantee", GUARANTEES),
    ("action", ACTIONS),
    ("decision", DECISIONS),
    ("outcome", OUTCOMES),
)


class DraftRefused(Exception):
    """Carries the refusal of a draft up to the sealing loop. Never leaves the room."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class _Part(msgspec.Struct, gc=False):
    id: str | None = None
    class_: str | None = msgspec.field(default=None, name="class")
    decision: str | None = None
    outcome: str | None = None


class _Salted(msgspec.Struct, gc=False):
    salt: str


class _Agreeing(msgspec.Struct):
    """The parts of a body that its header repeats."""

    salt: str
    actor: _Part | None = None
    action: _Part | None = None
    authorization: _Part | None = None
    result: _Part | None = None


_SALT_CHARS = 22
_salted = msgspec.json.Decoder(_Salted)
_agreeing = msgspec.json.Decoder(_Agreeing)
#: Kinds whose body repeats header fields in parts of one shape (docs/spec/record.md).
_AGREEING_KINDS = frozenset({"access", "access.intent", "access.outcome", "session.open"})


class DraftRules:
    """Checks drafts against `standing`. Remembers combinations of closed values that passed: there are few.

    `kind_of` looks the kind of an old record up in the log, where `standing` no longer knows it.
    """

    def __init__(self, standing: Standing, kind_of: Callable[[int], str]) -> None:
        self._standing = standing
        self._kind_of = kind_of
        self._passed: set[tuple[Any, ...]] = set()

    def check(self, draft: Draft) -> None:
        """Raise `DraftRefused` unless the draft's own values are such as a header may carry, and its body agrees."""
        self.check_shared(draft)
        self.check_own(draft)

    def check_shared(self, draft: Draft) -> None:
        """As `check`, but for its id, time, tags and body. Holds until something opens, ends or moves."""
        shape = (
            draft.kind,
            draft.basis,
            draft.guarantee,
            draft.action,
            draft.decision,
            draft.outcome,
            draft.actor is None,
            draft.session is None,
            draft.system is None,
            draft.context is None,
            draft.ref is None,
            draft.decided is None,
            draft.root is None,
            draft.body is None,
        )
        if shape not in self._passed:
            _check_shape(draft)
            self._passed.add(shape)
        for text in (draft.actor, draft.system):
            if text is not None and not 0 < len(text) <= ID_CHARS_MAX:
                raise _wrong("an actor or system id is empty or too long")
        if draft.root is not None and not _HEX_64.fullmatch(draft.root):
            raise _wrong("the root is not 64 hex digits")
        self._check_state(draft)

    @staticmethod
    def check_own(draft: Draft) -> None:
        """As `check`, for a draft whose other parts have passed `check_shared`."""
        if not is_uuid7(draft.id):
            raise _no_id(draft)
        if draft.body is not None:
            _check_body(draft, draft.body)

    def _check_state(self, draft: Draft) -> None:
        decided = draft.decided
        if decided is None:
            return
        state = self._standing.state
        if not 0 <= decided <= state:
            raise _wrong(f"it says it was decided under the state {decided}, which is not reached yet")
        if decided != state and draft.kind in DECIDED_KINDS and draft.guarantee != "after":
            if draft.basis != "observed" and draft.root is None:
                return
            why = f"Decided under state {decided}, but the state is {state} now. Decide again."
            raise DraftRefused(Refusal("conflict", why, state))

    def session(self, draft: Draft, index: int) -> Session:
        """The open session at `index`, of the draft's actor and system."""
        session = self._standing.sessions.get(index)
        if session is None:
            raise _reference(f"{index} is not an open session")
        if session.actor != draft.actor or session.system != draft.system:
            raise _reference(f"the session {index} belongs to another actor or system")
        return session

    def context(self, draft: Draft, index: int) -> None:
        """Raise unless `index` is one of the newest contexts of the draft's actor and system."""
        known = self._standing.contexts.get((draft.actor or "", draft.system or ""))
        if known is None or index not in known:
            raise _reference(f"{index} is not a recent context of this actor and system")

    def ref(self, draft: Draft, index: int, session_index: int | None, session: Session | None) -> None:
        """Raise unless `ref` may name the record at `index`."""
        kinds = KINDS[draft.kind].ref
        if not 0 <= index < self._standing.size:
            raise _reference(f"{index} is not in the log yet")
        kind = self._kind_at(index)
        if "*" not in kinds and kind not in kinds:
            raise _reference(f"a {draft.kind} cannot refer to {index}, a record of the kind {kind or 'unknown'}")
        if draft.kind == "access.outcome":
            if session is None or index not in session.intents:
                raise _reference(f"the intent {index} is not open in this session")
        elif draft.kind == "transaction" and (session_index is None or index <= session_index):
            raise _reference(f"{index} lies before the transaction's session")

    def _kind_at(self, index: int) -> str:
        kind = self._standing.kind_at(index)
        if kind is not None:
            return kind
        try:
            return self._kind_of(index)
        except (Corruption, Unavailable) as error:
            # The draft is refused, not the log ended: what is damaged is old, and what is asked for is one reference.
            raise _reference(f"{index} cannot be read: {error.message}") from None


def resolve(reference: Reference, stream: Stream, first: int, receipts: Sequence[Receipt]) -> int:
    """The index that a reference names; `receipts` are those of the drafts of this batch, numbered from `first`."""
    if isinstance(reference, Earlier):
        seq = reference.seq
        if first <= seq < first + len(receipts):
            return receipts[seq - first].index
        index = stream.index_of(seq) if seq < first else None
        if index is None:
            raise _reference(f"draft {seq} of this stream is not sealed, or too long ago: name its index")
        return index
    return reference


def _check_shape(draft: Draft) -> None:
    rule = KINDS.get(draft.kind)
    if rule is None:
        raise _wrong(f"the kind {draft.kind[:40]!r} is not known")
    if draft.kind in OWN_KINDS:
        raise _wrong(f"only the ledger writes {draft.kind}")
    for name, allowed in _CLOSED:
        value = getattr(draft, name)
        if value is not None and value not in allowed:
            raise _wrong(f"{name} cannot be {str(value)[:40]!r}")
    for name in rule.needs:
        if getattr(draft, name) is None:
            raise _wrong(f"a {draft.kind} needs {name}")
    if draft.root is not None and not rule.state:
        raise _wrong(f"a {draft.kind} does not change state, so it has no root")
    if draft.ref is not None and not rule.ref:
        raise _wrong(f"a {draft.kind} refers to nothing by ref")
    if draft.kind == "session.open" and draft.decision == "allow" and draft.actor is None:
        raise _wrong("an allowed session.open needs actor")


def _check_body(draft: Draft, body: bytes) -> None:
    """Bounds, a salt, and agreement with the header. That it is canonical is the word of `encode_body`."""
    if len(body) > BODY_BYTES_MAX:
        raise _wrong(f"its body of {len(body)} bytes is above {BODY_BYTES_MAX}")
    try:
        if draft.kind not in _AGREEING_KINDS:
            salted: _Salted | _Agreeing = _salted.decode(body)
        else:
            salted = content = _agreeing.decode(body)
            if (
                (content.actor is not None and content.actor.id != draft.actor)
                or (content.action is not None and content.action.class_ != draft.action)
                or (content.authorization is not None and content.authorization.decision != draft.decision)
                or (content.result is not None and content.result.outcome != draft.outcome)
            ):
                raise _wrong("its header and its body do not agree")
    except canonical.UNREADABLE as error:
        raise _wrong(f"its body is not a salted JSON object: {error}") from None
    if len(salted.salt) != _SALT_CHARS:
        raise _wrong("its body needs a salt of 16 bytes")


def _no_id(draft: Draft) -> DraftRefused:
    return _wrong(f"{draft.id[:80]!r} is not a UUIDv7")


def _wrong(why: str) -> DraftRefused:
    return DraftRefused(Refusal("draft", f"The draft is wrong: {why}."))


def _reference(why: str) -> DraftRefused:
    return DraftRefused(Refusal("reference", f"The draft refers to what it may not: {why}."))
