"""Durable appends: the ledger with everything it does, beside three programs that do less.

The ledger seals records with bodies of about 570 bytes (checks, digest, encryption, header), makes them durable, and
publishes the log every second; a process of its own builds what is published once that is much. The plain program
encodes the same content as a line of JSON and syncs the file once for each group of lines: no references, no digests,
no encryption, no tree, no signature. The same content is put into SQLite (WAL, synchronous=FULL), and into a Merkle
tree from PyPI (pymerkle, over SQLite).

Producers are simulated: each has one batch in flight, and hands over its next one as soon as it hears of the last. The
drafts are made beforehand (making them is the producers' work) and used again and again. All run in the same
folder on the same disk, one after the other, `--rounds` times; the table gives the best round of each.

    python bench/ledger.py [--seconds 2] [--rounds 2] [--folder DIR] [--json] [--memory]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymerkle import SqliteTree

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
from affidavit.tlog.checkpoint import Checkpoint

ORIGIN = "log.example/bench"
ACTOR, SYSTEM = "u-0123456789abcdef", "clinic"
POOL_DRAFTS = 16_000
SWITCH_INTERVAL_S = 0.0002  # as the product sets it: writer and publisher share one interpreter
#: (producers, records a batch)
SHAPES = ((1, 1), (32, 1), (64, 1), (512, 1), (1, 1_000))
TABLES = ("clinic|table|public.visits",)


Span = tuple[float, float]  # when something began and ended, in seconds of the process


@dataclass(frozen=True)
class Result:
    """One measurement. Latencies in milliseconds, from handing a batch over to hearing that it is durable: of all
    batches, of those that waited while the ledger published, and of the rest; how many publications there
    were, and how long one took."""

    program: str
    producers: int
    batch: int
    records_per_s: float
    p50_ms: float
    p99_ms: float
    publishing_p50_ms: float = 0.0
    publishing_p99_ms: float = 0.0
    rest_p50_ms: float = 0.0
    rest_p99_ms: float = 0.0
    publications: int = 0
    publication_p50_ms: float = 0.0


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
) -> list[Span]:
    """Let `producers` hand over batches for `seconds`; gives when each batch was handed over and heard of.

    `submit(producer, done)` hands over the producer's next batch and calls `done` once that is durable.
    """
    spans: list[Span] = []
    left = producers
    finished = threading.Event()
    end = time.perf_counter() + seconds

    def begin(producer: int) -> None:
        nonlocal left
        start = time.perf_counter()

        def done() -> None:
            nonlocal left
            now = time.perf_counter()
            spans.append((start, now))
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
    return spans


Beside = Callable[[Ledger], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def nothing(ledger: Ledger) -> Iterator[None]:
    """What runs beside the ledger where nothing does."""
    del ledger
    yield


def run_ledger(folder: Path, seconds: float, producers: int, batch: int, beside: Beside = nothing) -> Result:
    """The ledger as it runs in the product, publisher and all, and something beside it."""
    with opened(folder) as (ledger, pool), beside(ledger):
        groups = [tuple(pool[at : at + batch]) for at in range(0, POOL_DRAFTS, batch)]
        streams, boot = [os.urandom(16).hex() for _ in range(producers)], boot_id()
        numbers = [0] * producers
        published: list[Span] = []
        publish = ledger.publish_now

        def publish_timed() -> Checkpoint:
            begun = time.perf_counter()
            checkpoint = publish()
            published.append((begun, time.perf_counter()))
            return checkpoint

        ledger.publish_now = publish_timed  # type: ignore[method-assign]

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
        spans = measure(seconds, producers, batch, submit)
        rate = (ledger.size - size) / (time.perf_counter() - start)
    return _result("ledger", producers, batch, rate, spans, published)


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


class Lines:
    """A line of JSON for each record, in a file that is synced once for each group."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "plain.jsonl"
        self._file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._written = 0

    def put(self, records: list[dict[str, Any]]) -> None:
        """All of `records` are durable when this returns."""
        lines = [json.dumps({"index": self._written, **record}) for record in records]
        os.write(self._file, ("\n".join(lines) + "\n").encode())
        os.fdatasync(self._file)
        self._written += len(lines)

    def close(self) -> None:
        os.close(self._file)
        self._path.unlink()


