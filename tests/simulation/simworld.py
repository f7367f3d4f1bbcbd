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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ledgercase import ORIGIN, Case, HandClock, clock_status
from simaudit import SimArchive, failed
from simclinic import ClinicCase
from simcopy import Copies
from simdisk import Crash, SimDisk
from simgrown import grown
from simkeys import NamedKeys
from simlife import Life
from simmaking import make_log
from simproducers import Producer
from simrot import Turned, judge_read, rot
from simtruth import Truth, Violation, demand

from affidavit.errors import Corruption, Unavailable, VerificationError
from affidavit.ledger.journal import segments_of
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.own import Host
from affidavit.ledger.reader import Reader
from affidavit.ledger.rotate import own_chain
from affidavit.ledger.snapshot import fold_bytes
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.verify.verify import verify

ROOT = Path("/data")
LAYOUT = Layout(ROOT)
KINDS = ("honest", "honest", "honest", "rotting", "lying")
ENDS = ("crash", "crash", "crash", "kill", "kill", "fault", "fault", "fault", "close")
TRACE_LINES = 60
NOTE_BYTES = 100_000
KEPT_MAX = 20
#: Limits while a log grows, the same for every seed: its journal is not pruned, so the truth is read from it.
_GROWING = {"SEGMENT_BYTES": 4_000_000, "PREALLOCATE_BYTES": 60_000, "SEGMENTS_KEPT": 1_000, "SNAPSHOT_RECORDS": 10_000}
#: Of the honest worlds.
CLINICS = 0.15


class Frozen(HandClock):
    """A clock that may stand still."""

    frozen = False

    def now_ns(self) -> int:
        return self.wall_ns if self.frozen else super().now_ns()


