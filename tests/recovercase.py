"""A real log in a folder, with some records, for tests that damage it and bring it back."""

from __future__ import annotations

import os
from pathlib import Path

from affidavit.clock import SystemClock, boot_id
from affidavit.compose.create import create
from affidavit.compose.site import Site
from affidavit.ledger.ledger import Ledger
from affidavit.record.body import encode_body
from affidavit.record.draft import Batch, Draft
from affidavit.record.ids import uuid7

ORIGIN = "log.example/clinic"


def made(root: Path, records: int, *, outside: Path | None = None) -> Path:
    """A log in `root` with `records` of its own, closed in order."""
    create(root, ORIGIN, "alice", "")
    if outside is not None:
        with (root / "affidavit.toml").open("a") as file:
            file.write(f'\n[[outside]]\nfolder = "{outside}"\n')
    ledger = Site(root).open_ledger()
    append(ledger, records)
    ledger.close("The test is done.")
    return root


def append(ledger: Ledger, records: int, batch: int = 50) -> None:
    """Append `records`, each acknowledged, from a stream of its own."""
    stream, boot = os.urandom(16).hex(), boot_id()
    for first in range(0, records, batch):
        drafts = tuple(draft(number) for number in range(first, min(first + batch, records)))
        answer = ledger.append(Batch(stream, boot, first, drafts))
        assert answer.refusal is None, answer.refusal


def draft(number: int) -> Draft:
    """A record that needs no other."""
    at = SystemClock().now_ns()
    body = encode_body({"number": number, "text": "x" * 200}, os.urandom(16))
    return Draft(kind="log.export", id=uuid7(at, os.urandom(10)), at=at, body=body, actor="u-" + "a" * 16)


def gaps(root: Path) -> list[dict[str, object]]:
    """The bodies of all `log.gap` records, read from the log as it is now."""
    records = Site(root).read_only()
    found = []
    for index in range(records.size):
        record = records.record(index)
        if record.header.kind == "log.gap" and isinstance(record.content, dict):
            found.append(record.content)
    return found
