"""One kind of alteration: what is done, which check finds it, what that check needs, or why nothing finds it.

The public key is always given. Whatever else a check needs is named, and a test withholds it: then the alteration must
not be found. So a row promises neither less nor more than what holds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from pathlib import Path

from logmaker import BODY_KEY, LEDGER, SIGNER, T0_NS, Afternoon, Paper, Rec, afternoon, write_log

from affidavit.archive.open import open_archive
from affidavit.archive.source import Source
from affidavit.errors import VerificationError
from affidavit.record.body import BodyKey
from affidavit.timeproof.token import Authority
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.policy import Policy
from affidavit.verify.receipt import check_receipt
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify

ACCESSES = 20
#: Records of the short log, and of one with a full bundle and a higher tile; what is more in it are clock records.
SHORT, LONG = 42, 322
_DAY_NS = 86_400_000_000_000


class Need(Enum):
    """Evidence beside the log and its public key."""

    BODY_KEYS = "the body keys"
    JOURNAL = "the journal"
    KEPT = "a checkpoint kept elsewhere"
    AUTHORITY = "the certificate of a time-stamp authority"
    POLICY = "the auditor's own copy of the policy"
    RECEIPT = "a receipt"


#: In the place of a duty of `verify`: `affidavit receipt check` finds it.
RECEIPT_CHECK = 0


@dataclass(frozen=True)
class Found:
    """A check that finds it: the duty's number, or `RECEIPT_CHECK`, the finding's code and place, and what must be given
    beside the key."""

    duty: int
    code: str
    needs: frozenset[Need] = frozenset()
    where: str | None = None
    index: int | None = None


@dataclass
class Case:
    """A log before the deed: its folder, its records, what happened in it, and the checkpoints kept elsewhere."""

    folder: Path
    play: Afternoon
    records: list[Rec]
    kept: tuple[bytes, ...]
    authority: bytes = b""
    policy: bytes = b""
    receipt: bytes = b""
    key: VerifierKey = SIGNER.verifier
    body_keys: Mapping[bytes, BodyKey] = field(default_factory=lambda: {BODY_KEY.id: BODY_KEY})

    def write(self, records: Sequence[Rec]) -> None:
        """Put another history in its place: every hash, root, signature, bundle and journal frame is right again."""
        shutil.rmtree(self.folder)
        write_log(self.folder, records, tuple(size for size in (3, 10) if size < len(records)))


@dataclass(frozen=True)
class Tampering:
    """A row: `part` is the kind of file or record, `deed` what is done to it, `alter` does it.

    `found` are independent ways to find it; `why` says, where it takes a kept checkpoint or nothing finds it, why.
    `said` stands in the verdict all the same, where all evidence is given.
    """

    part: str
    deed: str
    alter: Callable[[Case], None]
    found: tuple[Found, ...]
    why: str = ""
    size: int = SHORT
    said: str = ""

    @property
    def name(self) -> str:
        """What tests call it."""
        return f"{self.part}: {self.deed}"

    def needs_met(self, given: frozenset[Need]) -> list[Found]:
        """The ways to find it that the given evidence allows."""
        return [one for one in self.found if one.needs <= given]


@cache
def played(size: int) -> Afternoon:
    """The afternoon that rows alter; nobody changes it in place."""
    paper = Paper()
    paper.genesis()
    for _ in range(size - SHORT):
        paper.clock("interval")
    play = afternoon(ACCESSES, on=paper)
    paper.add("log.close", LEDGER, {"reason": "stop", "streams": 2})
    return play


def make_case(root: Path, size: int) -> Case:
    """A whole log of `size` records in `root`, published at several sizes."""
    play = played(size)
    records = list(play.paper.records)
    if size != len(records):
        raise ValueError(f"the afternoon has {len(records)} records, not {size}")
    sizes = (3, 200, 290) if size == LONG else (3, 10, play.denied, play.settings)
    return Case(root, play, records, tuple(write_log(root, records, sizes)))


@dataclass(frozen=True)
class Judged:
    """The verdict of `verify`, and what it and the check of a receipt found: duty, code, place and index of each."""

    verdict: Verdict
    found: frozenset[tuple[int, str, str, int | None]]


def judge(case: Case, given: frozenset[Need]) -> Judged:
    """What is found with the public key and the given evidence alone."""
    archive = open_archive(str(case.folder))
    if Need.JOURNAL not in given:
        archive = replace(archive, journal=None)
    keys = case.body_keys if Need.BODY_KEYS in given else {}
    kept = case.kept if Need.KEPT in given else ()
    trusted = Authority.of_pem(case.authority, "trusted") if case.authority and Need.AUTHORITY in given else None
    policy = Policy.parse(case.policy) if case.policy and Need.POLICY in given else None
    verdict = verify(archive, [case.key], keys, kept, authority=trusted, policy=policy)
    found = {(check.number, one.code, one.where, one.index) for check in verdict.checks for one in check.findings}
    if case.receipt and Need.RECEIPT in given:
        found |= _check_receipt(case, archive.log)
    return Judged(verdict, frozenset(found))


def _check_receipt(case: Case, log: Source) -> set[tuple[int, str, str, int | None]]:
    """What `affidavit receipt check` says a day later."""
    try:
        checked = check_receipt(case.receipt, [case.key], log, T0_NS + _DAY_NS)
    except VerificationError as error:
        return {(RECEIPT_CHECK, error.code, "", None)}
    return {(RECEIPT_CHECK, checked.result, "", checked.index)} if checked.result == "broken" else set()
