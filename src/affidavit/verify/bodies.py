"""Body bundles: each record's slot, opened with the keys given and compared with its header (duties 11 and 13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affidavit.archive.source import Source
from affidavit.errors import AffidavitError, Corruption, InvalidInput, Unavailable, VerificationError
from affidavit.limits import BODY_BUNDLE_BYTES_MAX, TILE_WIDTH
from affidavit.record.body import EMPTY_SLOT, ERASED, BodyKey, Erased, Unreadable, decode_body, open_slot
from affidavit.record.frame import decode_bundle
from affidavit.record.header import Header
from affidavit.record.kinds import KINDS
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.evidence import read
from affidavit.verify.line import Why, body_path, body_place
from affidavit.verify.verdict import Bodies

#: A slot that is not there, as opposed to `EMPTY_SLOT`, which is that of a record without a body.
Slot = bytes | None

_NO_BODIES = "the archive has no bodies"
_NO_KEY = "no key was given that opens the body"


class BodyStore:
    """Reads slots bundle by bundle and counts what became of each body."""

    def __init__(
        self, source: Source | None, keys: Mapping[bytes, BodyKey], read_content: bool, notes: Notebook
    ) -> None:
        self._source = source
        self._keys = keys
        self._read_content = read_content
        self._notes = notes
        self._counts = dict.fromkeys(("named", "readable", "unreadable", "erased", "absent", "altered"), 0)
        self._erased: dict[int, str] = {}
        if source is None:
            notes.not_applicable(Duty.BODIES, _NO_BODIES)

    @property
    def counts(self) -> Bodies:
        """What became of the bodies so far."""
        return Bodies(**self._counts)

    def slots(self, number: int, width: int, notes: Notebook) -> tuple[Slot, ...]:
        """The slots of a bundle; None for each that is not there. What there is to say goes into `notes`: bundles are
        read ahead, and findings stand in the order of records."""
        if self._source is None:
            return (None,) * width
        place = body_place(number, width)
        try:
            data, held = self._read(self._source, number, width, notes)
        except Unavailable as error:
            notes.skip(Duty.BODIES, f"bodies could not be read: {error.message}", width)
            return (None,) * width
        if data is None:
            message = f"The bodies of records {number * TILE_WIDTH} to {number * TILE_WIDTH + width - 1} are absent."
            notes.fail(Duty.BODIES, "bodies.absent", place, message, number * TILE_WIDTH)
            return (None,) * width
        try:
            return tuple(decode_bundle(data, held)[:width])
        except Corruption as error:
            notes.fail(Duty.BODIES, error.code, place, str(error))
        return _decode_what_stands(data, width)

    def open(self, index: int, header: Header, slot: Slot, place: str) -> tuple[dict[str, Any] | None, Why]:
        """The body of a record, or why there is none to read. What does not hold is a finding."""
        if header.body is None:
            if slot:
                message = f"Record {index} has no body, but a slot of {len(slot)} bytes stands for one."
                self._notes.fail(Duty.BODIES, "bodies.extra", place, message, index)
            elif slot is not None:
                self._notes.looked(Duty.BODIES)
            return None, "none"
        self._counts["named"] += 1
        if slot is None or slot == EMPTY_SLOT:
            return None, self._absent(index, slot, place)
        self._notes.looked(Duty.BODIES)
        if slot[0] == ERASED:
            return None, self._take_erased(index, header, place)
        return self._open(index, header.body, slot, place)

    def take_quiet(self, count: int, readable: int) -> None:
        """As many records have bodies that the sieve passed; `readable` of them it has opened."""
        self._counts["named"] += count
        self._counts["readable"] += readable
        self._counts["unreadable" if self._source else "absent"] += count - readable
        if self._source is not None:
            self._notes.looked(Duty.BODIES, count)
        if self._read_content:
            self._notes.looked(Duty.CONTENT, readable)
            if count > readable:
                self._notes.skip(Duty.CONTENT, _NO_KEY if self._source else _NO_BODIES, count - readable)

    def erased_by(self, index: int) -> None:
        """An `erase` record names the record at `index`."""
        self._erased.pop(index, None)

    def finish(self) -> None:
        """Every erased body needs an `erase` record somewhere after it."""
        for index, place in self._erased.items():
            message = f"The body of record {index} is a stub, but no erase record names it."
            self._notes.fail(Duty.BODIES, "bodies.erased", place, message, index)

    def _read(self, source: Source, number: int, width: int, notes: Notebook) -> tuple[bytes | None, int]:
        """The bundle's bytes and its width; from the full bundle where the partial one is gone."""
        for held in dict.fromkeys((width, TILE_WIDTH)):
            place = body_place(number, held)
            path = body_path(number, held)
            data = read(source, path, BODY_BUNDLE_BYTES_MAX, place=place, duty=Duty.BODIES, notes=notes)
            if data is not None:
                return data, held
        return None, width

    def _absent(self, index: int, slot: Slot, place: str) -> Why:
        self._counts["absent"] += 1
        if slot is not None:
            message = f"Record {index} names a body, but its slot is empty."
            self._notes.fail(Duty.BODIES, "bodies.removed", place, message, index)
        if self._read_content:
            self._notes.skip(Duty.CONTENT, "the archive does not hold the body" if self._source else _NO_BODIES)
        return "absent"

    def _take_erased(self, index: int, header: Header, place: str) -> Why:
        self._counts["erased"] += 1
        rule = KINDS.get(header.kind)
        if rule is not None and not rule.erasable:
            message = f"The body of record {index} is a stub; that of a {header.kind} may not be erased."
            self._notes.fail(Duty.BODIES, "bodies.erased", place, message, index)
        else:
            self._erased[index] = place
        if self._read_content:
            self._notes.remark(Duty.CONTENT, "erased bodies are shown by their headers alone")
        return "erased"

    def _open(self, index: int, digest: str, slot: bytes, place: str) -> tuple[dict[str, Any] | None, Why]:
        try:
            opened = open_slot(slot, digest, self._keys)
            content = decode_body(opened) if isinstance(opened, bytes) else None
        except (VerificationError, Corruption, InvalidInput) as error:
            return None, self._altered(index, error, place)
        if isinstance(opened, Unreadable | Erased):
            self._counts["unreadable"] += 1
            if self._read_content:
                self._notes.skip(Duty.CONTENT, _NO_KEY)
            return None, "unread"
        self._counts["readable"] += 1
        if self._read_content:
            self._notes.looked(Duty.CONTENT)
        return content, ""

    def _altered(self, index: int, error: AffidavitError, place: str) -> Why:
        self._counts["altered"] += 1
        # A slot of no known form shows without keys; a body that is another one shows only when it is opened.
        duty = Duty.BODIES if isinstance(error, Corruption) else Duty.CONTENT
        self._notes.fail(duty, error.code, place, f"The body of record {index}: {error}", index)
        return "altered"


def _decode_what_stands(data: bytes, width: int) -> tuple[Slot, ...]:
    """The slots of a bundle that does not hold exactly `width`: those that are whole, None for the rest."""
    slots: list[Slot] = []
    at = 0
    while len(slots) < width and at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        slots.append(data[at + 4 : end])
        at = end
    return tuple(slots + [None] * (width - len(slots)))
