"""Erasing a body: whatever the log's folder holds of it becomes a stub (docs/spec/bodies.md).

The order makes a crash harmless. The `erase` record is durable first. Then every file that holds the body is written
whole again: body bundles of every width, published or not; then the journal's segment; then what `recover` had set
aside goes. All of it on the writer's thread and while nothing is published: so an `erase` record that is published was
carried out, and one that a crash left half carried out lies beyond the checkpoint, where the next start reads anyway.
It carries it out again, before anything is published. Nothing else need note what is done.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from affidavit.durable import PRIVATE, Disk, clear_temporary, write_whole
from affidavit.errors import AffidavitError, Conflict, Corruption, InvalidInput, Unavailable, VerificationError
from affidavit.ledger.journal import SEGMENT_BYTES_MAX, Journal
from affidavit.ledger.layout import Layout
from affidavit.ledger.own import Own
from affidavit.ledger.standing import Standing
from affidavit.limits import ARCHIVE_DEPTH_MAX, BODY_BUNDLE_BYTES_MAX, TILE_WIDTH
from affidavit.record.body import ERASED, BodyKey, Erased, Unreadable, decode_body, erased_slot, open_slot
from affidavit.record.frame import Damage, Stored, decode_bundle, encode_bundle, read_frames
from affidavit.record.header import Header
from affidavit.record.kinds import KINDS, STATE_KINDS
from affidavit.record.read import stored_header
from affidavit.state.change import decode_ops
from affidavit.state.hidden import encode_hidden, hide

_log = logging.getLogger(__name__)
_HINT = "Nothing was erased. See `affidavit fsck`."


def erasures_in(first: int, headers: list[Header]) -> dict[int, int]:
    """By erased record, the allowed `erase` records among `headers`, the first of which has the index `first`."""
    return {
        header.ref: at
        for at, header in enumerate(headers, start=first)
        if header.kind == "erase" and header.decision == "allow" and header.ref is not None
    }


def check_decided(standing: Standing, own: Own) -> None:
    """Raise `Conflict` where the state is no longer the one that the `erase` record was decided under."""
    if standing.state != own.fields["decided"]:
        raise Conflict("erase.state", "The state has moved on meanwhile.", "Try again.", standing.state)


def check_erasable(standing: Standing, index: int, stored: Stored) -> None:
    """Raise `InvalidInput` where the body of the record at `index` is erased already, or needed by what is open."""
    if stored[1][:1] == bytes([ERASED]):
        raise InvalidInput("erase.done", f"The body of record {index} is erased already.", "See `affidavit show`.")
    if index in standing.sessions or any(index in session.intents for session in standing.sessions.values()):
        raise InvalidInput(
            "erase.open",
            f"Record {index} is of a session that is still open, and what comes refers to it.",
            "Erase it when the session has ended: see `affidavit session`.",
        )


def stub_of(index: int, by: int, stored: Stored, keys: Mapping[bytes, BodyKey]) -> bytes:
    """The slot that the record `by` leaves of the body of the record at `index`; its own, where it is a stub already.

    Raises `InvalidInput` for a kind that is not erasable or a record without a body, `Unavailable` where a change's
    body cannot be opened to see what must stay of it, `Corruption` where it is not the one that its header names.
    """
    raw, slot = stored
    header = stored_header(index, raw)
    rule = KINDS.get(header.kind)
    if rule is None or not rule.erasable:
        raise InvalidInput(
            "erase.kind", f"Record {index} is a {header.kind}: its body is what the log rests on, and is not erasable."
        )
    if header.body is None:
        raise InvalidInput("erase.none", f"Record {index} has no body.", "There is nothing to erase.")
    try:
        opened = open_slot(slot, header.body, keys)
        if isinstance(opened, Erased):
            return slot
        if header.kind not in STATE_KINDS:
            return erased_slot(by, b"")
        if isinstance(opened, Unreadable):
            raise Unavailable(
                "erase.key",
                f"No key opens the body of the change {index}, so its stub cannot be made.",
                "Bring it back.",
            )
        return erased_slot(by, encode_hidden(hide(decode_ops(decode_body(opened).get("objects")))))
    except (VerificationError, InvalidInput) as error:
        raise Corruption("log.body", f"The body of record {index} is not what was written: {error}", _HINT) from None


class Eraser:
    """Puts stubs into the files of one log. Owned by the writer's thread."""

    def __init__(self, disk: Disk, layout: Layout) -> None:
        self._disk = disk
        self._layout = layout

    def check(self, index: int) -> None:
        """Raise `Corruption` where a bundle that should hold the record at `index` is damaged. Call it first."""
        for path, width in self._bundles(index):
            self._slots(path, width)

    def put_stub(self, index: int, stub: bytes, journal: Journal) -> None:
        """Everywhere in the folder `stub` stands for the body of the record at `index` when this returns, durably.

        Again does no harm. Raises `Unavailable` or `Corruption`, and then only doing it again makes it whole.
        """
        clear_temporary(self._disk, self._layout.erasing)
        for path, width in self._bundles(index):
            slots = self._slots(path, width)
            if slots[index % TILE_WIDTH] != stub:
                slots[index % TILE_WIDTH] = stub
                write_whole(self._disk, self._layout.erasing, [(path, encode_bundle(slots))], PRIVATE)
        journal.replace(index, stub)
        self._drop_set_aside(index)

    def _bundles(self, index: int) -> Iterator[tuple[Path, int]]:
        """The bundle of the record at `index` in each width that lies there and holds it."""
        number, at = divmod(index, TILE_WIDTH)
        full = self._layout.slots(number)
        if self._disk.exists(full):
            yield full, TILE_WIDTH
        for name in self._disk.names(self._layout.slots(number, 1).parent):
            if name.isascii() and name.isdecimal() and at < int(name) < TILE_WIDTH:
                yield self._layout.slots(number, int(name)), int(name)

    def _slots(self, path: Path, width: int) -> list[bytes]:
        data = self._disk.read(path, BODY_BUNDLE_BYTES_MAX)
        if data is None:
            raise Corruption("log.file", f"{path} is gone.", _HINT)
        try:
            return list(decode_bundle(data, width))
        except Corruption as error:
            raise Corruption("log.bundle", f"{path}: {error.message}", _HINT) from None

    def _drop_set_aside(self, index: int) -> None:
        """What `recover` replaced lies here in copies, damaged ones. Those that may hold the body go."""
        for path in list(self._files(self._layout.set_aside)):
            part, _, below = str(path.relative_to(self._layout.set_aside)).partition("/")[2].partition("/")
            if (part == "bodies" and self._may_be_bundle(below, index)) or (
                part == "journal" and self._may_be_segment(path, index)
            ):
                _log.warning("%s is removed: it may hold the body of record %d, which is erased", path, index)
                self._disk.unlink(path)
                self._disk.sync_folder(path.parent)

    def _may_be_bundle(self, below: str, index: int) -> bool:
        """Whether a file of this name may be a bundle with the record at `index`: any that is not another bundle's."""
        number = index // TILE_WIDTH
        full = str(self._layout.slots(number).relative_to(self._layout.bodies))
        stem = below.partition(".p/")[0]
        plain = stem.replace("/", "").replace("x", "").isdecimal()
        return stem == full or not plain

    def _may_be_segment(self, path: Path, index: int) -> bool:
        """Whether a copy of a segment holds the record at `index`, or is damaged, so that it cannot be told."""
        try:
            data = self._disk.read(path, SEGMENT_BYTES_MAX)
            frames = list(read_frames(data or b""))
        except AffidavitError:
            return True
        return any(isinstance(one, Damage) or one.first <= index < one.first + len(one.records) for one in frames)

    def _files(self, folder: Path, depth: int = 0) -> Iterator[Path]:
        for name in self._disk.names(folder):
            path = folder / name
            if depth < ARCHIVE_DEPTH_MAX and self._disk.is_folder(path):
                yield from self._files(path, depth + 1)
            else:
                yield path
