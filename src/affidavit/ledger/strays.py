"""Files in a data folder that no checkpoint speaks of: strays, what a crash left unfinished, partials that are over."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from affidavit.durable import Disk
from affidavit.errors import Corruption, InvalidInput
from affidavit.ledger.layout import Layout
from affidavit.limits import ARCHIVE_DEPTH_MAX, BODY_BUNDLE_BYTES_MAX, TILE_WIDTH
from affidavit.record.body import same_but_erasing
from affidavit.record.frame import decode_bundle
from affidavit.tlog.tiles import TileAddress, parse_path, tile_width

_ENTRIES = "tile/entries/"
#: What else may lie in the folder of the log: rotation notes.
_ALSO = ("key/",)


@dataclass(frozen=True)
class Stray:
    """A file at `where` below the data folder. `rubbish`: it may be removed, because whatever it holds is published
    elsewhere or was never promised. Without a code it is no fault, only left over."""

    where: str
    code: str
    message: str
    rubbish: bool


def find_strays(
    disk: Disk,
    layout: Layout,
    size: int,
    journal_end: int,
    wrong: Container[str] = (),
    differing: Container[str] = (),
) -> list[Stray]:
    """Everything that does not belong to a log of `size` records whose journal ends at `journal_end`.

    Both by the path below the data folder: `wrong` are the files that nothing is compared with, `differing` those
    beyond the checkpoint that do not hold what the journal holds.
    """
    found: list[Stray] = []
    beyond: dict[str, TileAddress] = {}
    for part, folder in (("log", layout.log), ("bodies", layout.bodies)):
        for path in _below(disk, folder):
            where = f"{part}/{path}"
            if part == "log" and (path == "checkpoint" or path.startswith(_ALSO)):
                continue
            try:
                address = parse_path(_ENTRIES + path if part == "bodies" else path)
            except InvalidInput:
                found.append(Stray(where, "files.stray", "No log has a file of this name.", False))
                continue
            now = tile_width(size, address.level or 0, address.index)
            if address.width > now:
                beyond[where] = address
            elif address.width < now:
                wider = TileAddress(address.level, address.index, now)
                stray = _judge_partial(disk, layout, part, where, wider, address.width, wrong, size)
                if stray is not None:
                    found.append(stray)
    found += _judge_beyond(beyond, size, journal_end, differing)
    for path in _below(disk, layout.root / "unfinished"):
        where = f"unfinished/{path}"
        found.append(Stray(where, "", "A file that was never finished; the next start removes it.", True))
    return found


def _judge_beyond(
    beyond: Mapping[str, TileAddress], size: int, journal_end: int, differing: Container[str]
) -> Iterator[Stray]:
    """A publication that stopped before its checkpoint left files of exactly one later size; others were put there, or
    the checkpoint was put back to an older one."""
    later = max((one.index * TILE_WIDTH + one.width for one in beyond.values() if not one.level), default=0)
    one_size = all(tile_width(later, one.level or 0, one.index) == one.width for one in beyond.values())
    for where, address in beyond.items():
        if where in differing:
            message = "A publication that was cut short left it, and it does not hold what the journal holds."
            yield Stray(where, "files.leftover", message, True)
        elif one_size and later <= journal_end:
            then = "goes on from it" if address.width == TILE_WIDTH else "removes it"
            yield Stray(where, "", f"It was published without a checkpoint yet: the next start {then}.", False)
        else:
            message = (
                f"It lies beyond the {size} records of the checkpoint: an older one was put back, this was added, or a "
                "writer stopped more than once while it published (then start it)."
            )
            yield Stray(where, "files.beyond", message, False)


def _judge_partial(
    disk: Disk, layout: Layout, part: str, where: str, now: TileAddress, held: int, wrong: Container[str], size: int
) -> Stray | None:
    """A partial of an earlier size must be the beginning of `now`. If that is full, it is over, and rubbish."""
    wider = layout.slots(now.index, now.width) if part == "bodies" else layout.log / now.path
    if str(wider.relative_to(layout.root)) in wrong:
        return None
    try:
        whole = disk.read(wider, BODY_BUNDLE_BYTES_MAX)
        data = disk.read(layout.root / where, BODY_BUNDLE_BYTES_MAX)
    except Corruption as error:
        return Stray(where, "files.stray", error.message, False)
    if whole is None or data is None:
        return None
    if not whole.startswith(data) and not (part == "bodies" and _is_erasing(whole, now.width, data, held, size)):
        return Stray(where, "files.partial", "It is not the beginning of the wider file that is published.", False)
    return Stray(where, "", "A partial file whose full form is published.", True) if now.width == TILE_WIDTH else None


def _is_erasing(whole: bytes, width: int, data: bytes, held: int, size: int) -> bool:
    """Whether two body bundles differ by what an erasure that was cut short has left to do."""
    try:
        pairs = list(zip(decode_bundle(data, held), decode_bundle(whole, width), strict=False))
    except Corruption:
        return False
    return all(same_but_erasing(a, b, size) for a, b in pairs)


def _below(disk: Disk, folder: Path, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """The paths of all files below a folder."""
    for name in disk.names(folder):
        path = folder / name
        if depth < ARCHIVE_DEPTH_MAX and disk.is_folder(path):
            yield from _below(disk, path, f"{prefix}{name}/", depth + 1)
        else:
            yield prefix + name
