"""What verifying time costs (duty 21): a log with tokens, verified with and without its authority's certificates.

    PYTHONPATH=tests python bench/anchors.py --records 10000 --anchors 100

The log and the tokens are made by the tests' own authority, with 2,048-bit RSA keys and one certificate below the root.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ledgercase import BOOT, Batch
from stampedlog import SECOND, START, Stage
from tsa import YEAR, Made

from affidavit.evidence.timing import Timing
from affidavit.evidence.when import when_view
from affidavit.history.shared import SharedRecords
from affidavit.timeproof.token import Authority

ROUNDS = 3


def make(folder: Path, made: Made, records: int, anchors: int) -> Stage:
    stage = Stage(folder, made)
    for _ in range(anchors):
        state = stage.ledger.state_index
        drafts = tuple(stage.case.context(state) for _ in range(records // anchors))
        stage.next += len(stage.ledger.append(Batch(stage.stream, BOOT, stage.next, drafts)).receipts)
        stage.case.clock.advance(300 * SECOND)
        stage.look()
        stage.anchor()
    return stage


def best_s(action: Callable[[], object]) -> float:
    """Processor time of the quickest of some rounds."""
    times = []
    for _ in range(ROUNDS):
        begun_s = time.process_time()
        action()
        times.append(time.process_time() - begun_s)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--anchors", type=int, default=100)
    asked = parser.parse_args()
    made = Made(starts=START - YEAR, ends=START + YEAR)
    with tempfile.TemporaryDirectory(prefix="affidavit-bench-") as folder:
        stage = make(Path(folder), made, asked.records, asked.anchors)
        size = stage.ledger.size
        whole, without = best_s(stage.verdict), best_s(lambda: stage.verdict(trusted=None))
        authority = Authority.of_pem(made.pem, "it")
        timing = Timing(
            SharedRecords(stage.ledger.reader()), "log.example/clinic", authority, lambda: stage.ledger.anchor
        )
        records = stage.ledger.reader()
        shown = [records.record(index) for index in range(0, size, max(1, size // 500))]
        first = best_s(lambda: when_view(timing, shown[len(shown) // 2]))
        each = best_s(lambda: [when_view(timing, record) for record in shown]) / len(shown)
        stage.ledger.close("done")
    print(f"{size:,} records, {asked.anchors} tokens; processor time, the best of {ROUNDS}")
    print(f"verify with the authority's certificates   {whole:.2f} s   {whole / size * 1e6:.1f} µs a record")
    print(f"verify without                             {without:.2f} s   {without / size * 1e6:.1f} µs a record")
    print(f"so a token                                 {(whole - without) / asked.anchors * 1e3:.2f} ms")
    print(f"when a record happened (show), each        {each * 1e3:.2f} ms; again {first * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
