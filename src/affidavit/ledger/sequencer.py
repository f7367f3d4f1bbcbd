"""The sequencer: gives drafts their place. It checks, numbers and seals; it touches no disk and no clock.

What it promises is written in `record/draft.py`, and the numbers there come back here. Sealing moves `standing` on
before the records are durable. That is sound because a failed write ends the ledger: nobody is told of records that
were sealed and not written, and the next start folds what the journal really holds.

This is the hot path: about 20 µs a record, most of it digests, encryption and the encoding of the header.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from affidavit.errors import Corruption, InvalidInput
from affidavit.ledger.own import Own
from affidavit.ledger.rules import DraftRefused, DraftRules, resolve
from affidavit.ledger.standing import BODY_KINDS, Session, Standing, Stream, content_of
from affidavit.limits import BATCH_RECORDS_MAX, BODY_BYTES_MAX, GROUP_BYTES_MAX, HEADER_BYTES_MAX, STREAMS_MAX
from affidavit.record.body import EMPTY_SLOT, BodySealer
from affidavit.record.draft import Answer, Batch, Draft, Receipt, Refusal
from affidavit.record.frame import Stored
from affidavit.record.header import FORMAT, Header, Log, Source, Time, encode_header
from affidavit.record.moment import format_moment
from affidavit.record.tags import Tagger

_STREAM_CHARS = 32
_HEX = frozenset("0123456789abcdef")
#: So many drafts fit into a group whatever their bodies weigh: no need to weigh them.
_DRAFTS_THAT_FIT = GROUP_BYTES_MAX // BODY_BYTES_MAX


@dataclass(slots=True)
class Group:
    """What one group commit makes durable: records from the index `first` on, as stored and as they were sealed."""

    first: int
    stored: list[Stored] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    bodies: list[bytes | None] = field(default_factory=list)


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
        indexes: list[int] = []
        seq = batch.first
        for draft in batch.drafts:
            try:
                self._rules.check(draft)
                if draft.kind in BODY_KINDS:
                    _check_folded(draft, batch.boot)
                source = Source(batch.stream, seq)
                receipt = self._seal_one(draft, source, at, batch.boot, indexes, group, stream)
            except DraftRefused as refused:
                return Answer(tuple(receipts), refused.refusal)
            except (InvalidInput, UnicodeEncodeError) as error:
                return Answer(tuple(receipts), Refusal("draft", f"The draft has no header: {error}"))
            receipts.append(receipt)
            indexes.append(receipt.index)
            seq += 1
        return Answer(tuple(receipts))

    def _seal_one(
        self, draft: Draft, source: Source, at: str, boot: str, indexes: list[int], group: Group, stream: Stream
    ) -> Receipt:
        """Promise 2, then the header, the slot and the receipt. Raises before anything has changed, or not at all."""
        standing = self.standing
        first = source.seq - len(indexes)
        session_index = context_index = ref_index = None
        session: Session | None = None
        if draft.session is not None:
            session_index = resolve(draft.session, stream, first, indexes)
            session = self._rules.session(draft, session_index)
        if draft.context is not None:
            context_index = resolve(draft.context, stream, first, indexes)
            self._rules.context(draft, context_index)
        if draft.ref is not None:
            ref_index = resolve(draft.ref, stream, first, indexes)
            self._rules.ref(draft, ref_index, session_index, session)
        tags, overflow = self._tagger.tags(draft.id, draft.tags) if draft.tags else ((), False)
        body = draft.body
        digest = sha256(body) if body is not None else None
        log = self._log
        if log is None or log.at != at or log.state != standing.state:
            log = self._log = Log(at, standing.state)
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
            session=session_index,
            system=draft.system,
            action=draft.action,
            decision=draft.decision,
            outcome=draft.outcome,
            context=context_index,
            ref=ref_index,
            tags=tags,
            tags_overflow=overflow,
            root=draft.root,
            body=digest.hexdigest() if digest is not None else None,
        )
        raw = encode_header(header)
        if len(raw) > HEADER_BYTES_MAX:
            raise InvalidInput("header.size", f"its header of {len(raw)} bytes is above {HEADER_BYTES_MAX}.")
        slot = EMPTY_SLOT if body is None or digest is None else self._sealer.seal(body, digest.digest())
        index = standing.size
        standing.apply(header, body if draft.kind in BODY_KINDS else None)
        group.stored.append((raw, slot))
        group.headers.append(header)
        group.bodies.append(body)
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
