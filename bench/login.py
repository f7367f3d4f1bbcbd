"""Logins directly and through the gateway, one after the other and many at once, as ratios of the same run.

    python bench/login.py [--logins N] [--together N] [--rounds N] [--json]

A login is `psycopg.connect` until the server is ready for a query; its end is not counted. Both kinds take turns, so
that a change of the machine's speed meets them alike. The ratio of the medians is the figure to quote.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from affidavit.cli.demo.clinic import load_clinic
from affidavit.cli.demo.postgres import ThrowawayPostgres
from affidavit.cli.demo.site import Site

APPLY = """
system/clinic: {kind: postgresql}
identity/bench: {kind: service}
policy/open:
  text: permit (principal, action, resource in System::"clinic");
"""


def login_ms(dsn: str) -> float:
    """How long one login takes."""
    begin = time.perf_counter()
    connection = psycopg.connect(dsn)
    took = time.perf_counter() - begin
    connection.close()
    return took * 1000


def measure(logins: int, together: int, rounds: int) -> list[dict[str, object]]:
    """A row for one at a time, and one for `together` at once."""
    alone: dict[str, list[float]] = {"direct": [], "gateway": []}
    crowd: dict[str, list[float]] = {"direct": [], "gateway": []}
    folder = Path(tempfile.mkdtemp(prefix="affidavit-bench-"))
    with ThrowawayPostgres() as server, Site(folder / "data") as site, ThreadPoolExecutor(together) as pool:
        clinic = load_clinic(server)
        site.create(server, clinic)
        (folder / "declared.yaml").write_text(APPLY)
        site.run("apply", str(folder / "declared.yaml"), "--reason", "benchmark", "--yes")
        token = site.run("token", "create", "bench", "--json").json()["token"]
        site.start()
        ways = {
            "direct": server.dsn(clinic.user, clinic.database, clinic.password),
            "gateway": f"postgresql://bench:{token}@127.0.0.1:{site.gateway_port}/{clinic.database}",
        }
        for dsn in ways.values():
            login_ms(dsn)
        for _ in range(rounds):
            for name, dsn in ways.items():
                alone[name] += [login_ms(dsn) for _ in range(logins)]
            for name, dsn in ways.items():
                crowd[name] += pool.map(login_ms, [dsn] * together)
    return [row("one at a time", alone), row(f"{together} at once", crowd)]


def row(name: str, found: dict[str, list[float]]) -> dict[str, object]:
    """Medians, 90th percentiles, and the ratio of the medians."""
    told: dict[str, object] = {"logins": name}
    for way, times in found.items():
        told[f"{way}_ms"] = round(statistics.median(times), 1)
        told[f"{way}_p90_ms"] = round(statistics.quantiles(times, n=10)[-1], 1)
    told["ratio"] = round(statistics.median(found["gateway"]) / statistics.median(found["direct"]), 2)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logins", type=int, default=30)
    parser.add_argument("--together", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = measure(given.logins, given.together, given.rounds)
    for one in rows:
        print(json.dumps(one) if given.json else "  ".join(f"{name} {value}" for name, value in one.items()))


if __name__ == "__main__":
    main()
