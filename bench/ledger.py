"""Durable appends: the ledger with everything it does, beside the plainest program that is durable at all.

The ledger seals records with bodies of about 570 bytes (checks, digest, encryption, header), makes them durable, and
publishes the log every second, all in one process. The plain program encodes the same content as a line of JSON and
syncs the file once for each group of lines: no references, no digests, no encryption, no tree, no signature.

Producers are simulated: each has one batch in flight, and hands over its next one as soon as it hears of the last. The
drafts are made beforehand (making them is the producers' work) and used again and again. Both sides run in the same
folder on the same disk, one after the other, `--rounds` times; the table gives the best round of each.

    python bench/ledger.py [--seconds 2] [--rounds 2] [--folder DIR] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affidavit.clock import SystemClock, boot_id, kernel_clock_status
from affidavit.durable import OsDisk
from affidavit.ledger.genesis import create_log
from affidavit.ledger.keys import Secrets
from affidavit.ledger.ledger import Ledger
from affidavit.record.body import SALT_BYTES, encode_body, salt_text
from affidavit.record.draft import Answer, Batch, Draft
from affidavit.record.ids import uuid7
from affidavit.state.change import encode_ops
from affidavit.state.changing import genesis_ops
from affidavit.state.fold import State

ORIGIN = "log.example/bench"
ACTOR, SYSTEM = "u-0123456789abcdef", "clinic"
POOL_DRAFTS = 16_000
SWITCH_INTERVAL_S = 0.0002  # as the product sets it: writer and publisher share one interpreter
#: (producers, records a batch)
SHAPES = ((1, 1), (32, 1), (64, 1), (512, 1), (1, 1_000))
TABLES = ("clinic|table|public.visits",)


@dataclass(frozen=True)
class Result:
    """One measurement. Latencies in milliseconds, from handing a batch over to hearing that it is durable."""

    program: str
    producers: int
    batch: int
    records_per_s: float
    p50_ms: float
    p99_ms: float


def content(number: int) -> dict[str, Any]:
    """The body of an access, about 570 bytes with its salt."""
    return {
        "actor": {"id": ACTOR, "issuer": "local", "name": "Nora Nurse", "kind": "human"},
        "client": {"address": "10.0.0.1", "application": "psql", "tls": None},
        "action": {
            "class": "read",
            "verb": "SELECT",
            "statement": f"SELECT note FROM visits WHERE patient = {number}",
            "form": "full",
            "tables": [{"schema": "public", "name": "visits", "action": "read"}],
        },
        "authorization": {
            "rules": 1,
            "decision": "allow",
            "requests": [{"action": "read", "type": "Table", "id": "clinic/public.visits"}],
            "determining": [{"request": 0, "policy": "nurses", "digest": "ab" * 16}],
        },
        "result": {"outcome": "ok", "rows": 1, "bytes": 100},
    }


def measure(
    seconds: float, producers: int, batch: int, submit: Callable[[int, Callable[[], None]], None]
) -> list[float]:
    """Let `producers` hand over batches for `seconds`; gives the latency of each batch in ms, in the order heard.

    `submit(producer, done)` hands over the producer's next batch and calls `done` once that is durable.
    """
    latencies: list[float] = []
    left = producers
    finished = threading.Event()
    end = time.perf_counter() + seconds

    def begin(producer: int) -> None:
        nonlocal left
        start = time.perf_counter()

        def done() -> None:
            nonlocal left
            now = time.perf_counter()
            latencies.append((now - start) * 1e3)
            if now < end:
                begin(producer)
            else:
                left -= 1
                if not left:
                    finished.set()

        submit(producer, done)

    for producer in range(producers):
        begin(producer)
    finished.wait()
    return latencies


def run_ledger(folder: Path, seconds: float, producers: int, batch: int) -> Result:
    """The ledger as it runs in the product, publisher and all."""
    root, disk, clock = folder / "log", OsDisk(), SystemClock()
    boot = boot_id()
    secrets = make_log(root)
    ledger = Ledger.open(root, disk, clock, secrets, ORIGIN, boot, os.urandom, kernel_clock_status)
    session, context = begin(ledger, clock, boot)
    pool = [_access(clock, session, context, ledger.state_index, number) for number in range(POOL_DRAFTS)]
    groups = [tuple(pool[at : at + batch]) for at in range(0, POOL_DRAFTS, batch)]
    streams = [os.urandom(16).hex() for _ in range(producers)]
    numbers = [0] * producers

    def submit(producer: int, done: Callable[[], None]) -> None:
        first = numbers[producer]
        numbers[producer] = first + batch

        def answered(answer: Answer) -> None:
            if answer.refusal is not None:
                sys.exit(f"refused: {answer.refusal}")
            done()

        drafts = groups[(first // batch * producers + producer) % len(groups)]
        ledger.submit(Batch(streams[producer], boot, first, drafts), answered)

    start, size = time.perf_counter(), ledger.size
    latencies = measure(seconds, producers, batch, submit)
    rate = (ledger.size - size) / (time.perf_counter() - start)
    ledger.close("bench")
    shutil.rmtree(root)
    return _result("ledger", producers, batch, rate, latencies)


def make_log(root: Path) -> Secrets:
    """A new log in `root`, with the state that every log begins with."""
    ops = genesis_ops(
        administrator=ACTOR,
        handle="bench",
        name="Bench",
        mail="",
        host="bench",
        uid=os.getuid(),
        salt=lambda: salt_text(os.urandom(SALT_BYTES)),
    )
    change = {"reason": "bench", "objects": encode_ops(ops), "approvals": []}
    return create_log(
        root,
        OsDisk(),
        SystemClock(),
        ORIGIN,
        boot_id(),
        os.urandom,
        kernel_clock_status,
        ACTOR,
        change,
        "grant",
        State().preview(ops).root,
    )


def run_plain(folder: Path, seconds: float, producers: int, batch: int) -> Result:
    """A thread that takes what has queued, writes a line of JSON for each record, and syncs once."""
    pool = [content(number) for number in range(POOL_DRAFTS)]
    groups = [pool[at : at + batch] for at in range(0, POOL_DRAFTS, batch)]
    queue: deque[tuple[list[dict[str, Any]], Callable[[], None]]] = deque()
    wanted, stopping = threading.Semaphore(0), threading.Event()
    path = folder / "plain.jsonl"
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    written = 0

    def write() -> None:
        nonlocal written
        while wanted.acquire() and not stopping.is_set():
            taken = [queue.popleft()]
            while queue and wanted.acquire(blocking=False):
                taken.append(queue.popleft())
            lines = [json.dumps({"index": written, **record}) for records, _ in taken for record in records]
            os.write(file, ("\n".join(lines) + "\n").encode())
            os.fdatasync(file)
            written += len(lines)
            for _, done in taken:
                done()

    def submit(producer: int, done: Callable[[], None]) -> None:
        queue.append((groups[(written + producer) % len(groups)], done))
        wanted.release()

    thread = threading.Thread(target=write)
    thread.start()
    start = time.perf_counter()
    latencies = measure(seconds, producers, batch, submit)
    rate = written / (time.perf_counter() - start)
    stopping.set()
    wanted.release()
    thread.join()
    os.close(file)
    path.unlink()
    return _result("plain", producers, batch, rate, latencies)


def begin(ledger: Ledger, clock: SystemClock, boot: str) -> tuple[int, int]:
    state = ledger.state_index
    common = {"actor": ACTOR, "system": SYSTEM, "decided": state, "body": encode_body({}, os.urandom(16))}
    opening = _draft(clock, "session.open", action="login", decision="allow", outcome="ok", **common)
    answer = ledger.append(Batch(os.urandom(16).hex(), boot, 0, (opening, _draft(clock, "context", **common))))
    return answer.receipts[0].index, answer.receipts[1].index


def _access(clock: SystemClock, session: int, context: int, state: int, number: int) -> Draft:
    return _draft(
        clock,
        "access",
        actor=ACTOR,
        system=SYSTEM,
        session=session,
        context=context,
        decided=state,
        action="read",
        decision="allow",
        outcome="ok",
        guarantee="before_answer",
        tags=TABLES,
        body=encode_body(content(number), os.urandom(16)),
    )


def _draft(clock: SystemClock, kind: str, **fields: Any) -> Draft:
    at = clock.now_ns()
    return Draft(kind=kind, id=uuid7(at, os.urandom(10)), at=at, **fields)


def _result(program: str, producers: int, batch: int, rate: float, latencies: list[float]) -> Result:
    ordered = sorted(latencies)
    return Result(
        program,
        producers,
        batch,
        rate,
        ordered[len(ordered) // 2],
        ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
    )


def _file_system(folder: Path) -> str:
    """The kind of file system that holds `folder`, as the kernel names it."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, found, *_ = line.split(" ")
        if str(folder.resolve()).startswith(mount) and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def main() -> None:
    """Measure and print."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=2, help="of all measurements; the best of each counts")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where to write: a folder on a real disk")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix=".bench-ledger-", dir=options.folder))
    kind = _file_system(folder)
    if kind in {"tmpfs", "ramfs", "overlay"}:
        print(f"warning: {folder} lies on {kind}: syncing costs nothing there", file=sys.stderr)
    rows = []
    try:
        for producers, batch in SHAPES:
            found = [
                run(folder, options.seconds, producers, batch)
                for _ in range(options.rounds)
                for run in (run_plain, run_ledger)
            ]
            rows.append([max(found[at::2], key=lambda result: result.records_per_s) for at in (0, 1)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps({"filesystem": kind, "results": [vars(result) for row in rows for result in row]}))
        return
    print(f"filesystem {kind}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{'producers':>9} {'batch':>6} | {'plain/s':>9} {'p50 ms':>7} {'p99 ms':>7}", end="")
    print(f" | {'ledger/s':>9} {'p50 ms':>7} {'p99 ms':>7} | ratio")
    for plain, ledger in rows:
        print(f"{plain.producers:>9} {plain.batch:>6}", end="")
        for result in (plain, ledger):
            print(f" | {result.records_per_s:>9,.0f} {result.p50_ms:>7.2f} {result.p99_ms:>7.2f}", end="")
        print(f" | {ledger.records_per_s / plain.records_per_s:.2f}")


if __name__ == "__main__":
    main()
