"""`affidavit verify` over logs like a gateway's, beside the least that anybody can do with the same files.

Each log is made by the real ledger (`bench/verifiable.py`). Then, in turn and `--rounds` times: *hash* reads every
entry bundle and takes SHA-256 of each entry, which no verifier can leave out; *third party* is what a program that
knows tlog-tiles and JSON would check: leaf hashes, the root, and that each entry is JSON; *structure* and *whole* are
the command, by one process and by as many as it takes by default. Of each the best round counts, by the wall clock; the
ratio is to *third party*. CPU time counts all processes; memory is the largest of any one of them.

    python bench/verify.py [--sizes 100000,1000000] [--change-every 5000] [--rounds 2] [--folder DIR] [--log DIR]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from verifiable import CHANGE_EVERY, make_log

from affidavit.tlog.hashing import Tree
from affidavit.tlog.tiles import bundles_of, decode_entries, entries_path


@dataclass(frozen=True)
class Result:
    """One run: wall clock and CPU in seconds, peak memory in MiB (None: not a process of its own)."""

    program: str
    records: int
    wall_s: float
    cpu_s: float
    peak_mib: float | None


def hash_entries(log: Path, size: int) -> None:
    """SHA-256 of every entry."""
    for one in bundles_of(size):
        for entry in decode_entries((log / entries_path(one.index, one.width)).read_bytes(), one.width):
            sha256(entry).digest()


def check_as_a_third_party(log: Path, size: int, root: bytes) -> None:
    """Leaf hashes, the root, and JSON."""
    tree = Tree()
    for one in bundles_of(size):
        entries = decode_entries((log / entries_path(one.index, one.width)).read_bytes(), one.width)
        for entry in entries:
            json.loads(entry)
        tree.append_leaf_hashes([sha256(b"\0" + entry).digest() for entry in entries])
        tree.forget(tree.size)
    if tree.root() != root:
        sys.exit("the log does not lead to its root")


def timed(program: str, size: int, work: Callable[[], None]) -> Result:
    """A check in this process."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return Result(program, size, time.perf_counter() - start, time.process_time() - cpu, None)


def run_command(program: str, data: Path, size: int, *options: str) -> Result:
    """The command in a process of its own."""
    (key,) = (data / "secrets").glob("*.vkey")
    command = [sys.executable, "-m", "affidavit.cli.main", "verify", str(data), "--key", str(key), "--json", *options]
    start = time.perf_counter()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        sys.exit(f"{program}: the log does not hold (status {running.returncode})")
    wall = time.perf_counter() - start
    return Result(program, size, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measure(data: Path, rounds: int) -> list[Result]:
    """The best round of each program over one log."""
    checkpoint = (data / "log/checkpoint").read_text().splitlines()
    size, root = int(checkpoint[1]), base64.b64decode(checkpoint[2])
    log = data / "log"
    programs: tuple[Callable[[], Result], ...] = (
        lambda: timed("hash", size, lambda: hash_entries(log, size)),
        lambda: timed("third party", size, lambda: check_as_a_third_party(log, size, root)),
        lambda: run_command("structure", data, size, "--only", "structure"),
        lambda: run_command("whole, one process", data, size, "--processes", "1"),
        lambda: run_command("whole", data, size),
    )
    found = [[run() for run in programs] for _ in range(rounds)]
    return [min(runs, key=lambda result: result.wall_s) for runs in zip(*found, strict=True)]


def main() -> None:
    """Make, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100000,1000000", help="records of the logs that are made")
    parser.add_argument("--change-every", type=int, default=CHANGE_EVERY, help="records between two changes")
    parser.add_argument("--rounds", type=int, default=2, help="of all measurements; the best of each counts")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where to make logs: 3.5 GB for each million")
    parser.add_argument("--log", type=Path, action="append", help="a data folder to measure instead of making logs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[Result] = []
    for data in options.log or []:
        rows += measure(data, options.rounds)
    for size in [] if options.log else map(int, options.sizes.split(",")):
        folder = Path(tempfile.mkdtemp(prefix=".bench-verify-", dir=options.folder))
        try:
            rows += measure(make_log(folder, size, options.change_every), options.rounds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps([vars(row) for row in rows]))
        return
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{'records':>9} {'':<20} {'records/s':>10} {'ratio':>6} {'CPU us each':>12} {'peak MiB':>9}")
    least = 1.0
    for row in rows:
        if row.program == "third party":
            least = row.wall_s
        ratio = "" if row.program == "hash" else f"{least / row.wall_s:.2f}"
        peak = "" if row.peak_mib is None else f"{row.peak_mib:,.0f}"
        print(
            f"{row.records:>9,} {row.program:<20} {row.records / row.wall_s:>10,.0f} {ratio:>6} "
            f"{row.cpu_s / row.records * 1e6:>12.1f} {peak:>9}"
        )


if __name__ == "__main__":
    main()
