"""A rotation whose keys an agent holds: the ledger's machine stops at each step of it, the agent goes on.

The agent is the real one on a disk of its own; only the socket is left out, questions and answers are its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ledgercase import BOOT, ORIGIN, Case, code
from simdisk import Crash, SimDisk

from affidavit.errors import AffidavitError, Unavailable
from affidavit.ledger.agent import Agent, AgentKeys
from affidavit.ledger.keys import LOG_KEY, LOG_VKEY, Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.rotate import own_chain
from affidavit.ledger.signer import SIGNER_AWAY
from affidavit.record.draft import Batch
from affidavit.server.keyagent import KeyAgent
from affidavit.tlog.keys import ED25519, ML_DSA_44

ROOT, KEYS = Path("/data"), Path("/agent")
LAYOUT = Layout(ROOT)


class Stand:
    """A log whose private key was moved to an agent, which may be `away`."""

    def __init__(self, seed: int) -> None:
        self.case = Case(SimDisk(seed), ROOT, seed)
        self.case.create()
        self.away = False
        disk = SimDisk(seed)
        for name in (LOG_KEY, LOG_VKEY):
            disk.make_folder(Layout(KEYS).secrets, 0o700)
            disk.write_synced([(Layout(KEYS).secrets / name, self.case.disk.copy(LAYOUT.secrets / name))], 0o600)
        self.case.disk.replace(LAYOUT.secrets / LOG_KEY, None)
        self.agent = KeyAgent(disk, KEYS, self.case.random.randbytes)

    def open(self) -> Ledger:
        self.case.secrets = secrets = Secrets.load_without_signers(self.case.disk, LAYOUT.secrets)
        self.keys = AgentKeys(Path("/socket"), self.case.disk, LAYOUT, secrets.verifiers)
        return Ledger.recover(ROOT, self.case.disk, self.case.host, secrets, ORIGIN, keyring=self.keys)

    def append(self, ledger: Ledger) -> None:
        assert "" == code(ledger.append(Batch(self.case.stream(), BOOT, 0, (self.case.context(),))))

    def rotate(self, ledger: Ledger) -> int:
        return ledger.rotate(self.keys.successor((ED25519, ML_DSA_44)), "time to", {}, {})


@pytest.fixture(autouse=True)
def without_socket(monkeypatch: pytest.MonkeyPatch) -> list[Stand]:
    """`Agent.ask` asks the agent of the newest stand."""
    stands: list[Stand] = []

    def exchange(self: Agent, line: bytes, end: float) -> bytes:
        del self, end
        if stands[-1].away:
            raise ConnectionRefusedError(111, "Connection refused")
        return stands[-1].agent.answer(line)

    monkeypatch.setattr(Agent, "_exchange", exchange)
    return stands


def made(stands: list[Stand], seed: int) -> Stand:
    stands.append(Stand(seed))
    return stands[-1]


def crashing(stands: list[Stand], at: int) -> tuple[Stand, int, int]:
    """A rotation that the ledger's machine stops at the step `at`: the size before, and the steps it took."""
    stand = made(stands, at)
    ledger = stand.open()
    stand.append(ledger)
    ledger.publish_now()
    disk, size = stand.case.disk, ledger.size
    before = disk.steps
    disk.crash_at = before + at if at else 0
    try:
        stand.rotate(ledger)
    except Crash:
        disk.crash()
    disk.crash_at = 0
    return stand, size, disk.steps - before


def said_keys(stand: Stand) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = json.loads(stand.agent.answer(b'{"do": "keys"}\n'))
    return answer


def test_a_crash_at_every_other_step_leaves_ledger_and_agent_with_the_same_key(without_socket: list[Stand]) -> None:
    _, _, steps = crashing(without_socket, 0)
    ways = set()
    for at in range(1, steps + 1, 2):
        stand, size, _ = crashing(without_socket, at)
        ledger = stand.open()
        kinds = [record.header.kind for record in ledger.reader().records(size, ledger.size)]
        rotated = "log.key" in kinds
        ways.add(rotated)
        assert (2 if rotated else 1) == len(ledger.verifiers) == len(stand.agent.verifiers)
        assert ledger.verifiers == stand.agent.verifiers and [] == said_keys(stand)["next"]
        assert own_chain(stand.case.disk, LAYOUT, ledger.verifiers).epochs[-1].keys == ledger.verifiers
        stand.append(ledger)
        assert ledger.size == ledger.publish_now().size
        stand.rotate(ledger)
        ledger.close("")
        stand.open().close("")
    assert {True, False} == ways


def test_while_the_agent_is_away_the_log_starts_unless_a_rotation_is_half_done(without_socket: list[Stand]) -> None:
    _, _, steps = crashing(without_socket, 0)
    waited = started = 0
    for at in range(1, steps + 1, 5):
        stand, size, _ = crashing(without_socket, at)
        stand.away = True
        try:
            ledger = stand.open()
        except Unavailable as error:
            assert SIGNER_AWAY == error.code
            waited += 1
        else:
            started += 1
            assert size < ledger.size
            stand.append(ledger)
            with pytest.raises(Unavailable, match="Connection refused"):
                ledger.publish_now()
            ledger._process_lock.release()
        stand.away = False
        again = stand.open()
        assert again.size == again.publish_now().size
        assert again.verifiers == stand.agent.verifiers
    assert waited and started


def test_an_agent_that_goes_away_in_the_middle_leaves_the_old_key_or_stops_the_ledger(
    without_socket: list[Stand], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each of its questions in turn."""
    ends = set()
    for which in range(1, 8):
        stand = made(without_socket, which)
        ledger = stand.open()
        stand.append(ledger)
        ledger.publish_now()
        asked = 0
        answer = stand.agent.answer

        def until(line: bytes) -> bytes:
            nonlocal asked
            asked += 1
            if asked >= which:  # noqa: B023 - used within this turn
                raise ConnectionResetError(104, "Connection reset")
            return answer(line)  # noqa: B023

        with monkeypatch.context() as patch:
            patch.setattr(stand.agent, "answer", until)
            try:
                stand.rotate(ledger)
            except AffidavitError:
                ends.add("stopped" if ledger.failure else "old key")
            else:
                ends.add("rotated")
        ledger._process_lock.release()
        again = stand.open()
        stand.append(again)
        assert again.size == again.publish_now().size
        assert again.verifiers == stand.agent.verifiers
    assert {"old key", "stopped", "rotated"} == ends
