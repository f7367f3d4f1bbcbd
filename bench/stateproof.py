"""Proofs of state: how large, how long to make and to check.

    python bench/stateproof.py --changes 10000 --objects 10000

Somebody held no grant on a system while that many changes touched the grants of others. Times are of the processor. The
log lies in memory, on paper (tests/logmaker.py): what is measured is the prover and the verifier, and the fold that the
prover needs, not the reading of files.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from affidavit.evidence.stateproof import Proved, prove
from affidavit.history.asof import state_at
from affidavit.tlog.rotation import KeyChain
from affidavit.verify.stateproof import check_state_proof

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from logmaker import SIGNER, Paper
from proofcase import PaperRecords, grant_on, human, no_grant, objects, public, was

_TOGETHER = 100  # objects put by one change while the people are made
_CLOCK_EVERY = 5


def make_log(changes: int, count: int) -> tuple[Paper, str, int]:
    """The log, who holds nothing in it, and the position at which that begins."""
    chosen = random.Random(2026)
    paper = Paper()
    paper.genesis()
    people = [f"u-{number:016x}" for number in range(count // 2)]
    for at in range(0, len(people), _TOGETHER):
        some = people[at : at + _TOGETHER]
        objects(paper, {f"identity/{one}": human() for one in some})
        objects(paper, {f"grant/{one}/visits": grant_on("clinic") for one in some})
    who = people[0]
    groups = {f"group/{name}": {"description": ""} for name in ("ward", "house")}
    around = {f"membership/{who}/ward": {}, "membership/group:ward/house": {}}
    objects(paper, {**groups, **around, f"grant/{who}/visits": None})
    begins = len(paper.records)
    for number in range(changes):
        objects(paper, {f"grant/{chosen.choice(people[1:])}/visits": grant_on("clinic")})
        if number % _CLOCK_EVERY == 0:
            paper.clock("interval")
    return paper, who, begins


def main() -> None:
    """Measure one interval and one moment, once each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--objects", type=int, default=10_000)
    given = parser.parse_args()
    paper, who, begins = make_log(given.changes, given.objects)
    records = PaperRecords(paper.records)
    files, chain = public(records.raw), KeyChain.unbroken([SIGNER.verifier])
    print(f"{records.size:,} records, {given.changes:,} changes in the interval, {given.objects:,} objects")
    started = time.process_time()
    state_at(records, begins)
    print(f"fold up to the interval: {time.process_time() - started:.1f} s")
    for name, asked in (
        ("no grant through the interval", no_grant(who, begins, records.size)),
        ("one object at its end", was(f"identity/{who}", records.size)),
    ):
        started = time.process_time()
        made = prove(asked, records, files, chain)
        made_s = time.process_time() - started
        if not isinstance(made, Proved):
            sys.exit(f"{name}: not true, {made}")
        started = time.process_time()
        check_state_proof(made.file, [SIGNER.verifier])
        checked_s = time.process_time() - started
        print(
            f"{name}: {len(made.file):,} bytes; folded, made, checked in {made_s:.1f} s; checked in {checked_s:.3f} s"
        )


if __name__ == "__main__":
    main()
