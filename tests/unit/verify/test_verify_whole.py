"""What a verdict says about logs that were not tampered with: what was checked, and what was not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from logmaker import BODY_KEY, ORIGIN, SIGNER, Afternoon, afternoon, write_log

from affidavit.archive.folder import Folder
from affidavit.archive.open import Archive, open_archive
from affidavit.errors import InvalidInput
from affidavit.tlog.keys import SignerKey
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify

KEYS = {BODY_KEY.id: BODY_KEY}
CONTENT = (*range(13, 19), 21)


class Unlisted(Folder):
    """A source that cannot list its files, as a web server cannot."""

    def paths(self) -> None:
        return None


@pytest.fixture(scope="module")
def play() -> Afternoon:
    return afternoon(300)


@pytest.fixture
def folder(tmp_path: Path, play: Afternoon) -> Path:
    write_log(tmp_path / "data", play.paper.records, (3, 200, 290))
    return tmp_path / "data"


def judge(folder: Path, *, keys: bool = True, kept: tuple[bytes, ...] = (), **options: str) -> Verdict:
    return verify(open_archive(str(folder)), [SIGNER.verifier], KEYS if keys else {}, kept, **options)


def statuses(verdict: Verdict) -> dict[int, str]:
    return {check.number: check.status for check in verdict.checks}


def test_a_whole_log_holds_and_every_duty_was_looked_at(folder: Path) -> None:
    verdict = judge(folder)
    expected = dict.fromkeys((*range(1, 13), *CONTENT), "passed") | {
        5: "not_applicable",
        19: "not_applicable",
        20: "not_applicable",
    }
    assert expected == statuses(verdict)
    assert (True, 0) == (verdict.holds, verdict.exit_status)
    assert () == verdict.scope.not_checked
    assert (ORIGIN, len(afternoon(300).paper.records)) == (verdict.scope.origin, verdict.scope.size)


def test_with_the_public_key_alone_content_is_said_to_be_unchecked(folder: Path) -> None:
    verdict = judge(folder, keys=False)
    expected = dict.fromkeys(range(1, 13), "passed") | {5: "not_applicable", 19: "not_applicable", 20: "not_applicable"}
    expected |= dict.fromkeys(CONTENT, "not_checked")
    assert expected == statuses(verdict)
    assert 3 == verdict.exit_status
    assert verdict.scope.bodies.named == verdict.scope.bodies.unreadable


def test_structure_alone_can_be_asked_for(folder: Path) -> None:
    verdict = judge(folder, keys=False, only="structure")
    assert 0 == verdict.exit_status
    assert ["not_checked"] * len(CONTENT) == [statuses(verdict)[number] for number in CONTENT]
    assert () == verdict.scope.not_checked


def test_the_public_folder_alone_shows_structure(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "log", tmp_path / "public")
    verdict = judge(tmp_path / "public", only="structure")
    assert 0 == verdict.exit_status
    assert ["not_applicable"] * 2 == [statuses(verdict)[number] for number in (11, 12)]
    whole = judge(tmp_path / "public")
    assert 3 == whole.exit_status
    assert ["not_checked"] * len(CONTENT) == [statuses(whole)[number] for number in CONTENT]


def test_a_source_that_cannot_list_says_that_strays_were_not_looked_for(folder: Path) -> None:
    archive = Archive("https://log.example/", Unlisted(folder / "log"), None, None, None)
    verdict = verify(archive, [SIGNER.verifier], {}, only="structure")
    assert ("not_applicable", 0) == (statuses(verdict)[4], verdict.exit_status)


def test_a_key_of_another_log_checks_nothing(folder: Path) -> None:
    other = SignerKey.generate(ORIGIN).verifier
    verdict = verify(open_archive(str(folder)), [other], KEYS)
    assert (False, 1) == (verdict.holds, verdict.exit_status)
    assert {"failed"} == {statuses(verdict)[1]}
    assert {"not_checked"} == {statuses(verdict)[number] for number in range(2, 19)}


def test_no_key_is_wrong_input(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="--key"):
        verify(open_archive(str(folder)), [], KEYS)


def test_checkpoints_kept_elsewhere_are_compared(tmp_path: Path, play: Afternoon) -> None:
    notes = write_log(tmp_path / "data", play.paper.records, (1, 3, 255, 256, 257, 300))
    verdict = judge(tmp_path / "data", kept=tuple(notes))
    assert ["consistent"] * 7 == [one.result for one in verdict.scope.kept]
    assert ("passed", 0) == (statuses(verdict)[5], verdict.exit_status)


def test_a_kept_checkpoint_that_a_stop_took_back_is_not_published_yet(tmp_path: Path, play: Afternoon) -> None:
    """Somebody fetched it between its rename and the sync of its folder; the journal holds all that it speaks of."""
    records = play.paper.records
    (kept,) = write_log(tmp_path / "shown", records[:300])[-1:]
    write_log(tmp_path / "data", records, (3, 280), journal_end=310)
    verdict = judge(tmp_path / "data", kept=(kept,))
    check = verdict.checks[4]
    assert ("passed", 0, "not published") == (check.status, verdict.exit_status, verdict.scope.kept[0].result)
    assert "not lost, they are not published" in check.detail


@pytest.mark.parametrize(("held", "code"), [(299, "kept.ahead"), (300, "kept.forked")])
def test_a_kept_checkpoint_that_the_journal_does_not_lead_to(
    tmp_path: Path, play: Afternoon, held: int, code: str
) -> None:
    records = list(play.paper.records)
    (kept,) = write_log(tmp_path / "shown", records[:300])[-1:]
    records[290:292] = [records[291], records[290]] if code == "kept.forked" else records[290:292]
    write_log(tmp_path / "data", records, (3, 280), journal_end=held)
    verdict = judge(tmp_path / "data", kept=(kept,))
    assert [code] == [finding.code for finding in verdict.checks[4].findings]
    assert 1 == verdict.exit_status


def test_without_a_journal_it_is_said_that_only_a_journal_can_tell(tmp_path: Path, play: Afternoon) -> None:
    records = play.paper.records
    (kept,) = write_log(tmp_path / "shown", records[:300])[-1:]
    write_log(tmp_path / "data", records, (3, 280), journal_end=310)
    verdict = judge(tmp_path / "data" / "log", kept=(kept,))
    (finding,) = verdict.checks[4].findings
    assert "kept.ahead" == finding.code
    assert "which only its journal can tell" in finding.message


def test_records_beyond_the_checkpoint_are_counted_not_vouched_for(tmp_path: Path, play: Afternoon) -> None:
    records = play.paper.records
    write_log(tmp_path / "data", records, (3, 280), journal_end=len(records))
    verdict = judge(tmp_path / "data")
    assert (0, 280, len(records) - 280) == (verdict.exit_status, verdict.scope.size, verdict.scope.journal_beyond)


def test_a_torn_last_batch_is_told_from_damage(tmp_path: Path, play: Afternoon) -> None:
    write_log(tmp_path / "data", play.paper.records, (3, 280), journal_end=300)
    segment = sorted((tmp_path / "data" / "journal").iterdir())[-1]
    data = bytearray(segment.read_bytes())
    data[data.rindex(b"AFRM") + 40] ^= 1
    segment.write_bytes(data)
    verdict = judge(tmp_path / "data")
    assert 0 == verdict.exit_status
    assert verdict.scope.journal_torn is not None and segment.name in verdict.scope.journal_torn


def test_progress_reaches_the_end(folder: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    verify(
        open_archive(str(folder)),
        [SIGNER.verifier],
        KEYS,
        progress=lambda what, done, all_: seen.append((what, done, all_)),
    )
    size = seen[-1][2]
    assert [("records", 256, size), ("records", size, size), ("files", size, size)] == seen


def test_the_verdict_as_plain_values_says_what_was_not_checked(folder: Path) -> None:
    plain = judge(folder, keys=False).as_dict()
    assert {"holds", "exit_status", "checks", "scope"} == set(plain)
    assert 3 == plain["exit_status"]
    assert len(CONTENT) == len(plain["scope"]["not_checked"])
