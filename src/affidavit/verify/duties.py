"""The duties of a verification by number, and the notebook in which the parts write down what they looked at.

A duty has passed only if something was looked at and nothing failed and nothing was left out: the notebook keeps the
three apart, so that no part can say more than it did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import IntEnum

from affidavit.limits import VERIFY_FINDINGS_MAX, VERIFY_REASONS_MAX
from affidavit.verify.verdict import Check, Finding, Status


class Duty(IntEnum):
    """The numbers of the duties; `verify.py` opens with what each of them means."""

    CHECKPOINT = 1
    ROOT = 2
    TILES = 3
    FILES = 4
    KEPT = 5
    HEADERS = 6
    GENESIS = 7
    ORDER = 8
    REFERENCES = 9
    COUNTERS = 10
    BODIES = 11
    JOURNAL = 12
    CONTENT = 13
    STATE = 14
    CHANGES = 15
    CONTEXTS = 16
    DECISIONS = 17
    CAPTURE = 18
    WITNESSES = 19
    KEYS = 20
    TIME = 21


NAMES: dict[Duty, str] = {
    Duty.CHECKPOINT: "the checkpoint is signed by the given key",
    Duty.ROOT: "every entry leads to the checkpoint's root",
    Duty.TILES: "every tile is there and follows from the entries",
    Duty.FILES: "nothing lies in the log that does not belong to it",
    Duty.KEPT: "checkpoints kept elsewhere are the beginning of this log",
    Duty.HEADERS: "every entry is one strict header",
    Duty.GENESIS: "the log begins as a log begins, once",
    Duty.ORDER: "ids are unique, time and state index run forward",
    Duty.REFERENCES: "references point back to the right records",
    Duty.COUNTERS: "no source's counter has an unaccounted hole",
    Duty.BODIES: "every body named is in the archive",
    Duty.JOURNAL: "the journal is whole and says the same",
    Duty.CONTENT: "bodies are those the headers name and agree with them",
    Duty.STATE: "changes fold to the roots that the headers say",
    Duty.CHANGES: "changes follow policy, their actors and approvals are proved",
    Duty.CONTEXTS: "contexts follow from the state",
    Duty.DECISIONS: "decisions, made again, come out the same",
    Duty.CAPTURE: "what was captured is what the settings ask",
    Duty.WITNESSES: "as many witnesses cosigned as the policy asks",
    Duty.KEYS: "each key of the log follows from the one before",
    Duty.TIME: "what proves the time holds, and the log's clocks do not contradict it",
}

#: What `only="structure"` leaves out: it takes bodies, and so their keys.
CONTENT_DUTIES = frozenset(
    {Duty.CONTENT, Duty.STATE, Duty.CHANGES, Duty.CONTEXTS, Duty.DECISIONS, Duty.CAPTURE, Duty.TIME}
)


class Notebook:
    """Collects what was looked at, what does not hold and what could not be looked at. Not safe between threads."""

    def __init__(self) -> None:
        self._looked: Counter[Duty] = Counter()
        self._findings: dict[Duty, list[Finding]] = {duty: [] for duty in Duty}
        self._failed: Counter[Duty] = Counter()
        self._skipped: dict[Duty, Counter[str]] = {duty: Counter() for duty in Duty}
        self._absent: dict[Duty, str] = {}
        self._remarks: dict[Duty, dict[str, None]] = {duty: {} for duty in Duty}  # ordered, each once
        self._explained: dict[str, str] = {}

    def looked(self, duty: Duty, count: int = 1) -> None:
        """`count` things were looked at for `duty`."""
        self._looked[duty] += count

    def fail(self, duty: Duty, code: str, where: str, message: str, index: int | None = None) -> None:
        """Something does not hold. The first `VERIFY_FINDINGS_MAX` of a duty are kept, the rest counted."""
        if code in self._explained:
            self.skip(duty, self._explained[code])
            return
        self._failed[duty] += 1
        if len(self._findings[duty]) < VERIFY_FINDINGS_MAX:
            self._findings[duty].append(Finding(code, where, message, index))

    def explain(self, codes: Iterable[str], reason: str) -> None:
        """From now on findings of these codes accuse nobody: they are what could not be looked at, for `reason`."""
        self._explained |= dict.fromkeys(codes, reason)

    def skip(self, duty: Duty, reason: str, count: int = 1) -> None:
        """`count` things could not be looked at. Reasons are few: they are counted by their text."""
        self._skipped[duty][reason] += count

    def remark(self, duty: Duty, reason: str) -> None:
        """What was looked at shows a little less than usual, and why. Said beside the status; does not change it."""
        self._remarks[duty].setdefault(reason)

    def not_applicable(self, duty: Duty, reason: str) -> None:
        """There is nothing that this duty could look at; said only where nothing was looked at."""
        self._absent[duty] = reason

    def failed(self, duty: Duty) -> bool:
        """Whether something does not hold."""
        return self._failed[duty] > 0

    def take_over(self, other: Notebook) -> None:
        """Add what stands in another notebook."""
        self._looked.update(other._looked)
        self._failed.update(other._failed)
        for duty in Duty:
            room = VERIFY_FINDINGS_MAX - len(self._findings[duty])
            self._findings[duty] += other._findings[duty][:room]
            self._skipped[duty].update(other._skipped[duty])
            self._remarks[duty] |= other._remarks[duty]
        self._absent |= other._absent

    def only_remarks(self, duty: Duty) -> tuple[str, ...] | None:
        """The remarks on `duty`, where nothing failed or was left out; else None."""
        return None if self._failed[duty] or self._skipped[duty] else tuple(self._remarks[duty])

    def checks(self) -> tuple[Check, ...]:
        """One check a duty, in order."""
        return tuple(map(self._check, Duty))

    def left_out(self) -> list[tuple[Duty, str]]:
        """What was not checked and why, one text a duty."""
        return [(duty, self._reasons(duty)) for duty in Duty if self._skipped[duty]]

    def _check(self, duty: Duty) -> Check:
        count = self._failed[duty]
        details = []
        status: Status
        if self._looked[duty]:
            details.append(f"{self._looked[duty]:,} looked at".replace(",", " "))
        if count:
            status = "failed"
            details.append(f"{count} do not hold" if count > 1 else "1 does not hold")
        elif self._skipped[duty]:
            status = "not_checked"
        elif self._looked[duty]:
            status = "passed"
        else:
            status = "not_applicable"
            details.append(self._absent.get(duty, "the log holds nothing that it could look at"))
        if self._skipped[duty]:
            details.append(f"not looked at: {self._reasons(duty)}")
        details += self._remarks[duty]
        return Check(int(duty), NAMES[duty], status, "; ".join(details), tuple(self._findings[duty]), count)

    def _reasons(self, duty: Duty) -> str:
        reasons = self._skipped[duty].most_common()
        said = [
            f"{f'{count:,}'.replace(',', ' ')} because {reason}" if count > 1 else reason
            for reason, count in reasons[:VERIFY_REASONS_MAX]
        ]
        left = sum(count for _, count in reasons[VERIFY_REASONS_MAX:])
        return "; ".join([*said, f"{left} for other reasons"] if left else said)
