"""A busy log is built by a process of its own: what it makes, and what becomes of the log when one of the two ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ledgercase import ACTOR, BOOT, ORIGIN, Batch, Case, code, indexes

from affidavit import durable
from affidavit.archive.open import open_archive
from affidavit.durable import OsDisk
from affidavit.errors import Corruption, Unavailable
from affidavit.ledger import journal, publisher
from affidavit.ledger import ledger as ledger_module
from affidavit.ledger.apart import Apart
from affidavit.ledger.journal import segments_of
from affidavit.ledger.ledger import Ledger
from affidavit.verify.verify import verify

SECONDS = 30.0  # for a process to do what takes it a moment


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(publisher, "BUILD_APART_RECORDS", 1)
    monkeypatch.setattr(ledger_module, "PUBLISH_INTERVAL_S", SECONDS)  # published when the test says so
    case = Case(OsDisk(), tmp_path / "log")
    case.create()
    return case


def opened(case: Case) -> Ledger:
    """The log, running, its publisher's first round over."""
    ledger = case.recover()
    ledger.publish_now()
    ledger.start()
    return ledger


def append(case: Case, ledger: Ledger, count: int, stream: str = "", first: int = 0) -> list[int]:
    drafts = tuple(case.draft("log.read", actor=ACTOR) for _ in range(count))
    answer = ledger.append(Batch(stream or case.stream(), BOOT, first, drafts))
    assert "" == code(answer)
    return indexes(answer)


def builder(ledger: Ledger) -> int:
    """The process that builds."""
    built_by = ledger._publisher.builder
    assert isinstance(built_by, Apart)
    return built_by.pid


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Also where it waits to be waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def check(case: Case) -> None:
    assert case.secrets is not None
    verdict = verify(open_archive(str(case.root)), [case.secrets.verifier], {}, only="structure")
    assert verdict.holds, [finding for one in verdict.checks for finding in one.findings]


def test_what_is_built_apart_is_what_is_built_here(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = opened(case)
    for count in (1, 300, 5, 255, 700, 256):
        append(case, ledger, count)
        assert ledger.size == ledger.publish_now().size
    assert builder(ledger)
    ledger.close("")
    check(case)
    apart = {path.relative_to(case.root): path.read_bytes() for path in (case.root / "log" / "tile").rglob("*.p/*")}
    monkeypatch.setattr(publisher, "BUILD_APART_RECORDS", 10**9)
    here = case.recover()
    assert {path: (case.root / path).read_bytes() for path in apart} == apart
    assert all(here.reader().record(index).content is not None for index in range(7, here.size - 2))
    here.close("")
    check(case)


def test_the_journal_is_read_across_segments_and_pruned(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 40_000)
    monkeypatch.setattr(publisher, "SEGMENTS_KEPT", 1)
    ledger = opened(case)
    stream = case.stream()
    for number in range(12):
        append(case, ledger, 100, stream, number * 100)
        if number % 3 == 2:
            ledger.publish_now()
    for _ in range(8):
        append(case, ledger, 1)
        ledger.publish_now()
    assert builder(ledger)
    assert "" == ledger._publisher.prune_problem
    assert segments_of(case.disk, case.root / "journal")[0] > 0
    ledger.close("")
    check(case)
    assert case.recover().size > 1_200


def test_a_small_log_starts_no_process(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "BUILD_APART_RECORDS", 100)
    ledger = opened(case)
    append(case, ledger, 90)
    ledger.publish_now()
    assert not isinstance(ledger._publisher.builder, Apart)
    ledger.close("")


def test_the_process_ends_with_the_log_and_not_before(case: Case) -> None:
    ledger = opened(case)
    append(case, ledger, 10)
    ledger.publish_now()
    pid = builder(ledger)
    for number in (signal.SIGINT, signal.SIGTERM):  # what a terminal or a service manager tells all processes
        os.kill(pid, number)
    append(case, ledger, 10)
    assert ledger.size == ledger.publish_now().size
    ledger.close("")
    assert gone(pid)
    check(case)


def test_without_the_process_the_log_stops_and_a_start_goes_on(case: Case) -> None:
    ledger = opened(case)
    append(case, ledger, 10)
    ledger.publish_now()
    kept = append(case, ledger, 10)
    os.kill(builder(ledger), signal.SIGKILL)
    with pytest.raises(Unavailable):
        ledger.publish_now()
    assert ledger.failure is not None and "ledger.builder" == ledger.failure.code
    refused = ledger.append(Batch(case.stream(), BOOT, 0, (case.draft("log.read", actor=ACTOR),)))
    assert "unavailable" == code(refused)
    with pytest.raises(Unavailable):
        ledger.close("")
    again = opened(case)
    assert [again.reader().record(index).index for index in kept] == kept
    append(case, again, 10)
    again.publish_now()
    again.close("")
    check(case)


def test_what_the_process_finds_wrong_stops_the_log(case: Case) -> None:
    ledger = opened(case)
    append(case, ledger, 10)
    ledger.publish_now()
    bundle = case.root / "log" / "tile" / "entries" / "000"
    bundle.write_bytes(b"another history")
    append(case, ledger, 300)
    with pytest.raises(Unavailable):
        ledger.publish_now()
    failure = ledger.failure
    assert isinstance(failure, Corruption) and "log.immutable" == failure.code and str(bundle) in failure.message
    with pytest.raises(Unavailable):
        ledger.close("")


def test_why_the_process_could_not_begin_is_told(case: Case) -> None:
    ledger = opened(case)
    for path in (case.root / "log" / "tile" / "0").rglob("*"):
        if path.is_file():
            path.write_bytes(bytes(path.stat().st_size))
    append(case, ledger, 10)
    with pytest.raises(Unavailable):
        ledger.publish_now()
    assert ledger.failure is not None and "log.tile" == ledger.failure.code
    with pytest.raises(Unavailable):
        ledger.close("")


def keep_a_log(root: Path) -> None:
    """What the killed process does: one publication apart, then nothing."""
    publisher.BUILD_APART_RECORDS = 1
    case = Case(OsDisk(), root, seed=2)
    ledger = opened(case)
    append(case, ledger, 10)
    ledger.publish_now()
    print(builder(ledger), flush=True)
    signal.pause()


def all_stopped(pid: int) -> bool:
    """Whether each thread is: the signal reaches them one after another."""
    return all(" T " in (task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir())


def test_no_start_before_a_killed_writers_builder_is_gone(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "LOCK_WAIT_S", 0.3)
    writer = subprocess.Popen(
        [sys.executable, __file__, str(case.root)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert writer.stdout is not None
    pid = int(writer.stdout.readline())
    try:
        os.kill(pid, signal.SIGSTOP)  # as if it hung at the disk
        until(lambda: all_stopped(pid))
        writer.kill()
        writer.wait()
        with pytest.raises(Unavailable) as refused:
            case.recover()
        assert "log.locked" == refused.value.code
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: gone(pid))
    writer.stdout.close()
    ledger = case.recover()
    assert ORIGIN == ledger.published.origin and ledger.published.size > 10
    ledger.close("")
    check(case)


if __name__ == "__main__":
    keep_a_log(Path(sys.argv[1]))
