"""The sequencer: gives drafts their place. It checks, numbers and seals; it touches no disk and no clock.

What it promises is written in `record/draft.py`, and the numbers there come back here. Sealing moves `standing` on
before the records are durable. That is sound because a failed write ends the ledger: nobody is told of records that
were sealed and not written, and the next start folds what the journal really holds.

This is the hot path. Most drafts differ from one before only in what each has of its own (id, number, stream, times,
tags, body). What they share is checked once, and holds, whoever hands over the next one, until something opens, ends or
moves (`Standing.acts`); their headers are written from a template (`record/template.py`). Drafts of one batch that
follow each other and share all that are a run, sealed in one loop.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Callable
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from affidavit.errors import Corruption, InvalidInput
from affidavit.ledger.group import Group
from affidavit.ledger.own import Own
from affidavit.ledger.rules import DraftRefused, DraftRules, resolve
from affidavit.ledger.standing import ACTING_KINDS, BODY_KINDS, Passed, Session, Standing, Stream, content_of, notes_of
from affidavit.limits import (
    BATCH_RECORDS_MAX,
    BODY_BYTES_MAX,
    GROUP_BYTES_MAX,
    HEADER_BYTES_MAX,
    STREAMS_MAX,
    TAGS_MAX,
    TEMPLATES_MAX,
)
from affidavit.record.body import EMPTY_SLOT, BodySealer
from affidavit.record.draft import Answer, Batch, Draft, Earlier, Receipt, Refusal
from affidavit.record.header import FORMAT, Header, Log, Source, Time, encode_header
from affidavit.record.moment import format_moment, moment_bytes
from affidavit.record.tags import Tagger
from affidavit.record.template import fill_shared, header_template

_STREAM_CHARS = 32
_HEX = frozenset("0123456789abcdef")
#: So many drafts fit into a group whatever their bodies weigh: no need to weigh them.
_DRAFTS_THAT_FIT = GROUP_BYTES_MAX // BODY_BYTES_MAX


class _Shared(NamedTuple):
    """What was found of drafts that share all but their own parts: their template, true while the number of acts and
    the boot of the batch are these."""

    acts: int
    boot: str
    state: int
    template: bytes


class Sequencer:
    """Seals batches against `standing`. Not safe to share between threads: the ledger's writer owns it.

    `own_stream` is the ledger's name for its own records of this start, `boot` the boot of the machine it runs on.
    `kind_of` gives the kind of a record that lies further back than `standing` remembers.
    """

    def __init__(
        self,
        standing: Standing,
        sealer: BodySealer,
        tagger: Tagger,
        own_stream: str,
        boot: str,
        randomness: Callable[[int], bytes],
        kind_of: Callable[[int], str],
    ) -> None:
        self.standing = standing
        self._rules = DraftRules(standing, kind_of)
        self._sealer = sealer
        self._tagger = tagger
        self._own_stream = own_stream
        self._boot = boot
        self._randomness = randomness
        self._templates: dict[tuple[object, ...], bytes] = {}
        self._shared: dict[tuple[object, ...], _Shared] = {}
        self._log: Log | None = None
        self._now_ns, self._now = -1, ""

    def seal(self, batch: Batch, now_ns: int, group: Group) -> Answer:
        """Seal `batch` into `group` up to its first refused draft, at the sequencer's time `now_ns`."""
        stream = self.standing.streams.get(batch.stream)
        refusal = self._refuse_batch(batch, stream)
        if refusal is not None:
            return Answer((), refusal)
        if stream is None:
            if len(self.standing.streams) >= STREAMS_MAX and not self.standing.retire_one(self._own_stream):
                return Answer((), Refusal("full", f"{STREAMS_MAX} streams have open sessions. Retry later."))
            stream = Stream()
        if batch.first < stream.next:
            return _repeat(batch, stream)
        if not batch.drafts:
            return Answer(())
        if batch.first > stream.next:
            self._record_hole(batch, stream.next, now_ns, group)
        # Used last is kept longest: a dict keeps the order of insertion.
        self.standing.streams.pop(batch.stream, None)
        self.standing.streams[batch.stream] = stream
        stream.next = batch.first
        answer = self._seal_drafts(batch, stream, self._time(now_ns), group)
        if answer.receipts:
            stream.last_first, stream.last_mark, stream.last_answer = batch.first, hash(batch.drafts), answer
            stream.runs.append((batch.first, answer.receipts[0].index, len(answer.receipts)))
        elif not stream.next:
            del self.standing.streams[batch.stream]
        return answer

    def seal_own(self, own: Own, now_ns: int, group: Group) -> Receipt:
        """Seal a record of the ledger itself. Its number is the next of the ledger's own stream."""
        draft = own.draft(now_ns, self._randomness)
        stream = self.standing.streams.get(self._own_stream) or Stream()
        self.standing.streams[self._own_stream] = stream
        source = Source(self._own_stream, stream.next)
        return self._seal_one(draft, source, self._time(now_ns), self._boot, [], group, stream)

    def _refuse_batch(self, batch: Batch, known: Stream | None) -> Refusal | None:
        """Promise 1, as far as the batch alone and the stream's name tell. The name of a `known` stream was checked."""
        name, drafts = batch.stream, len(batch.drafts)
        if known is None and (len(name) != _STREAM_CHARS or not _HEX.issuperset(name)):
            return Refusal("number", "A stream is 32 hex digits.")
        if name == self._own_stream or (known is None and name in self.standing.ended):
            return Refusal("number", f"The stream {name} has ended. Begin a new one.")
        if batch.first < 0:
            return Refusal("number", "Numbers begin at 0.")
        if drafts > BATCH_RECORDS_MAX:
            return Refusal("draft", f"A batch has at most {BATCH_RECORDS_MAX} drafts. Hand over fewer at a time.")
        if drafts > _DRAFTS_THAT_FIT and batch_bytes(batch) > GROUP_BYTES_MAX:
            return Refusal("draft", f"A batch has at most {GROUP_BYTES_MAX} bytes. Hand over fewer at a time.")
        return None

    def _seal_drafts(self, batch: Batch, stream: Stream, at: str, group: Group) -> Answer:
        """Promise 4: up to the first refused draft."""
        receipts: list[Receipt] = []
        drafts = batch.drafts
        try:
            while (position := len(receipts)) < len(drafts):
                draft = drafts[position]
                if draft.kind not in ACTING_KINDS and len(draft.tags) <= TAGS_MAX:
                    self._seal_run(batch, stream, at, receipts, group)
                    continue
                self._rules.check(draft)
                if draft.kind in BODY_KINDS:
                    _check_folded(draft, batch.boot)
                source = Source(batch.stream, batch.first + position)
                receipts.append(self._seal_one(draft, source, at, batch.boot, receipts, group, stream))
        except DraftRefused as refused:
            return Answer(tuple(receipts), refused.refusal)
        except (InvalidInput, UnicodeEncodeError) as error:
            return Answer(tuple(receipts), Refusal("draft", f"The draft has no header: {error}"))
        return Answer(tuple(receipts))

    def _seal_run(self, batch: Batch, stream: Stream, at: str, receipts: list[Receipt], group: Group) -> None:
        """Seal the next draft, and those after it that differ only in what each has of its own.

        None is of an acting kind, so what holds for the first holds for all.
        """
        standing, check_own = self.standing, self._rules.check_own
        tags_text, seal = self._tagger.tags_text, self._sealer.seal
        position = len(receipts)
        key, shared = self._shared_by(batch, position, stream, receipts)
        state, template = shared.state, shared.template
        name, sealed_at = batch.stream.encode(), at.encode()
        index = begins = standing.size
        seq = batch.first + position
        try:
            for draft in islice(batch.drafts, position, None):
                if index != begins and (_key_of(draft) != key or len(draft.tags) > TAGS_MAX):
                    break
                check_own(draft)
                own_id, body = draft.id.encode(), draft.body
                tags = tags_text(own_id, draft.tags) if draft.tags else b""
                if body is None:
                    digest, slot = b"", EMPTY_SLOT
                else:
                    digest = sha256(body).digest()
                    slot = seal(body, digest)
                raw = template % (hexlify(digest), own_id, sealed_at, seq, name, tags, moment_bytes(draft.at))
                if len(raw) > HEADER_BYTES_MAX:
                    raise _too_long(raw)
                group.stored.append((raw, slot))
                group.bodies.append(body)
                receipts.append(Receipt(index, draft.id, at, state))
                index += 1
                seq += 1
        finally:
            if index != begins:
                passed = Passed(index - begins, batch.stream, seq, at, batch.drafts[position].kind)
                standing.advance(passed)
                group.notes.append(passed)

    def _shared_by(
        self, batch: Batch, position: int, stream: Stream, receipts: list[Receipt]
    ) -> tuple[tuple[object, ...], _Shared]:
        """What the draft at `position` shares with others, checked: now, or since something last opened or ended."""
        standing = self.standing
        draft = batch.drafts[position]
        key = _key_of(draft)
        found = self._shared.get(key)
        if found is not None and found.acts == standing.acts and found.boot == batch.boot:
            return key, found
        self._rules.check_shared(draft)
        session, context, ref = self._positions(draft, stream, batch.first, receipts)
        template = fill_shared(
            self._template(draft),
            context=context,
            decided=draft.decided,
            state=standing.state,
            ref=ref,
            session=session,
            clock=standing.clocks.get(batch.boot),
        )
        found = _Shared(standing.acts, batch.boot, standing.state, template)
        # What an `Earlier` names depends on the batch.
        if not any(isinstance(reference, Earlier) for reference in (draft.session, draft.context, draft.ref)):
            if len(self._shared) >= TEMPLATES_MAX:
                self._shared.clear()
            self._shared[key] = found
        return key, found

    def _template(self, draft: Draft) -> bytes:
        """The template of headers for drafts like this one."""
        key = (
            *_texts(draft),
            *[value is None for value in (draft.context, draft.decided, draft.ref, draft.session, draft.body)],
            not draft.tags,
        )
        found = self._templates.get(key)
        if found is None:
            if len(self._templates) >= TEMPLATES_MAX:
                self._templates.clear()
            found = self._templates[key] = header_template(_example(draft))
        return found

    def _positions(
        self, draft: Draft, stream: Stream, first: int, receipts: list[Receipt]
    ) -> tuple[int | None, int | None, int | None]:
        """Promise 2: the indexes of session, context and ref, checked."""
        session_index = context_index = ref_index = None
        session: Session | None = None
        if draft.session is not None:
            session_index = resolve(draft.session, stream, first, receipts)
            session = self._rules.session(draft, session_index)
        if draft.context is not None:
            context_index = resolve(draft.context, stream, first, receipts)
            self._rules.context(draft, context_index)
        if draft.ref is not None:
            ref_index = resolve(draft.ref, stream, first, receipts)
            self._rules.ref(draft, ref_index, session_index, session)
        return session_index, context_index, ref_index

    def _log_at(self, at: str) -> Log:
        log = self._log
        if log is None or log.at != at or log.state != self.standing.state:
            log = self._log = Log(at, self.standing.state)
        return log

    def _seal_one(
        self, draft: Draft, source: Source, at: str, boot: str, receipts: list[Receipt], group: Group, stream: Stream
    ) -> Receipt:
        """Promise 2, then the header, the slot and the receipt. Raises before anything has changed, or not at all."""
        standing = self.standing
        session, context, ref = self._positions(draft, stream, source.seq - len(receipts), receipts)
        tags, overflow = self._tagger.tags(draft.id, draft.tags) if draft.tags else ((), False)
        body = draft.body
        digest = sha256(body) if body is not None else None
        log = self._log_at(at)
        header = Header(
            v=FORMAT,
            id=draft.id,
            kind=draft.kind,
            source=source,
            time=Time(format_moment(draft.at), standing.clocks.get(boot)),
            log=log,
            basis=draft.basis,
            guarantee=draft.guarantee,
            decided=draft.decided,
            actor=draft.actor,
            session=session,
            system=draft.system,
            action=draft.action,
            decision=draft.decision,
            outcome=draft.outcome,
            context=context,
            ref=ref,
            tags=tags,
            tags_overflow=overflow,
            root=draft.root,
            body=digest.hexdigest() if digest is not None else None,
        )
        raw = encode_header(header)
        if len(raw) > HEADER_BYTES_MAX:
            raise _too_long(raw)
        slot = EMPTY_SLOT if body is None or digest is None else self._sealer.seal(body, digest.digest())
        index = standing.size
        notes = notes_of([header], [body])
        standing.take(notes[0])
        group.stored.append((raw, slot))
        group.bodies.append(body)
        group.notes += notes
        return Receipt(index, draft.id, at, log.state)

    def _record_hole(self, batch: Batch, expected: int, now_ns: int, group: Group) -> None:
        """Promise 1: numbers that were skipped are a record. Nobody knows when they were lost: since the last one."""
        start = self.standing.last_at or format_moment(now_ns)
        missing = {"stream": batch.stream, "first": expected, "last": batch.first - 1}
        content = {"cause": "counter", "start": start, "end": self._time(now_ns), "streams": [], "missing": missing}
        self.seal_own(Own("log.gap", content), now_ns, group)

    def _time(self, now_ns: int) -> str:
        """The sequencer's time as text, never decreasing."""
        if now_ns != self._now_ns:  # one group commit has one time
            self._now_ns, self._now = now_ns, format_moment(now_ns)
        return max(self._now, self.standing.last_at)


