"""What a verification found: findings that name a place, one check a duty, the scope, and the verdict over all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["passed", "failed", "not_checked", "not_applicable"]

#: Said in every verdict: what no check of the files alone can show (DESIGN §2, Verify).
CANNOT_SHOW = (
    "Someone with the log's key who rewrites everything consistently is found only by checkpoints kept elsewhere "
    "(--kept), and only up to the newest of them.",
    "Whether the log was told of every event that happened: what no producer handed over is not in it.",
    "Whether tables, columns and classes follow from the recorded statement: statements are not parsed again here.",
    "Whether tags agree with the names they stand for: that takes the log's tag key.",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold. `code` is stable; `where` is a file's path, with an offset where that helps."""

    code: str
    where: str
    message: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one numbered duty. `detail` says what was looked at, or why it was not.

    `findings` are the first ones of a duty; `findings_count` counts all of them.
    """

    number: int
    name: str
    status: Status
    detail: str
    findings: tuple[Finding, ...] = ()
    findings_count: int = 0


@dataclass(frozen=True, slots=True)
class Signature:
    """A line of the checkpoint that a given key verified. `time_s` (Unix seconds) is a cosigner's own claim."""

    name: str
    key_id: str
    time_s: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint kept elsewhere, and what comparing it gave: `consistent`, `ahead`, `forked`, `refused`, `empty`,
    `not judged` (from before the oldest key given), `not published` (ahead, and the journal holds the rest)."""

    size: int | None
    root: str | None
    result: str


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness that cosigned: the policy's name for it, its key's name, and when, by its own word (Unix seconds)."""

    witness: str
    key_name: str
    time_s: int | None


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What the policy gave: the size up to which enough have cosigned (None: nowhere), who did, and the count."""

    size: int | None
    cosigned: tuple[Cosignature, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Proven:
    """Somebody outside proves that the first `size` records were recorded not after the moment `not_after`.

    `by` names the authority or witness; `record` is the index of the `anchor` that holds its token, None for a witness.
    """

    by: str
    size: int
    not_after: str
    record: int | None


@dataclass(frozen=True, slots=True)
class Bodies:
    """How many of the records that name a body have one in the archive, by what could be done with it."""

    named: int = 0
    readable: int = 0
    unreadable: int = 0
    erased: int = 0
    absent: int = 0
    altered: int = 0


@dataclass(frozen=True, slots=True)
class Scope:
    """What the verdict is about. Sizes count records; `root` is hex; times are the log's own."""

    location: str
    asked: str
    origin: str | None = None
    size: int | None = None
    root: str | None = None
    last_record_at: str | None = None
    signed_by: tuple[Signature, ...] = ()
    kept: tuple[Kept, ...] = ()
    proven: tuple[Proven, ...] = ()
    witnessed: Witnessed | None = None
    bodies: Bodies = Bodies()
    journal_beyond: int | None = None
    journal_torn: str | None = None
    sessions_open: int = 0
    intents_open: int = 0
    not_checked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cannot_show: tuple[str, ...] = CANNOT_SHOW


@dataclass(frozen=True, slots=True)
class Verdict:
    """The checks in the order of their numbers, and what they are about."""

    checks: tuple[Check, ...]
    scope: Scope

    @property
    def holds(self) -> bool:
        """True where no check failed and at least the checkpoint and the tree were checked."""
        looked = all(check.status == "passed" for check in self.checks if check.number in (1, 2))
        return looked and not any(check.status == "failed" for check in self.checks)

    @property
    def exit_status(self) -> int:
        """0: holds, and all that was asked was checked. 1: something failed. 3: something asked was not checked."""
        if any(check.status == "failed" for check in self.checks):
            return 1
        return 3 if not self.holds or self.scope.not_checked else 0

    def as_dict(self) -> dict[str, Any]:
        """The verdict as plain values, for `--json`."""
        return {
            "holds": self.holds,
            "exit_status": self.exit_status,
            "checks": [asdict(check) for check in self.checks],
            "scope": asdict(self.scope),
        }
