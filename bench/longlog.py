"""Opening a long log: what a start costs when many records lie behind it.

A log of `--records` accesses is made as the ledger would have left it: entry and body bundles, tiles, signed
checkpoint, a journal that was pruned, and the snapshot of what stands open. It is written by a generator that fills a
template (the ledger itself would take minutes), from a real genesis, with real hashes and signatures, and one body for
all. Then it is opened by the ledger itself, each time in a new process, its files dropped from memory before:

 * after an orderly stop: the snapshot is of the published size;
 * after a kill at the worst moment: the snapshot is almost `SNAPSHOT_RECORDS` behind, and all of that is folded;
 * without a snapshot, where `--fold` is given: every published bundle is folded.

Opening includes what a start writes: `log.gap`, `log.open`, `clock`, durable. The live state is loaded too.

    python bench/longlog.py [--records 10000000] [--folder DIR] [--fold] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger import ACTOR, ORIGIN, SYSTEM, begin, make_log

from affidavit.clock import SystemClock, boot_id, kernel_clock_status
from affidavit.durable import OsDisk
from affidavit.history.live import Live
from affidavit.history.shared import SharedRecords
from affidavit.ledger.bundles import edge_of
from affidavit.ledger.journal import segments_of
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.publisher import Publisher
from affidavit.ledger.recovery import Opening, recover
from affidavit.ledger.signer import FileSigner
from affidavit.ledger.snapshot import snapshot_key, write_snapshot
from affidavit.ledger.standing import Passed
from affidavit.limits import SNAPSHOT_RECORDS, TILE_WIDTH
from affidavit.record.body import BodySealer, encode_body
from affidavit.record.frame import Stored, encode_bundle, encode_frame, segment_header, segment_name
from affidavit.record.header import Header, Log, Source, Time, encode_header
from affidavit.record.moment import format_moment
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.hashing import leaf_hash
from affidavit.tlog.tiles import encode_entries

FRAME_RECORDS = 1_000
STREAM = "ab" * 16
AT_NS = 1_795_357_023_000_000_000


def grow(root: Path, records: int, behind: int) -> None:
    """Make a log in `root` and let it grow to `records`; its snapshot is `behind` records old."""
    disk, layout, secrets = OsDisk(), Layout(root), make_log(root)
    boot = boot_id()
    ledger = Ledger.open(root, disk, SystemClock(), secrets, ORIGIN, boot, os.urandom, kernel_clock_status)
    session, context = begin(ledger, SystemClock(), boot)
    state = ledger.state_index
    ledger.publish_now()
    ledger._process_lock.release()  # as if it were killed: the session stays open
    signer = FileSigner(secrets.signers)
    key = snapshot_key(secrets.digest_key)
    found = recover(Opening(disk, layout, signer, secrets.body_keys_by_id, key))
    publisher, standing, old = found.publisher, found.standing, found.standing.size
    body = encode_body({"result": {"outcome": "ok", "rows": 1, "bytes": 100}}, os.urandom(16))
    digest = sha256(body)
    slot = BodySealer(secrets.body_keys[-1]).seal(body, digest.digest())
    make = template(session, context, state, digest.hexdigest())
    raws = (make(index, index - old) for index in range(old, records))
    tree = publisher.tree_at(old)
    kept: list[Stored] = found.recent[: old - found.base]
    pending, tail = list(kept), []
    at = found.base
    last = edge_of(Checkpoint(ORIGIN, records, bytes(32)))
    snapshot_size = records - behind
    while at < records:
        want = min(TILE_WIDTH, records - at)
        added = [next(raws) for _ in range(want - len(pending))]
        tree.append_leaf_hashes(map(leaf_hash, added))
        pending += [(raw, slot) for raw in added]
        put(layout.entries(at // TILE_WIDTH, want), encode_entries([raw for raw, _ in pending]))
        put(layout.slots(at // TILE_WIDTH, want), encode_bundle([slot for _, slot in pending]))
        if at >= min(last, snapshot_size) - FRAME_RECORDS - TILE_WIDTH:
            tail.append((at, pending))
        at += want
        if at % (TILE_WIDTH * TILE_WIDTH) == 0 or at == records:
            for tile in tree.tiles(old):
                put(layout.log / tile.path, tile.data)
            old = at
        pending = []
    checkpoint = Checkpoint(ORIGIN, records, tree.root())
    put(layout.checkpoint, sign_checkpoint(checkpoint, *secrets.signers))
    for first in segments_of(disk, layout.journal):
        (layout.journal / segment_name(first)).unlink()
    write_journal(layout, tail)
    run = snapshot_size - standing.size
    standing.advance(Passed(run, STREAM, run, format_moment(AT_NS + run), "access"))
    root_then = publisher_root(disk, layout, signer, snapshot_size)
    write_snapshot(disk, layout, key, Checkpoint(ORIGIN, snapshot_size, root_then), standing)
    os.sync()


def template(session: int, context: int, state: int, digest: str) -> Any:
    """A function that gives the header of a record by its index and its stream's number."""
    numbered = Header(
        v=1,
        id="01a00000-0000-7000-8000-000000000000",
        kind="access",
        source=Source(STREAM, 777_777_777),
        time=Time(format_moment(AT_NS), None),
        log=Log("AT", state),
        basis="observed",
        guarantee="before_answer",
        decided=state,
        actor=ACTOR,
        session=session,
        system=SYSTEM,
        action="read",
        decision="allow",
        outcome="ok",
        context=context,
        tags=("00c0ffee",),
        body=digest,
    )
    raw = encode_header(numbered).decode().replace("%", "%%")
    raw = raw.replace("01a00000-0000-7000-8000-000000000000", "01a00000-0000-7000-8000-%012x")
    raw = raw.replace('"AT"', '"%s"').replace("777777777", "%d")
    order = sorted(
        ("id", "at", "seq"), key={"id": raw.index("%012x"), "at": raw.index("%s"), "seq": raw.index("%d")}.get
    )

    def make(index: int, seq: int) -> bytes:
        values = {"id": index, "at": format_moment(AT_NS + seq + 1), "seq": seq}
        return (raw % tuple(values[name] for name in order)).encode()

    return make


