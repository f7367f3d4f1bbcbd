"""A simulated disk: it loses, tears and reorders what was not synced, and crashes or fails at a chosen step.

What is durable: of a file, what a sync covered; of a name, what a sync of its folder covered. At a crash each sector
of an unsynced write, and each unsynced name, is kept or lost as the seed says, independently of the others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from affidavit.errors import Corruption, Unavailable

SECTOR_BYTES = 512


class Crash(BaseException):
    """The machine stopped. Not an `Exception`: nothing on the way up may handle it."""


class _Inode:
    def __init__(self) -> None:
        self.seen = bytearray()
        self.durable = bytearray()
        self.pending: list[tuple[int, bytes]] = []

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

    `crash_at`: the step that raises `Crash`. `fail_at`: the step that raises `Unavailable`; whether it took effect
    all the same, the seed says. A step is one moment before or after something reaches the disk.
    """

    def __init__(self, seed: int = 0) -> None:
        self.chance = random.Random(seed)
        self.steps = 0
        self.crash_at = 0
        self.fail_at = 0
        self.locked = False
        self._names: dict[Path, _Inode] = {}
        self._durable_names: dict[Path, _Inode] = {}
        self._folders: set[Path] = set()

    def crash(self) -> None:
        """Come back after a stop of the machine: only what was durable, and what luck kept, is there."""
        paths = sorted(set(self._names) | set(self._durable_names))
        kept: dict[Path, _Inode] = {}
        for path in paths:
            now, before = self._names.get(path), self._durable_names.get(path)
            inode = now if now is before or self.chance.random() < 0.5 else before
            if inode is not None:
                kept[path] = inode
        for inode in {id(inode): inode for inode in kept.values()}.values():
            inode.lose(self.chance)
        self._names = dict(kept)
        self._durable_names = dict(kept)
        self.locked = False
        self.crash_at = self.fail_at = 0

    def flip(self, path: Path, offset: int) -> None:
        """One bit of a stored file turns over."""
        inode = self._names[path]
        inode.seen[offset] ^= 1
        inode.durable[offset] ^= 1

    def replace(self, path: Path, data: bytes | None) -> None:
        """Somebody else writes, or removes, a file."""
        self._names.pop(path, None)
        self._durable_names.pop(path, None)
        if data is not None:
            inode = _Inode()
            inode.write(0, data)
            inode.sync()
            self._names[path] = self._durable_names[path] = inode

    def copy(self, path: Path) -> bytes:
        return bytes(self._names[path].seen)

    def paths(self, folder: Path) -> list[Path]:
        return sorted(path for path in self._names if path.is_relative_to(folder))

    # The protocol

    def read(self, path: Path, limit: int) -> bytes | None:
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

    def names(self, folder: Path) -> list[str]:
        inside = {path for path in (*self._names, *self._folders) if path.is_relative_to(folder) and path != folder}
        return sorted({path.relative_to(folder).parts[0] for path in inside})

    def make_folder(self, path: Path, mode: int) -> None:
        self._folders.update([path, *path.parents])

    def write_synced(self, files: Sequence[tuple[Path, bytes]], mode: int) -> None:
        inodes = []
        for path, data in files:
            self._step("create")
            inode = self._names.get(path) or _Inode()
            inode.seen, inode.durable, inode.pending = bytearray(), bytearray(), []
            self._names[path] = inode
            self._step("write", lambda inode=inode, data=data: inode.write(0, data))
            inodes.append(inode)
        for inode in inodes:
            self._sync(inode)

    def rename(self, source: Path, target: Path) -> None:
        def move() -> None:
            self._names[target] = self._names.pop(source)

        self._step("rename", move)

    def unlink(self, path: Path) -> None:
        self._step("unlink")
        self._names.pop(path, None)
        self._folders.discard(path)

    def sync_folder(self, path: Path) -> None:
        def settle() -> None:
            for name in [name for name in self._durable_names if name.parent == path and name not in self._names]:
                del self._durable_names[name]
            self._durable_names.update({name: inode for name, inode in self._names.items() if name.parent == path})

        self._step("sync folder", settle)

    def open_append(self, path: Path) -> SimAppendFile:
        return SimAppendFile(self, self._names[path])

    def lock(self, path: Path) -> SimLock:
        if self.locked:
            raise Unavailable("log.locked", "Another writer holds this log: process 1.")
        self.locked = True
        return SimLock(self)

    def _sync(self, inode: _Inode) -> None:
        try:
            self._step("sync", inode.sync)
        except Unavailable:
            inode.pending.clear()  # the kernel may forget what it could not write: a second sync would lie
            raise

    def _step(self, verb: str, effect: Callable[[], object] = bool) -> None:
        """One step before the effect and one after it; a failing one may have happened all the same."""
        self._pass(verb)
        if self.steps == self.fail_at:
            if self.chance.random() < 0.5:
                effect()
            raise Unavailable(f"disk.{verb}", f"Could not {verb}: simulated.")
        effect()
        self._pass(verb)

    def _pass(self, verb: str) -> None:
        self.steps += 1
        if self.steps == self.crash_at:
            raise Crash(verb)


class SimAppendFile:
    def __init__(self, disk: SimDisk, inode: _Inode) -> None:
        self._disk = disk
        self._inode = inode

    @property
    def size(self) -> int:
        return len(self._inode.seen)

    def write_at(self, offset: int, data: bytes) -> None:
        self._disk._step("write", lambda: self._inode.write(offset, data))

    def sync(self) -> None:
        self._disk._sync(self._inode)

    def close(self) -> None:
        pass


class SimLock:
    def __init__(self, disk: SimDisk) -> None:
        self._disk = disk

    def release(self) -> None:
        self._disk.locked = False
