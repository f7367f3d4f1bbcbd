"""One simulated world: a log, the machine it lives on, and the lives that it leads, all from one seed.

A life opens the log, works, and ends by a stop of the machine, a stop of the process, an error of the disk, or in order.
The writer and the publisher are greenlets; at every step that either takes at the disk the seed may let somebody else go
on: the other one, a producer, a reader who opens the folder, an auditor who verifies it as it lies there.

Kinds of world:

 * `honest`: everything above, errors and a full disk included. Nothing that was acknowledged or shown is ever lost, and
   recovery never refuses.
 * `rotting`: as that, and between lives a bit of some file turns over. Recovery may refuse, with a code that this file's
   damage justifies; or it goes on, and then `verify` or reading must find the bit. When the bit is turned back, recovery
   goes on. One thing cannot be told (docs/spec/journal.md): damage in the very last frame, not published yet, looks
   like a torn write, and that frame is cut.
 * `lying`: syncs report success for what a stop of the machine then forgets. What was acknowledged may be lost, and so may
   published files. What holds: recovery goes on or refuses as corruption; what the journal holds after it, and what is
   acknowledged and signed from then on, is one history until the machine stops again; and the checkpoint that lies
   there is never followed by one that contradicts it. Whether somebody elsewhere has seen more takes a witness.
"""

from __future__ import annotations

import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from greenlet import getcurrent, greenlet
from ledgercase import ORIGIN, Case, HandClock, clock_status
from simaudit import SimArchive, failed
from simdisk import Crash, SimDisk
from simproducers import Producer
from simtruth import Truth, Violation, demand

from affidavit.errors import AffidavitError, Corruption, Unavailable, VerificationError
from affidavit.ledger.journal import segments_of
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.own import Host
from affidavit.ledger.reader import Reader
from affidavit.ledger.snapshot import fold_bytes
from affidavit.tlog.checkpoint import Checkpoint, open_checkpoint
from affidavit.tlog.rotation import KeyChain
from affidavit.verify.verify import verify

ROOT = Path("/data")
LAYOUT = Layout(ROOT)
KINDS = ("honest", "honest", "honest", "rotting", "lying")
ENDS = ("crash", "crash", "crash", "kill", "kill", "fault", "fault", "fault", "close")
TRACE_LINES = 60
NOTE_BYTES = 100_000
KEPT_MAX = 20

#: What recovery, or the first publication after it, may say of a bit that turned over, by where the file lies.
ROT_CODES: dict[str, set[str]] = {
    "journal": {"journal.damage", "journal.header", "journal.segment", "log.ahead", "log.fork", "log.bundle"},
    "log/checkpoint": {"log.checkpoint"},
    "log/tile/entries": {"log.bundle", "log.immutable"},
    "log/tile": {"log.tile", "log.immutable"},
    "bodies": {"log.bundle", "log.immutable"},
    "standing": set(),
}


class Frozen(HandClock):
    """A clock that may stand still."""

    frozen = False

    def now_ns(self) -> int:
        return self.wall_ns if self.frozen else super().now_ns()