class Table:
    """A row of JSON for each record in SQLite (WAL, synchronous=FULL), one transaction for each group."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "sqlite"
        self._folder.mkdir()
        self._base = sqlite3.connect(self._folder / "log.db", check_same_thread=False)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.execute("CREATE TABLE log(number INTEGER PRIMARY KEY, record TEXT NOT NULL)")

    def put(self, records: list[dict[str, Any]]) -> None:
        """As `Lines.put`."""
        with self._base:
            self._base.executemany("INSERT INTO log(record) VALUES (?)", [(json.dumps(record),) for record in records])

    def close(self) -> None:
        self._base.close()
        shutil.rmtree(self._folder)


class Leaves:
    """A leaf for each record in a Merkle tree of pymerkle, kept in SQLite as it sets that up (synchronous=FULL).

    Its entries and leaf hashes are durable; roots, tiles and signatures are not made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "pymerkle"
        self._folder.mkdir()
        self._tree = SqliteTree(str(self._folder / "log.db"))

    def put(self, records: list[dict[str, Any]]) -> None:
        """As `Lines.put`."""
        self._tree.append_entries([json.dumps(record).encode() for record in records], chunksize=len(records))

    def close(self) -> None:
        self._tree.close()
        shutil.rmtree(self._folder)


def run_store(program: str, folder: Path, seconds: float, producers: int, batch: int) -> Result:
    """A thread that takes what has queued, and puts all of it into the store at once."""
    store = STORES[program](folder)
    pool = [content(number) for number in range(POOL_DRAFTS)]
    groups = [pool[at : at + batch] for at in range(0, POOL_DRAFTS, batch)]
    queue: deque[tuple[list[dict[str, Any]], Callable[[], None]]] = deque()
    wanted, stopping = threading.Semaphore(0), threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while wanted.acquire() and not stopping.is_set():
            taken = [queue.popleft()]
            while queue and wanted.acquire(blocking=False):
                taken.append(queue.popleft())
            records = [record for group, _ in taken for record in group]
            store.put(records)
            written += len(records)
            for _, done in taken:
                done()

    def submit(producer: int, done: Callable[[], None]) -> None:
        queue.append((groups[(written + producer) % len(groups)], done))
        wanted.release()

    thread = threading.Thread(target=write)
    thread.start()
    start = time.perf_counter()
    spans = measure(seconds, producers, batch, submit)
    rate = written / (time.perf_counter() - start)
    stopping.set()
    wanted.release()
    thread.join()
    store.close()
    return _result(program, producers, batch, rate, spans, [])


STORES: dict[str, Callable[[Path], Any]] = {"JSON lines": Lines, "SQLite": Table, "pymerkle": Leaves}
PROGRAMS = (*STORES, "ledger")


def run_memory(folder: Path) -> None:
    """Print what the process holds in memory while the ledger takes 1,200,000 records in batches of 1,000."""
    with opened(folder) as (ledger, pool):
        stream, boot = os.urandom(16).hex(), boot_id()
        for number in range(1, 1_201):
            at = (number * 1_000) % POOL_DRAFTS
            answer = ledger.append(Batch(stream, boot, (number - 1) * 1_000, tuple(pool[at : at + 1_000])))
            if answer.refusal is not None:
                sys.exit(f"refused: {answer.refusal}")
            if number in (10, 100, 200, 500, 1_000, 1_200):
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                print(f"{number * 1_000:>9,} records: {pages * os.sysconf('SC_PAGE_SIZE') >> 20} MiB", flush=True)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[tuple[Ledger, list[Draft]]]:
    """A new log with a session in it, open, and accesses of that session to append."""
    root, clock = folder / "log", SystemClock()
    secrets = make_log(root)
    ledger = Ledger.open(root, OsDisk(), clock, secrets, ORIGIN, boot_id(), os.urandom, kernel_clock_status)
    session, context = begin(ledger, clock, boot_id())
    try:
        yield ledger, [_access(clock, session, context, ledger.state_index, number) for number in range(POOL_DRAFTS)]
    finally:
        ledger.close("bench")
        shutil.rmtree(root)


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


