"""Examines a log as its operator, with its keys: builds the tree anew from the entries, and compares everything.

What belongs to a log is there twice: published (entry bundles, tiles, body bundles) and, as far back as the journal
goes, in the journal. The signed root tells which copy of a record is right, so a finding can say what may be done: what
a whole copy gives back, `recover` writes again; what none gives back must come from a backup. Takes no lock and changes
nothing; a log that is being written to is examined up to the checkpoint found at the beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from affidavit.durable import Disk
from affidavit.errors import AffidavitError, Corruption
from affidavit.ledger.kept import kept_name
from affidavit.ledger.layout import Layout
from affidavit.ledger.leftovers import Leftovers
from affidavit.ledger.pieces import RULES, Grown, Hashed, Piece, Pieces, SlotJudge, Trees, choose
from affidavit.ledger.refolding import Refolding
from affidavit.ledger.salvage import Break, Salvage
from affidavit.ledger.strays import Stray, find_strays
from affidavit.limits import FSCK_FAULTS_MAX, NOTE_BYTES_MAX, TILE_BYTES_MAX, TILE_WIDTH
from affidavit.record.body import BodyKey
from affidavit.record.frame import segment_name
from affidavit.record.header import Header
from affidavit.tlog.checkpoint import Checkpoint, open_checkpoint
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.tiles import tile_path, tiles_of

Progress = Callable[[str, int, int], None]


class Remedy(Enum):
    """What may be done about a fault."""

    REWRITE = "`affidavit recover` can write it again from what is whole here."
    COPY = "No whole copy of it is here: bring it back from a backup."
    CLEAN = "`affidavit fsck --clean` removes it."
    LOOK = "It belongs to no log: find out who put it there, and move it out."
    KEY = "Bring the key back to secrets/body.keys: what it sealed could not be read."
    ERASE = "Erase it again with `affidavit erase`: somebody has put the body back."
    NEW = "This log cannot go on; see `affidavit recover` for what is possible."


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it should be. `where` is a path below the data folder."""

    code: str
    where: str
    message: str
    remedy: Remedy
    index: int | None = None


