"""A key that is rotated while the log is verified, and at every step of that, accuses nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ledgercase import ACTOR, BOOT, ORIGIN, Batch, Case
from simaudit import SimArchive, SimSource, failed
from simdisk import SimDisk

from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.rotate import FileSuccessor
from affidavit.tlog.keys import ED25519, SignerKey, VerifierKey
from affidavit.tlog.notes import open_note, sign_note
from affidavit.tlog.rotation import SIZES_PATH, Rotation, rotation_path
from affidavit.verify.duties import Duty
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify

ROOT = Path("/data")
LAYOUT = Layout(ROOT)


class World:
    """A log that is written to, and the key that an auditor pinned."""

    def __init__(self) -> None:
        self.disk = SimDisk()
        self.case = Case(self.disk, ROOT)
        self.first: VerifierKey = self.case.create().verifier
        self.ledger: Ledger = self.case.recover()

    def append(self) -> None:
        draft = self.case.draft("log.read", actor=ACTOR)
        assert self.ledger.append(Batch(self.case.stream(), BOOT, 0, (draft,))).refusal is None

    def rotate(self) -> int:
        self.append()
        successor = FileSuccessor.make(self.disk, LAYOUT, ORIGIN, (ED25519,), self.case.random.randbytes)
        return self.ledger.rotate(successor, "time to", {}, {})

    def judge(self, archive: SimArchive | None = None) -> Verdict:
        return verify(archive or SimArchive(self.disk, ROOT), [self.first], {}, only="structure")


def test_at_every_step_of_a_rotation_the_log_holds() -> None:
    world = World()
    world.rotate()
    said: set[str] = set()
    accused: list[str] = []

    def look() -> None:
        verdict = world.judge()
        accused.extend(failed(verdict))
        said.add(verdict.checks[Duty.KEYS - 1].detail)

    world.disk.pause = look
    index = world.rotate()
    world.disk.pause = lambda: None
    assert [] == accused
    assert any(f"the rotation after {index} records is not listed yet" in one for one in said)


class Moving(SimSource):
    """Something happens once, after the n-th look at the files."""

    def __init__(self, disk: SimDisk, folder: Path, after: int, happens: Callable[[], Any]) -> None:
        super().__init__(disk, folder)
        vars(self).update(left=after, happens=happens)

    def _look(self) -> None:
        vars(self)["left"] -= 1
        if not vars(self)["left"]:
            vars(self)["happens"]()

    def get(self, path: str, limit: int) -> bytes | None:
        data = super().get(path, limit)
        self._look()
        return data

    def paths(self) -> Iterator[str] | None:
        found = list(super().paths() or ())
        self._look()
        return iter(found)


def test_a_rotation_between_any_two_looks_accuses_nobody() -> None:
    looks, done = 1, False
    while not done:
        world = World()
        world.rotate()
        world.append()
        world.ledger.publish_now()

        def happens(world: World = world) -> None:
            world.rotate()
            world.append()
            world.ledger.publish_now()

        archive = SimArchive(world.disk, ROOT)
        archive.log = Moving(world.disk, ROOT / "log", looks, happens)
        size = world.ledger.size
        assert [] == failed(world.judge(archive)), f"a rotation after look {looks}"
        done = world.ledger.size == size
        looks += 1
    assert 10 < looks


def unlisted(world: World) -> int:
    """A rotation whose note is there, and whose list is as it was before."""
    world.rotate()
    before = world.disk.copy(LAYOUT.log / SIZES_PATH)
    index = world.rotate()
    world.disk.replace(LAYOUT.log / SIZES_PATH, before)
    return index


def test_a_note_that_is_not_listed_must_be_the_next_rotation() -> None:
    world = World()
    index = unlisted(world)
    assert [] == failed(world.judge())
    path = LAYOUT.log / rotation_path(index)
    note = world.disk.copy(path)
    chain = [*world.ledger.verifiers, world.first]
    last = Rotation.parse(open_note(note, chain).text).last
    thief = SignerKey(ORIGIN, b"\x66" * 32)
    for other in (b"rubbish", note[:-9], sign_note(Rotation(last, (thief.verifier,)).format(), thief)):
        world.disk.replace(path, other)
        assert [f"4. files.stray log/{rotation_path(index)}"] == [line.split(":")[0] for line in failed(world.judge())]


def test_a_note_that_is_not_listed_and_not_of_the_newest_checkpoint_is_a_stray() -> None:
    world = World()
    index = unlisted(world)
    world.disk.replace(LAYOUT.log / rotation_path(index + 1), world.disk.copy(LAYOUT.log / rotation_path(index)))
    assert [f"4. files.stray log/{rotation_path(index + 1)}"] == [line.split(":")[0] for line in failed(world.judge())]


def test_a_list_that_names_a_rotation_beyond_the_checkpoint_accuses() -> None:
    """The checkpoint was put back to the one before a rotation."""
    world = World()
    world.append()
    world.ledger.publish_now()
    older = world.disk.copy(LAYOUT.checkpoint)
    index = world.rotate()
    world.disk.replace(LAYOUT.checkpoint, older)
    assert [f"20. key.beyond log/{rotation_path(index)}"] == [
        line.split(":")[0] for line in failed(world.judge()) if line.startswith("20.")
    ]
