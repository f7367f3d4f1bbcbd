"""Writes damaged files of a log again from the copies that are whole, as far as its signed root vouches for them.

Published files come from the journal, the journal from what is published; a record is believed only where its hash is
the one that leads to the signed root. What is replaced is copied to `DIR/set-aside/<moment>` first. Nothing is signed
here and nothing decided: what cannot be written again from a whole copy is refused before anything is changed.

The order makes a crash harmless: copies first, then published files, then the journal (new segments are named into
place before old ones go). While it is under way `DIR/recover.json` lies there, and no writer opens the log; whoever
runs it again goes on from what is found then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from affidavit.durable import PRIVATE, PUBLIC, Disk, clear_temporary, write_whole
from affidavit.errors import Corruption
from affidavit.ledger.fsck import Examination, Remedy
from affidavit.ledger.journal import SEGMENT_BYTES_MAX
from affidavit.ledger.layout import Layout
from affidavit.ledger.pieces import RULES, Hashed, Piece, Pieces, SlotJudge, choose
from affidavit.ledger.salvage import Salvage
from affidavit.limits import NOTE_BYTES_MAX, SEGMENT_BYTES, TILE_BYTES_MAX, TILE_WIDTH
from affidavit.record.body import BodyKey
from affidavit.record.frame import Stored, encode_bundle, encode_frame, segment_header, segment_name
from affidavit.tlog.tiles import encode_entries, tile_path

_LARGEST = max(SEGMENT_BYTES_MAX, NOTE_BYTES_MAX, TILE_BYTES_MAX)
#: What stands in the way of writing again, whatever else is whole.
_FATAL = frozenset({"log.fork", "log.root"})


def obstacles(found: Examination) -> list[str]:
    """Why the log cannot be made whole from what is here; empty where it can."""
    if found.signed is None:
        return ["No checkpoint of this log is here that its key signed."]
    if not found.rule:
        return ["Nothing here leads to the root that was signed: the records, or the checkpoint, are not this log's."]
    faults = [
        one
        for one in found.faults
        if one.code in _FATAL
        or (one.remedy in (Remedy.COPY, Remedy.NEW) and one.code.startswith(("bundle.", "journal.")))
    ]
    return [f"{one.where}: {one.message} {one.remedy.value}" for one in faults]


class Repair:
    """One repair of one log. The caller holds the log's lock."""

    def __init__(
        self, disk: Disk, layout: Layout, body_keys: Mapping[bytes, BodyKey], found: Examination, moment: str
    ) -> None:
        """`found` is an examination of just now; `moment` names the folder for what is replaced."""
        self._disk = disk
        self._layout = layout
        self._found = found
        self._judge = SlotJudge(body_keys)
        self.folder = layout.set_aside / moment
        #: What was written again, by its path below the data folder.
        self.written: list[str] = []
        #: When the last record that is left was sealed.
        self.last_at = ""

    def run(self) -> None:
        """Make the log whole. Raises `Corruption`, before anything is changed, where `obstacles` are left."""
        found = self._found
        blocked = obstacles(found)
        if blocked:
            raise Corruption("recover.blocked", " ".join(blocked), "Nothing was changed.")
        for temporary in (self._layout.publishing, self._layout.rotating):
            clear_temporary(self._disk, temporary)
        for stray in found.strays:
            if stray.code:  # not a log's: the writer would meet it where its own file must go
                self._keep(self._layout.root / stray.where)
        records = self._records()
        raw: bytes | None = None
        for _, record in records if found.journal_from is None else self._write_journal(records):
            raw = record[0]
        header = self._judge.header(raw)
        self.last_at = "" if header is None else header.log.at
        for path, data in found.tiles.items():
            self._replace([(self._layout.log / path, data)], PUBLIC)
        for stray in found.strays:
            if stray.code:
                self._disk.unlink(self._layout.root / stray.where)
                self.written.append(f"{stray.where} (taken away)")
        if not found.published:
            self._replace([(self._layout.checkpoint, found.note)], PUBLIC)

    def _records(self) -> Iterator[tuple[int, Stored]]:
        """Every record as it was signed, and after those what the journal holds without a break. Bundles that must be
        are written again on the way."""
        found, salvage = self._found, Salvage(self._disk, self._layout.journal, self._origin)
        pieces = Pieces(self._disk, self._layout, found.size, salvage)
        for piece in pieces:
            hashed = Hashed.of(piece)
            hashes = choose(hashed, RULES[found.rule])
            records = [self._record(piece, hashed, hashes, at) for at in range(piece.width)]
            if piece.number in found.bundles:
                self._write_bundle(piece, records, hashes)
            for at, record in enumerate(records):
                yield piece.first + at, record
        for index, record in pieces.beyond():
            if index >= found.journal_end:
                return
            yield index, record

    def _record(self, piece: Piece, hashed: Hashed, hashes: list[bytes], at: int) -> Stored:
        entry, journal = piece.entries[at], piece.journal[at]
        raw = entry if hashed.entries[at] == hashes[at] else None if journal is None else journal[0]
        header = self._judge.header(raw)
        if raw is None or header is None:
            raise Corruption("recover.blocked", f"No whole copy of record {piece.first + at} is here.")
        slots = [piece.slots[at], None if journal is None else journal[1]]
        best = ("erased", "right") if piece.first + at in self._found.erased else ("right", "erased")
        for wanted in (*best, "unread"):
            for slot in slots:
                if slot is not None and self._judge.state(slot, header.body) == wanted:
                    return raw, slot
        return raw, next((slot for slot in slots if slot is not None), b"")

    def _write_bundle(self, piece: Piece, records: list[Stored], hashes: list[bytes]) -> None:
        number, width, layout = piece.number, piece.width, self._layout
        public = [
            (layout.entries(number, width), encode_entries([raw for raw, _ in records])),
            (layout.log / tile_path(0, number, width), b"".join(hashes)),
        ]
        self._replace(public, PUBLIC)
        self._replace([(layout.slots(number, width), encode_bundle([slot for _, slot in records]))], PRIVATE)

    def _write_journal(self, records: Iterator[tuple[int, Stored]]) -> Iterator[tuple[int, Stored]]:
        """Write every segment from that of `journal_from` on again; old ones are copied first and go last. Gives the
        records on."""
        start = self._found.journal_from or 0
        salvage = Salvage(self._disk, self._layout.journal, self._origin)
        # Where a repair stopped, one of its longer segments may reach over old ones: all of those go.
        first = max((one for one in self._found.journal_in_order if one <= start), default=start)
        old = [one for one in salvage.segments if one >= first]
        for one in old:
            self._keep(self._layout.journal / segment_name(one))
        new: list[int] = []
        held: list[Stored] = []
        data = bytearray()
        for index, record in records:
            yield index, record
            if index < first:
                continue
            if not new or len(data) >= SEGMENT_BYTES:
                self._end_segment(new, data, held, index)
                new.append(index)
                data[:] = segment_header(index, self._origin)
            held.append(record)
            if len(held) == TILE_WIDTH:
                data += encode_frame(index + 1 - len(held), held)
                held.clear()
        if not new:
            new.append(first)
            data[:] = segment_header(first, self._origin)
        self._end_segment(new, data, held, max(first, self._end))
        for one in new:
            self._disk.rename(self._layout.rotating / segment_name(one), self._layout.journal / segment_name(one))
            self.written.append(f"journal/{segment_name(one)}")
        self._disk.sync_folder(self._layout.journal)
        for one in old:
            if one not in new:
                self._disk.unlink(self._layout.journal / segment_name(one))
        self._disk.sync_folder(self._layout.journal)

    def _end_segment(self, new: list[int], data: bytearray, held: list[Stored], end: int) -> None:
        """What is under way becomes a file of `DIR/unfinished`, durable, named like its segment."""
        if new:
            if held:
                data += encode_frame(end - len(held), held)
                held.clear()
            self._disk.write_synced([(self._layout.rotating / segment_name(new[-1]), bytes(data))], PRIVATE)

    @property
    def _origin(self) -> str:
        return self._found.signed.origin if self._found.signed is not None else ""

    @property
    def _end(self) -> int:
        """The index after the last record that the journal will hold."""
        return max(self._found.size, self._found.journal_end)

    def _replace(self, files: list[tuple[Path, bytes]], mode: int) -> None:
        """Write files whole; what stood in their place is copied first. What is right already is left."""
        changed = [(path, data) for path, data in files if self._read(path) != data]
        for path, _ in changed:
            self._keep(path)
        if changed:
            write_whole(self._disk, self._layout.publishing, changed, mode)
            self.written += [str(path.relative_to(self._layout.root)) for path, _ in changed]

    def _keep(self, path: Path) -> None:
        data = self._read(path)
        if data is not None:
            target = self.folder / path.relative_to(self._layout.root)
            if not self._disk.exists(target):
                write_whole(self._disk, self._layout.publishing, [(target, data)], PRIVATE)

    def _read(self, path: Path) -> bytes | None:
        try:
            return self._disk.read(path, _LARGEST)
        except Corruption:
            return None
