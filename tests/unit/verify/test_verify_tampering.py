"""Every row of the tampering table: found with what it needs, and with no less; and the table in the threat model."""

from __future__ import annotations

import os
import shutil
from itertools import chain, combinations
from pathlib import Path

import pytest
from tampering.files import FILE_ROWS
from tampering.kinds import RECEIPT_CHECK, Case, Need, Tampering, judge, make_case
from tampering.table import BEGIN, END, HONEST, ROWS, SEALED_ROWS, render

PAGE = Path(__file__).parents[3] / "docs" / "THREAT_MODEL.md"
GIVEN = [frozenset(some) for some in chain.from_iterable(combinations(Need, count) for count in range(len(Need) + 1))]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Case]:
    root = tmp_path_factory.mktemp("originals")
    return {size: make_case(root / str(size), size) for size in {row.size for row in ROWS}}


def copied(original: Case, root: Path) -> Case:
    return Case(Path(shutil.copytree(original.folder, root / "data")), original.play, original.records, original.kept)


def telling(row: Tampering) -> set[frozenset[Need]]:
    """The least evidence that finds it, the most that does not, and all of it. More evidence never finds less."""
    finding = [given for given in GIVEN if row.needs_met(given)]
    rest = [given for given in GIVEN if given not in finding]
    least = {given for given in finding if not any(other < given for other in finding)}
    most = {given for given in rest if not any(given < other for other in rest)}
    return least | most | {frozenset(Need)}


@pytest.mark.parametrize("row", [HONEST, *ROWS], ids=lambda row: row.name.replace(" ", "_"))
def test_a_row(row: Tampering, originals: dict[int, Case], tmp_path: Path) -> None:
    case = copied(originals[row.size], tmp_path)
    row.alter(case)
    for given in telling(row):
        judged = judge(case, given)
        verdict, found = judged.verdict, judged.found
        expected = row.needs_met(given)
        if row in SEALED_ROWS and not (row.found and row.found[0].duty == 1):
            # The thief sealed everything anew: signature, tree, tiles, files and journal hold.
            assert {"passed"} == {verdict.checks[number].status for number in range(4)}
            assert "failed" != verdict.checks[11].status
        assert bool(expected) == bool(found), (given, found)
        assert any(one.duty != RECEIPT_CHECK for one in expected) == (verdict.exit_status == 1), (given, found)
        for one in expected:
            assert [
                item
                for item in found
                if (one.duty, one.code) == item[:2] and one.where in (None, item[2]) and one.index in (None, item[3])
            ], (one, given, found)
        if Need.BODY_KEYS not in given:
            assert "not_checked" in {check.status for check in verdict.checks}
        if given == frozenset(Need):
            assert row.said in " ".join(check.detail for check in verdict.checks)
            assert not row.said or verdict.exit_status == 3 or expected, "what was not looked at is no success"


#: A pruned journal shows more of an older checkpoint that is called a copy's: it begins beyond it.
PRUNABLE = [row for row in FILE_ROWS if row.part not in ("journal segment", "whole folder") and not row.said]


@pytest.mark.parametrize("row", PRUNABLE, ids=lambda row: row.name.replace(" ", "_"))
def test_a_row_in_a_log_whose_journal_was_pruned(row: Tampering, originals: dict[int, Case], tmp_path: Path) -> None:
    """The first segment is gone, as it is once what it holds is published: nothing is found less than before."""
    case = copied(originals[row.size], tmp_path)
    sorted((case.folder / "journal").iterdir())[0].unlink()
    assert 0 == judge(case, frozenset(Need)).verdict.exit_status
    row.alter(case)
    for given in telling(row):
        found = {one[:2] for one in judge(case, given).found}
        assert {(one.duty, one.code) for one in row.needs_met(given)} <= found
        assert bool(row.needs_met(given)) == bool(found)


def test_rows_have_names_of_their_own_and_say_why_where_only_a_kept_checkpoint_helps() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    hard = [row for row in ROWS if all(Need.KEPT in one.needs for one in row.found)]
    assert [] == [row.name for row in hard if not row.why]
    assert [] == [row.name for row in ROWS if row not in hard and row.why]


def test_the_table_stands_in_the_threat_model() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    wanted = before + render() + after
    if os.environ.get("AFFIDAVIT_REFERENCE") == "write":
        PAGE.write_text(wanted, encoding="utf-8")
    assert wanted == text or os.environ.get("AFFIDAVIT_REFERENCE") == "write", (
        "AFFIDAVIT_REFERENCE=write with this test writes the table anew"
    )
