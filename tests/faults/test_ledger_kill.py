"""A real process appends and is killed at random moments; each record that it acknowledged is there afterwards.

The process writes `+ NAME` before it hands over a record and `= INDEX NAME` once that was acknowledged, so that the test
knows what was in flight when it was killed. `AFFIDAVIT_KILLS` sets how often, `AFFIDAVIT_SEED` replays the moments.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

from ledgercase import ACTOR, ADMINISTRATOR, ORIGIN

from affidavit.archive.open import open_archive
from affidavit.clock import SystemClock, boot_id, kernel_clock_status
from affidavit.durable import OsDisk
from affidavit.ledger.genesis import create_log
from affidavit.ledger.keys import Secrets
from affidavit.ledger.ledger import Ledger
from affidavit.record.body import encode_body
from affidavit.record.draft import Answer, Batch, Draft
from affidavit.record.ids import uuid7
from affidavit.verify.verify import verify

KILLS = int(os.environ.get("AFFIDAVIT_KILLS", "10"))
SEED = int(os.environ.get("AFFIDAVIT_SEED", "2026"))
STREAMS = 4
_READY = b"ready\n"


def _open(root: Path) -> Ledger:
    disk = OsDisk()
    secrets = Secrets.load(disk, root / "secrets")
    return Ledger.open(root, disk, SystemClock(), secrets, ORIGIN, boot_id(), os.urandom, kernel_clock_status)


def _say(line: str) -> None:
    os.write(1, line.encode())  # one write below PIPE_BUF: lines of several threads do not mix


def append_for_ever(root: Path) -> None:
    """What the killed process does."""
    ledger = _open(root)
    _say("ready\n")
    for _ in range(STREAMS):
        _produce(ledger, os.urandom(16).hex(), 0)
    threading.Event().wait()


def _produce(ledger: Ledger, stream: str, first: int) -> None:
    """Hand over a record, and at its answer the next, from the ledger's own thread."""
    at = SystemClock().now_ns()
    body = encode_body({"text": "x" * random.randrange(2_000)}, os.urandom(16))
    name = uuid7(at, os.urandom(10))
    draft = Draft(kind="log.read", id=name, at=at, actor=ACTOR, body=body)

    def done(answer: Answer) -> None:
        if answer.refusal is not None:
            _say(f"! {answer.refusal.message}\n")
            return
        _say(f"= {answer.receipts[0].index} {name}\n")
        _produce(ledger, stream, first + 1)

    _say(f"+ {name}\n")
    ledger.submit(Batch(stream, boot_id(), first, (draft,)), done)


def _run_and_kill(root: Path, chance: random.Random) -> bytes:
    """What the process said before it was killed, a random while after it began."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(root)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert _READY == process.stdout.readline()
    killer = threading.Timer(chance.uniform(0.02, 0.9), process.send_signal, [signal.SIGKILL])
    killer.start()
    said = process.stdout.read()
    assert -signal.SIGKILL == process.wait()
    killer.join()
    return said


def test_each_acknowledged_record_survives_a_kill(tmp_path: Path) -> None:
    root, chance = tmp_path / "data", random.Random(SEED)
    disk = OsDisk()
    secrets = create_log(
        root,
        disk,
        SystemClock(),
        ORIGIN,
        boot_id(),
        os.urandom,
        kernel_clock_status,
        ADMINISTRATOR,
        {"reason": "genesis", "objects": [], "via": {"method": "genesis", "credential": "", "file_access": True}},
        "grant",
        "ab" * 32,
    )
    acknowledged: dict[int, str] = {}
    in_flight: list[int] = []
    for _ in range(KILLS):
        lines = [line.split() for line in _run_and_kill(root, chance).decode().splitlines(keepends=False)]
        assert [] == [line for line in lines if line[0] == "!"]
        answered = {line[2]: int(line[1]) for line in lines if line[0] == "=" and len(line) == 3}
        acknowledged.update({index: name for name, index in answered.items()})
        in_flight.append(sum(1 for line in lines if line[0] == "+" and line[-1] not in answered))
    ledger = _open(root)
    reader = ledger.reader()
    lost = [
        index for index, name in acknowledged.items() if index >= reader.size or reader.record(index).header.id != name
    ]
    gaps = sum(1 for record in reader.records(0, reader.size) if record.header.kind == "log.gap")
    ledger.close("the end")
    print(
        f"seed {SEED}: {KILLS} kills, {len(acknowledged)} acknowledged, in flight at each kill {in_flight}, {gaps} gaps"
    )
    assert [] == lost
    assert KILLS == gaps
    assert any(in_flight), "no record was ever in flight: this run showed nothing"
    verdict = verify(open_archive(str(root)), [secrets.verifier], secrets.body_keys_by_id, only="structure")
    assert verdict.holds, [finding for check in verdict.checks for finding in check.findings]


if __name__ == "__main__":
    append_for_ever(Path(sys.argv[1]))
