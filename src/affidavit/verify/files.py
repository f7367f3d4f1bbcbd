"""Files that should not be there: strays, old partials that differ, and what lies beyond the checkpoint (duty 4).

Partials of sizes that were published earlier may stay; each must be the beginning of the wider file. Files beyond the
checkpoint mean that the checkpoint was put back to an older one, or that the writer stopped between the tiles and the
checkpoint of one publication. The second leaves files of one later size, which the journal holds; and where it happened
more than once, of several, between any two of which the journal holds a start of the writer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise

from affidavit.archive.source import Source
from affidavit.errors import Corruption, InvalidInput, Unavailable, VerificationError
from affidavit.limits import (
    BODY_BUNDLE_BYTES_MAX,
    BUNDLE_BYTES_MAX,
    TILE_BYTES_MAX,
    TILE_WIDTH,
    VERIFY_BEYOND_MAX,
)
from affidavit.record.body import same_but_erasing
from affidavit.record.frame import decode_bundle
from affidavit.tlog.tiles import HASH_BYTES, TileAddress, decode_entries, parse_path, tile_width
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.erasures import ERASING
from affidavit.verify.evidence import Evidence
from affidavit.verify.line import body_path

_BODIES = "tile/entries/"


class Files:
    """Made before the log is read: what lies beyond the checkpoint is judged only if it was there by then."""

    def __init__(self, evidence: Evidence, size: int, keys: frozenset[str], notes: Notebook) -> None:
        self._notes = notes
        self._size = size
        self._known = keys | {"checkpoint"}  # files of the log that no tile address names
        self._parts: list[tuple[str, Source]] = [("log", evidence.log)]
        if evidence.bodies is not None:
            self._parts.append(("bodies", evidence.bodies))
        self._beyond: dict[str, TileAddress] = {}
        for part, path in self._listed():
            address = _address(part, path)
            if address is not None and self._width(address) < address.width and len(self._beyond) < VERIFY_BEYOND_MAX:
                self._beyond[f"{part}/{path}"] = address

    def finish(
        self, signed_size: int, journal_end: int, starts: Sequence[int], came_since: Callable[[str], bool]
    ) -> None:
        """Judge every file. `signed_size` is that of the checkpoint as it is now; `journal_end` is the index after
        the journal's last whole record, `starts` where it holds starts of the writer beyond the checkpoint.
        `came_since` says of a listed path whether it is a file of the log about keys that was not known before.
        """
        prefixes = _Prefixes(self._notes, self._size)
        for part, path in self._listed():
            if part == "log" and path in self._known:
                continue
            self._notes.looked(Duty.FILES)
            address = _address(part, path)
            if address is None:
                if part == "log" and came_since(path):
                    continue
                message = "This file belongs to no log: remove it, or find out who put it there."
                self._notes.fail(Duty.FILES, "files.stray", f"{part}/{path}", message)
            elif address.width < self._width(address):
                prefixes.check(part, dict(self._parts)[part], path, address, self._width(address))
        self._judge_beyond(signed_size, journal_end, starts)

    def _listed(self) -> Iterator[tuple[str, str]]:
        for part, source in self._parts:
            try:
                paths = source.paths()
                if paths is None:
                    self._notes.not_applicable(Duty.FILES, "a web server does not list its files")
                    continue
                for path in paths:
                    yield part, path
            except (Corruption, Unavailable) as error:
                self._notes.skip(Duty.FILES, f"{part} could not be listed: {error.message}")

    def _width(self, address: TileAddress) -> int:
        return tile_width(self._size, address.level or 0, address.index)

    def _judge_beyond(self, signed_size: int, journal_end: int, starts: Sequence[int]) -> None:
        left = {
            path: address
            for path, address in self._beyond.items()
            if tile_width(signed_size, address.level or 0, address.index) < address.width
        }
        if not left:
            return
        sizes = _later_sizes(left.values())
        if sizes and sizes[-1] <= journal_end and _each_cut_short(sizes, starts, journal_end):
            reason = (
                f"files of the later size {sizes[-1]} lie there, unsigned: the writer stopped while it published, or "
                "an older checkpoint was put back (start the writer, then verify again)"
            )
            self._notes.skip(Duty.FILES, reason)
            return
        for path in left:
            message = (
                f"It lies beyond the {self._size} records of the checkpoint: an older checkpoint was put back, or the "
                "file was added."
            )
            self._notes.fail(Duty.FILES, "files.beyond", path, message)


def _later_sizes(files: Collection[TileAddress]) -> list[int]:
    """The sizes of the publications that left these files, ascending; none where some file belongs to none of them."""
    bundles = [one for one in files if not one.level]
    sizes = {one.index * TILE_WIDTH + one.width for one in bundles if one.width < TILE_WIDTH}
    sizes.add(max((one.index * TILE_WIDTH + one.width for one in bundles), default=0))
    belong = all(any(tile_width(size, one.level or 0, one.index) == one.width for size in sizes) for one in files)
    return sorted(sizes) if belong else []


def _each_cut_short(sizes: Sequence[int], starts: Sequence[int], journal_end: int) -> bool:
    """Whether the writer was started anew between any two sizes: it publishes no more after a publication failed.

    Where the last size shows only in full bundles, the publication may have been on its way to any later one.
    """
    last = journal_end if sizes[-1] % TILE_WIDTH == 0 else sizes[-1]
    return all(any(size <= start < larger for start in starts) for size, larger in pairwise([*sizes[:-1], last]))


class _Prefixes:
    """Compares partials of earlier sizes with the wider file, which is read once for its row of partials."""

    def __init__(self, notes: Notebook, size: int) -> None:
        self._notes = notes
        self._size = size
        self._wide_path = ""
        self._wide: bytes | None = None

    def check(self, part: str, source: Source, path: str, address: TileAddress, width: int) -> None:
        wide_path = TileAddress(address.level, address.index, width).path
        if part == "bodies":
            wide_path = body_path(address.index, width)
        limit = BODY_BUNDLE_BYTES_MAX if part == "bodies" else BUNDLE_BYTES_MAX
        if address.level is not None:
            limit = TILE_BYTES_MAX
        try:
            if self._wide_path != f"{part}/{wide_path}":
                self._wide_path, self._wide = f"{part}/{wide_path}", source.get(wide_path, limit)
            data = source.get(path, limit)
            if data is None or self._wide is None or _begins(part, address, self._wide, width, data):
                return
            if part == "bodies" and self._is_erasing(self._wide, width, data, address.width):
                self._notes.skip(Duty.FILES, ERASING)
                return
            message = f"This partial of an earlier size is not the beginning of {self._wide_path}."
            self._notes.fail(Duty.FILES, "files.partial", f"{part}/{path}", message)
        except (Corruption, InvalidInput, VerificationError) as error:
            self._notes.fail(Duty.FILES, error.code, f"{part}/{path}", str(error))

    def _is_erasing(self, wide: bytes, width: int, data: bytes, held: int) -> bool:
        pairs = zip(decode_bundle(data, held), decode_bundle(wide, width), strict=False)
        return all(same_but_erasing(a, b, self._size) for a, b in pairs)


def _begins(part: str, address: TileAddress, wide: bytes, width: int, data: bytes) -> bool:
    if part == "bodies":
        return decode_bundle(data, address.width) == decode_bundle(wide, width)[: address.width]
    if address.level is None:
        return decode_entries(data, address.width) == decode_entries(wide, width)[: address.width]
    return data == wide[: address.width * HASH_BYTES]


def _address(part: str, path: str) -> TileAddress | None:
    """What a path names, or None for one that no log writes."""
    try:
        return parse_path(_BODIES + path if part == "bodies" else path)
    except InvalidInput:
        return None
