"""Searching a log: how fast the index is built, beside nothing and beside appends, and how soon questions are answered.

A log like a gateway's is made by the real ledger (`bench/verifiable.py`), with statements that differ. Its index is
built from the files, as at a start without one. Then questions of four kinds are asked, each kind in many forms, as the
API asks them: candidates from the index, each read from the log, decrypted and judged. SQLite is asked the same in the
same run: FTS5 with trigrams over the statements, and indexes for actor, time and id, over rows in the clear.

Spans of time are parts of the log's: a log that is made in minutes has no days.

    python bench/search.py [--records 100000] [--seconds 5] [--folder DIR] [--log DIR]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from ledger import run_ledger
from verifiable import Clinic, office

from affidavit.compose.site import Site
from affidavit.durable import OsDisk
from affidavit.evidence.export import Bounds
from affidavit.history.shared import SharedRecords
from affidavit.ledger import clockwatch
from affidavit.ledger.ledger import Ledger
from affidavit.record.moment import parse_moment
from affidavit.record.read import Record
from affidavit.search.answers import Answers
from affidavit.search.index import Index
from affidavit.search.language import All, Node, Phrase, Query, Within, Words

RARE = "quetzalcoatl"
WORDS = ("invoice", "referral", "discharge", "allergy", "ward", "insurer", "dose", "sample", "bed", "shift")
NEWEST = 100
ASKED = 200  # times, of each kind of question
PART = 30  # of the log's time: what stands for a day of a month


class Hospital(Clinic):
    """A clinic whose statements differ: in columns, in values, and one in some ten thousand in a rare word."""

    _random = Random(2026)

    def _access(
        self, name: str, session: list[Any], view: Any, action: str, statement: str, table: str, verb: str
    ) -> int:
        words = self._random.sample(WORDS, 2)
        value = RARE if self._random.random() < 1 / 20_000 else f"{words[1]} {self._random.randrange(100_000)}"
        text = statement.rstrip(";") + f" AND {words[0]} = '{value}' /* request {self._random.randrange(10**9)} */;"
        return super()._access(name, session, view, action, text, table, verb)


def make_log(folder: Path, size: int) -> Path:
    """A data folder in `folder` with a log of at least `size` records, closed in order."""
    clockwatch._INTERVAL_NS = 1 << 62  # no clock record comes between a record and one that refers to it
    with office(folder) as one:
        Hospital(one).write(size)
    return folder / "data"


def build(index: Index, records: SharedRecords) -> None:
    """What the follower does at a start."""
    index.mend()
    bounds = Bounds(records)
    while index.add_newest(bounds, lambda: False):
        pass


@contextmanager
def following(ledger: Ledger) -> Iterator[None]:
    """An index that follows `ledger` meanwhile, as `affidavit up` has one; printed is how far it came."""
    records = SharedRecords(ledger.reader())
    with tempfile.TemporaryDirectory() as folder:
        index = Index(Path(folder) / "search", os.urandom(32), "bench", records, OsDisk())
        ending, bounds = threading.Event(), Bounds(records)

        def follow() -> None:
            index.mend()
            while not ending.wait(0 if index.add_newest(bounds, ending.is_set) else 0.5):
                pass

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()
            print(f"{'  of which the index took':<42} {index.held / max(1, records.size):>10.0%}")


class Rows:
    """The same records in SQLite."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE record (id INTEGER PRIMARY KEY, name TEXT, actor TEXT, at INTEGER, content TEXT);"
            "CREATE VIRTUAL TABLE said USING fts5(statement, content='', tokenize='trigram');"
        )

    def fill(self, records: SharedRecords) -> None:
        """All records, and the indexes over them."""
        for start in range(0, records.size, 10_000):
            some = [records.record(at) for at in range(start, min(start + 10_000, records.size))]
            with self._database as database:
                rows = [
                    (r.index, r.header.id, r.header.actor, parse_moment(r.header.time.at), str(r.content)) for r in some
                ]
                database.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
                texts = [(r.index, _statement(r)) for r in some if _statement(r)]
                database.executemany("INSERT INTO said (rowid, statement) VALUES (?, ?)", texts)
        with self._database as database:
            database.execute("CREATE INDEX by_name ON record (name)")
            database.execute("CREATE INDEX by_actor ON record (actor, id)")

    def ask(self, node: Node) -> int:
        """How many rows a question finds."""
        phrase, within, limit = None, None, NEWEST
        for part in node.parts if isinstance(node, All) else (node,):
            match part:
                case Words("id" | "actor" as field, (value,)):
                    column = "name" if field == "id" else "actor"
                    ask = f"SELECT * FROM record WHERE {column} = ? ORDER BY id DESC LIMIT {limit}"
                    return len(self._database.execute(ask, (value,)).fetchall())
                case Phrase(text):
                    phrase = '"' + text + '"'
                case Within(first_ns, last_ns):
                    within = (first_ns, last_ns)
        ask = "SELECT record.* FROM said JOIN record ON record.id = said.rowid WHERE said.statement MATCH ?"
        if within is not None:
            ask += " AND at BETWEEN ? AND ?"
        return len(
            self._database.execute(
                f"{ask} ORDER BY said.rowid DESC LIMIT {limit}", (phrase, *(within or ()))
            ).fetchall()
        )


