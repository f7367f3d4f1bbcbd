"""A simulated disk: it loses, tears and reorders what was not synced, fails and fills up, lies, and rots.

What is durable: of a file, what a sync covered; of a name, of a file or a folder, what a sync of the folder that holds
it covered. When the machine stops (`crash`), each sector of an unsynced write and each unsynced name is kept or lost as
the seed says, independently of the others. When only the process stops (`kill`), all of it is still there to be read,
and still not durable. After a failed sync it is there to be read too, and no later sync makes it durable: that is what
kernels do. A folder is made as `OsDisk` makes it, so that what a kill in between leaves behind is the same.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from affidavit.errors import Corruption, Unavailable

SECTOR_BYTES = 512


class Crash(BaseException):
    """The machine, or the process, stopped. Not an `Exception`: nothing on the way up may handle it."""


class _Inode:
    def __init__(self) -> None:
        self.seen = bytearray()
        self.durable = bytearray()
        self.pending: list[tuple[int, bytes]] = []
        self.changed = 0

    def write(self, offset: int, data: bytes) -> None:
        _put(self.seen, offset, data)
        self.pending.append((offset, data))

    def sync(self) -> None:
        for offset, data in self.pending:
            _put(self.durable, offset, data)
        self.pending.clear()

    def lose(self, chance: random.Random) -> None:
        """Keep any part of what is pending, sector by sector."""
        for offset, data in self.pending:
            end = offset + len(data)
            at = offset
            while at < end:
                stop = min(end, (at // SECTOR_BYTES + 1) * SECTOR_BYTES)
                if chance.random() < 0.5:
                    _put(self.durable, at, data[at - offset : stop - offset])
                at = stop
        self.pending.clear()
        self.seen = bytearray(self.durable)


def _put(target: bytearray, offset: int, data: bytes) -> None:
    if len(target) < offset + len(data):
        target.extend(bytes(offset + len(data) - len(target)))
    target[offset : offset + len(data)] = data


class SimDisk:
    """Implements `affidavit.durable.Disk` in memory.

    A step is one moment before or after something reaches the disk. `crash_at` is the step that raises `Crash`; from
    then on every step does, until `crash` or `kill`. `fail_at` is the step that raises `Unavailable`; whether it took
    effect all the same, or in part, the seed says. `space` is how many bytes more files may grow, `lies` how often a
    sync reports what it did not do; with `aside` stops and failures meet reads seldom. `pause` is called at each step: another may run then. `shown` is called with the
    path of each file that a rename has just made visible. `injected` counts what was done to the caller.
    """

    def __init__(self, seed: int = 0) -> None:
        self.chance = random.Random(seed)
        self.steps = 0
        self.crash_at = 0
        self.fail_at = 0
        self.space: int | None = None
        self.lies = 0.0
        self.aside = False
        self.pause: Callable[[], None] = _nothing
        self.shown: Callable[[Path], None] = _nothing_shown
        self.note: Callable[[str], None] = _nothing_noted
        self.injected: Counter[str] = Counter()
        self.read_only: Path | None = None
        self.locked = False
        self._dead = False
        self._names: dict[Path, _Inode] = {}
        self._durable_names: dict[Path, _Inode] = {}
        self._folders: set[Path] = set()
        self._durable_folders: set[Path] = set()

    # What happens to it

    def crash(self) -> None:
        """Come back after a stop of the machine: only what was durable, and what luck kept, is there."""
        folders = {
            path
            for path in sorted(self._folders | self._durable_folders)
            if (path in self._folders) is (path in self._durable_folders) or self.chance.random() < 0.5
        }
        folders = {path for path in folders if folders.issuperset(set(path.parents) - _ABOVE)}
        kept: dict[Path, _Inode] = {}
        for path in sorted(set(self._names) | set(self._durable_names)):
            now, before = self._names.get(path), self._durable_names.get(path)
            inode = now if now is before or self.chance.random() < 0.5 else before
            if inode is not None and (path.parent in folders or path.parent in _ABOVE):
                kept[path] = inode
        for inode in {id(inode): inode for inode in kept.values()}.values():
            inode.lose(self.chance)
        self._names, self._durable_names = dict(kept), dict(kept)
        self._folders, self._durable_folders = set(folders), set(folders)
        self._end()

    def kill(self) -> None:
        """Come back after a stop of the process alone: everything is as it was seen, and as durable as it was."""
        self._end()

    def stop(self) -> None:
        """From now on every step raises `Crash`, without effect."""
        self._dead = True

    def flip(self, path: Path, offset: int, bit: int = 0) -> Callable[[], None]:
        """One bit of a stored file turns over. What it gives turns it back, whatever became of the file's name."""
        inode = self._names[path]

        def turn() -> None:
            for side in (inode.seen, inode.durable):
                if offset < len(side):
                    side[offset] ^= 1 << bit

        turn()
        return turn

    def replace(self, path: Path, data: bytes | None) -> None:
        """Somebody else writes, or removes, a file."""
        self._names.pop(path, None)
        self._durable_names.pop(path, None)
        if data is not None:
            inode = _Inode()
            inode.write(0, data)
            inode.sync()
            self._names[path] = self._durable_names[path] = inode
            self._folders.update(path.parents)
            self._durable_folders.update(path.parents)

    def remove_folders(self, root: Path) -> None:
        """Somebody else removes a folder whose files are gone, and those in it."""
        for folders in (self._folders, self._durable_folders):
            folders -= {path for path in folders if path.is_relative_to(root)}

    def state(self) -> object:
        """All that it holds, for `restore`."""
        return copy.deepcopy((self._names, self._durable_names, self._folders, self._durable_folders, self.locked))

    def restore(self, state: Any) -> None:
        """Everything is as it was when `state` was taken, which is used up."""
        self._names, self._durable_names, self._folders, self._durable_folders, self.locked = state

    # What it holds, for tests

    def holds(self, path: Path) -> bool:
        return path in self._names

    def copy(self, path: Path) -> bytes:
        return bytes(self._names[path].seen)

    def paths(self, folder: Path) -> list[Path]:
        return sorted(path for path in self._names if path.is_relative_to(folder))

    def durable(self, path: Path) -> bytearray | None:
        """What would be left of a file if everything that is not durable were lost; None for nothing. Not a copy."""
        inode = self._durable_names.get(path)
        if inode is None or not self._durable_folders.issuperset(set(path.parents) - _ABOVE):
            return None
        return inode.durable

    def durable_names(self, folder: Path) -> list[str]:
        """The files whose names in a folder are durable."""
        return sorted(path.name for path in self._durable_names if path.parent == folder)

    # The protocol

    def read(self, path: Path, limit: int) -> bytes | None:
        self._step("read")
        inode = self._names.get(path)
        if inode is None:
            return None
        if len(inode.seen) > limit:
            raise Corruption("disk.size", f"{path} is too long.")
        return bytes(inode.seen)

    def read_private(self, path: Path, limit: int) -> bytes | None:
        return self.read(path, limit)

    def exists(self, path: Path) -> bool:
        return path in self._names or path in self._folders

    def is_folder(self, path: Path) -> bool:
        return path in self._folders

    def stamp(self, path: Path) -> tuple[int, int] | None:
        inode = self._names.get(path)
        return None if inode is None else (len(inode.seen), inode.changed)

    def restamp(self, path: Path, stamp: tuple[int, int]) -> None:
        self._names[path].changed = stamp[1]

    def names(self, folder: Path) -> list[str]:
        inside = [path for names in (self._names, self._folders) for path in names if path.parent == folder]
        return sorted({path.name for path in inside if path != folder})

    def make_folder(self, path: Path, mode: int) -> None:
        if path in self._folders or path in _ABOVE:
            return
        self.make_folder(path.parent, mode)
        self._step("mkdir", lambda: self._folders.add(path))
        self.sync_folder(path.parent)

    def write_synced(self, files: Sequence[tuple[Path, bytes]], mode: int) -> None:
        inodes = []
        for path, data in files:
            if path.parent == self.read_only:
                raise Unavailable("disk.create", f"Could not create {path}: simulated.")
            self._step("create")
            self._check_folder(path)
            inode = self._names.get(path) or _Inode()
            inode.seen, inode.durable, inode.pending = bytearray(), bytearray(), []
            self._names[path] = inode
            self._write(inode, 0, data)
            inodes.append(inode)
        for inode in inodes:
            self._sync(inode)

    def rename(self, source: Path, target: Path) -> None:
        def move() -> None:
            self._check_folder(target)
            self._names[target] = self._names.pop(source)
            self.shown(target)

        self._step("rename", move)

    def unlink(self, path: Path) -> None:
        def remove() -> None:
            if path in self._folders and self.names(path):
                raise Unavailable("disk.remove", f"Could not remove {path}: Directory not empty.")
            self._names.pop(path, None)
            self._folders.discard(path)

        self._step("unlink", remove)

    def sync_folder(self, path: Path) -> None:
        def settle() -> None:
            if path not in self._folders and path not in _ABOVE:
                raise Unavailable("disk.open", f"Could not open {path}: No such file or directory.")
            for name in [name for name in self._durable_names if name.parent == path and name not in self._names]:
                del self._durable_names[name]
            for folder in [one for one in self._durable_folders if one.parent == path and one not in self._folders]:
                self._durable_folders.discard(folder)
            self._durable_names.update({name: inode for name, inode in self._names.items() if name.parent == path})
            self._durable_folders.update({folder for folder in self._folders if folder.parent == path})

        self._step("sync folder", self._or_lie(settle))

    def settle(self, path: Path) -> None:
        self._sync(self._names[path])

    def open_append(self, path: Path) -> SimAppendFile:
        self._step("open")
        return SimAppendFile(self, self._names[path])

    def lock(self, path: Path) -> SimLock:
        if self.locked:
            raise Unavailable("log.locked", "Another writer holds this log: process 1.")
        self.locked = True
        return SimLock(self)

    # Steps

    def _write(self, inode: _Inode, offset: int, data: bytes) -> None:
        """All of `data`; or, where it fails or there is no room, a part of it that ends anywhere."""
        self._pass("write")
        inode.changed = self.steps
        grows = max(0, offset + len(data) - len(inode.seen))
        if self.space is not None and grows > self.space:
            inode.write(offset, data[: len(data) - grows + self.space])
            self.space = 0
            raise self._failed("write", "No space left on device")
        if self.steps == self.fail_at:
            inode.write(offset, data[: self.chance.choice((0, self.chance.randrange(len(data) + 1), len(data)))])
            raise self._failed("write", self.chance.choice(("Input/output error", "No space left on device")))
        if self.space is not None:
            self.space -= grows
        inode.write(offset, data)
        self._pass("write")

    def _sync(self, inode: _Inode) -> None:
        try:
            self._step("sync", self._or_lie(inode.sync))
        except Unavailable:
            inode.pending.clear()  # the kernel may forget what it could not write: a second sync would lie
            raise

    def _or_lie(self, effect: Callable[[], object]) -> Callable[[], object]:
        if self.lies and self.chance.random() < self.lies:
            self._count("lie", "sync")
            return bool
        return effect

    def _step(self, verb: str, effect: Callable[[], object] = bool) -> None:
        """One step before the effect and one after it; a failing one may have happened all the same."""
        self._pass(verb)
        if self.steps == self.fail_at:
            if self.chance.random() < 0.5:
                effect()
            raise self._failed(verb, "Input/output error")
        effect()
        self._pass(verb)

    def _failed(self, verb: str, why: str) -> Unavailable:
        self._count("ENOSPC" if why.startswith("No space") else "EIO", verb)
        return Unavailable(f"disk.{verb}", f"Could not {verb}: {why} (simulated).")

    def _count(self, what: str, verb: str) -> None:
        self.injected[f"{what} {verb}"] += 1
        self.note(f"{what} at {verb}")

    def _pass(self, verb: str) -> None:
        if self._dead:
            raise Crash(verb)
        self.pause()
        if self._dead:
            raise Crash(verb)
        self.steps += 1
        if verb == "read" and self.aside and self.steps in (self.crash_at, self.fail_at) and self.chance.random() < 0.9:
            # A stop before a read is the stop before the next step, and a read that fails teaches little.
            self.crash_at += self.steps == self.crash_at
            self.fail_at += 2 * (self.steps == self.fail_at)
        if self.steps == self.crash_at:
            self._dead = True
            self.note(f"stop at {verb}")
            raise Crash(verb)

    def _check_folder(self, path: Path) -> None:
        if path.parent not in self._folders and path.parent not in _ABOVE:
            raise Unavailable("disk.open", f"Could not open {path}: No such file or directory.")

    def _end(self) -> None:
        self.locked = self._dead = False
        self.crash_at = self.fail_at = 0


#: Above the log's own folder: there before and after.
_ABOVE = {Path("/"), Path(".")}


def _nothing() -> None: ...


def _nothing_shown(_: Path) -> None: ...


def _nothing_noted(_: str) -> None: ...


class SimAppendFile:
    def __init__(self, disk: SimDisk, inode: _Inode) -> None:
        self._disk = disk
        self._inode = inode

    @property
    def size(self) -> int:
        return len(self._inode.seen)

    def write_at(self, offset: int, data: bytes) -> None:
        self._disk._write(self._inode, offset, data)

    def sync(self) -> None:
        self._disk._sync(self._inode)

    def close(self) -> None:
        pass


class SimLock:
    descriptor = None

    def __init__(self, disk: SimDisk) -> None:
        self._disk = disk

    def release(self) -> None:
        self._disk.locked = False
