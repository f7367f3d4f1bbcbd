"""What the places that keep checkpoints cost: the ledger alone, and the same with five of them, in turns.

The five: a folder on the same disk; a witness, `affidavit witness serve` as a process; another that answers after two
seconds; one that takes the request and never answers; one that refuses. The last three are played by a process of their
own. Without and with them by turns, `--rounds` times; the table has every round.

    python bench/places.py [--seconds 4] [--rounds 3] [--folder DIR] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ledger import SWITCH_INTERVAL_S, Result, nothing, run_ledger

from affidavit.clock import SystemClock
from affidavit.compose.witness import add_log, create_witness
from affidavit.durable import OsDisk
from affidavit.ledger.folder_place import FolderPlace
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.place import Place
from affidavit.ledger.places import Places
from affidavit.ledger.witness_http import WitnessHttp
from affidavit.ledger.witness_place import WitnessPlace
from affidavit.tlog.keys import VerifierKey

SHAPES = ((1, 1), (64, 1), (1, 1_000))
SLOW_S = 2.0
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def play(upstream: int) -> None:
    """Be the three difficult witnesses; prints their ports. The slow one passes everything on to `upstream`."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(SLOW_S)
        theirs, ours = await asyncio.open_connection("127.0.0.1", upstream)
        await asyncio.gather(_pass(reader, ours), _pass(theirs, writer), return_exceptions=True)

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REFUSAL)
        writer.close()

    servers = [await asyncio.start_server(one, "127.0.0.1", 0) for one in (slow, mute, refuse)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@contextlib.contextmanager
def process(*words: str) -> Iterator[str]:
    """A process, and the first line that it prints."""
    started = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert started.stdout is not None
    try:
        yield started.stdout.readline()
    finally:
        started.terminate()
        started.wait()
        started.stdout.close()


@contextlib.contextmanager
def five(folder: Path, ledger: Ledger) -> Iterator[None]:
    """The five places, pushed to while this is entered; what each did is printed to stderr."""
    layout, keys, disk = Layout(folder / "log"), ledger.verifiers, OsDisk()
    root = Path(tempfile.mkdtemp(prefix="places-", dir=folder))
    (root / "folder").mkdir()
    names = ("quick", "slow", "mute", "refusing")
    own = {}
    for name in names[:2]:
        own[name] = create_witness(root / name, f"w.example/{name}", ["ed25519"])[0]
        add_log(root / name, keys[0].to_text())
    serve = ("-c", "from affidavit.cli.main import main; main()", "witness", "serve")
    with (
        process(*serve, str(root / "quick"), "--listen", "127.0.0.1:0") as quick,
        process(*serve, str(root / "slow"), "--listen", "127.0.0.1:0") as behind,
        process(__file__, "--play", _port(behind)) as played,
    ):
        ports = [_port(quick), *played.split()]
        spare = VerifierKey("w.example/none", 4, bytes(32))
        places: list[Place] = [FolderPlace(disk, root / "folder", layout.log, keys)]
        for name, port in zip(names, ports, strict=True):
            http = WitnessHttp(f"http://127.0.0.1:{port}")
            places.append(WitnessPlace(name, own.get(name, spare), http, disk, layout.log, keys))
        held = Places(places, disk, layout, SystemClock())
        held.start(ledger)
        while held.report().places[1].size is None:  # its first round loads what it needs
            time.sleep(0.05)
        try:
            yield
        finally:
            for place in held.report().places:
                print(f"  {place.name}: size {place.size}, {place.problem or 'well'}", file=sys.stderr)
            held.close()


def _port(line: str) -> str:
    return line.partition(";")[0].rpartition(":")[2].strip()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where to write: a folder on a real disk")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--play", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play is not None:
        asyncio.run(play(options.play))
        return
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    folder = Path(tempfile.mkdtemp(prefix=".bench-places-", dir=options.folder))
    rows: list[tuple[str, Result]] = []
    try:
        for producers, batch in SHAPES:
            for _ in range(options.rounds):
                for name, beside in (("alone", nothing), ("five places", partial(five, folder))):
                    rows.append((name, run_ledger(folder, options.seconds, producers, batch, beside)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps([{"places": name, **vars(result)} for name, result in rows]))
        return
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; each {options.seconds:g} s")
    print(f"{'producers':>9} {'batch':>6} {'':<12} {'records/s':>10} {'p50 ms':>8}", end="")
    print(f" {'p99 ms':>8} {'published':>9} {'ms':>7}")
    for name, row in rows:
        print(f"{row.producers:>9} {row.batch:>6} {name:<12} {row.records_per_s:>10,.0f} {row.p50_ms:>8.2f}", end="")
        print(f" {row.p99_ms:>8.2f} {row.publications:>9} {row.publication_p50_ms:>7.0f}")


if __name__ == "__main__":
    main()
