"""What one group commit makes durable."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from affidavit.ledger.standing import Note, Passed
from affidavit.record.frame import Stored
from affidavit.record.header import Header
from affidavit.record.read import Record

_headers = msgspec.json.Decoder(Header)
_bodies = msgspec.json.Decoder(dict)


@dataclass(slots=True)
class Group:
    """Records from the index `first` on: as stored, their plaintexts, and the notes that a fold needs of them."""

    first: int
    stored: list[Stored] = field(default_factory=list)
    bodies: list[bytes | None] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @property
    def at(self) -> str:
        """The sequencer's time of these records: one for all. Not to be asked of an empty group."""
        note = self.notes[0]
        return note.at if isinstance(note, Passed) else note[0].log.at

    def records(self, kinds: frozenset[str]) -> list[Record]:
        """The records of these kinds, decoded only here: most are followed by nobody."""
        found: list[Record] = []
        at = 0
        for note in self.notes:
            count, kind = (note.records, note.kind) if isinstance(note, Passed) else (1, note[0].kind)
            if kind in kinds:
                found += [self._record(position, note) for position in range(at, at + count)]
            at += count
        return found

    def _record(self, at: int, note: Note) -> Record:
        raw, body = self.stored[at][0], self.bodies[at]
        header = _headers.decode(raw) if isinstance(note, Passed) else note[0]
        return Record(self.first + at, raw, header, None if body is None else _bodies.decode(body))