def write_journal(layout: Layout, tail: list[tuple[int, list[Stored]]]) -> None:
    """One segment with the newest records, as pruning would have left it."""
    first = tail[0][0]
    records = [record for _, held in tail for record in held]
    frames = [
        encode_frame(first + at, records[at : at + FRAME_RECORDS]) for at in range(0, len(records), FRAME_RECORDS)
    ]
    put(layout.journal / segment_name(first), segment_header(first, ORIGIN) + b"".join(frames))


def publisher_root(disk: OsDisk, layout: Layout, signer: FileSigner, size: int) -> bytes:
    return Publisher.resume(disk, layout, signer).tree_at(size).root()


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def open_once(root: Path) -> dict[str, Any]:
    """Open the log as a server would, and say what that took. Leaves it as a kill would."""
    disk, layout = OsDisk(), Layout(root)
    started, cpu = time.perf_counter(), time.process_time()
    secrets = Secrets.load(disk, layout.secrets)
    ledger = Ledger.open(root, disk, SystemClock(), secrets, ORIGIN, boot_id(), os.urandom, kernel_clock_status)
    opened, opened_cpu = time.perf_counter(), time.process_time()
    Live.load(SharedRecords(ledger.reader()))
    loaded = time.perf_counter()
    resident = resident_bytes()
    return {
        "records": ledger.size,
        "open_s": opened - started,
        "open_cpu_s": opened_cpu - cpu,
        "live_s": loaded - opened,
        "rss_mib": resident >> 20,
    }


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def forget_cache(root: Path) -> None:
    """Let the kernel drop the log's files from memory: the next start reads the disk."""
    for path in files(root):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def files(root: Path) -> Iterator[Path]:
    for name in ("journal", "log/tile/0", "log/tile/1", "log/tile/2", "log/checkpoint", "standing"):
        yield from (
            [root / name] if (root / name).is_file() else [one for one in (root / name).rglob("*") if one.is_file()]
        )


def measure(root: Path, case: str) -> dict[str, Any]:
    forget_cache(root)
    done = subprocess.run(
        [sys.executable, __file__, "--open", str(root)], stdout=subprocess.PIPE, text=True, check=True
    )
    return {"case": case, **json.loads(done.stdout)}


def main() -> None:
    """Make, open, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where to write: a folder on a real disk")
    parser.add_argument("--fold", action="store_true", help="also open without a snapshot")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open is not None:
        print(json.dumps(open_once(options.open)))
        sys.stdout.flush()
        os._exit(0)  # as a kill: nothing is closed
    folder = Path(tempfile.mkdtemp(prefix=".bench-longlog-", dir=options.folder))
    rows = []
    try:
        for case, behind in (("after an orderly stop", 0), ("after a kill, the snapshot old", SNAPSHOT_RECORDS - 1)):
            root = folder / "log"
            grow(root, options.records, behind)
            rows.append(measure(root, case))
            rows.append(measure(root, "again"))
            if options.fold and not behind:
                (root / "standing").unlink()
                rows.append(measure(root, "without a snapshot"))
            shutil.rmtree(root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            f"{row['case']:<32} {row['records']:>10,} records: opened in {row['open_s']:.2f} s "
            f"({row['open_cpu_s']:.2f} s of processor), live state {row['live_s']:.3f} s, {row['rss_mib']} MiB"
        )


if __name__ == "__main__":
    main()