class World:
    """Lead lives until a `Violation`. `counts` says what happened, `trace` what happened last."""

    def __init__(self, seed: int, clinics: float = CLINICS) -> None:
        self.chance = random.Random(seed)
        self.kind = self.chance.choice(KINDS)
        self.disk = SimDisk(self.chance.getrandbits(64))
        #: Whether bodies follow from the state, so that a log that was closed can be judged with them.
        self.clinic = self.kind == "honest" and random.Random(f"clinic {seed}").random() < clinics
        case = ClinicCase if self.clinic else Case
        self.case = case(self.disk, ROOT, self.chance.getrandbits(64))
        self.case.clock = self.clock = Frozen()
        self.counts: Counter[str] = Counter()
        self.trace: deque[str] = deque(maxlen=TRACE_LINES)
        self.over = False
        self.boot = self._new_boot()
        self.truth = Truth(self.disk, LAYOUT, ORIGIN)
        self.kept: list[bytes] = []
        self.durable_size = 0
        self.former: list[Producer] = []
        self.layout = LAYOUT
        self.turned: Turned | None = None

    def begin(self, *, from_grown: bool = False) -> None:
        """Make the log, or begin with one that has grown."""
        if from_grown:
            with small(**_GROWING):
                made = grown(ROOT)
            secrets = made.put(self.case)
        else:
            secrets = make_log(self.case, LAYOUT, self.chance, self.counts)
        self.keys = NamedKeys(self.case, self.truth, LAYOUT, secrets.verifiers)
        self.copies = Copies(self.disk, self.case, self.truth, self.keys, self.counts)
        self.disk.note = self.say
        self.disk.aside = True
        self.disk.shown = self._shown
        self.truth.read_again(seen=False)
        self._shown(LAYOUT.checkpoint)
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
        self.say(f"life {self.counts['lives'] + 1} opens, to end by {end} (from step {soon})")
        self.counts["lives"] += 1
        self.counts[f"end by {end}"] += 1
        ledger = self._recover()
        if ledger is not None:
            Life(self, ledger).lead(end)
            if self.turned is not None:
                self.turned.back()
                self.turned = self.truth.turned = None
            self._stop_machine_or_process(end)
        elif not self.over:
            self._stop_machine_or_process(end)
        if not self.over:
            self._look_at_what_lies_there()
        if self.kind == "rotting" and not self.over and self.chance.random() < 0.4:
            rot(self)

    def look(self, *, final: bool) -> None:
        """The auditor: `verify` accuses no honest log, at no moment; and after a publication in order, it holds."""
        size = self.truth.published.size
        kept = self.chance.sample(self.kept, min(KEPT_MAX, len(self.kept)))
        verdict = verify(SimArchive(self.disk, ROOT), self.keys.first, {}, kept, only="structure")
        self.counts["audits"] += 1
        if self.lying:
            return
        if self.turned is not None:
            self.counts["flips while open, found by verify"] += bool(failed(verdict))
            return
        self.counts["kept, not published"] += sum(one.result == "not published" for one in verdict.scope.kept)
        demand(not failed(verdict), f"verify accuses an honest log of {size}: {failed(verdict)}")
        if final and self.chance.random() < 0.3:
            self._read_bodies()
        if final and self.clinic:
            self._judge_all(kept)
        if final:
            demand(verdict.exit_status == 0, f"verify has doubts about a whole log: {verdict.scope.not_checked}")

    def _judge_all(self, kept: list[bytes]) -> None:
        """Every duty, with the bodies."""
        keys = self.secrets().body_keys_by_id
        verdict = verify(SimArchive(self.disk, ROOT), self.keys.first, keys, kept)
        demand(not failed(verdict), f"verify accuses an honest clinic: {failed(verdict)}")
        demand(verdict.exit_status == 0, f"verify has doubts about a whole clinic: {verdict.scope.not_checked}")
        self.counts["logs judged with all their bodies"] += 1

    def _read_bodies(self) -> None:
        """Every body opens, and is what its header names."""
        secrets = self.secrets()
        chain = own_chain(self.disk, LAYOUT, secrets.verifiers)
        reader = Reader.of_folder(ROOT, self.disk, secrets.body_keys_by_id, chain)
        for record in reader.records(0, reader.size):
            demand(record.content is None or isinstance(record.content, dict), f"body {record.index} does not open")
        self.counts["all bodies read"] += 1

    def read_from_outside(self) -> None:
        """A reader of the folder, at any moment: it sees no less than was shown, and exactly what was promised."""
        secrets = self.secrets()
        promised, shown = self.truth.acknowledged_size, self.truth.published.size
        reader = Reader.of_folder(
            ROOT, self.disk, secrets.body_keys_by_id, own_chain(self.disk, LAYOUT, secrets.verifiers)
        )
        demand(self.lying or reader.size >= max(promised, shown), "a reader of the folder sees less than was promised")
        for index in self.some(range(min(reader.size, len(self.truth.records)))):
            if not self.lying:
                judge_read(reader, self.truth, index, self.turned)
        self.counts["reads"] += 1

    def some(self, indexes: range) -> list[int]:
        """A few of them, the newest among them."""
        chosen = {self.chance.choice(indexes) for _ in range(5)} if indexes else set()
        return sorted(chosen | set(indexes[-2:]))

    def _recover(self) -> Ledger | None:
        try:
            ledger = self.open()
        except Crash:
            self.counts["stopped while recovering"] += 1
            return None
        except Unavailable as error:
            demand(self.disk.injected, f"recovery could not go on, though nothing failed: {error}")
            self.counts["failed while recovering"] += 1
            return None
        except Corruption as error:
            self.say(f"recovery refuses: {error.code}")
            self.counts[f"refusal {error.code}"] += 1
            demand(self.lying, f"recovery refuses an honest log: {error.code}: {error}")
            self.over = True
            return None
        self.counts["recoveries"] += 1
        self.truth.read_again(seen=self.lying)
        self.keys.forget()
        return ledger

    def open(self) -> Ledger:
        """The log, open without threads, as a new process opens it. Raises what `Ledger.recover` raises."""
        host = Host(self.clock, self.boot, self.case.random.randbytes, clock_status)
        return Ledger.recover(ROOT, self.disk, host, self.secrets(), ORIGIN)

    def turn_bit(self) -> None:
        """A bit turns over while the log is open; it is turned back at the end of this life."""
        if self.turned is None:
            self.turned = Turned(self.disk, LAYOUT, self.truth, self.chance)
            self.truth.turned = self.turned.path
            self.say(self.turned.what)
            self.counts[f"flips while open ({self.turned.place})"] += 1
            self.disk.injected["bit flip while open"] += 1

    def secrets(self) -> Secrets:
        """As a new process reads them."""
        self.case.secrets = Secrets.load(self.disk, LAYOUT.secrets)
        return self.case.secrets

    def _stop_machine_or_process(self, end: str) -> None:
        self.disk.space = None
        if end == "crash" or self.chance.random() < (0.0 if end == "kill" else 0.3):
            self.disk.crash()
            self.boot = self._new_boot()
            self.counts["crashes"] += 1
            self.say("the machine stopped")
        else:
            self.disk.kill()
            self.counts["kills"] += end == "kill"
            self.say("the process is gone")
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
        self.counts["keys that ended"] += self.keys.check_kept(durable=False)
        if self.chance.random() < 0.1:
            self.look(final=False)
        if self.chance.random() < 0.3:
            self.copies.check()
        if self.chance.random() < 0.2:
            self._fold_twice()

    def _fold_twice(self) -> None:
        """A start with the snapshot of what stands open finds what a start without it folds from the whole log."""
        before, injected = self.disk.state(), self.disk.injected.copy()
        self.secrets()
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

    def _shown(self, path: Path) -> None:
        if path == LAYOUT.checkpoint:
            note = self.disk.copy(path)
            self.truth.extend(self.lying)
            self.truth.show(self._opened(note), self.lying)
            self.kept = [*self.kept[-200:], note]
            self.counts["checkpoints"] += 1

    def _opened(self, note: bytes) -> Checkpoint:
        return self.keys.open(note)

    def _new_boot(self) -> str:
        return self.case.random.randbytes(16).hex()

    def say(self, line: str) -> None:
        self.trace.append(f"{self.disk.steps:>8} {line}")


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


__all__ = ["CLINICS", "Violation", "World", "small"]