@dataclass
class Examination:
    """What was found.

    `rule` names how the right copy of each record is chosen (`pieces.RULES`): empty where no choice leads to the signed
    root. `signed` is the newest checkpoint here that verifies, `published` whether it lies where it belongs. `bundles`
    and `tiles` are what must be written again of what is published, `journal_from` from which index on the journal must
    be, `journal_in_order` its segments up to the first that does not go on from the one before. `journal_end` is where
    it first breaks off after what is published, `journal_last` the index after the last record in it. `erased` gives,
    by erased record, the `erase` record that names it, published or not. `snapshot`: what
    stands open was compared with a fold of the records.
    """

    size: int = 0
    signed: Checkpoint | None = None
    note: bytes = b""
    published: bool = False
    rule: str = ""
    root: str = ""
    journal_begin: int = 0
    journal_end: int = 0
    journal_last: int = 0
    journal_from: int | None = None
    journal_in_order: tuple[int, ...] = ()
    breaks: tuple[Break, ...] = ()
    torn: Break | None = None
    kept: int = 0
    snapshot: bool = False
    bodies_read: int = 0
    bodies_unread: int = 0
    faults: list[Fault] = field(default_factory=list)
    faults_count: int = 0
    bundles: set[int] = field(default_factory=set)
    tiles: dict[str, bytes] = field(default_factory=dict)
    strays: list[Stray] = field(default_factory=list)
    erased: dict[int, int] = field(default_factory=dict)

    @property
    def beyond(self) -> int:
        """How many records the journal holds, without a break, after the published ones."""
        return max(0, self.journal_end - self.size)

    @property
    def whole(self) -> bool:
        """Whether nothing was found that is not as it should be."""
        return self.faults_count == 0

    @property
    def exit_status(self) -> int:
        """0 whole, 1 not, 3 where something could not be read."""
        return 1 if self.faults_count else 3 if self.bodies_unread else 0

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for `--json`."""
        return {
            "whole": self.whole,
            "exit_status": self.exit_status,
            "size": self.size,
            "root": self.root,
            "signed": None if self.signed is None else {"size": self.signed.size, "root": self.signed.root.hex()},
            "journal": {"begin": self.journal_begin, "end": self.journal_end, "beyond": self.beyond,
                        "torn": self.torn is not None},
            "kept_checkpoints": self.kept,
            "snapshot_compared": self.snapshot,
            "bodies": {"read": self.bodies_read, "unread": self.bodies_unread},
            "erased": [{"index": index, "by": by} for index, by in sorted(self.erased.items())],
            "faults_count": self.faults_count,
            "faults": [
                {"code": one.code, "where": one.where, "index": one.index, "message": one.message,
                 "remedy": one.remedy.name.lower(), "hint": one.remedy.value}
                for one in self.faults
            ],
        }  # fmt: skip


def examine(
    disk: Disk,
    layout: Layout,
    keys: Sequence[VerifierKey],
    body_keys: Mapping[bytes, BodyKey],
    origin: str,
    snapshot_key: bytes,
    progress: Progress | None = None,
) -> Examination:
    """Examine the log `origin` in `layout`, whose own keys are `keys`. `snapshot_key` authenticates its snapshot.

    Raises `Unavailable` where it cannot be read."""
    return _Examiner(disk, layout, keys, body_keys, origin, snapshot_key, progress or _unseen).run()


class _Examiner:
    def __init__(
        self,
        disk: Disk,
        layout: Layout,
        keys: Sequence[VerifierKey],
        body_keys: Mapping[bytes, BodyKey],
        origin: str,
        snapshot_key: bytes,
        progress: Progress,
    ) -> None:
        self._disk = disk
        self._layout = layout
        self._keys = keys
        self._origin = origin
        self._snapshot_key = snapshot_key
        self._body_keys = body_keys
        self._progress = progress
        self._refolding: Refolding | None = None
        self._judge = SlotJudge(body_keys)
        self._salvage = Salvage(disk, layout.journal, origin)
        self._found = Examination()
        self._kept: list[tuple[str, Checkpoint]] = []
        self._unlike: list[tuple[Piece, Hashed]] = []  # pieces whose copies differ, judged once the root is known
        self._slots: dict[int, tuple[list[int], list[int], list[int]]] = {}
        self._erased: dict[int, bool] = {}  # stubs that no erase record names so far: whether the journal has the body
        self._stubs: set[int] = set()

    def run(self) -> Examination:
        found, salvage = self._found, self._salvage
        self._read_notes()
        found.size = found.signed.size if found.signed is not None else self._journal_length()
        if found.signed is not None:
            self._refolding = Refolding(self._disk, self._layout, self._snapshot_key, found.signed, self._body_keys)
        trees = Trees([one.size for _, one in self._kept])
        pieces = Pieces(self._disk, self._layout, found.size, salvage)
        piece: Piece | None = None
        for piece in pieces:
            self._take(piece, trees)
            self._progress("records", piece.first + piece.width, found.size)
        newest = piece.journal if piece is not None and piece.width < TILE_WIDTH else ()
        leftovers = Leftovers(self._disk, self._layout, found.size, newest)
        for index, record in pieces.beyond():  # to its end, so that damage there is seen too
            leftovers.take(index, record)
            self._note_erasure(index, self._judge.header(record[0]))
        self._judge_tree(trees, leftovers)
        self._judge_slots()
        self._judge_journal()
        self._judge_snapshot()
        self._progress("files", found.size, found.size)
        wrong = {one.where for one in found.faults}
        found.strays += find_strays(self._disk, self._layout, found.size, found.journal_end, wrong, leftovers.differing)
        if self._disk.exists(self._layout.copying / "checkpoint"):
            message = "This is a copy that is not finished: run `affidavit backup` again, or `affidavit recover`."
            found.strays.append(Stray("copying", "", message, False))
        for stray in found.strays:
            if stray.code:
                remedy = Remedy.CLEAN if stray.rubbish else Remedy.LOOK
                self._fault(stray.code, stray.where, stray.message, remedy)
        return found

    # -- checkpoints -----------------------------------------------------------------------------------------------

    def _read_notes(self) -> None:
        """The published checkpoint; where it is gone or altered, the newest kept one stands in."""
        found = self._found
        for name, note in self._kept_notes():
            where = f"checkpoints/{name}"
            checkpoint = self._open(note, where, "checkpoint.kept")
            if checkpoint is None:
                continue
            if name != kept_name(checkpoint.size):
                message = f"It is a checkpoint of {checkpoint.size} records, which its name does not say."
                self._fault("checkpoint.kept", where, message, Remedy.COPY)
            self._kept.append((name, checkpoint))  # its key signed it, whatever it is called
            if found.signed is None or checkpoint.size > found.signed.size:
                found.signed, found.note = checkpoint, note
        found.kept = len(self._kept)
        try:
            published = self._disk.read(self._layout.checkpoint, NOTE_BYTES_MAX)
        except Corruption as error:
            self._fault("log.checkpoint", "log/checkpoint", error.message, self._checkpoint_remedy())
            return
        if published is None:
            self._fault("log.checkpoint", "log/checkpoint", "It is not there.", self._checkpoint_remedy())
            return
        checkpoint = self._open(published, "log/checkpoint", "log.checkpoint")
        if checkpoint is None:
            return
        if found.signed is not None and found.signed.size > checkpoint.size:
            message = f"It is of {checkpoint.size} records; a kept one of this log is of {found.signed.size}."
            self._fault("log.rolled_back", "log/checkpoint", message, Remedy.REWRITE)
            return
        found.signed, found.note, found.published = checkpoint, published, True

    def _kept_notes(self) -> Iterator[tuple[str, bytes]]:
        for name in self._disk.names(self._layout.kept):
            note = self._disk.read(self._layout.kept / name, NOTE_BYTES_MAX)
            if note is not None:
                yield name, note

    def _open(self, note: bytes, where: str, code: str) -> Checkpoint | None:
        problem: AffidavitError | None = None
        for key in self._keys:
            try:
                return open_checkpoint(note, key, self._origin)
            except AffidavitError as error:
                problem = error
        remedy = self._checkpoint_remedy() if where == "log/checkpoint" else Remedy.COPY
        self._fault(code, where, f"It is no checkpoint by this log's key: {problem}", remedy)
        return None

    def _checkpoint_remedy(self) -> Remedy:
        return Remedy.REWRITE if self._kept else Remedy.COPY

    def _journal_length(self) -> int:
        salvage = Salvage(self._disk, self._layout.journal, self._origin)
        for _ in salvage:  # to its end
            pass
        return salvage.end

    # -- records ---------------------------------------------------------------------------------------------------

    def _take(self, piece: Piece, trees: Trees) -> None:
        hashed = Hashed.of(piece)
        agree = hashed.agree() and not piece.wrong
        trees.append(hashed, hashed.agree())
        if not agree or self._journal_lacks(piece):
            self._unlike.append((piece, hashed))
        self._take_slots(piece, hashed)

    def _journal_lacks(self, piece: Piece) -> bool:
        begin = self._salvage.begin
        return any(record is None and piece.first + at >= begin for at, record in enumerate(piece.journal))

    def _take_slots(self, piece: Piece, hashed: Hashed) -> None:
        """Judge each body. A record's header is that of the copy that the journal and the entries agree on, else the
        entry's: a wrong header opens no body, so nothing wrong is called right."""
        judged: tuple[list[int], list[int], list[int]] = ([], [], [])
        wrong, lost, journal_wrong = judged
        for at in range(piece.width):
            record, slot, index = piece.journal[at], piece.slots[at], piece.first + at
            refolding = self._refolding
            raw = piece.entries[at] if hashed.entries[at] == hashed.tile[at] or record is None else record[0]
            if refolding is not None and index < refolding.size:
                refolding.take(raw, record[1] if slot is None and record is not None else slot)
            header = self._judge.header(raw)
            if header is None:
                continue  # the entry is the fault
            if self._note_erasure(index, header) and header.ref not in self._stubs:
                self._say_not_erased(index, header)
            body = header.body
            state = self._judge.state(slot, body)
            same = record is None or record[1] == slot
            other = state if record is None or same else self._judge.state(record[1], body)
            if state == "erased":
                self._stubs.add(index)
                self._erased[index] = other == "right"
            elif state == "unread" and same:
                self._found.bodies_unread += 1
            elif state == "right":
                self._found.bodies_read += body is not None
                if other == "wrong":
                    journal_wrong.append(index)
            else:
                (wrong if other == "right" and not same else lost).append(index)
        if any(judged):
            self._slots[piece.number] = judged

    def _note_erasure(self, index: int, header: Header | None) -> bool:
        """Whether it is that of an allowed erasure; what that erased is a stub with good reason."""
        if header is None or header.kind != "erase" or header.decision != "allow" or header.ref is None:
            return False
        self._found.erased[header.ref] = index
        self._erased.pop(header.ref, None)
        return True

    def _say_not_erased(self, index: int, header: Header) -> None:
        at = header.ref or 0
        number = at // TILE_WIDTH
        width = min(TILE_WIDTH, self._found.size - number * TILE_WIDTH)
        where = str(self._layout.slots(number, width).relative_to(self._layout.root))
        message = f"Record {index} erased the body of record {at}, but it is still there."
        self._fault("body.not_erased", where, message, Remedy.ERASE, at)

    # -- judging ---------------------------------------------------------------------------------------------------

    def _judge_tree(self, trees: Trees, leftovers: Leftovers) -> None:
        found = self._found
        led = trees.leading_to(None if found.signed is None else found.signed.root)
        if led is None:
            message = (
                f"Neither entries, tiles nor journal, nor any choice among them, lead to the root that was signed for "
                f"{found.size} records."
            )
            self._fault("log.fork" if not self._unlike else "log.root", "log/checkpoint", message, Remedy.NEW)
            for piece, hashed in self._unlike:
                self._name_unlike(piece, hashed, None)
            return
        found.rule, tree = led
        found.root = tree.tree.root().hex()
        for piece, hashed in self._unlike:
            self._name_unlike(piece, hashed, choose(hashed, RULES[found.rule]))
        self._judge_higher(tree)
        for name, checkpoint in self._kept:
            if 0 < checkpoint.size <= found.size and tree.roots.get(checkpoint.size) != checkpoint.root:
                message = f"It was signed for {checkpoint.size} records that are not the first of this log."
                self._fault("log.fork", f"checkpoints/{name}", message, Remedy.NEW)
        leftovers.finish(tree.tree)

    def _name_unlike(self, piece: Piece, hashed: Hashed, right: Sequence[bytes] | None) -> None:
        """A fault for each file of a piece that does not hold the right records; without `right`, that cannot be read.

        A record that neither its entry nor the journal gives is lost here, whatever the tile says of its hash.
        """
        layout, width = self._layout, piece.width
        files = (
            (layout.entries(piece.number, width), hashed.entries, "bundle.entries"),
            (layout.log / tile_path(0, piece.number, width), hashed.tile, "bundle.tile"),
        )
        lost = [at for at in range(width) if right is None or right[at] not in (hashed.entries[at], hashed.journal[at])]
        for path, hashes, code in files:
            name = str(path.relative_to(layout.root))
            at = next((at for at in range(width) if right is not None and hashes[at] != right[at]), None)
            if at is None and name not in piece.wrong:
                continue
            index = None if at is None else piece.first + at
            why = piece.wrong.get(name) or f"It does not hold record {index} as it was signed"
            self._found.bundles.add(piece.number)
            self._fault(code, name, _sentence(why), Remedy.COPY if lost else Remedy.REWRITE, index)
        bad = [at for at in range(width) if right is not None and hashed.journal[at] not in (None, right[at])]
        if bad:
            index = piece.first + bad[0]
            where = f"journal/{segment_name(self._segment_of(index))}"
            message = f"It holds another record {index} than was signed."
            self._rewrite_journal(index)
            self._fault("journal.differs", where, message, Remedy.COPY if lost else Remedy.REWRITE, index)

    def _judge_higher(self, tree: Grown) -> None:
        for address in tiles_of(self._found.size):
            if not address.level:
                continue
            wanted = tree.tiles[address.level, address.index][: address.width * 32]
            where = f"log/{address.path}"
            try:
                stored = self._disk.read(self._layout.log / address.path, TILE_BYTES_MAX)
                why = "It is not there." if stored is None else "It is not what the entries give."
            except Corruption as error:
                stored, why = None, error.message
            if stored != wanted:
                self._found.tiles[address.path] = wanted
                self._fault("bundle.tile", where, why, Remedy.REWRITE)

    def _judge_slots(self) -> None:
        for index, journal_has_it in self._erased.items():
            wrong, lost, _ = self._slots.setdefault(index // TILE_WIDTH, ([], [], []))
            (wrong if journal_has_it else lost).append(index)
        for number, (wrong, lost, journal_wrong) in self._slots.items():
            width = min(TILE_WIDTH, self._found.size - number * TILE_WIDTH)
            where = str(self._layout.slots(number, width).relative_to(self._layout.root))
            if wrong:
                self._found.bundles.add(number)
                message = f"{len(wrong)} of its bodies are not those that were recorded; the journal holds them."
                self._fault("bundle.bodies", where, message, Remedy.REWRITE, wrong[0])
            if lost:
                message = f"{len(lost)} of its bodies are not those that were recorded, and the journal has no better."
                self._fault("body.lost", where, message, Remedy.COPY, lost[0])
            if journal_wrong:
                self._rewrite_journal(journal_wrong[0])
                segment = f"journal/{segment_name(self._segment_of(journal_wrong[0]))}"
                message = f"{len(journal_wrong)} bodies in it are not those that were recorded; published ones are."
                self._fault("journal.body", segment, message, Remedy.REWRITE, journal_wrong[0])
        for number in self._missing_bodies():
            self._found.bundles.add(number)

    def _judge_snapshot(self) -> None:
        """Nothing rests on the snapshot, so whatever is wrong with it is mended by taking it away."""
        refolding = self._refolding
        if refolding is None:
            return
        self._found.snapshot = refolding.compared
        if refolding.problem:
            self._found.strays.append(Stray("standing", "standing.differs", refolding.problem, True))

    def _missing_bodies(self) -> Iterator[int]:
        """Body bundles that are not whole although each slot that can be told is right, such as ones with a tail."""
        for piece, _ in self._unlike:
            path = self._layout.slots(piece.number, piece.width)
            name = str(path.relative_to(self._layout.root))
            if name in piece.wrong and piece.number not in self._slots:
                self._fault("bundle.bodies", name, _sentence(piece.wrong[name]), Remedy.REWRITE, piece.first)
                yield piece.number

    def _judge_journal(self) -> None:
        found, salvage = self._found, self._salvage
        edge = max(0, found.size - 1) // TILE_WIDTH * TILE_WIDTH
        found.journal_begin, found.breaks = salvage.begin, tuple(salvage.breaks)
        found.journal_in_order = tuple(salvage.in_order)
        found.journal_last = salvage.end
        found.journal_end = next((one.expected for one in salvage.breaks if one.expected >= found.size), salvage.end)
        if not salvage.segments:
            self._fault("journal.missing", "journal", "It holds no segment.", self._journal_remedy())
        for one in salvage.breaks:
            if one.torn and one.expected >= found.size:
                found.torn = one
                continue
            self._rewrite_journal(one.expected)
            where = f"journal/{segment_name(one.segment)}"
            message = f"At offset {one.offset} it cannot be read on: {one.reason}; record {one.expected} is next."
            self._fault("journal.damage", where, message, self._journal_remedy(), one.expected)
        if salvage.end < found.size:
            self._rewrite_journal(salvage.end if salvage.segments else edge)
        if salvage.segments and salvage.end < found.size:
            message = f"It ends at record {salvage.end}, {found.size} are published: it was cut or rolled back."
            self._fault("log.ahead", "journal", message, self._journal_remedy(), salvage.end)
        if salvage.begin > edge:
            self._rewrite_journal(edge)
            message = f"It begins at record {salvage.begin}; what the newest bundle holds is never pruned from it."
            self._fault("journal.missing", "journal", message, self._journal_remedy(), salvage.begin)
        for name in salvage.strays:
            self._fault("journal.name", f"journal/{name}", "This is no segment of a journal.", Remedy.LOOK)

    def _journal_remedy(self) -> Remedy:
        return Remedy.REWRITE if self._found.rule else Remedy.NEW

    def _rewrite_journal(self, index: int) -> None:
        at = self._found.journal_from
        self._found.journal_from = index if at is None else min(at, index)

    def _segment_of(self, index: int) -> int:
        return max((first for first in self._salvage.segments if first <= index), default=0)

    def _fault(self, code: str, where: str, message: str, remedy: Remedy, index: int | None = None) -> None:
        found = self._found
        found.faults_count += 1
        if len(found.faults) < FSCK_FAULTS_MAX:
            found.faults.append(Fault(code, where, message, remedy, index))


def _unseen(what: str, done: int, count: int) -> None:
    """Nobody watches."""
    del what, done, count


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
