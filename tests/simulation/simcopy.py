"""The copy of a simulated log: made while the log is written to, pruned and given new keys, and stopped anywhere.

Whatever stopped it, the copy that lies there holds all of its checkpoint: the one before, or the new one. It is never ahead
of the log. What else a run had written when it stopped lies there too, until the next run, and `verify` says so.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ledgercase import Case
from simaudit import SimArchive, failed
from simdisk import SimDisk
from simkeys import NamedKeys
from simtruth import Truth, demand

from affidavit.ledger.layout import Layout
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify

TARGET = Path("/copy")
COPY = Layout(TARGET)


class Copies:
    """One copy of one log, brought up to it now and then."""

    def __init__(self, disk: SimDisk, case: Case, truth: Truth, keys: NamedKeys, counts: Counter[str]) -> None:
        self._disk = disk
        self._case = case
        self._truth = truth
        self._keys = keys
        self._counts = counts

    def make(self) -> None:
        """Bring the copy up to the log. Raises what `Backup.run` raises."""
        # What stands there, not what once was shown: a stop may have taken the newest one back (ADR 18).
        path = Layout(self._case.root).checkpoint
        readable = self._disk.holds(path) and path != self._truth.turned
        shown = self._keys.open(self._disk.copy(path)).size if readable else 0
        copied = self._case.backup(TARGET)
        demand(copied.size >= shown, f"a checkpoint of {shown} was there, and one of {copied.size} was copied")
        self._counts["copies"] += 1
        verdict = self.check()
        demand(verdict is not None and not _says_unfinished(verdict), "a copy that was finished does not say so")
        demand(copied.size <= copied.held, "a copy holds less than it says")

    def check(self) -> Verdict | None:
        """The verdict on the copy as it lies there, if there is one, which accuses it of nothing."""
        if not self._disk.holds(COPY.checkpoint):
            return None
        checkpoint = self._keys.open(self._disk.copy(COPY.checkpoint))
        demand(checkpoint.size <= self._truth.published.size, "the copy is ahead of the log")
        demand(checkpoint.root == self._truth.root(checkpoint.size), "the copy is of another history")
        verdict = verify(SimArchive(self._disk, TARGET), self._keys.first, {}, only="structure")
        demand(not failed(verdict), f"verify accuses the copy: {failed(verdict)}")
        self._counts["audits of the copy"] += 1
        self._counts["copies not finished, and said so"] += _says_unfinished(verdict)
        return verdict


def _says_unfinished(verdict: Verdict) -> bool:
    return any("this copy is not finished" in one for one in verdict.scope.not_checked)
