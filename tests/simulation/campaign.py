"""The simulation campaign: worlds from consecutive seeds until enough steps were taken, or enough time has passed.

    python tests/simulation/campaign.py [--seed N] [--steps N] [--seconds N]

The last line says what was done. A violation prints the seed, the last operations and the command that replays it, and
ends with status 1; so does a run in which some kind of stop or fault never happened.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import TextIO

from simworld import CLINICS, Violation, World, small

LIVES_MAX = 25
#: Of the worlds of a long run.
GROWN = 0.01
RECORDS_MAX = 3_000
#: Segments from one frame to many, and fills ahead from less than a frame to several.
SEGMENTS = (2_000, 24_000, 200_000)
FILLS = (512, 4_096, 60_000)
#: Whole segments that pruning leaves, and records between two snapshots of what stands open.
KEPT_SEGMENTS = (0, 2)
SNAPSHOTS = (1, 20, 200, 10_000)
#: None of these may be missing from a run of some length: else it did not do what it says.
WANTED = (
    "crashes",
    "kills",
    "end by fault",
    "end by close",
    "stopped while recovering",
    "checkpoints",
    "audits",
    "reads",
    "folds with a snapshot and without",
    "starts on a pruned journal",
    "makings interrupted",
    "rotations",
    "keys that ended",
    "copies",
    "audits of the copy",
)


@dataclass
class Result:
    """What a campaign did."""

    seed: int
    worlds: int = 0
    steps: int = 0
    violations: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)

    def missing(self) -> list[str]:
        """What never happened, and should have."""
        return [name for name in WANTED if not self.counts[name]] + ([] if self.injected else ["faults"])

    def last_line(self, seconds: float) -> str:
        counts = self.counts
        refusals = {name.split()[1]: count for name, count in sorted(counts.items()) if name.startswith("refusal ")}
        return (
            f"simulation: seeds {self.seed} to {self.seed + self.worlds - 1}, {self.steps} steps, {self.worlds} worlds, "
            f"{counts['lives']} lives, {counts['crashes']} crashes, {counts['kills']} kills, "
            f"{sum(self.injected.values())} faults, {counts['records']} records acknowledged, "
            f"{counts['checkpoints']} checkpoints, {counts['audits']} audits, refusals {refusals or 'none'}, "
            f"{self.violations} violations, {self.steps / max(seconds, 0.001):.0f} steps/s"
        )


def begins_grown(seed: int) -> bool:
    """Whether the world of this seed begins with a log that has grown: too long for a short run."""
    return random.Random(f"grown {seed}").random() < GROWN


def run_world(seed: int, result: Result, out: TextIO) -> bool:
    """Lead the lives of one world. False, with its trace on `out`, where a promise was broken."""
    segment, fill = SEGMENTS[seed % 3], FILLS[seed // 3 % 3]
    kept, snapshot = KEPT_SEGMENTS[seed // 2 % 2], SNAPSHOTS[seed % 4]
    with small(SEGMENT_BYTES=segment, PREALLOCATE_BYTES=fill, SEGMENTS_KEPT=kept, SNAPSHOT_RECORDS=snapshot):
        world = World(seed, clinics=0.0 if begins_grown(seed) else CLINICS)
        try:
            result.counts["worlds that begin with a grown log"] += begins_grown(seed)
            world.begin(from_grown=begins_grown(seed))
            while not world.over and world.counts["lives"] < LIVES_MAX and world.counts["records"] < RECORDS_MAX:
                world.lead()
        except (Exception, Violation) as error:
            result.violations += 1
            print(f"seed {seed}, a world that is {world.kind}, segments of {segment}: {error!r}", file=out)
            traceback.print_exc(file=out)
            print("\n".join(["the last operations, each after its step:", *world.trace]), file=out)
            print(f"replay it: make sim SEED={seed} STEPS=1", file=out)
        result.worlds += 1
        result.steps += world.disk.steps
        result.counts += world.counts
        result.injected += world.disk.injected
        result.counts[f"{world.kind} worlds"] += 1
    return not result.violations


def campaign(seed: int, steps: int, seconds: float, out: TextIO, *, grown: bool = False) -> Result:
    """Worlds from `seed` on, until `steps` were taken or `seconds` have passed, or a promise was broken.

    Without `grown`, seeds of worlds that begin with a log that has grown are passed over.
    """
    result = Result(seed)
    end = time.monotonic() + seconds
    while result.steps < steps and time.monotonic() < end:
        if begins_grown(seed + result.worlds) and not grown:
            result.worlds += 1
        elif not run_world(seed + result.worlds, result, out):
            break
    return result


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--steps", type=int, default=0, help="how many steps at the disk; 0 for no bound")
    parser.add_argument("--seconds", type=float, default=0, help="how long; 0 for no bound")
    chosen = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # the ledger says why it stops; here it stops all the time
    steps = chosen.steps or (sys.maxsize if chosen.seconds else 200_000)
    started = time.monotonic()
    result = campaign(chosen.seed, steps, chosen.seconds or float("inf"), sys.stdout, grown=True)
    for title, found in (("what happened", result.counts), ("what was done to it", result.injected)):
        print(f"{title}: " + ", ".join(f"{name} {count}" for name, count in sorted(found.items())))
    missing = result.missing() if result.steps >= 50_000 else []
    if missing and not result.violations:
        print(f"this run showed nothing of: {', '.join(missing)}")
    print(result.last_line(time.monotonic() - started))
    return 1 if result.violations or missing or not result.steps else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
