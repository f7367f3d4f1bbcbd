"""Records of a query's kind, made by hand: one access, of which a test changes what it is about."""

from __future__ import annotations

from typing import Any

import msgspec

from affidavit.record.header import Header, Log, Source, Time, encode_header
from affidavit.record.read import Record

ANA = "u-00000000000000a1"
HEADER = Header(
    v=1,
    id="01933d6b-0000-7000-8000-000000000000",
    kind="access",
    source=Source("0" * 32, 0),
    time=Time("2026-11-22T14:17:03.214000000Z"),
    log=Log("2026-11-22T14:17:03.215000000Z", 9),
    basis="observed",
    actor=ANA,
    system="clinic",
    session=30,
    action="read",
    decision="deny",
    outcome="none",
)


def made(body: Any, index: int = 41, **fields: Any) -> Record:
    """A record with that body; `fields` of its header differ from `HEADER`."""
    header = msgspec.structs.replace(HEADER, **fields)
    return Record(index, encode_header(header), header, body)
