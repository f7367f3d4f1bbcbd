"""As-of answers over a log of many changes, and how quickly what gives them is built again.

The log is generated: `--changes` changes, one a record, to the grants, settings, memberships and attributes of
`--people` people, sealed and published as the ledger writes them, read by the real reader. *Built* is the live state
loaded from nothing, each root checked, and the store built on the way; *fold alone* is the same without the store. Then
the store is opened again in a new process, and whole contexts are asked for at random indexes: each of a person and a
moment that were not asked for before, of all files forgotten by nobody (the kernel has them, the process does not).

With `--alone` there is no log: the store is given the changes themselves, which makes a million of them affordable, and
only *asked* is measured, and what the store itself costs for each change.

    python bench/history.py [--alone] [--changes 100000,1000000] [--people 10000] [--folder DIR] [--json]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from affidavit.durable import OsDisk
from affidavit.history.asof import Records
from affidavit.history.live import Live
from affidavit.history.shared import SharedRecords
from affidavit.history.store import History
from affidavit.ledger.layout import Layout
from affidavit.ledger.reader import Reader
from affidavit.limits import TILE_WIDTH
from affidavit.record.body import BodyKey, BodySealer, encode_body
from affidavit.record.frame import Stored, encode_bundle
from affidavit.record.header import Header, Log, Source, Time, encode_header
from affidavit.record.moment import format_moment
from affidavit.record.read import Record
from affidavit.state.change import Delete, Op, Put, encode_ops
from affidavit.state.context import build_context
from affidavit.state.deciding import Decider, Request
from affidavit.state.fold import State, Version
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.tiles import encode_entries

ORIGIN = "bench.example/history"
BODY_KEY = BodyKey(bytes(range(32)))
AT_NS = 1_795_356_000_000_000_000
GROUPS, POLICIES = 50, 20
QUESTIONS = 400


class Whole:
    """`Recent` of a log that is published to its end."""

    erasures = 0

    def __init__(self, size: int) -> None:
        self._size = size

    def recent(self) -> tuple[int, int, Callable[[int], Stored | None]]:
        return self._size, self._size, lambda _: None


class Unread:
    """`Records` of changes that nobody reads again."""

    def __init__(self, size: int) -> None:
        self.size = size

    def header(self, index: int) -> Header:
        return header_of(index, index, "00" * 32, None)

    def record(self, index: int) -> Record:
        return Record(index, b"", self.header(index), None)


class Versions(dict[str, Any]):
    """What generating asks of a state, without its tree: the version of each object."""

    def apply(self, ops: tuple[Op, ...], index: int) -> None:
        for op in ops:
            self.pop(op.name, None)
            if isinstance(op, Put):
                self[op.name] = Version(op.name, op.value, index, "", op.salt)


def header_of(index: int, before: int, root: str, body: str | None) -> Header:
    """The header of a change; `before` is the state index that it was made on."""
    at = format_moment(AT_NS + index * 1_000_000)
    return Header(
        v=1,
        id=f"01a00000-0000-7000-8000-{index:012x}",
        kind="change",
        source=Source("0a" * 16, index),
        time=Time(at, None),
        log=Log(at, before),
        basis="observed",
        root=root,
        body=body,
    )


def salt_of(number: int) -> str:
    return base64.urlsafe_b64encode(sha256(b"%d" % number).digest()[:16]).rstrip(b"=").decode()


def person(number: int) -> str:
    return f"u-{number:016x}"


def changes(state: State | Versions, count: int, people: int) -> Iterator[tuple[Op, ...]]:
    """The first day, person by person, then changes to people by chance. `state` is as of the one before."""
    random, salts = Random(1), iter(range(1 << 60))

    def put(name: str, value: dict[str, Any]) -> Put:
        held = state.get(name)
        return Put(name, None if held is None else held.version, value, salt_of(next(salts)))

    yield (
        *(put(f"group/g{number}", {"description": ""}) for number in range(GROUPS)),
        put("system/clinic", {"kind": "postgresql", "description": "", "key_columns": []}),
        *(put(f"policy/p{number}", {"text": policy(number)}) for number in range(POLICIES)),
    )
    for number in range(people):
        who, group = person(number), number % GROUPS
        identity = put(f"identity/{who}", {"kind": "human", "status": "active", "attributes": []})
        yield (
            identity,
            put(f"profile/{who}", {"handle": f"h{number}", "name": "", "mail": ""}),
            put(f"membership/{who}/g{group}", {}),
        )
    for at in range(1 + people, count):
        yield (change_of(state, random, put, random.randrange(people), at),)


def policy(number: int) -> str:
    table = f'Table::"clinic/public.t{number}"'
    return f'permit (principal in Group::"g{number}", action == Action::"read", resource == {table});'


def change_of(state: State | Versions, random: Random, put: Callable[..., Put], number: int, at: int) -> Op:
    who = person(number)
    match random.randrange(4):
        case 0:
            values = [{"name": "capture.result", "value": random.choice(("count", "digest"))}]
            return put(f"settings/user/{who}", {"values": values})
        case 1:
            attributes = [{"name": "ward", "value": str(at)}]
            return put(f"identity/{who}", {"kind": "human", "status": "active", "attributes": attributes})
        case _:
            name = f"grant/{who}/g{random.randrange(6)}"
            held = state.get(name)
            if held is not None:
                return Delete(name, held.version)
            resource = {"type": "Table", "id": f"clinic/public.t{random.randrange(100)}"}
            value = {"actions": ["read"], "resource": resource, "start": None, "end": None}
            return put(name, {**value, "reason": "bench", "ticket": f"T-{at}"})


def make_log(root: Path, count: int, people: int) -> int:
    """Write the published files of a log whose records are all changes; their count, which fills its last bundle."""
    layout, sealer, tree, state = Layout(root), BodySealer(BODY_KEY), Tree(), State()
    count = -(-count // TILE_WIDTH) * TILE_WIDTH
    pending: list[Stored] = []
    for index, ops in enumerate(changes(state, count, people)):
        body = encode_body({"objects": encode_ops(ops), "reason": "bench", "approvals": []}, os.urandom(16))
        digest = sha256(body)
        before = state.index
        state.apply(ops, index)
        header = header_of(index, before, state.root, digest.hexdigest())
        pending.append((encode_header(header), sealer.seal(body, digest.digest())))
        if len(pending) == TILE_WIDTH:
            number = index // TILE_WIDTH
            tree.append_leaf_hashes([leaf_hash(raw) for raw, _ in pending])
            put_file(layout.entries(number, TILE_WIDTH), encode_entries([raw for raw, _ in pending]))
            put_file(layout.slots(number, TILE_WIDTH), encode_bundle([slot for _, slot in pending]))
            for tile in tree.tiles(index + 1 - TILE_WIDTH):
                put_file(layout.log / tile.path, tile.data)
            pending = []
    return count


def put_file(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def records_of(root: Path, count: int) -> SharedRecords:
    return SharedRecords(Reader(OsDisk(), Layout(root), {BODY_KEY.id: BODY_KEY}, Whole(count)))


def built(root: Path, count: int) -> dict[str, float]:
    """Load the live state and build the store from nothing."""
    history = History(records_of(root, count), ORIGIN, root / "history", BODY_KEY.key)
    start, cpu = time.perf_counter(), time.process_time()
    live = history.load()
    took = {
        "wall_s": time.perf_counter() - start,
        "cpu_s": time.process_time() - cpu,
        "objects": len(live.snapshot().names()),
    }
    history.close()
    return took


def alone(root: Path, count: int, people: int) -> dict[str, float]:
    """Give the changes to the store itself."""
    history = History(Unread(count), ORIGIN, root / "history", BODY_KEY.key)
    versions, spent = Versions(), 0.0
    for index, ops in enumerate(changes(versions, count, people)):
        record = Record(index, b"", header_of(index, index, "00" * 32, None), None)
        start = time.process_time()
        history.take(record, ops)
        spent += time.process_time() - start
        versions.apply(ops, index)
    start = time.process_time()
    history.commit()
    spent += time.process_time() - start
    history.close()
    return {"cpu_us": spent / count * 1e6, "objects": len(versions)}


def folded(root: Path, count: int) -> dict[str, float]:
    """Load the live state alone."""
    start, cpu = time.perf_counter(), time.process_time()
    Live.load(records_of(root, count))
    return {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}


def asked(root: Path, count: int, people: int, records: Records) -> dict[str, float]:
    """Contexts at random indexes from a store that was opened just now, and a decision under each."""
    history = History(records, ORIGIN, root / "history", BODY_KEY.key)
    history._checked = lambda: count  # loading the live state first is not what is measured
    random, took, spent = Random(2), [], []
    for _ in range(QUESTIONS):
        index, who = random.randint(people + 1, count), person(random.randrange(people))
        start, cpu = time.perf_counter(), time.thread_time()
        then = history.at(index)
        context = build_context(then, who, "clinic")
        Decider(context, then).decide((Request("read", "Table", "clinic/public.t1"),), {}, AT_NS)
        took.append((time.perf_counter() - start) * 1000)
        spent.append((time.thread_time() - cpu) * 1000)
    history.close()
    took.sort()
    spent.sort()
    size = (root / "history" / "objects.sqlite").stat().st_size
    return {
        "p50_ms": statistics.median(took),
        "p99_ms": took[len(took) * 99 // 100],
        "most_ms": took[-1],
        "cpu_p50_ms": statistics.median(spent),
        "cpu_p99_ms": spent[len(spent) * 99 // 100],
        "store_mib": size / 2**20,
    }


def measure(root: Path, count: int, people: int, steps: tuple[str, ...]) -> dict[str, Any]:
    """Each step in a process of its own."""
    row: dict[str, Any] = {"changes": count}
    for step in steps:
        command = [sys.executable, __file__, "--step", step, "--log", str(root), "--changes", str(count)]
        command += ["--people", str(people)]
        row[step] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return row


def run_step(step: str, root: Path, count: int, people: int) -> dict[str, float]:
    """One step, in this process."""
    if step == "folded":
        return folded(root, count)
    if step == "built":
        return built(root, count)
    if step == "alone":
        return alone(root, count, people)
    return asked(root, count, people, Unread(count) if step == "asked-alone" else records_of(root, count))


def main() -> None:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", default="100000", help="lengths of the logs that are made")
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where to write: 2 GB for a million changes")
    parser.add_argument("--alone", action="store_true", help="no log, only the store")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step is not None:
        print(json.dumps(run_step(options.step, options.log, int(options.changes), options.people)))
        return
    rows = []
    for wanted in map(int, options.changes.split(",")):
        folder = Path(tempfile.mkdtemp(prefix=".bench-history-", dir=options.folder))
        try:
            count = wanted if options.alone else make_log(folder, wanted, options.people)
            steps = ("alone", "asked-alone") if options.alone else ("folded", "built", "asked")
            rows.append(measure(folder, count, options.people, steps))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        show(row)


def show(row: dict[str, Any]) -> None:
    """What was measured, in lines."""
    head = f"{row['changes']:>10,} changes"
    for step in ("folded", "built"):
        if step in row:
            rate, cpu = row["changes"] / row[step]["wall_s"], row[step]["cpu_s"] / row["changes"] * 1e6
            print(f"{head} {step:<7} {rate:>8,.0f}/s, {cpu:.0f} µs of processor each")
    if "alone" in row:
        print(f"{head} store   {row['alone']['cpu_us']:.0f} µs of processor each; {row['alone']['objects']:,} objects")
    answer = row.get("asked") or row["asked-alone"]
    print(
        f"{head} asked   p50 {answer['p50_ms']:.1f} ms, p99 {answer['p99_ms']:.1f} ms, "
        f"at most {answer['most_ms']:.1f} ms; "
        f"of processor {answer['cpu_p50_ms']:.1f} and {answer['cpu_p99_ms']:.1f} ms; "
        f"the store has {answer['store_mib']:.0f} MiB"
    )


if __name__ == "__main__":
    main()
