"""Verifying with other processes: the same verdict, none where one of them is killed, and none that is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from logmaker import BODY_KEY, SIGNER, afternoon, stored, with_fields, write_log

from affidavit.archive.open import open_archive
from affidavit.cli.sifting import Workers, sifting
from affidavit.errors import InvalidInput, Unavailable
from affidavit.record.header import Log
from affidavit.verify.sift import Sieve, Task
from affidavit.verify.verify import verify

KEYS = {BODY_KEY.id: BODY_KEY}


@cache
def records() -> list[Any]:
    return afternoon(900).paper.records


@pytest.fixture
def workers() -> Iterator[Workers]:
    some = Workers(2, alone=1)
    yield some
    some.stop()


def a_task() -> Task:
    entries, slots = zip(*stored(records()[:256]), strict=True)
    return Task(list(entries), list(slots))


def tampered(what: str, folder: Path) -> None:
    """Write the log, with something wrong in each of its bundles but the first."""
    written = list(records())
    if what == "headers":
        for at in (300, 600, 900):
            written[at] = with_fields_of(written[at], log=Log(written[at].header.log.at, 1))
    write_log(folder, written, (3,))
    if what == "bodies":
        for path in sorted((folder / "bodies").rglob("*")):
            if path.is_file() and path.name != "000":
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                path.write_bytes(data)
    if what == "entries":
        for path in sorted((folder / "log/tile/entries").rglob("*.p/*")):
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
    if what == "absent":
        (folder / "bodies/001").unlink()
        (folder / "log/tile/entries/002").unlink()


def with_fields_of(record: Any, **fields: Any) -> Any:
    return type(record)(with_fields(record.header, **fields), record.plain)


@pytest.mark.parametrize("what", ["nothing", "headers", "bodies", "entries", "absent"])
def test_the_same_verdict_as_in_one_process(what: str, tmp_path: Path, workers: Workers) -> None:
    tampered(what, tmp_path)
    archive = open_archive(str(tmp_path))
    alone = verify(archive, [SIGNER.verifier], KEYS)
    assert alone == verify(archive, [SIGNER.verifier], KEYS, mapper=workers)
    assert (what != "nothing") == any(check.findings for check in alone.checks)


def test_answers_come_in_order_with_what_stands_beside_them(workers: Workers) -> None:
    task = a_task()
    tasks = iter([(number, None if number % 5 == 3 else task) for number in range(12)])
    expected = Sieve(KEYS).sift(task)
    answers = list(workers.sift(KEYS, tasks))
    assert [(number, None if number % 5 == 3 else expected) for number in range(12)] == answers
    assert 2 == len(workers.started)


def test_a_killed_worker_is_an_error_and_no_verdict(workers: Workers) -> None:
    answers = workers.sift(KEYS, iter([(number, a_task()) for number in range(20)]))
    next(answers)
    next(answers)
    workers.started[0].kill()
    workers.started[0].wait()
    with pytest.raises(Unavailable) as caught:
        list(answers)
    assert "verify.worker" == caught.value.code


def test_a_worker_whose_command_fails_is_an_error(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Unavailable):
        list(workers.sift(KEYS, iter([(number, a_task()) for number in range(4)])))


def test_nothing_is_started_for_a_short_log_or_without_keys(tmp_path: Path) -> None:
    write_log(tmp_path, records())
    with sifting(2) as mapper:
        verify(open_archive(str(tmp_path)), [SIGNER.verifier], KEYS, mapper=mapper)
        assert isinstance(mapper, Workers)
        assert [] == mapper.started
    some = Workers(2, alone=0)
    list(some.sift({}, iter([(0, a_task())])))
    assert [] == some.started


@pytest.mark.parametrize("processes", [0, -1, 5])
def test_a_number_of_processes_that_cannot_be(processes: int) -> None:
    with pytest.raises(InvalidInput), sifting(processes):
        pass


ENDLESS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background of a shell ignores it
sys.path[:0] = [{tests!r}]
from itertools import count
from test_verify_workers import KEYS, Workers, a_task
workers, task = Workers(2, alone=0), a_task()
try:
    for number, _ in workers.sift(KEYS, ((number, task) for number in count())):
        if number == 3:
            print(*[worker.pid for worker in workers.started], flush=True)
except KeyboardInterrupt:
    sys.exit(130)
finally:
    workers.stop()
"""


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_workers_end_with_the_command(how: signal.Signals, status: int) -> None:
    """Interrupted or killed: who was started is gone soon after."""
    here = Path(__file__).parent
    program = ENDLESS.format(tests=str(here))
    path = os.pathsep.join([str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    with command:
        assert command.stdout is not None
        try:
            started = [int(pid) for pid in command.stdout.readline().split()]
            assert 2 == len(started)
            command.send_signal(how)
            assert status == command.wait(timeout=30)
        finally:
            command.kill()
    end = time.monotonic() + 30
    while any(map(runs, started)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(runs, started))


def runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except FileNotFoundError:
        return False