def _result(program: str, producers: int, batch: int, rate: float, spans: list[Span], published: list[Span]) -> Result:
    latencies: list[float] = []
    during: list[float] = []
    rest: list[float] = []
    for begun, end in spans:
        latencies.append(end - begun)
        waited = any(begun < until and since < end for since, until in published)
        (during if waited else rest).append(end - begun)
    return Result(
        program,
        producers,
        batch,
        rate,
        *(_quantile(latencies, percent) for percent in (50, 99)),
        *(_quantile(part, percent) if published else 0.0 for part in (during, rest) for percent in (50, 99)),
        len(published),
        _quantile([until - since for since, until in published], 50),
    )


def _quantile(seconds: list[float], percent: int) -> float:
    """In milliseconds; 0 for none."""
    ordered = sorted(seconds) or [0.0]
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1e3


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
    parser.add_argument("--memory", action="store_true", help="print the memory in use over 1,200,000 appends instead")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix=".bench-ledger-", dir=options.folder))
    kind = _file_system(folder)
    if kind in {"tmpfs", "ramfs", "overlay"}:
        print(f"warning: {folder} lies on {kind}: syncing costs nothing there", file=sys.stderr)
    rows: list[Result] = []
    try:
        if options.memory:
            run_memory(folder)
            return
        for producers, batch in SHAPES:
            found = [
                run_ledger(folder, options.seconds, producers, batch)
                if program == "ledger"
                else run_store(program, folder, options.seconds, producers, batch)
                for _ in range(options.rounds)
                for program in PROGRAMS
            ]
            each = [found[at :: len(PROGRAMS)] for at in range(len(PROGRAMS))]
            rows += [max(results, key=lambda result: result.records_per_s) for results in each]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps({"filesystem": kind, "results": [vars(result) for result in rows]}))
        return
    print(f"filesystem {kind}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    _print_rates(rows)
    _print_publication(rows)


def _print_rates(rows: list[Result]) -> None:
    """Each program's rate, and what share it is of the plain program's in the same run."""
    print(f"{'producers':>9} {'batch':>6} {'program':<11} {'records/s':>10} {'ratio':>6} {'p50 ms':>8} {'p99 ms':>8}")
    plain = {(row.producers, row.batch): row.records_per_s for row in rows if row.program == "JSON lines"}
    for row in rows:
        ratio = row.records_per_s / plain[row.producers, row.batch]
        print(f"{row.producers:>9} {row.batch:>6} {row.program:<11} {row.records_per_s:>10,.0f} {ratio:>6.2f}", end="")
        print(f" {row.p50_ms:>8.2f} {row.p99_ms:>8.2f}")


def _print_publication(rows: list[Result]) -> None:
    """What publication holds up: the ledger's latencies while it published, and else."""
    print("\nlatency while the log is published, and else (ms)")
    print(f"{'producers':>9} {'batch':>6} {'p50':>8} {'p99':>8} {'else p50':>9} {'else p99':>9} {'publication':>12}")
    for row in rows:
        if row.program == "ledger":
            print(
                f"{row.producers:>9} {row.batch:>6} {row.publishing_p50_ms:>8.2f} {row.publishing_p99_ms:>8.2f}", end=""
            )
            print(f" {row.rest_p50_ms:>9.2f} {row.rest_p99_ms:>9.2f} {row.publication_p50_ms:>12.0f}")


if __name__ == "__main__":
    main()
