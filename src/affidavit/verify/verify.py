"""Verify a log or its public part, believing nothing its maker says.

The duties, by the numbers that come back in the code (`duties.Duty`) and in the verdict:

 1. The checkpoint is a signed note in its one spelling, of the log that the given key names, and that key signed it.
 2. Every entry is there, and their hashes lead to the checkpoint's root.
 3. Every hash tile is there and holds what the entries give.
 4. No other file lies there: nothing stray, nothing beyond the checkpoint; partials of earlier sizes are right.
 5. Each checkpoint kept elsewhere is signed, and is the beginning of this log; none is ahead of it, except by records
    that the journal holds and that lead to its root: they are not published, which is a remark. Those that lie beside
    it, in `DIR/checkpoints`, can only accuse it: that they agree is a remark.
 6. Each entry is one header in its one spelling, with fields that its kind may have and has what its kind needs.
 7. Records 0, 1, 2 are log.open, clock, change; no later record begins the log again; starts follow a stop. A log
    that names another as the one before it names a checkpoint that the other's key signed, and bears another name.
 8. Ids are unique, log.at never decreases, log.state is the index after the last change, `decided` is that state (under
    the guarantee `after` an earlier one), and exactly the kinds that change state carry a root.
 9. References point back to records of the right kind, actor and system; sessions are open when they are named, are
    closed once and with the count of their accesses; an intent has at most one outcome; the clock is the last of its
    boot. Sessions and intents end with their stream: at a log.gap that names it, and at each start.
10. Each source's counter is dense from 0, except where a log.gap says what is missing; ended streams stay ended. What
    a log.gap says of a source's silence follows from its heartbeats.
11. Each body that a header names has a slot; no other slot is there; a body is a stub only where the erase record that
    the stub names was allowed and says so, and it is one wherever such a record says so.
12. Where the journal is there: every frame is whole, and its headers and slots are those published.
13. Each body that can be read is the one whose digest its header says, and header and body agree.
14. The changes fold from genesis: each is based on the versions before it, and gives the root that its header says; a
    lapse deletes only what expired, a drift puts only what its system reports. Of an erased one the stub is folded, and
    must give that root.
15. Each change, proposal and approval, decided again, comes out the same; changes are allowed; actors are proved by a
    credential of theirs, approvals by records of other identities over the same objects. A change that the log's key
    made outside of policy gives one identity administration and nothing else; it is said in the verdict. Rotations of
    the log's key and erasures, decided again, come out the same. What needs a body that was erased is reported as not
    checked, with the record that erased it.
16. Each context is what the state at `decided` gives for its actor and system.
17. Each decision, made again under that state at its time, has the same result, reasons and errors; it was asked for
    every table that the record names, and its facts are those of the record.
18. What was captured is what the settings in the context ask.
19. Where a policy is given: as many witnesses cosigned the checkpoint as it asks, each verified under the key that it
    names; or how much of the log an earlier one covers. What the log kept as cosigned is the log's own beginning.
20. Each key of the log follows from the one before: its rotation note is signed by the keys that it ends and those that
    it begins, names the log's root at its size, and is what the `log.key` record at that index holds. Each checkpoint
    is judged under the keys in force at its size; all of them must have signed.
21. Each time-stamp token is over a checkpoint of this log, of a trusted authority; tokens and witnesses' times do not
    contradict each other; clock records follow from one another, each step said; and no claim of the log's clock lies
    outside what is proven.

Absent on purpose: parsing statements again (the verdict says so), comparing tags with names (that takes the tag key),
asking whether an authority's certificate was revoked (that takes the network). Duties 13 to 18 and 21 take bodies:
without their keys they are reported as not checked. Clocks, threads and randomness have no place here: the same bytes
give the same verdict.

What is plain needs no words: the sieve (`sift.py`) passes records that their own bytes show to be right, and each part
weighs them in runs (`run.py`); whatever is not plain is taken record by record. Findings come from there alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from affidavit.archive.source import Source
from affidavit.errors import AffidavitError, InvalidInput
from affidavit.limits import NOTE_BYTES_MAX, VERIFY_KEPT_MAX
from affidavit.record.body import BodyKey
from affidavit.record.header import decode_header
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.policy import Policy
from affidavit.tlog.rotation import rotation_path
from affidavit.verify.bodies import BodyStore, Slot
from affidavit.verify.checkpoints import KeptBeside, KeptElsewhere, check_published
from affidavit.verify.content import Content
from affidavit.verify.counters import Counters
from affidavit.verify.duties import CONTENT_DUTIES, Duty, Notebook
from affidavit.verify.evidence import Evidence, ReadFirst
from affidavit.verify.files import Files
from affidavit.verify.journal import JournalWalk
from affidavit.verify.keys import KeyRecords, Keys, Signed, read_keys
from affidavit.verify.line import Line, body_place
from affidavit.verify.mapper import InProcess, Mapper
from affidavit.verify.order import Order
from affidavit.verify.references import References
from affidavit.verify.run import Run, Settle, runs_of
from affidavit.verify.sift import Sifted, Task
from affidavit.verify.silence import Silences
from affidavit.verify.time import Times
from affidavit.verify.tree import Bundle, TreeWalk
from affidavit.verify.unfinished import Unfinished
from affidavit.verify.verdict import Kept, Proven, Scope, Verdict, Witnessed
from affidavit.verify.witnesses import Witnesses

if TYPE_CHECKING:
    from affidavit.timeproof.token import Authority

Only = Literal["all", "structure"]
Progress = Callable[[str, int, int], None]


def verify(
    archive: Evidence,
    keys: Sequence[VerifierKey],
    body_keys: Mapping[bytes, BodyKey],
    kept: Sequence[bytes] = (),
    *,
    authority: Authority | None = None,
    policy: Policy | None = None,
    only: Only = "all",
    progress: Progress | None = None,
    mapper: Mapper | None = None,
) -> Verdict:
    """The verdict on `archive`, trusting `keys` and those of the policy's witnesses alone.

    `body_keys` by key id open bodies; `kept` are checkpoint notes kept elsewhere; `authority` is who is trusted to say
    what time it was; `policy` says how many witnesses must have cosigned; `progress` is called with what is done, how
    many records of it and how many there are. `only="structure"` asks for duties 1 to 12, 19 and 20. `mapper` sifts
    bundles elsewhere than here and now; it makes no difference to the verdict.
    Raises `InvalidInput` without a key, with too many checkpoints or a policy of other logs, `Unavailable` where the
    log cannot be read now.
    """
    if not keys:
        raise InvalidInput("verify.key", "No verifier key was given.", "Give the log's public key with --key.")
    if len(kept) > VERIFY_KEPT_MAX:
        raise InvalidInput("verify.kept", f"More than {VERIFY_KEPT_MAX} kept checkpoints were given.", "Give fewer.")
    if policy is not None:
        keys = [*keys, *(one.key for one in policy.witnesses if one.key not in keys)]
    notes = Notebook()
    beside = None if archive.checkpoints is None else ReadFirst(archive.checkpoints)
    unfinished = Unfinished(archive.copying, keys)
    believed = check_published(archive, keys, unfinished, notes)
    if believed is None:
        for duty in list(Duty)[1:]:
            notes.skip(duty, "there is no checkpoint to check against")
        left = "everything but the checkpoint" if unfinished.checkpoint is None else unfinished.reason
        return Verdict(notes.checks(), Scope(archive.location, only, not_checked=(left,)))
    return _Verification(
        archive=archive,
        beside=beside,
        unfinished=unfinished,
        keys=believed[0],
        body_keys=body_keys,
        kept=kept,
        authority=authority,
        policy=policy,
        only=only,
        signed=believed[1],
        notes=notes,
        mapper=mapper or InProcess(),
    ).run(progress or _no_progress)


@dataclass(frozen=True, slots=True)
class Held:
    """A bundle that was read, with the slots of its bodies and what there was to say about reading those."""

    bundle: Bundle
    slots: tuple[Slot, ...]
    notes: Notebook


class _Verification:
    """One pass over the log, bundle by bundle; each part sees every line once, in order, or weighs it in a run."""

    def __init__(
        self,
        *,
        archive: Evidence,
        beside: Source | None,
        unfinished: Unfinished,
        keys: Keys,
        body_keys: Mapping[bytes, BodyKey],
        kept: Sequence[bytes],
        authority: Authority | None,
        policy: Policy | None,
        only: Only,
        signed: Signed,
        notes: Notebook,
        mapper: Mapper,
    ) -> None:
        checkpoint = signed.checkpoint
        self._archive, self._keys, self._only, self._signed, self._notes = archive, keys, only, signed, notes
        self._body_keys, self._mapper, self._unfinished = body_keys, mapper, unfinished
        self._kept = KeptElsewhere(kept, keys, checkpoint, notes, with_journal=archive.journal is not None)
        self._beside = KeptBeside(beside, keys, checkpoint, notes)
        self._witnesses = Witnesses(policy, beside, keys, signed, notes)
        self._key_records = KeyRecords(keys, checkpoint, notes)
        self._files = Files(archive, checkpoint.size, keys.paths, notes)
        parts = (self._kept, self._beside, self._witnesses, self._key_records)
        self._tree = TreeWalk(archive.log, checkpoint, sorted({size for part in parts for size in part.sizes}), notes)
        self._bodies = BodyStore(archive.bodies, body_keys, only == "all", checkpoint.size, notes)
        self._journal = JournalWalk(archive.journal, checkpoint.origin, checkpoint.size, notes)
        self._order = Order(checkpoint.origin, keys.in_force, notes)
        self._references = References(notes)
        self._counters = Counters(notes)
        self._silences = Silences(notes)
        self._content = Content(notes, keys) if only == "all" else None
        self._times = Times(checkpoint, self._kept.sizes, authority, notes) if only == "all" else None
        self._holes = 0

    def run(self, progress: Progress) -> Verdict:
        """Read the log once, then judge what only its end shows."""
        size = self._signed.checkpoint.size
        for held, sifted in self._mapper.sift(self._body_keys, self._read_ahead()):
            self._notes.take_over(held.notes)
            self._take_bundle(held, sifted)
            progress("records", held.bundle.first + len(held.bundle.entries), size)
        self._silences.finish()
        roots = self._tree.finish()
        beyond = self._journal.finish(self._tree.tree, self._kept.sizes_beyond)
        kept = self._kept.compare(roots | beyond)
        self._beside.compare(roots)
        self._key_records.finish(roots, whole=not self._holes)
        beginnings = self._kept.consistent(kept)
        witnessed = self._witnesses.finish(roots, beginnings)
        self._bodies.finish()
        progress("files", size, size)
        now, _ = self._now()
        self._files.finish(now, self._journal.end, self._journal.starts, self._is_of_a_rotation)
        if 0 < size < 3:
            message = f"A log begins with three records; this one has {size}."
            self._notes.fail(Duty.GENESIS, "genesis.short", "log/checkpoint", message)
        proven: tuple[Proven, ...] = ()
        if self._times is not None:
            proven = self._times.finish((self._signed, *beginnings), self._archive.log)
        else:
            for duty in CONTENT_DUTIES:
                self._notes.skip(duty, "only structure was asked for")
        return Verdict(self._notes.checks(), self._scope(kept, proven, witnessed))

    def _read_ahead(self) -> Iterator[tuple[Held, Task | None]]:
        """Each bundle, and what the sieve is to look at: nothing where something is not there."""
        for bundle in self._tree.bundles():
            notes = Notebook()
            slots = self._bodies.slots(bundle.number, len(bundle.entries), notes)
            self._journal.compare(bundle.first, bundle.entries, slots)
            yield Held(bundle, slots, notes), _task(bundle, slots, self._archive.bodies is not None)

    def _take_bundle(self, held: Held, sifted: Sifted | None) -> None:
        if sifted is None:
            self._take_each(held, range(len(held.bundle.entries)))
            return
        first = held.bundle.first
        for part in runs_of(first, sifted):
            if isinstance(part, int):
                self._take_each(held, range(part, part + 1))
            elif not self._take_run(part):
                self._take_each(held, range(part.first - first, part.first - first + part.count))

    def _take_run(self, run: Run) -> bool:
        """Take a run at once, where no part has anything to say about it."""
        settles: list[Settle] = []
        for part in (self._order, self._counters, self._references, self._content, self._times):
            settle = None if part is None else part.weigh(run)
            if part is not None and settle is None:
                return False
            if settle is not None:
                settles.append(settle)
        self._notes.looked(Duty.HEADERS, run.count)
        self._bodies.take_quiet(run.count, run.count - run.cases.count(None))
        for settle in settles:
            settle()
        return True

    def _take_each(self, held: Held, positions: range) -> None:
        """Take records one by one, by the exact checks."""
        bundle = held.bundle
        body_where = body_place(bundle.number, len(bundle.entries))
        for at in positions:
            index, entry = bundle.first + at, bundle.entries[at]
            line = None if entry is None else self._read(index, entry, held.slots[at], bundle.place, body_where)
            if line is None:
                self._hole(index)
            else:
                self._take(line)

    def _read(self, index: int, entry: bytes, slot: bytes | None, where: str, body_where: str) -> Line | None:
        self._notes.looked(Duty.HEADERS)
        try:
            header = decode_header(entry)
        except AffidavitError as error:
            self._notes.fail(Duty.HEADERS, error.code, where, f"Entry {index} is no header: {error}", index)
            return None
        content, why, erased = self._bodies.open(index, header, slot, body_where)
        line = Line(index, header, content, why, where, erased)
        if header.kind == "erase":
            self._bodies.erased_by(line)
        return line

    def _take(self, line: Line) -> None:
        self._order.take(line)
        self._counters.take(line)
        self._silences.take(line)
        self._references.take(line)
        self._key_records.take(line)
        if self._content is not None:
            self._content.take(line)
        if self._times is not None:
            self._times.take(line)

    def _hole(self, index: int) -> None:
        self._holes += 1
        self._order.hole(index)
        self._counters.hole(index)
        self._silences.hole()
        self._references.hole(index)
        if self._content is not None:
            self._content.hole()
        if self._times is not None:
            self._times.hole()

    def _now(self) -> tuple[int, Keys]:
        """The size of the checkpoint and the keys as they are now: a log that is written to grows while it is read."""
        ours: Checkpoint = self._signed.checkpoint
        try:
            note = self._archive.log.get("checkpoint", NOTE_BYTES_MAX)
            keys = read_keys(self._archive.log, ours.origin, self._keys.pinned)
            now = None if note is None else keys.open(note).checkpoint
        except AffidavitError:
            return ours.size, self._keys
        return (ours.size if now is None or now.origin != ours.origin else max(ours.size, now.size)), keys

    def _is_of_a_rotation(self, path: str) -> bool:
        """Whether a file that `key/sizes` did not name when this began is of a rotation since, or of one under way.

        A rotation publishes its note first, and then the list that names it; a writer that stops in between goes on
        from there at its next start. Nothing else is published meanwhile.
        """
        size, keys = self._now()
        if self._unfinished.explains(path):
            self._notes.skip(Duty.FILES, self._unfinished.reason)
            return True
        if path in keys.paths:
            return not keys.broken
        if path != rotation_path(size):
            return False
        try:
            note = self._archive.log.get(path, NOTE_BYTES_MAX)
        except AffidavitError:
            return False
        if note is None or not keys.follows(size, note):
            return False
        reason = f"the rotation after {size} records is not listed yet: it is under way, or the writer stopped in it"
        self._notes.remark(Duty.KEYS, f"{reason} (start it, then verify again)")
        return True

    def _scope(self, kept: tuple[Kept, ...], proven: tuple[Proven, ...], witnessed: Witnessed | None) -> Scope:
        asked = CONTENT_DUTIES if self._only == "structure" else frozenset[Duty]()
        checkpoint = self._signed.checkpoint
        return Scope(
            location=self._archive.location,
            asked=self._only,
            origin=checkpoint.origin,
            size=checkpoint.size,
            root=checkpoint.root.hex(),
            last_record_at=self._order.last_at or None,
            signed_by=self._signed.signatures,
            kept=kept,
            proven=proven,
            witnessed=witnessed,
            bodies=self._bodies.counts,
            journal_beyond=self._journal.beyond_count,
            journal_torn=self._journal.torn,
            sessions_open=len(self._references.sessions),
            intents_open=len(self._references.intents),
            notes=self._bodies.erased,
            not_checked=tuple(f"{duty}. {why}" for duty, why in self._notes.left_out() if duty not in asked),
        )


def _task(bundle: Bundle, slots: Sequence[Slot], with_bodies: bool) -> Task | None:
    entries = [entry for entry in bundle.entries if entry is not None]
    held = [slot for slot in slots if slot is not None]
    if len(entries) < len(bundle.entries) or (with_bodies and len(held) < len(slots)):
        return None
    return Task(entries, held if with_bodies else None)


def _no_progress(what: str, done: int, count: int) -> None:
    """Nobody watches."""
    del what, done, count
