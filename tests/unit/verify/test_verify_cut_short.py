"""Publications that a stop cut short leave files without a signature: they accuse nobody, an older checkpoint does."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgercase import ACTOR, BOOT, Batch, Case
from simaudit import SimArchive, failed
from simdisk import Crash, SimDisk

from affidavit.ledger import builder, publisher
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.verify.duties import Duty
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify

ROOT = Path("/data")


@pytest.fixture
def case() -> Case:
    case = Case(SimDisk(), ROOT)
    case.create()
    return case


def append(case: Case, ledger: Ledger, count: int) -> None:
    drafts = tuple(case.draft("log.read", actor=ACTOR) for _ in range(count))
    assert ledger.append(Batch(case.stream(), BOOT, 0, drafts)).refusal is None


def cut_short(case: Case, count: int, at: str = "log/checkpoint", later: int = 0) -> None:
    """A start, `count` records whose publication ends before it writes a file of this name, and `later` more."""
    assert isinstance(case.disk, SimDisk)
    ledger = case.recover()
    append(case, ledger, count)
    with pytest.MonkeyPatch.context() as patch:
        for module in (builder, publisher):
            patch.setattr(module, "write_whole", stop_at(at, module.write_whole))
        with pytest.raises(Crash):
            ledger.publish_now()
    append(case, ledger, later)
    case.disk.kill()


def stop_at(at, write):  # type: ignore[no-untyped-def]
    def stopping(disk, temporary, files, mode):  # type: ignore[no-untyped-def]
        if any(at in str(path) for path, _ in files):
            raise Crash(at)
        write(disk, temporary, files, mode)

    return stopping


def judge(case: Case) -> Verdict:
    assert isinstance(case.disk, SimDisk) and case.secrets is not None
    return verify(SimArchive(case.disk, ROOT), [case.secrets.verifier], {}, only="structure")


def status(verdict: Verdict) -> str:
    return next(check.status for check in verdict.checks if check.number == Duty.FILES)


@pytest.mark.parametrize("counts", [[10], [10, 300], [1, 1, 300, 2]])
def test_publications_cut_short_one_after_the_other_are_no_accusation(case: Case, counts: list[int]) -> None:
    for count in counts:
        cut_short(case, count)
    verdict = judge(case)
    assert ([], "not_checked") == (failed(verdict), status(verdict))
    case.recover().publish_now()
    verdict = judge(case)
    assert ([], "passed", 0) == (failed(verdict), status(verdict), verdict.exit_status)


def test_one_that_had_written_only_full_bundles_is_none_either(case: Case) -> None:
    cut_short(case, 40, later=800)
    cut_short(case, 1, at="entries/003.p")
    verdict = judge(case)
    assert ([], "not_checked") == (failed(verdict), status(verdict))


def test_an_older_checkpoint_put_back_is_found_among_them(case: Case) -> None:
    assert isinstance(case.disk, SimDisk)
    cut_short(case, 10)
    ledger = case.recover()
    old = case.disk.copy(Layout(ROOT).checkpoint)
    for count in (5, 7):
        append(case, ledger, count)
        ledger.publish_now()
    case.disk.replace(Layout(ROOT).checkpoint, old)
    assert {"4. files.beyond"} == {
        line.rpartition(" log/")[0] or line.rpartition(" bodies/")[0]
        for line in (one.split(":")[0] for one in failed(judge(case)))
    }
