"""pgbench -S directly, through a bare relay, and through the gateway under each guarantee, as shares of direct.

    python bench/gateway.py [--seconds N] [--clients 1,8,32] [--json]

Everything runs in one go on this machine (PostgreSQL, pgbench, gateway and ledger share its cores), in rounds, so that
a change of the machine's speed meets all rows alike. The share is the figure to quote; the absolute numbers are this
machine's.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from affidavit.cli.demo.clinic import Clinic
from affidavit.cli.demo.postgres import ThrowawayPostgres, free_port
from affidavit.cli.demo.site import Site

GUARANTEES = ("after", "before_answer", "before_action")
PROTOCOLS = ("simple", "prepared")
AIMS = {("prepared", 32, "after"): 0.35, ("prepared", 32, "before_answer"): 0.2}
APPLY = """
system/clinic: {kind: postgresql, description: pgbench}
identity/bench: {kind: service}
policy/open:
  text: permit (principal, action, resource in System::"clinic");
"""


def run_pgbench(
    server: ThrowawayPostgres, dsn: str, protocol: str, clients: int, seconds: float
) -> tuple[float, float]:
    """(transactions per second, mean latency in ms) of one run."""
    done = subprocess.run(
        [
            server.pgbench,
            "-n",
            "-S",
            "-M",
            protocol,
            "-c",
            str(clients),
            "-j",
            "1",
            "-T",
            str(max(1, int(seconds))),
            dsn,
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 120,
    )
    tps = re.search(r"tps = ([0-9.]+) \(without", done.stdout)
    latency = re.search(r"latency average = ([0-9.]+) ms", done.stdout)
    if tps is None or latency is None:
        raise SystemExit(f"pgbench printed something else:\n{done.stdout}\n{done.stderr}")
    return float(tps[1]), float(latency[1])


def measure(seconds: float, clients: list[int], rounds: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    folder = Path(tempfile.mkdtemp(prefix="affidavit-bench-"))
    with ThrowawayPostgres() as server, Site(folder / "data") as site:
        server.execute("CREATE ROLE bench LOGIN PASSWORD 'bench-password'; CREATE DATABASE bench OWNER bench;")
        direct = server.dsn("bench", "bench", "bench-password")
        subprocess.run([server.pgbench, "-i", "-q", "-s", "10", direct], check=True, capture_output=True)
        site.create(server, Clinic("bench", "bench", "bench-password"))
        (folder / "declared.yaml").write_text(APPLY)
        site.run("apply", str(folder / "declared.yaml"), "--reason", "benchmark", "--yes")
        token = site.run("token", "create", "bench", "--json").json()["token"]
        site.start()
        through = f"postgresql://bench:{token}@127.0.0.1:{site.gateway_port}/bench"
        port = free_port()
        relay = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("relay.py"), str(port), server.host, str(server.port)]
        )
        relayed = direct.replace(f":{server.port}/", f":{port}/")
        time.sleep(1)  # until it listens
        for protocol in PROTOCOLS:
            for count in clients:
                rows += one_setting(server, site, direct, relayed, through, protocol, count, seconds, rounds)
                print_rows(rows[-len(GUARANTEES) - 2 :])
        relay.terminate()
        relay.wait()
    return rows


def one_setting(server, site, direct, relayed, through, protocol, count, seconds, rounds) -> list[dict[str, object]]:
    names = ("direct", "bare relay", *GUARANTEES)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        found["direct"].append(run_pgbench(server, direct, protocol, count, seconds))
        found["bare relay"].append(run_pgbench(server, relayed, protocol, count, seconds))
        for name in GUARANTEES:
            site.run("settings", "set", "bench", f"guarantee.read={name}", "--reason", "benchmark")
            found[name].append(run_pgbench(server, through, protocol, count, seconds))
    rows = []
    for name, runs in found.items():
        shares = [tps / base for (tps, _), (base, _) in zip(runs, found["direct"], strict=True)]
        rows.append(
            {
                "protocol": protocol,
                "clients": count,
                "through": name,
                "tps": round(statistics.median(tps for tps, _ in runs)),
                "latency_ms": round(statistics.median(latency for _, latency in runs), 3),
                "share": round(statistics.median(shares), 3),
                "aim": AIMS.get((protocol, count, name)),
            }
        )
    return rows


def print_rows(rows: list[dict[str, object]]) -> None:
    for row in rows:
        aim = f"   aim {row['aim']}" if row["aim"] else ""
        print(
            f"{row['protocol']:9} {row['clients']:3} clients  {row['through']:14} {row['tps']:>8} /s "
            f"{row['latency_ms']:>8} ms  {row['share']:>6} of direct{aim}",
            file=sys.stderr,
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.seconds, [int(c) for c in options.clients.split(",")], options.rounds)
    if options.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
