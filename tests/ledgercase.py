"""What ledger tests share: a clock that is set by hand, randomness from a seed, drafts, and a small log."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from affidavit.clock import ClockStatus
from affidavit.durable import Disk
from affidavit.errors import Unavailable
from affidavit.ledger.backup import Backup, Copied, Progress
from affidavit.ledger.genesis import create_log
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.own import Host
from affidavit.ledger.reader import Reader
from affidavit.ledger.recovery import Opening, Recovered, recover
from affidavit.ledger.rotate import own_chain
from affidavit.ledger.signer import FileSigner, Purpose
from affidavit.ledger.snapshot import snapshot_key
from affidavit.record.body import encode_body
from affidavit.record.draft import Answer, Batch, Draft, Earlier
from affidavit.record.ids import uuid7
from affidavit.record.moment import format_moment
from affidavit.tlog.keys import SignatureLine, VerifierKey
from affidavit.tlog.rotation import KeyChain

ORIGIN = "log.example/clinic"
BOOT = "b0" * 16
ADMINISTRATOR = "u-00000000000000aa"
ACTOR = "u-0123456789abcdef"
SYSTEM = "clinic"
START_NS = 1_795_357_023_000_000_000
#: After genesis: log.open, clock, change, log.close, and of the first start log.open, clock.
GENESIS_RECORDS = 4
FIRST_STATE = 3


class HandClock:
    """Wall and monotonic time that move when a test says so; each look takes a microsecond."""

    def __init__(self, now_ns: int = START_NS) -> None:
        self.wall_ns = now_ns
        self.passed_ns = 5_000_000_000

    def now_ns(self) -> int:
        self.wall_ns += 1_000
        self.passed_ns += 1_000
        return self.wall_ns

    def monotonic_ns(self) -> int:
        return self.passed_ns

    def advance(self, ns: int) -> None:
        self.wall_ns += ns
        self.passed_ns += ns


class AwaySigner:
    """A signer that cannot be reached."""

    def __init__(self, verifiers: tuple[VerifierKey, ...]) -> None:
        self.verifiers = verifiers

    def sign(self, purpose: Purpose, text: str) -> list[SignatureLine]:
        raise Unavailable("signer.away", f"The agent does not answer: {purpose} of {len(text)} characters.")


def clock_status() -> ClockStatus:
    return ClockStatus("kernel", True, 12, 4_000_000)


class Case:
    """One log's surroundings: a disk, a clock, randomness, and the drafts of a test."""

    def __init__(self, disk: Disk, root: Path, seed: int = 1) -> None:
        self.disk = disk
        self.root = root
        self.clock = HandClock()
        self.random = random.Random(seed)
        self.secrets: Secrets | None = None

    @property
    def host(self) -> Host:
        return Host(self.clock, BOOT, self.random.randbytes, clock_status)

    def create(self) -> Secrets:
        self.secrets = create_log(
            self.root,
            self.disk,
            self.clock,
            ORIGIN,
            BOOT,
            self.random.randbytes,
            clock_status,
            ADMINISTRATOR,
            {"reason": "genesis", "objects": []},
            "grant",
            "ab" * 32,
        )
        return self.secrets

    def recover(self) -> Ledger:
        """The log, open for writing, without threads."""
        secrets = self.secrets or Secrets.load(self.disk, self.root / "secrets")
        return Ledger.recover(self.root, self.disk, self.host, secrets, ORIGIN)

    def look(self) -> Recovered:
        """What recovery finds, without writing anything."""
        secrets = self.secrets or Secrets.load(self.disk, self.root / "secrets")
        signer, key = FileSigner(secrets.signers), snapshot_key(secrets.digest_key)
        return recover(Opening(self.disk, Layout(self.root), signer, secrets.body_keys_by_id, key))

    def backup(self, target: Path, progress: Progress = lambda *_: None) -> Copied:
        """Bring the copy in `target` up to the log, as `affidavit backup` does."""
        return self.run_of_backup(target).run(progress)

    def run_of_backup(self, target: Path) -> Backup:
        """One run, not begun yet."""
        secrets, source = self.secrets or Secrets.load(self.disk, self.root / "secrets"), Layout(self.root)

        def chain() -> KeyChain:
            return own_chain(self.disk, source, secrets.verifiers)

        def reader() -> Reader:
            return Reader.of_folder(self.root, self.disk, secrets.body_keys_by_id, chain())

        now = format_moment(self.clock.now_ns())
        return Backup(self.disk, source, Layout(target), chain, reader, now)

    def stream(self) -> str:
        return self.random.randbytes(16).hex()

    def body(self, **content: Any) -> bytes:
        return encode_body(content, self.random.randbytes(16))

    def draft(self, kind: str, **fields: Any) -> Draft:
        at = self.clock.now_ns()
        fields.setdefault("body", self.body(n=1))
        return Draft(kind=kind, id=uuid7(at, self.random.randbytes(10)), at=at, **fields)

    def opening(self, state: int = FIRST_STATE, actor: str = ACTOR, **fields: Any) -> Draft:
        wanted = {"action": "login", "decision": "allow", "outcome": "ok", "decided": state, "system": SYSTEM, **fields}
        return self.draft("session.open", actor=actor, **wanted)

    def context(self, state: int = FIRST_STATE, actor: str = ACTOR) -> Draft:
        return self.draft("context", actor=actor, system=SYSTEM, decided=state)

    def access(
        self, session: Any, context: Any, state: int = FIRST_STATE, kind: str = "access", **fields: Any
    ) -> Draft:
        wanted = {
            "actor": ACTOR,
            "system": SYSTEM,
            "action": "read",
            "decision": "allow",
            "decided": state,
            "guarantee": "before_answer",
            **({"outcome": "ok"} if kind == "access" else {}),
            **fields,
        }
        return self.draft(kind, session=session, context=context, **wanted)

    def change(self, state: int, root: str = "cd" * 32) -> Draft:
        return self.draft(
            "change", actor=ADMINISTRATOR, action="grant", decision="allow", decided=state, root=root,
            body=self.body(reason="because", objects=[]),
        )  # fmt: skip

    def session(self, ledger: Ledger, stream: str, first: int = 0) -> tuple[int, int]:
        """A session and its context, sealed as two drafts of `stream`: their indexes."""
        state = ledger.state_index
        answer = ledger.append(Batch(stream, BOOT, first, (self.opening(state), self.context(state))))
        assert answer.refusal is None, answer.refusal
        return answer.receipts[0].index, answer.receipts[1].index


def indexes(answer: Answer) -> list[int]:
    return [receipt.index for receipt in answer.receipts]


def code(answer: Answer) -> str:
    return "" if answer.refusal is None else answer.refusal.code


__all__ = ["Batch", "Case", "Earlier", "HandClock", "code", "indexes"]
