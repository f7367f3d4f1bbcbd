"""A small log whose clock, and whose authorities' word, a test says."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledgercase import BOOT, START_NS, Batch, Case
from tsa import Made

from affidavit.archive.open import open_archive
from affidavit.clock import ClockStatus
from affidavit.durable import OsDisk
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.own import Host
from affidavit.record.moment import format_moment
from affidavit.timeproof.token import Authority
from affidavit.tlog.keys import VerifierKey
from affidavit.verify.duties import Duty
from affidavit.verify.verdict import Check, Verdict
from affidavit.verify.verify import verify

SECOND = 1_000_000_000
START = datetime.fromtimestamp(START_NS // SECOND, UTC)


class Stage:
    """A log whose clock, and whose authorities' word, the test says."""

    def __init__(self, folder: Path, made: Made) -> None:
        self.case, self.made = Case(OsDisk(), folder / "log"), made
        self.case.create()
        self.status = ClockStatus("kernel", True, 0, 4_000_000)
        self.ledger = self.open()
        self.stream, self.next, self.previous = self.case.stream(), 0, self.ledger.anchor

    def open(self) -> Ledger:
        assert self.case.secrets is not None
        host = Host(self.case.clock, BOOT, self.case.random.randbytes, lambda: self.status)
        return Ledger.recover(self.case.root, self.case.disk, host, self.case.secrets, "log.example/clinic")

    def add(self, kind: str, content: dict[str, Any], **fields: Any) -> int:
        draft = self.case.draft(kind, body=self.case.body(**content), **fields)
        answer = self.ledger.append(Batch(self.stream, BOOT, self.next, (draft,)))
        assert answer.refusal is None, answer.refusal
        self.next += 1
        return int(answer.receipts[0].index)

    def wait(self, seconds: float) -> None:
        """Let the time pass, with looks at the clock."""
        for _ in range(int(seconds)):
            self.case.clock.advance(SECOND)
            self.look()

    def look(self) -> None:
        self.ledger.tick()
        self.ledger.step()

    def anchor(self, at: datetime | None = None, by: Made | None = None, **changed: Any) -> int:
        """An anchor over what is published; its token is of the moment `at`, which is now."""
        checkpoint = self.ledger.publish_now()
        now = datetime.fromtimestamp(self.case.clock.wall_ns // SECOND, UTC) if at is None else at
        imprint = hashlib.sha256(checkpoint.format().encode()).digest()
        token = (by or self.made).forge(changed.pop("stamped", imprint), now, nonce=5, accuracy={"millis": 500})
        content = {
            "method": "rfc3161",
            "authority": {"name": "Example", "url": "https://tsa.example/"},
            "checkpoint": {"size": checkpoint.size, "root": checkpoint.root.hex()},
            "imprint": imprint.hex(),
            "nonce": "5",
            "token": base64.b64encode(token).decode(),
            "time": format_moment(int(now.timestamp()) * SECOND),
            "accuracy_ns": "500000000",
            "previous": self.previous,
            **changed,
        }
        self.previous = self.add("anchor", content)
        return self.previous

    def verdict(self, trusted: bytes | None = b"", keys: tuple[VerifierKey, ...] = (), **options: Any) -> Verdict:
        self.ledger.publish_now()
        secrets = self.case.secrets
        assert secrets is not None
        authority = None if trusted is None else Authority.of_pem(trusted or self.made.pem, "trusted")
        return verify(
            open_archive(str(self.case.root)),
            [secrets.verifier, *keys],
            options.pop("body_keys", secrets.body_keys_by_id),
            authority=authority,
            **options,
        )

    def check(self, trusted: bytes | None = b"") -> Check:
        return next(one for one in self.verdict(trusted).checks if one.number == Duty.TIME)

    def codes(self) -> list[str]:
        return [finding.code for finding in self.check().findings]
