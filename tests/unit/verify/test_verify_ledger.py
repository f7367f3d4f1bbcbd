"""Logs that the real ledger wrote: made, written, closed, opened again, and after a crash."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logmaker import ALICE, BOOT, ORIGIN, T0_NS, Paper, afternoon

from affidavit.archive.open import open_archive
from affidavit.clock import ClockStatus
from affidavit.durable import OsDisk
from affidavit.ledger.genesis import create_log
from affidavit.ledger.keys import Secrets
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.own import Host
from affidavit.record.body import encode_body
from affidavit.record.draft import Batch, Draft
from affidavit.record.ids import uuid7
from affidavit.record.kinds import STATE_KINDS
from affidavit.state.change import decode_ops, encode_ops
from affidavit.state.changing import genesis_ops, strongest
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify


class Ticking:
    """A clock that goes on by a millisecond each time it is read."""

    def __init__(self) -> None:
        self.ns = T0_NS

    def now_ns(self) -> int:
        self.ns += 1_000_000
        return self.ns

    def monotonic_ns(self) -> int:
        return self.now_ns()


def status() -> ClockStatus:
    return ClockStatus("kernel", synchronized=True, offset_ns=0, bound_ns=1_000_000)


class OnLedger(Paper):
    """Paper whose records are drafts for a real ledger. `prefix` keeps the streams of two runs apart."""

    def __init__(self, ledger: Ledger | None, clock: Ticking, prefix: str) -> None:
        super().__init__()
        self.ledger, self._clock_read, self._prefix, self._made = ledger, clock, prefix, 0
        self._random = random.Random(prefix)

    @property
    def now_ns(self) -> int:
        return self._clock_read.ns

    def add(self, kind: str, stream: str, content: dict[str, Any] | None, **fields: Any) -> int:
        assert self.ledger is not None and content is not None
        stream = self._prefix + stream[2:]
        self._made += 1
        root = self.state.preview(decode_ops(content["objects"])).root if kind in STATE_KINDS else None
        seq = self._seq[stream] = self._seq.get(stream, -1) + 1
        draft = Draft(
            kind=kind,
            id=uuid7(self.now_ns, self._random.randbytes(10)),
            at=self.now_ns,
            root=root,
            body=encode_body(content, self._random.randbytes(16)),
            **fields,
        )
        answer = self.ledger.append(Batch(stream, BOOT, seq, (draft,)))
        assert answer.refusal is None, answer.refusal
        index = answer.receipts[0].index
        if kind in STATE_KINDS:
            self.state.apply(decode_ops(content["objects"]), index)
        return index


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Ticking, Callable[[int], bytes], OnLedger]:
    """A log of three records, and paper that knows its state."""
    clock, seeded = Ticking(), random.Random(7)
    paper = OnLedger(None, clock, "a0")
    paper._salts = 1_000  # apart from the salts that the paper gives later
    ops = genesis_ops(
        administrator=ALICE, handle="alice", name="Alice", mail="", host="desk", uid=1000, salt=paper.salt_text
    )
    root = tmp_path / "data"
    via = {"method": "genesis", "credential": "", "file_access": True}
    change = {"reason": "genesis", "objects": encode_ops(ops), "approvals": [], "via": via}
    state_root = paper.state.preview(ops).root
    create_log(root, OsDisk(), clock, ORIGIN, BOOT, seeded.randbytes, status, ALICE, change, strongest(ops), state_root)
    paper.state.apply(ops, 2)
    return root, clock, seeded.randbytes, paper


def opened(root: Path, clock: Ticking, randomness: Callable[[int], bytes]) -> Ledger:
    secrets = Secrets.load(OsDisk(), root / "secrets")
    return Ledger.open(root, OsDisk(), clock, secrets, ORIGIN, BOOT, randomness, status)


def judge(root: Path) -> Verdict:
    secrets = Secrets.load(OsDisk(), root / "secrets")
    return verify(open_archive(str(root)), [secrets.verifier], secrets.body_keys_by_id)


def check(root: Path) -> Verdict:
    verdict = judge(root)
    assert [] == [finding for one in verdict.checks for finding in one.findings]
    assert ((), 0) == (verdict.scope.not_checked, verdict.exit_status)
    return verdict


def test_a_new_log(made: tuple[Path, Ticking, Callable[[int], bytes], OnLedger]) -> None:
    assert 4 == check(made[0]).scope.size


def test_an_afternoon_written_by_the_ledger(made: tuple[Path, Ticking, Callable[[int], bytes], OnLedger]) -> None:
    root, clock, randomness, paper = made
    paper.ledger = opened(root, clock, randomness)
    afternoon(280, on=paper)
    paper.ledger.close("stop")
    verdict = check(root)
    assert (verdict.scope.size or 0) > 300
    assert {"passed"} == {one.status for one in verdict.checks if one.number not in (5, 19, 20)}


def test_a_log_that_is_being_written(made: tuple[Path, Ticking, Callable[[int], bytes], OnLedger]) -> None:
    root, clock, randomness, paper = made
    paper.ledger = opened(root, clock, randomness)
    afternoon(5, on=paper)
    paper.ledger.publish_now()
    paper.change([paper.put("group/more", {"description": ""})])
    check(root)
    paper.ledger.close("stop")
    check(root)


def test_a_crash_ends_what_was_open(made: tuple[Path, Ticking, Callable[[int], bytes], OnLedger]) -> None:
    root, clock, randomness, paper = made
    secrets = Secrets.load(OsDisk(), root / "secrets")
    crashed = Ledger.recover(root, OsDisk(), Host(clock, BOOT, randomness, status), secrets, ORIGIN)
    crashed.start()
    paper.ledger = crashed
    afternoon(5, on=paper)
    session = paper.open_session()
    context = paper.context()
    paper.intent(session, context)
    # The process is gone without a word: its lock is free again, nothing was closed.
    crashed._stopping.set()
    crashed._publish_soon.set()
    crashed._threads[1].join()
    crashed._process_lock.release()
    again = opened(root, clock, randomness)
    again.publish_now()
    assert 0 == judge(root).scope.sessions_open
    again.close("stop")
    verdict = check(root)
    assert (0, 0) == (verdict.scope.sessions_open, verdict.scope.intents_open)


def test_sessions_left_open_by_an_orderly_stop_end_at_the_next_start(
    made: tuple[Path, Ticking, Callable[[int], bytes], OnLedger],
) -> None:
    root, clock, randomness, paper = made
    paper.ledger = opened(root, clock, randomness)
    afternoon(5, on=paper)
    paper.open_session()
    paper.ledger.close("stop")
    assert 1 == check(root).scope.sessions_open
    paper.ledger, paper._prefix = opened(root, clock, randomness), "a1"
    paper.change([paper.put("group/more", {"description": ""})])
    paper.ledger.close("stop")
    assert 0 == check(root).scope.sessions_open
