"""The short form of the simulation, and that it can fail. `make sim` runs the long one; docs/TESTING.md says how to read it.

`AFFIDAVIT_SEED` replays from another seed, `AFFIDAVIT_STEPS` sets how many steps at the disk are taken.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest
from campaign import Result, campaign, main, run_world
from simdisk import SimDisk
from simworld import ENDS, World

from affidavit.errors import Unavailable

STEPS = int(os.environ.get("AFFIDAVIT_STEPS", "36000"))
SEED = int(os.environ.get("AFFIDAVIT_SEED", "2026"))


@pytest.mark.parametrize("half", [0, 1])
def test_what_was_promised_survives_every_stop_and_fault(half: int) -> None:
    out = io.StringIO()
    result = campaign(SEED + 1_000 * half, STEPS // 2, float("inf"), out)
    print(result.last_line(1))
    assert 0 == result.violations, out.getvalue()
    assert [] == result.missing(), "this run showed less than it says"


def test_a_seed_replays_to_the_byte() -> None:
    worlds = []
    for _ in range(2):
        world = World(SEED)
        world.begin()
        for _ in range(6):
            if not world.over:
                world.lead()
        worlds.append((world.disk.steps, list(world.trace), world.counts, world.truth.records))
    assert worlds[0] == worlds[1]
    assert worlds[0][3]


def test_a_violation_prints_its_trace_and_the_command_that_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncs that do nothing: some record that was acknowledged is lost, and the campaign says so."""
    monkeypatch.setattr(SimDisk, "_sync", lambda self, inode: self._step("sync"))
    out = io.StringIO()
    result = Result(SEED)
    assert not run_world(SEED, result, out)
    assert 1 == result.violations
    assert "the last operations" in out.getvalue()
    assert re.search(rf"replay it: make sim SEED={SEED} STEPS=1$", out.getvalue(), re.MULTILINE)


def test_a_run_that_showed_nothing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == main(["--seconds", "-1"])
    assert "0 steps, 0 worlds" in capsys.readouterr().out.splitlines()[-1]
    assert Result(SEED).missing()


def test_each_way_to_end_a_life_is_led() -> None:
    assert {"crash", "kill", "fault", "close"} == set(ENDS)


def test_a_disk_without_room_writes_a_part_and_says_so() -> None:
    disk, path = SimDisk(), Path("/data/file")
    disk.make_folder(path.parent, 0o700)
    disk.space = 700
    with pytest.raises(Unavailable, match="No space left"):
        disk.write_synced([(path, bytes(1_000))], 0o600)
    assert bytes(700) == disk.copy(path)
    assert {"ENOSPC write": 1} == disk.injected


def test_after_a_failed_sync_what_is_read_is_not_what_is_durable() -> None:
    disk, path = SimDisk(), Path("/data/file")
    disk.replace(path, b"old")
    file = disk.open_append(path)
    file.write_at(0, b"new")
    disk.fail_at = disk.steps + 1
    disk.chance.seed(2)
    with pytest.raises(Unavailable, match="Could not sync"):
        file.sync()
    disk.kill()
    disk.open_append(path).sync()
    assert b"new" == disk.copy(path)
    assert disk.durable(path) in (b"old", b"new")
