"""Many short lives of one log on a disk that loses, tears and reorders, and crashes or fails at any step.

After each stop the log is opened again, and must hold, whatever was lost: every record that was acknowledged, at its
index and with its bytes; every checkpoint that was ever published as a checkpoint of a prefix; and published files that
follow from the journal. `AFFIDAVIT_SEED` replays one seed, `AFFIDAVIT_LIVES` sets how many lives are led.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ledgercase import ACTOR, BOOT, ORIGIN, Batch, Case, Earlier
from simdisk import Crash, SimDisk

from affidavit.errors import AffidavitError
from affidavit.ledger import journal
from affidavit.ledger.journal import Scan
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.limits import TILE_WIDTH
from affidavit.record.draft import Answer, Draft
from affidavit.record.frame import Stored, encode_bundle
from affidavit.tlog.checkpoint import Checkpoint, open_checkpoint
from affidavit.tlog.hashing import leaf_hash, root_of
from affidavit.tlog.tiles import encode_entries, parse_path

ROOT = Path("/data")
LIVES = int(os.environ.get("AFFIDAVIT_LIVES", "100"))
SEED = int(os.environ.get("AFFIDAVIT_SEED", "2026"))


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a few frames, so that a life sees several rotations."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 24_000)
    monkeypatch.setattr(journal, "PREALLOCATE_BYTES", 4_096)


class Life:
    """What has been promised so far, and the surroundings that survive a stop."""

    def __init__(self, seed: int) -> None:
        self.disk = SimDisk(seed)
        self.case = Case(self.disk, ROOT, seed)
        self.chance = self.case.random
        self.acknowledged: dict[int, str] = {}
        #: All that anybody may have fetched, also one whose name a crash then undid.
        self.checkpoints: set[Checkpoint] = set()
        self.newest = Checkpoint(ORIGIN, 0, root_of([]))
        self.durable_size = 0
        self.stops = {"crash": 0, "fault": 0, "close": 0, "during recovery": 0}
        self.case.create()

    def lead(self) -> None:
        """One life: open, work until something stops it, then look at what is left."""
        kind = self.chance.choice(("crash", "crash", "fault", "close"))
        at = self.disk.steps + self.chance.randrange(1, self.chance.choice((14, 260)))
        if kind == "crash":
            self.disk.crash_at = at
        elif kind == "fault":
            self.disk.fail_at = at
        opened = False
        try:
            ledger = self.case.recover()
            opened = True
            self._work(ledger, actions=self.chance.randrange(1, 14))
            ledger.close("end of a life")
            self.stops["close"] += 1
        except Crash:
            self.stops["crash" if opened else "during recovery"] += 1
        except AffidavitError:
            self.stops["fault" if opened else "during recovery"] += 1
        # What a reader may have fetched before the stop stays a promise after it.
        self._note_published()
        self.disk.crash()
        self._note_published()

    def _work(self, ledger: Ledger, actions: int) -> None:
        streams: dict[str, int] = {}
        for _ in range(actions):
            self.case.clock.advance(self.chance.choice((0, 0, 10**9, 700 * 10**9)))
            if self.chance.random() < 0.05:
                self.case.clock.wall_ns -= 3 * 10**9  # the clock is set back
            act = self.chance.random()
            if act < 0.65:
                for _ in range(self.chance.choice((1, 1, 3))):
                    self._submit(ledger, streams)
                ledger.step()
            elif act < 0.9:
                self.durable_size = ledger.publish_now().size
            else:
                ledger.tick()
                ledger.step()

    def _submit(self, ledger: Ledger, streams: dict[str, int]) -> None:
        if not streams or self.chance.random() < 0.3:
            streams[self.case.stream()] = 0
        stream = self.chance.choice(list(streams))
        first = streams[stream] + (self.chance.randrange(3) if self.chance.random() < 0.05 else 0)
        drafts = self._drafts(ledger, first)

        def done(answer: Answer) -> None:
            for receipt in answer.receipts:
                self.acknowledged[receipt.index] = receipt.id

        ledger.submit(Batch(stream, BOOT, first, drafts), done)
        streams[stream] = first + len(drafts)

    def _drafts(self, ledger: Ledger, first: int) -> tuple[Draft, ...]:
        state = ledger.state_index
        if self.chance.random() < 0.15:
            return (self.case.change(state),)
        drafts = [self.case.opening(state), self.case.context(state)]
        for _ in range(self.chance.choice((0, 1, 5, 120))):
            drafts.append(self.case.access(Earlier(first), Earlier(first + 1), state))
        if self.chance.random() < 0.5:
            closing: dict[str, Any] = {"actor": ACTOR, "system": "clinic", "outcome": "ok"}
            drafts.append(self.case.draft("session.close", session=Earlier(first), **closing))
        return tuple(drafts)

    def _note_published(self) -> None:
        assert self.case.secrets is not None
        note = self.disk.read(Layout(ROOT).checkpoint, 100_000)
        assert note is not None, "the checkpoint is gone"
        checkpoint = open_checkpoint(note, self.case.secrets.verifier, ORIGIN)
        assert checkpoint.size >= self.durable_size, "a published checkpoint went back"
        self.newest = checkpoint
        self.checkpoints.add(checkpoint)

    def check(self) -> int:
        """The whole log against everything that was promised. Gives its size."""
        records = [record for frame in Scan(self.disk, Layout(ROOT).journal, ORIGIN) for record in frame.records]
        leaves = [leaf_hash(raw) for raw, _ in records]
        for checkpoint in self.checkpoints:
            assert checkpoint.root == root_of(leaves[: checkpoint.size])
        _check_files(self.disk, records, self.newest.size)
        reader = self.case.recover().reader()
        self.disk.locked = False
        for index, record_id in self.acknowledged.items():
            assert index < len(records), f"record {index} was acknowledged and is gone"
            assert record_id == reader.record(index).header.id
        return len(records)


def _check_files(disk: SimDisk, records: list[Stored], size: int) -> None:
    """Each published bundle follows from the journal, and none below the checkpoint's size is missing."""
    layout = Layout(ROOT)
    for number in range((size + TILE_WIDTH - 1) // TILE_WIDTH):
        width = min(TILE_WIDTH, size - number * TILE_WIDTH)
        held = records[number * TILE_WIDTH :][:width]
        assert encode_entries([raw for raw, _ in held]) == disk.read(layout.entries(number, width), 1 << 30)
        assert encode_bundle([slot for _, slot in held]) == disk.read(layout.slots(number, width), 1 << 30)
    for path in disk.paths(layout.log):
        if path == layout.checkpoint:
            continue
        address = parse_path(str(path.relative_to(layout.log)))
        if address.level is None:
            held = records[address.index * TILE_WIDTH :][: address.width]
            assert encode_entries([raw for raw, _ in held]) == disk.copy(path), path
        elif address.level == 0:
            held = records[address.index * TILE_WIDTH :][: address.width]
            assert b"".join(leaf_hash(raw) for raw, _ in held) == disk.copy(path), path


def test_what_was_acknowledged_survives_every_stop() -> None:
    lives, steps, size, stops = 0, 0, 0, dict.fromkeys(("crash", "fault", "close", "during recovery"), 0)
    seed = SEED
    try:
        while lives < LIVES:
            life = Life(seed)
            for _ in range(min(10, LIVES - lives)):
                life.lead()
                life.check()
                lives += 1
            steps += life.disk.steps
            size += len(life.acknowledged)
            stops = {name: count + life.stops[name] for name, count in stops.items()}
            seed += 1
    finally:
        print(f"seeds {SEED} to {seed}: {lives} lives, {steps} disk steps, {size} records acknowledged, {stops}")
    assert all(stops.values()), f"some kind of stop never happened: {stops}"


def test_a_disk_that_forgets_what_was_synced_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: with syncs that do nothing, some acknowledged record is lost."""
    monkeypatch.setattr(SimDisk, "_sync", lambda self, inode: self._step("sync"))
    with pytest.raises((AssertionError, AffidavitError)):
        for seed in range(20):
            life = Life(seed)
            for _ in range(5):
                life.lead()
                life.check()
