"""Random logs for tests of the search index, random questions, and what a scan of the log answers to them."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from affidavit.durable import OsDisk
from affidavit.record.body import Erased, Unreadable
from affidavit.record.header import Header, Log, Source, Time, encode_header
from affidavit.record.moment import NS, format_moment
from affidavit.record.read import Record
from affidavit.search import language as q
from affidavit.search.index import Index
from affidavit.search.language import Node, Query
from affidavit.search.matching import match

KEY = bytes(range(32))
START_NS = 1_795_357_023 * NS
PEOPLE = ("u-ana", "u-ben", "u-cleo")
TABLES = ("patients", "visits", "billing")
STATEMENTS = (
    "SELECT name FROM patients WHERE ssn = $1",
    "UPDATE visits SET note = 'ẞtraße' WHERE id = 7",
    "DROP TABLE billing",
    "x",
)
WORDS = ("select", "table", "patients", "aße", "ssn = $", "no such words", "x", "ls", "tabl", "DROP TABLE billing")
#: In memory, where there is such a folder: tantivy syncs each file, and what is durable is not asked in these tests.
SCRATCH = next((path for path in ("/dev/shm",) if Path(path).is_dir()), None)
#: Records of a volume in these tests: a log of some dozens has several.
VOLUME = 16
#: Of the newest, fewer than this are held in memory.
RECENT = 5


class Paper:
    """`Records` of a log in memory that grows, and `bound_of` for it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.records: list[Record] = []
        self.read = 0

    @property
    def size(self) -> int:
        return len(self.records)

    def record(self, index: int) -> Record:
        self.read += 1
        return self.records[index]

    def header(self, index: int) -> Header:
        return self.records[index].header

    def bound_of(self, header: Header) -> int | None:
        return None if header.time.clock is None else header.time.clock * NS // 2

    def grow(self, count: int) -> None:
        for _ in range(count):
            self.records.append(self._one(len(self.records)))

    def erase(self, index: int) -> None:
        one = self.records[index]
        self.records[index] = Record(one.index, one.raw, one.header, Erased(self.size))

    def _one(self, index: int) -> Record:
        random = self.random
        at = format_moment(START_NS + index * NS * 2 + random.randint(-3 * NS, 3 * NS))
        kind = random.choice(("access", "access", "intent", "change"))
        header = Header(
            v=1,
            id=f"01930000-0000-7000-8000-{random.getrandbits(48):012x}",
            kind=kind,
            source=Source("0" * 32, index),
            time=Time(at, random.choice((None, 0, 1, 4))),
            log=Log(at, index // 5),
            basis="observed",
            decided=random.choice((None, random.randint(0, 9))),
            actor=random.choice((None, *PEOPLE)),
            session=random.choice((None, 3, 4)),
            system=random.choice((None, "clinic", "orders")),
            decision=random.choice((None, "allow", "deny")),
        )
        body = random.choice((None, Unreadable(b"")) if random.random() < 0.2 else (self._body(),))
        return Record(index, encode_header(header), header, body)

    def _body(self) -> dict[str, Any]:
        random = self.random
        content: dict[str, Any] = {}
        if random.random() < 0.8:
            tables = [{"schema": "public", "name": name} for name in random.sample(TABLES, random.randint(0, 2))]
            content["action"] = {"statement": random.choice(STATEMENTS), "tables": tables}
        if random.random() < 0.7:
            content["result"] = {"rows": random.choice((0, 1, 7, 1000)), "duration_ns": random.randint(0, 10**9)}
        if random.random() < 0.3:
            content["reason"] = random.choice(("ward round", "audit of tables"))
        if random.random() < 0.3:
            names = [f"grant/{random.choice(PEOPLE)}/g", "policy/analysts-read"]
            content["objects"] = [{"name": random.choice(names)}]
        return content


def question(random: Random, depth: int = 2) -> Node:
    """A random question, of which some match nothing and some nearly all."""
    if depth and random.random() < 0.5:
        parts = tuple(question(random, depth - 1) for _ in range(random.randint(2, 3)))
        return random.choice((q.All(parts), q.Any(parts), q.Not(parts[0])))
    at_ns = START_NS + random.randint(-10, 120) * NS + random.randint(0, NS)
    low = random.choice((None, 0, 1, 5, 999, 10**8))
    return random.choice(
        (
            q.All(()),
            q.Words("actor", tuple(random.sample(PEOPLE, random.randint(1, 2)))),
            q.Words("kind", (random.choice(("access", "change")),)),
            q.Words("decision", ("deny",)),
            q.Words("session", (random.choice((3, 4, 5)),)),
            q.Words("state", (random.randint(0, 9),)),
            q.Words("table", (random.choice((*TABLES, "public.visits")),)),
            q.Words("has", (random.choice(("tables", "reason", "body")),)),
            q.Prefix("table", random.choice(("", "p", "public.vis", "no"))),
            q.Prefix("object", random.choice(("grant/u-a", "grant/u-ana/g", "p"))),
            q.Prefix("id", f"01930000-0000-7000-8000-{random.getrandbits(4):x}"),
            q.Range("rows", low, random.choice((None, 5, 2000))),
            q.Range("duration", low, None),
            q.Range("index", low, 40),
            q.Within(random.choice((None, at_ns)), at_ns + random.randint(0, 60) * NS),
            q.Phrase(random.choice(WORDS).casefold()),
            q.Term(random.choice(WORDS).casefold()),
            q.Phrase("ward", "reason"),
        )
    )


def index_of(paper: Paper, folder: Path) -> Index:
    """The index of `paper` in `folder`, as a process opens it."""
    return Index(folder, KEY, "log.example", paper, OsDisk(), VOLUME, RECENT)


def follow(index: Index, paper: Paper) -> None:
    """What the follower does when it looks."""
    while index.add_newest(paper.bound_of, lambda: False):
        pass


def scanned(paper: Paper, node: Node) -> list[int]:
    """What a scan of the whole log finds, newest first."""
    query = Query("", node)
    return [one.index for one in reversed(paper.records) if match(query, one, paper.bound_of)]


def files_of(folder: Path) -> dict[Path, bytes]:
    """Every file below `folder`."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
