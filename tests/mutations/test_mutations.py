"""The list of planted defects: each can be planted, its test exists, and the table in docs/TESTING.md says the same.

A few of those with quick tests are planted here, the next ones for the next seed; `make mutations` plants all.
"""

from __future__ import annotations

import os
from pathlib import Path

from mutations.plant import ROOT, Plant
from mutations.plants import PLANTS
from mutations.run import TESTS_FAILED, plant, run

SEED = int(os.environ.get("AFFIDAVIT_SEED", "2026"))
PLANTED_HERE = 2
QUICK = [one for one in PLANTS if one.quick]
PAGE = ROOT / "docs" / "TESTING.md"
BEGIN, END = "<!-- mutations: made from tests/mutations -->", "<!-- /mutations -->"


def test_each_defect_can_be_planted() -> None:
    wrong = []
    for one in PLANTS:
        try:
            one.planted()
        except ValueError as error:
            wrong.append(str(error))
    assert [] == wrong
    assert len({one.name for one in PLANTS}) == len(PLANTS) >= 10


def test_each_has_its_test() -> None:
    assert [] == [one.name for one in PLANTS if not _is_there(one.catcher)]


def _is_there(catcher: str) -> bool:
    file, _, test = catcher.partition("::")
    path = ROOT / file
    return path.is_file() and f"def {test.partition('[')[0]}" in path.read_text(encoding="utf-8")


def test_a_defect_that_does_not_apply_is_said() -> None:
    stale = Plant("stale", "durable.py", {"this text is not there": ""}, "", "")
    twice = Plant("twice", "durable.py", {"import": "export"}, "", "")
    for one in (stale, twice):
        try:
            one.planted()
        except ValueError as error:
            assert "does not apply" in str(error)
        else:
            raise AssertionError(one.name)


def test_the_page_lists_them() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    rows = ["", "| defect | what it would cost | what catches it |", "|---|---|---|", *(one.row for one in PLANTS), ""]
    wanted = before + "\n".join([BEGIN, *rows, END]) + after
    if os.environ.get("AFFIDAVIT_REFERENCE") == "write":
        PAGE.write_text(wanted, encoding="utf-8")
    assert wanted == text or os.environ.get("AFFIDAVIT_REFERENCE") == "write", (
        "AFFIDAVIT_REFERENCE=write with this test writes the table anew"
    )


def test_planted_defects_are_caught(tmp_path: Path) -> None:
    """As many seeds in a row as there are quick ones, over `PLANTED_HERE`, plant every one of them."""
    chosen = [QUICK[(SEED * PLANTED_HERE + at) % len(QUICK)] for at in range(PLANTED_HERE)]
    print(f"seed {SEED}: {[one.name for one in chosen]}")
    missed = [
        one.name
        for at, one in enumerate(chosen)
        if run([one.catcher], plant(one, tmp_path / str(at))).status != TESTS_FAILED
    ]
    assert [] == missed