def batch_bytes(batch: Batch) -> int:
    """What the bodies of a batch weigh: it bounds a frame and the memory of what waits."""
    return sum([len(draft.body) for draft in batch.drafts if draft.body is not None])


def _texts(draft: Draft) -> tuple[str | None, ...]:
    """What of a draft stands in its header as it is."""
    return (
        draft.kind,
        draft.basis,
        draft.guarantee,
        draft.actor,
        draft.system,
        draft.action,
        draft.decision,
        draft.outcome,
        draft.root,
    )


def _key_of(draft: Draft) -> tuple[object, ...]:
    """What drafts that are checked together have in common: all but what is their own, and whether they have that."""
    return (
        draft.kind,
        draft.session,
        draft.context,
        draft.decided,
        draft.actor,
        draft.action,
        draft.decision,
        draft.outcome,
        draft.system,
        draft.guarantee,
        draft.ref,
        draft.basis,
        draft.root,
        draft.body is None,
        not draft.tags,
    )


def _example(draft: Draft) -> Header:
    """A header that has the fields and texts that the draft's will have."""

    def number(reference: object) -> int | None:
        return None if reference is None else 0

    kind, basis, guarantee, actor, system, action, decision, outcome, root = _texts(draft)
    return Header(
        v=FORMAT,
        id="",
        kind=kind or "",
        source=Source("", 0),
        time=Time(""),
        log=Log("", 0),
        basis=basis or "",
        guarantee=guarantee,
        decided=number(draft.decided),
        actor=actor,
        session=number(draft.session),
        system=system,
        action=action,
        decision=decision,
        outcome=outcome,
        context=number(draft.context),
        ref=number(draft.ref),
        tags=("",) if draft.tags else (),
        root=root,
        body=None if draft.body is None else "",
    )


def _too_long(raw: bytes) -> InvalidInput:
    return InvalidInput("header.size", f"its header of {len(raw)} bytes is above {HEADER_BYTES_MAX}.")


def _repeat(batch: Batch, stream: Stream) -> Answer:
    """Promise 1: the last batch again gets its first answer again; anything else below the counter is refused."""
    answer = stream.last_answer
    if answer is not None and batch.first == stream.last_first and hash(batch.drafts) == stream.last_mark:
        return answer
    return Answer((), Refusal("number", f"The stream's next number is {stream.next}, not {batch.first}."))


def _check_folded(draft: Draft, boot: str) -> None:
    """What `standing` will fold must be as it expects: a producer may note its own clock, and gaps that end nothing."""
    try:
        content = content_of(0, draft.body)
    except Corruption as error:
        raise DraftRefused(Refusal("draft", f"The body of this {draft.kind} cannot be read: {error}")) from None
    if draft.kind == "log.gap" and content.get("streams") != []:
        raise DraftRefused(Refusal("draft", "Only the ledger names dead streams in a gap."))
    if draft.kind == "clock" and content.get("boot") != boot:
        raise DraftRefused(Refusal("draft", "A clock record is about the boot of the batch that it comes in."))
