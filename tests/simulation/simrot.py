"""Bits that turn over in the files of a simulated log: between its lives, and while one is lived.

Between lives (`judge`): recovery refuses with a code that this file's damage justifies, or goes on, and then `verify` or
reading finds the bit. What can be mended is mended (`mend`), with stops meanwhile, and nothing that was promised is
lost by it. While a log is open (`Turned`): nothing is published or acknowledged that differs from what was acknowledged,
nothing of the good copy is pruned, a reader refuses what is damaged; when the bit is turned back, all holds again.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

from ledgercase import ORIGIN, Case
from simaudit import SimArchive, failed
from simdisk import Crash, SimDisk
from simtruth import Truth, demand

from affidavit.errors import Corruption, Unavailable
from affidavit.ledger.fsck import Examination, examine
from affidavit.ledger.journal import segments_of
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.reader import Reader
from affidavit.ledger.repair import Repair, obstacles
from affidavit.ledger.rotate import known_keys
from affidavit.ledger.snapshot import snapshot_key
from affidavit.limits import TILE_WIDTH
from affidavit.tlog.tiles import parse_path
from affidavit.verify.verify import verify

if TYPE_CHECKING:
    from simworld import World

#: What recovery, or the publication after it, may say of a bit that turned over, by where the file lies.
ROT_CODES: dict[str, set[str]] = {
    "journal": {"journal.damage", "journal.header", "journal.segment", "log.ahead", "log.fork", "log.bundle"},
    "log/checkpoint": {"log.checkpoint"},
    "log/tile/entries": {"log.bundle", "log.immutable"},
    "log/tile": {"log.tile", "log.immutable"},
    "bodies": {"log.bundle", "log.immutable"},
    "standing": set(),
}
#: What besides those a log that is open may meet when it reads what it wrote before.
_WHILE_OPEN = {"log.header", "log.body", "log.bundle", "log.file", "journal.damage"}
_STOPS_MAX = 6


class Turned:
    """One bit of a log that is open. Made while it turns over; `back` turns it back."""

    def __init__(self, disk: SimDisk, layout: Layout, truth: Truth, chance: random.Random) -> None:
        self._disk = disk
        self._layout = layout
        paths = [path for path in disk.paths(layout.root) if place_of(layout, path) and disk.copy(path).rstrip(b"\0")]
        self.path = chance.choice(paths)
        self.place = place_of(layout, self.path)
        self._segments = segments_of(disk, layout.journal)
        offset, bit = chance.randrange(truth.written(self.path)), chance.randrange(8)
        self.what = f"bit {bit} of {self.path} turns over at {offset}, while the log is open"
        self._back = disk.flip(self.path, offset, bit)

    def back(self) -> None:
        """Turn it back, after what a damaged file may have led to was looked at."""
        self._demand_good_copy()
        self._back()

    def justifies(self, error: Corruption | None) -> bool:
        """Whether this bit can be why."""
        return error is not None and error.code in ROT_CODES[self.place] | _WHILE_OPEN

    def _demand_good_copy(self) -> None:
        """The journal still holds what is damaged in the published files; one segment may have been looked at before."""
        if self.place not in ("log/tile/entries", "bodies") or ".p/" in str(self.path):
            return
        if not self._disk.exists(self._layout.journal):
            return
        folder = self._layout.log if self.place == "log/tile/entries" else self._layout.bodies
        name = self.path.relative_to(folder).as_posix()
        number = parse_path(name if self.place == "log/tile/entries" else f"tile/entries/{name}").index
        first, end = number * TILE_WIDTH, (number + 1) * TILE_WIDTH
        looked_at = self._segments[1] if len(self._segments) > 1 else self._segments[0]
        begins = segments_of(self._disk, self._layout.journal)[0]
        demand(
            begins <= max(first, looked_at) or looked_at >= end,
            f"records {first} to {end - 1} are damaged in {self.path}, and were pruned from the journal up to {begins}",
        )


def place_of(layout: Layout, path: Path) -> str:
    """Which row of `ROT_CODES` a file belongs to; empty for files whose damage is another matter."""
    name = str(path.relative_to(layout.root))
    return next((place for place in ROT_CODES if name.startswith(place)), "")


def judge_read(reader: Reader, truth: Truth, index: int, turned: Turned | None) -> None:
    """A reader gives the record as it was sealed, or refuses it; a body it may also call unreadable."""
    try:
        raw, slot = reader.stored(index)
        if (raw, slot) == truth.records[index]:
            return
        demand(turned is not None and raw == truth.records[index][0], f"a reader sees another record {index}")
        content = reader.record(index).content
        demand(not isinstance(content, dict), f"a reader takes a damaged body {index} for one")
    except Corruption as error:
        demand(turned is not None and turned.justifies(error), f"a reader refuses record {index}: {error}")


def rot(world: World) -> None:
    """Turn over one bit between two lives, see what becomes of it, and turn it back."""
    disk, layout, chance = world.disk, world.layout, world.chance
    paths = [path for path in disk.paths(layout.root) if place_of(layout, path) and len(disk.copy(path))]
    path = chance.choice(paths)
    data = disk.copy(path)
    offset, bit = chance.randrange(len(data.rstrip(b"\0")) or 1), chance.randrange(8)
    world.say(f"bit {bit} of {path} turns over at {offset} of {len(data)}")
    world.counts["flips"] += 1
    disk.injected["bit flip"] += 1
    before_it = bytes(data)
    # What stands there, not what once was shown: a stop may have taken the newest checkpoint back (ADR 18).
    stands = world.keys.open(disk.copy(layout.checkpoint)).size
    for what in (lambda: _judge(world, path, before_it), lambda: mend(world, path, stands)):
        before = disk.state()
        disk.flip(path, offset, bit)
        shown, disk.shown = disk.shown, lambda _: None
        try:
            world.counts[f"flip {what()}"] += 1
        finally:
            disk.shown = shown
        disk.restore(before)


def _judge(world: World, path: Path, data: bytes) -> str:
    """What became of a turned bit: who found it. Everything is put back by the caller."""
    place = place_of(world.layout, path)
    ledger = None
    try:
        ledger = world.open()
        ledger.publish_now()
    except (Corruption, Unavailable) as error:
        found = error if ledger is None else ledger.failure
        demand(found is not None and found.code in ROT_CODES[place], f"a bit in {path} gave {found}")
        world.counts[f"refusal {found.code if found else ''}"] += 1
        return f"refused ({place})"
    verdict = verify(SimArchive(world.disk, world.layout.root), world.keys.first, {}, world.kept[-5:], only="structure")
    if failed(verdict):
        return f"found by verify ({place})"
    if place == "standing":
        return "ignored (standing)"
    if place == "bodies" and _unreadable(ledger):
        return "found by reading (bodies)"
    if place == "journal":
        # In the last frame, not published yet, it looks like a torn write: the frame was cut, all before it stands.
        same = _same(world, headers=True)
        demand(same >= world.truth.published.size, f"a bit in {path} changed a published record, and nobody noticed")
        return "taken for a torn write"
    held = world.disk.copy(path) if world.disk.exists(path) else data
    demand(held == data, f"a bit in {path} turned over, and nobody noticed")
    return "removed as no longer needed, or written anew"


def mend(world: World, path: Path, stands: int) -> str:
    """What `recover` makes of a turned bit, while the machine stops and the disk fails; then the log goes on whole.

    `stands` is how many records were published when the bit turned over: those are whole afterwards.
    """
    place, keys = place_of(world.layout, path), world.secrets().body_keys_by_id
    found = _examined(world)
    if obstacles(found):
        return f"beyond mending ({place})"
    for stops in range(_STOPS_MAX + 1):
        soon = world.disk.steps + world.chance.randrange(1, 150)
        if stops < _STOPS_MAX:
            world.disk.crash_at, world.disk.fail_at = (soon, 0) if world.chance.random() < 0.7 else (0, soon)
        try:
            found = _examined(world)
            blocked = obstacles(found)
            demand(not blocked, f"{path} could be mended, and after {stops} stops cannot be: {blocked}")
            Repair(world.disk, world.layout, keys, found, f"{stops}").run()
            break
        except Crash:
            world.counts["stopped while mending"] += 1
            if world.chance.random() < 0.7:
                world.disk.crash()
            else:
                world.disk.kill()
        except Unavailable:
            world.disk.kill()
    world.disk.kill()
    try:
        world.open().publish_now()
    except (Corruption, Unavailable) as error:
        demand(False, f"a log that was mended of a bit in {path} does not go on: {error}")
    kept = [note for note in world.kept if world.keys.open(note).size <= stands]
    verdict = verify(SimArchive(world.disk, world.layout.root), world.keys.first, {}, kept[-5:], only="structure")
    demand(not failed(verdict) or place == "bodies", f"a log that was mended of a bit in {path}: {failed(verdict)}")
    wanted = stands if place == "journal" else len(world.truth.records)
    same = _same(world, headers=place == "bodies")
    demand(same >= wanted, f"mending a bit in {path} left {same} of {wanted} records as they were")
    return f"mended ({place})"


def _examined(world: World) -> Examination:
    case: Case = world.case
    secrets = world.secrets()
    keys = known_keys(case.disk, world.layout, secrets.verifiers)
    key = snapshot_key(secrets.digest_key)
    return examine(case.disk, world.layout, keys, secrets.body_keys_by_id, ORIGIN, key)


def _same(world: World, *, headers: bool) -> int:
    """How many records, from the beginning on, the journal still holds as they were; those that were pruned count."""
    again = Truth(world.disk, world.layout, ORIGIN)
    first = segments_of(world.disk, world.layout.journal)[0]
    again.begin_at(world.truth, first)
    again.extend(seen=True)
    for at, (now, before) in enumerate(zip(again.records, world.truth.records, strict=False)):
        if now[0] != before[0] or (now[1] != before[1] and not headers):
            return at
    return min(len(again.records), len(world.truth.records))


def _unreadable(ledger: Ledger) -> bool:
    """Whether some body is not what its header says: without its journal and its key only reading can tell."""
    try:
        for _ in ledger.reader().records(0, ledger.size):
            pass
    except Corruption:
        return True
    return False