class World:
    """Lead lives until a `Violation`. `counts` says what happened, `trace` what happened last."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.kind = self.chance.choice(KINDS)
        self.disk = SimDisk(self.chance.getrandbits(64))
        self.case = Case(self.disk, ROOT, self.chance.getrandbits(64))
        self.case.clock = self.clock = Frozen()
        self.counts: Counter[str] = Counter()
        self.trace: deque[str] = deque(maxlen=TRACE_LINES)
        self.over = False
        self.boot = self._new_boot()
        self.truth = Truth(self.disk, LAYOUT, ORIGIN)
        self.kept: list[bytes] = []
        self.durable_size = 0
        self.former: list[Producer] = []

    def begin(self) -> None:
        """Make the log; the disk does as it is told so far."""
        self.secrets = self.case.create()
        self.disk.note = self._say
        self.disk.aside = True
        self.disk.shown = self._shown
        self._shown(LAYOUT.checkpoint)
        self.truth.read_again(seen=False)
        self.disk.lies = self.chance.choice((0.05, 0.5)) if self.lying else 0.0

    @property
    def lying(self) -> bool:
        return self.kind == "lying"

    def lead(self) -> None:
        """One life. `over` says that there is none after it."""
        end = self.chance.choice(ENDS)
        soon = self.disk.steps + self.chance.randrange(1, self.chance.choice((20, 120, 600, 600)))
        if end in ("crash", "kill"):
            self.disk.crash_at = soon
        elif end == "fault":
            self.disk.fail_at = soon
        self.disk.space = self.chance.randrange(200_000) if self.chance.random() < 0.1 else None
        self._say(f"life {self.counts['lives'] + 1} opens, to end by {end} (from step {soon})")
        self.counts["lives"] += 1
        self.counts[f"end by {end}"] += 1
        ledger = self._recover()
        if ledger is not None:
            Life(self, ledger).lead(end)
            self._stop_machine_or_process(end)
        elif not self.over:
            self._stop_machine_or_process(end)
        if not self.over:
            self._look_at_what_lies_there()
        if self.kind == "rotting" and not self.over and self.chance.random() < 0.4:
            self._rot()

    def look(self, *, final: bool) -> None:
        """The auditor: `verify` accuses no honest log, at no moment; and after a publication in order, it holds."""
        size = self.truth.published.size
        kept = self.chance.sample(self.kept, min(KEPT_MAX, len(self.kept)))
        verdict = verify(SimArchive(self.disk, ROOT), [self.secrets.verifier], {}, kept, only="structure")
        self.counts["audits"] += 1
        if self.lying:
            return
        self.counts["kept, not published"] += sum(one.result == "not published" for one in verdict.scope.kept)
        demand(not failed(verdict), f"verify accuses an honest log of {size}: {failed(verdict)}")
        if final:
            demand(verdict.exit_status == 0, f"verify has doubts about a whole log: {verdict.scope.not_checked}")

    def read_from_outside(self) -> None:
        """A reader of the folder, at any moment: it sees no less than was shown, and exactly what was promised."""
        keys = self.secrets.body_keys_by_id
        promised, shown = self.truth.acknowledged_size, self.truth.published.size
        reader = Reader.of_folder(ROOT, self.disk, keys, KeyChain.unbroken(self.secrets.verifiers))
        demand(self.lying or reader.size >= max(promised, shown), "a reader of the folder sees less than was promised")
        for index in self.some(range(min(reader.size, len(self.truth.records)))):
            demand(
                reader.stored(index) == self.truth.records[index] or self.lying, f"a reader sees another record {index}"
            )
        self.counts["reads"] += 1

    def some(self, indexes: range) -> list[int]:
        """A few of them, the newest among them."""
        chosen = {self.chance.choice(indexes) for _ in range(5)} if indexes else set()
        return sorted(chosen | set(indexes[-2:]))

    def _recover(self) -> Ledger | None:
        host = Host(self.clock, self.boot, self.case.random.randbytes, clock_status)
        try:
            ledger = Ledger.recover(ROOT, self.disk, host, self.secrets, ORIGIN)
        except Crash:
            self.counts["stopped while recovering"] += 1
            return None
        except Unavailable as error:
            demand(self.disk.injected, f"recovery could not go on, though nothing failed: {error}")
            self.counts["failed while recovering"] += 1
            return None
        except Corruption as error:
            self._say(f"recovery refuses: {error.code}")
            self.counts[f"refusal {error.code}"] += 1
            demand(self.lying, f"recovery refuses an honest log: {error.code}: {error}")
            self.over = True
            return None
        self.counts["recoveries"] += 1
        self.truth.read_again(seen=self.lying)
        return ledger

    def _stop_machine_or_process(self, end: str) -> None:
        self.disk.space = None
        if end == "crash" or self.chance.random() < (0.0 if end == "kill" else 0.3):
            self.disk.crash()
            self.boot = self._new_boot()
            self.counts["crashes"] += 1
            self._say("the machine stopped")
        else:
            self.disk.kill()
            self.counts["kills"] += end == "kill"
            self._say("the process is gone")
        self.clock.frozen = False

    def _look_at_what_lies_there(self) -> None:
        """After a stop and before recovery: what was promised is there to be read, whatever else is."""
        if self.lying:
            note = self.disk.copy(LAYOUT.checkpoint) if self.disk.exists(LAYOUT.checkpoint) else b""
            with suppress(VerificationError):  # gone or torn: recovery will refuse it
                self.truth.forget(self._opened(note))
                self.kept = [note]
            return
        published = self._opened(self.disk.copy(LAYOUT.checkpoint))
        demand(published.size >= self.durable_size, "the checkpoint went back")
        demand(published.root == self.truth.root(published.size), "the checkpoint is of another history")
        if self.chance.random() < 0.1:
            self.look(final=False)
        if self.chance.random() < 0.2:
            self._fold_twice()

    def _fold_twice(self) -> None:
        """A start with the snapshot of what stands open finds what a start without it folds from the whole log."""
        before, injected = self.disk.state(), self.disk.injected.copy()
        found = self.case.look()
        if self.disk.exists(LAYOUT.standing):
            self.disk.unlink(LAYOUT.standing)
        anew = self.case.look()
        self.disk.restore(before)
        self.disk.injected = injected
        demand((0, anew.standing.size) == (anew.snapshot_size, anew.folded), "a fold of the whole log left some out")
        demand(fold_bytes(anew.standing) == fold_bytes(found.standing), "the snapshot says other than the log")
        demand(
            fold_bytes(anew.published_standing) == fold_bytes(found.published_standing)
            and anew.unpublished == found.unpublished,
            "the snapshot says other than the published log",
        )
        self.counts["folds with a snapshot and without"] += bool(found.snapshot_size)
        self.counts["starts on a pruned journal"] += bool(segments_of(self.disk, LAYOUT.journal)[0])

    def _rot(self) -> None:
        """Turn over one bit, see what recovery and the readers say, and turn it back."""
        paths = [path for path in self.disk.paths(ROOT) if _rot_place(path) and len(self.disk.copy(path))]
        path = self.chance.choice(paths)
        data = self.disk.copy(path)
        written = len(data.rstrip(b"\0")) or 1
        offset, bit = self.chance.randrange(written), self.chance.randrange(8)
        self._say(f"bit {bit} of {path} turns over at {offset} of {len(data)}")
        self.counts["flips"] += 1
        self.disk.injected["bit flip"] += 1
        before = self.disk.state()
        self.disk.flip(path, offset, bit)
        self.counts[f"flip {self._judge_rot(path)}"] += 1
        self.disk.restore(before)

    def _judge_rot(self, path: Path) -> str:
        """What became of a turned bit: who found it. Everything is put back by the caller."""
        host = Host(self.clock, self.boot, self.case.random.randbytes, clock_status)
        place = _rot_place(path)
        shown, self.disk.shown = self.disk.shown, lambda _: None
        ledger = None
        try:
            ledger = Ledger.recover(ROOT, self.disk, host, self.secrets, ORIGIN)
            ledger.publish_now()
        except (Corruption, Unavailable) as error:
            found = error if ledger is None else ledger.failure
            demand(found is not None and found.code in ROT_CODES[place], f"a bit in {path} gave {found}")
            self.counts[f"refusal {found.code if found else ''}"] += 1
            return f"refused ({place})"
        finally:
            self.disk.shown = shown
        verdict = verify(SimArchive(self.disk, ROOT), [self.secrets.verifier], {}, self.kept[-5:], only="structure")
        if failed(verdict):
            return f"found by verify ({place})"
        if place == "standing":
            return "ignored (standing)"
        if place == "bodies" and self._unreadable(ledger):
            return "found by reading (bodies)"
        if place == "journal":
            # In the last frame, not published yet, it looks like a torn write: the frame was cut, all before it stands.
            again = Truth(self.disk, LAYOUT, ORIGIN)
            again.extend(seen=True)
            same = next(
                (
                    at
                    for at, pair in enumerate(zip(again.records, self.truth.records, strict=False))
                    if pair[0] != pair[1]
                ),
                len(self.truth.records),
            )
            demand(same >= self.truth.published.size, f"a bit in {path} changed a published record, and nobody noticed")
            return "taken for a torn write"
        demand(not self.disk.exists(path), f"a bit in {path} turned over, and nobody noticed")
        return "removed as no longer needed"

    @staticmethod
    def _unreadable(ledger: Ledger) -> bool:
        """Whether some body is not what its header says: without its journal and its key only reading can tell."""
        try:
            for _ in ledger.reader().records(0, ledger.size):
                pass
        except Corruption:
            return True
        return False

    def _shown(self, path: Path) -> None:
        if path == LAYOUT.checkpoint:
            note = self.disk.copy(path)
            self.truth.show(self._opened(note), self.lying)
            self.kept = [*self.kept[-200:], note]
            self.counts["checkpoints"] += 1

    def _opened(self, note: bytes) -> Checkpoint:
        return open_checkpoint(note, self.secrets.verifier, ORIGIN)

    def _new_boot(self) -> str:
        return self.case.random.randbytes(16).hex()

    def _say(self, line: str) -> None:
        self.trace.append(f"{self.disk.steps:>8} {line}")


class Life:
    """One opened ledger, its writer, its publisher, and those around it."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self.world = world
        self.ledger = ledger
        self._chance = world.chance
        self._actors: dict[str, greenlet] = {}
        self._work: dict[str, Callable[[], object]] = {"writer": ledger.step, "publisher": self._publish}
        self._stopped = False
        self._switching = self._chance.choice((0.02, 0.2, 0.6))
        self._producers = [self._producer() for _ in range(self._chance.randrange(1, 5))]
        self._main = getcurrent()

    def lead(self, end: str) -> None:
        """Work, and end. What is left to happen to the disk is the world's."""
        world = self.world
        world.disk.pause = self._pause
        try:
            self._work_on()
            if end == "close" or (self._failed and self._chance.random() < 0.5):
                self._close()
            elif not self._failed:
                self._check_counts()
        finally:
            world.disk.stop()
            for actor in self._actors.values():
                while actor and not actor.dead:
                    actor.switch()
            world.disk.pause = _no_pause
        world.former = (world.former + [one for one in self._producers if one.sealed])[-10:]

    @property
    def _failed(self) -> bool:
        return self.ledger.failure is not None

    def _work_on(self) -> None:
        turns, after_failure = self._chance.choice((3, 30, 150)), 4
        while turns > 0 and after_failure > 0 and not self._stopped:
            turns -= 1
            after_failure -= self._failed
            self._turn(self._chance.random())

    def _turn(self, luck: float) -> None:
        world = self.world
        if luck < 0.4:
            said = self._chance.choice(self._producers).act(self.ledger, world.lying)
            if said:
                world._say(said)
        elif luck < 0.7:
            self._slice("writer")
        elif luck < 0.9:
            self._slice("publisher")
        elif luck < 0.94:
            self._move_clock()
        elif luck < 0.96:
            self._producers[self._chance.randrange(len(self._producers))] = self._producer()
        elif luck < 0.97:
            self._try_a_former_stream()
        elif luck < 0.98 and not self._failed:
            self._read()
        elif luck < 0.982:
            world.look(final=False)

    def _producer(self) -> Producer:
        world = self.world
        return Producer(world.case, self._chance, world.boot, world.truth, world.counts)

    def _move_clock(self) -> None:
        clock, luck = self.world.clock, self._chance.random()
        if luck < 0.15:
            clock.frozen = not clock.frozen
        elif luck < 0.4:
            clock.wall_ns += self._chance.choice((-1, 1)) * self._chance.choice((10**8, 3 * 10**9, 86_400 * 10**9))
            self.world.counts["clock steps"] += 1
        else:
            clock.advance(self._chance.choice((10**6, 10**9, 700 * 10**9)))

    def _try_a_former_stream(self) -> None:
        # A disk that lies may have lost all that a stream ever handed over: then it is a new one, and may go on.
        if self.world.former and not self.world.lying:
            answers: list[str] = []
            self._chance.choice(self.world.former).hand_over_to(self.ledger, answers)
            self._slice("writer")
            demand(set(answers) <= {"number", "unavailable", "full"}, f"a stream of an earlier life got {answers}")

    def _read(self) -> None:
        """What the ledger's own reader gives, and what one from outside does, between any two steps."""
        world = self.world
        reader = self.ledger.reader()
        try:
            for index in world.some(range(min(self.ledger.size, len(world.truth.records)))):
                demand(
                    world.lying or reader.stored(index) == world.truth.records[index],
                    f"record {index} is not what it was",
                )
            world.read_from_outside()
        except Crash:
            self._stopped = True
        except Unavailable:
            demand(world.disk.injected, "reading failed, though nothing was wrong")
        except AffidavitError:
            if not world.lying:
                raise

    def _check_counts(self) -> None:
        demand(
            self._stopped or self.ledger.size >= self.world.truth.acknowledged_size,
            "the ledger knows less than it said",
        )

    def _publish(self) -> None:
        self.ledger.tick()
        if self.ledger.size != self.ledger.published.size:
            size = self.ledger.publish_now().size
            if not self.world.lying:
                self.world.durable_size = max(self.world.durable_size, size)

    def _close(self) -> None:
        """Let both finish, and stop in order; then the whole log holds."""
        for name in ("writer", "publisher"):
            actor = self._actors.get(name)
            while actor and not actor.dead and not self._stopped:
                actor.switch()
        if self._stopped:
            return
        try:
            self.ledger.close("the end of a life")
        except Crash:
            self._stopped = True
        except Unavailable:
            demand(self._failed, "closing failed, though the ledger had not")
        else:
            self.world.durable_size = self.world.truth.published.size if not self.world.lying else 0
            self.world._say("closed in order")
            self.world.look(final=True)

    def _slice(self, name: str) -> None:
        """Let the writer or the publisher run until the seed has it pause at a step, or it is done."""
        actor = self._actors.get(name)
        if actor is None or actor.dead:
            actor = self._actors[name] = greenlet(lambda: self._run(name))
        actor.switch()

    def _run(self, name: str) -> None:
        try:
            self._work[name]()
        except Crash:
            self._stopped = True
        except AffidavitError as error:
            demand(self._failed, f"the {name} raised {error.code}, and the ledger did not stop: {error}")
            demand(
                self.world.lying or not isinstance(self.ledger.failure, Corruption),
                f"the {name} found an honest log corrupt: {self.ledger.failure}",
            )

    def _pause(self) -> None:
        if getcurrent() is not self._main and self._chance.random() < self._switching:
            self._main.switch()


def _no_pause() -> None: ...


def _rot_place(path: Path) -> str:
    """Which row of `ROT_CODES` a file belongs to; empty for files whose damage is another matter."""
    name = str(path.relative_to(ROOT))
    return next((place for place in ROT_CODES if name.startswith(place)), "")


@contextmanager
def small(**limits: Any) -> Iterator[None]:
    """Limits at a size at which a short life meets them, wherever a module holds them."""
    before = []
    for module in [module for name, module in sys.modules.items() if name.startswith("affidavit.")]:
        for name, value in limits.items():
            if hasattr(module, name):
                before.append((module, name, getattr(module, name)))
                setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


__all__ = ["Life", "Violation", "World", "small"]