def _statement(record: Record) -> str:
    action = record.content.get("action")
    return str(action.get("statement", "")) if isinstance(action, dict) else ""


def questions(records: SharedRecords) -> dict[str, Callable[[Random], Node]]:
    """By name, what makes one of them."""
    size = records.size
    first_ns, last_ns = (parse_moment(records.header(at).time.at) for at in (0, size - 1))
    actors = sorted({actor for at in range(0, size, max(1, size // 500)) if (actor := records.header(at).actor)})
    part_ns = (last_ns - first_ns) // PART

    def phrase(random: Random) -> Node:
        at_ns = first_ns + random.randrange(last_ns - first_ns - part_ns)
        text = f"{random.choice(WORDS)} = '{random.choice(WORDS)} {random.randint(1, 9)}"
        return All((Phrase(text), Within(at_ns, at_ns + part_ns)))

    return {
        "newest 100 of an actor": lambda random: Words("actor", (random.choice(actors),)),
        "phrase in statements, a part of the time": phrase,
        "rare word over all time": lambda random: Phrase(RARE),
        "lookup by id": lambda random: Words("id", (records.header(random.randrange(size)).id,)),
    }


def timed(ask: Callable[[Node], int], kind: Callable[[Random], Node]) -> tuple[float, float, float]:
    """Median and 99th percentile in milliseconds, and how many are found on average."""
    random, spans, found = Random(1), [], 0
    for number in range(ASKED + 10):
        node = kind(random)
        start = time.perf_counter()
        count = ask(node)
        if number >= 10:  # the first ones load what is asked
            spans.append(time.perf_counter() - start)
            found += count
    spans.sort()
    return spans[ASKED // 2] * 1000, spans[ASKED * 99 // 100] * 1000, found / ASKED


def measure(root: Path, folder: Path) -> None:
    """Build and ask, and print it."""
    site = Site(root)
    records = site.read_only()
    size = records.size
    shutil.rmtree(site.search, ignore_errors=True)
    index = site.index(records)
    for name, work in (
        ("index", lambda: build(index, records)),
        ("only reading", lambda: [records.record(at) for at in range(size)]),
    ):
        start, cpu = time.perf_counter(), time.process_time()
        work()
        wall, used = time.perf_counter() - start, time.process_time() - cpu
        print(f"{name:<42} {size / wall:>10,.0f} records/s {used / size * 1e6:>8.1f} us of processors each")
    rows = Rows(folder / "rows.sqlite")
    start = time.perf_counter()
    rows.fill(records)
    print(f"{'SQLite, FTS5 and rows':<42} {size / (time.perf_counter() - start):>10,.0f} records/s")
    large = sum(path.stat().st_size for path in site.search.rglob("*") if path.is_file())
    held = (folder / "rows.sqlite").stat().st_size
    print(f"{'bytes a record: index, SQLite':<42} {large / size:>10,.0f} {held / size:>10,.0f}")
    start = time.perf_counter()
    opening = site.index(records)
    opening.mend()
    print(f"{'opening, every file read, s':<42} {time.perf_counter() - start:>10.2f}")
    answers = Answers(records, index, Bounds(records))

    def ask(node: Node) -> int:
        return len(answers.newest(Query("", node), NEWEST, size).found)

    print(f"{'ms: p50, p99 (found)':<42} {'index':>24} {'SQLite':>26}")
    for name, kind in questions(records).items():
        ours, theirs = timed(ask, kind), timed(rows.ask, kind)
        said = [f"{p50:.2f}, {p99:.2f} ({found:.1f})" for p50, p99, found in (ours, theirs)]
        print(f"{name:<42} {said[0]:>24} {said[1]:>26}")


def beside_appends(folder: Path, seconds: float) -> None:
    """Appends without and with an index that follows them, in turn."""
    for name, beside in (("appends", None), ("appends, followed by the index", following)) * 2:
        options = {} if beside is None else {"beside": beside}
        with tempfile.TemporaryDirectory(dir=folder) as place:
            result = run_ledger(Path(place), seconds, 32, 1, **options)
        spans = f"p50 {result.p50_ms:.2f} ms, p99 {result.p99_ms:.2f} ms"
        print(f"{name:<42} {result.records_per_s:>10,.0f} records/s, {spans}")


def main() -> None:
    """Make, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of appending, each time")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where to make the log")
    parser.add_argument("--log", type=Path, help="a data folder instead of making one; its index is made anew")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix=".bench-search-", dir=options.folder))
    try:
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        measure(options.log or make_log(folder, options.records), folder)
        beside_appends(folder, options.seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
