"""Body bundles: each record's slot, opened with the keys given and compared with its header (duties 11 and 13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affidavit.archive.source import Source
from affidavit.errors import AffidavitError, Corruption, InvalidInput, Unavailable, VerificationError
from affidavit.limits import BODY_BUNDLE_BYTES_MAX, TILE_WIDTH, VERIFY_REASONS_MAX
from affidavit.record.body import EMPTY_SLOT, ERASED, BodyKey, Erased, Unreadable, decode_body, open_slot
from affidavit.record.frame import decode_bundle
from affidavit.record.header import Header
from affidavit.record.kinds import KINDS, STATE_KINDS
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.evidence import read
from affidavit.verify.line import Line, Why, body_path, body_place
from affidavit.verify.verdict import Bodies


@dataclass(frozen=True, slots=True)
class _Stub:
    """A stub as it was met: the record that erased, by its word, what was erased, and where it lies."""

    by: int
    kind: str
    body: str | None
    place: str


#: A slot that is not there, as opposed to `EMPTY_SLOT`, which is that of a record without a body.
Slot = bytes | None

_NO_BODIES = "the archive has no bodies"
_NO_KEY = "no key was given that opens the body"


class BodyStore:
    """Reads slots bundle by bundle and counts what became of each body."""

    def __init__(
        self, source: Source | None, keys: Mapping[bytes, BodyKey], read_content: bool, size: int, notes: Notebook
    ) -> None:
        self._source = source
        self._keys = keys
        self._read_content = read_content
        self._notes = notes
        self._counts = dict.fromkeys(("named", "readable", "unreadable", "erased", "absent", "altered"), 0)
        self._size = size
        self._stubs: dict[int, _Stub] = {}
        self._proved: set[int] = set()  # stubs whose erase record was met
        self._absent_bundles: set[int] = set()
        if source is None:
            notes.not_applicable(Duty.BODIES, _NO_BODIES)

    @property
    def counts(self) -> Bodies:
        """What became of the bodies so far."""
        return Bodies(**self._counts)

    @property
    def erased(self) -> tuple[str, ...]:
        """What was erased, each by a record that says so, in a sentence; empty where nothing was."""
        proved = sorted(self._proved)
        if not proved:
            return ()
        listed = ", ".join(f"{at} (by record {self._stubs[at].by})" for at in proved[:VERIFY_REASONS_MAX])
        more = len(proved) - VERIFY_REASONS_MAX
        return (f"Erased, as a later record says of each: {listed}{f', and {more} more' if more > 0 else ''}.",)

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
            self._absent_bundles.add(number)
            return (None,) * width
        if data is None:
            self._absent_bundles.add(number)
            message = f"The bodies of records {number * TILE_WIDTH} to {number * TILE_WIDTH + width - 1} are absent."
            notes.fail(Duty.BODIES, "bodies.absent", place, message, number * TILE_WIDTH)
            return (None,) * width
        try:
            return tuple(decode_bundle(data, held)[:width])
        except Corruption as error:
            notes.fail(Duty.BODIES, error.code, place, str(error))
        return _decode_what_stands(data, width)

    def open(
        self, index: int, header: Header, slot: Slot, place: str
    ) -> tuple[dict[str, Any] | None, Why, Erased | None]:
        """The body of a record, or why there is none to read, or its stub. What does not hold is a finding."""
        if header.body is None:
            if slot:
                message = f"Record {index} has no body, but a slot of {len(slot)} bytes stands for one."
                self._notes.fail(Duty.BODIES, "bodies.extra", place, message, index)
            elif slot is not None:
                self._notes.looked(Duty.BODIES)
            return None, "none", None
        self._counts["named"] += 1
        if slot is None or slot == EMPTY_SLOT:
            return None, self._absent(index, slot, place), None
        self._notes.looked(Duty.BODIES)
        if slot[0] == ERASED:
            return self._take_erased(index, header, slot, place)
        return *self._open(index, header.body, slot, place), None

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

    def erased_by(self, line: Line) -> None:
        """An `erase` record: if it was allowed, the body that it names is gone, and it says what that was."""
        header, at = line.header, line.header.ref
        if at is None or at >= line.index or header.decision != "allow" or self._source is None:
            return
        stub = self._stubs.get(at)
        if stub is None:
            if at // TILE_WIDTH not in self._absent_bundles:
                message = f"Record {line.index} erased the body of record {at}, but what stands there is no stub."
                self._notes.fail(Duty.BODIES, "bodies.not_erased", line.where, message, at)
            return
        said = None if line.content is None else line.content.get("record")
        if isinstance(said, dict) and (said.get("kind"), said.get("body")) != (stub.kind, stub.body):
            message = f"Record {line.index} says that it erased another body than that of record {at}."
            self._notes.fail(Duty.CONTENT, "erase.record", line.where, message, line.index)
        if stub.by == line.index:
            self._proved.add(at)

    def finish(self) -> None:
        """Every erased body needs the `erase` record that its stub names."""
        for index, stub in self._stubs.items():
            if index in self._proved:
                continue
            if stub.by >= self._size:
                reason = f"record {stub.by}, which a stub says erased record {index}, is not published yet"
                self._notes.skip(Duty.BODIES, reason)
                continue
            message = f"The body of record {index} is a stub, but record {stub.by} is no erase record that names it."
            self._notes.fail(Duty.BODIES, "bodies.erased", stub.place, message, index)

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

    def _take_erased(
        self, index: int, header: Header, slot: bytes, place: str
    ) -> tuple[dict[str, Any] | None, Why, Erased | None]:
        try:
            erased = open_slot(slot, header.body or "", {})
        except (Corruption, VerificationError) as error:
            return None, self._altered(index, error, place), None
        if not isinstance(erased, Erased):
            raise Corruption("slot.form", f"The slot of record {index} changed its form.")
        self._counts["erased"] += 1
        rule = KINDS.get(header.kind)
        if rule is not None and not rule.erasable:
            message = f"The body of record {index} is a stub; that of a {header.kind} may not be erased."
            self._notes.fail(Duty.BODIES, "bodies.erased", place, message, index)
        else:
            self._stubs[index] = _Stub(erased.by, header.kind, header.body, place)
        if erased.left and header.kind not in STATE_KINDS:
            message = f"The stub of record {index} holds more than the record that erased it."
            self._notes.fail(Duty.BODIES, "bodies.stub", place, message, index)
        if self._read_content:
            self._notes.remark(Duty.CONTENT, "erased bodies are shown by their headers alone")
        return None, "erased", erased

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
