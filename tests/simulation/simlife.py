"""A life of a simulated log: one opened ledger, its writer and its publisher, and those around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from greenlet import getcurrent, greenlet
from simclinic import ClinicProducer
from simdisk import Crash
from simkeys import deny_rotation, rotate
from simproducers import Producer
from simrot import judge_read
from simtruth import demand

from affidavit.errors import AffidavitError, Corruption, Unavailable
from affidavit.history.live import FOLLOWED_KINDS, Live
from affidavit.history.shared import SharedRecords
from affidavit.ledger.ledger import Ledger

if TYPE_CHECKING:
    from simworld import World


class Life:
    """One opened ledger, its writer, its publisher, and those around it."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self.world = world
        self.ledger = ledger
        self._chance = world.chance
        self._actors: dict[str, greenlet] = {}
        self._work: dict[str, Callable[[], object]] = {
            "writer": ledger.step,
            "publisher": self._publish,
            "rotation": self._rotate,
            "copy": self._copy,
        }
        self._stopped = False
        self._live = self._load() if world.clinic else None
        self._switching = self._chance.choice((0.02, 0.2, 0.6))
        self._producers = [self._producer() for _ in range(self._chance.randrange(1, 5))]
        self._main = getcurrent()
        # A thread that waits for a lock lets others run; of greenlets, each of which waits on one thread, it would not.
        ledger._publishing = _Turn(self._main)  # type: ignore[assignment]

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
            self._finish()
            world.disk.pause = _no_pause
        world.former = (world.former + [one for one in self._producers if one.sealed])[-10:]

    @property
    def _may_rotate(self) -> bool:
        """Those who ask here are nobody in particular: in a clinic, their bodies would not follow from the state."""
        return not self.world.lying and not self.world.clinic

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
                world.say(said)
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
        elif luck < 0.979 and self._may_rotate and not self._busy("writer"):
            self._slice("writer", "rotation")
        elif luck < 0.98 and not world.clinic:
            deny_rotation(self.ledger)
        elif luck < 0.985 and not world.lying:
            self._slice("copy")
        elif luck < 0.989 and not self._failed:
            self._read()
        elif luck < 0.991:
            world.look(final=False)
        elif luck < 0.994 and world.kind == "rotting":
            world.turn_bit()
        elif self._busy("copy"):
            self._slice("copy")

    def _producer(self) -> Producer:
        world = self.world
        surroundings = (world.case, self._chance, world.boot, world.truth, world.counts)
        return Producer(*surroundings) if self._live is None else ClinicProducer(*surroundings, self._live)

    def _load(self) -> Live:
        """The live state, as a server loads it; what is left to happen to the disk waits that long."""
        disk = self.world.disk
        waiting, disk.crash_at, disk.fail_at = (disk.crash_at, disk.fail_at), 0, 0
        before = disk.steps
        live = Live.load(SharedRecords(self.ledger.reader()))
        disk.crash_at, disk.fail_at = (at and at + disk.steps - before for at in waiting)
        self.ledger.follow(live.applied, FOLLOWED_KINDS)
        return live

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
                if not world.lying:
                    judge_read(reader, world.truth, index, world.turned)
            world.read_from_outside()
        except Crash:
            self._stopped = True
        except Unavailable:
            demand(world.disk.injected, "reading failed, though nothing was wrong")
        except Corruption as error:
            demand(world.lying or self._justified(error), f"a reader refuses an honest log: {error}")

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
        self._finish()
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
            self.world.say("closed in order")
            self.world.look(final=True)

    def _finish(self) -> None:
        """Let all that is under way come to its end."""
        while busy := [name for name in self._actors if self._busy(name)]:
            for name in busy:
                self._slice(name)

    def _busy(self, name: str) -> bool:
        actor = self._actors.get(name)
        return actor is not None and not actor.dead

    def _slice(self, name: str, work: str = "") -> None:
        """Let one actor run until the seed has it pause at a step, or it is done; if it is, begin its work, or `work`."""
        actor = self._actors.get(name)
        if actor is None or actor.dead:
            actor = self._actors[name] = greenlet(lambda: self._run(work or name))
        actor.switch()

    def _justified(self, error: Corruption) -> bool:
        """Whether a bit that turned over may be why."""
        return self.world.turned is not None and self.world.turned.justifies(error)

    def _rotate(self) -> None:
        world, counts = self.world, self.world.counts
        counts["rotations begun"] += 1
        try:
            rotate(world.case, self.ledger, world.layout)
        except Unavailable as error:
            demand(world.disk.injected, f"a rotation failed, though nothing was wrong: {error}")
            counts["rotations failed"] += 1
            return
        counts["rotations"] += 1
        world.keys.check_kept(durable=True)

    def _copy(self) -> None:
        try:
            self.world.copies.make()
        except Unavailable as error:
            demand(self.world.disk.injected, f"a copy failed, though nothing was wrong: {error}")
            self.world.counts["copies failed"] += 1
        except Corruption as error:
            demand(self.world.turned, f"an honest log is not copied: {error}")
            self.world.counts["copies refused"] += 1

    def _run(self, name: str) -> None:
        try:
            self._work[name]()
        except Crash:
            self._stopped = True
        except AffidavitError as error:
            demand(self._failed, f"the {name} raised {error.code}, and the ledger did not stop: {error}")
            demand(
                self.world.lying
                or not isinstance(self.ledger.failure, Corruption)
                or self._justified(self.ledger.failure),
                f"the {name} found an honest log corrupt: {self.ledger.failure}",
            )

    def _pause(self) -> None:
        if getcurrent() is not self._main and self._chance.random() < self._switching:
            self._main.switch()


class _Turn:
    """A lock among greenlets: who waits for it lets the main one choose who goes on."""

    def __init__(self, main: greenlet) -> None:
        self._main = main
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            self._main.switch()
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False


def _no_pause() -> None: ...
