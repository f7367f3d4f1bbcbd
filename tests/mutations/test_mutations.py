"""The list of planted defects: each can be planted, its test exists, and the table in docs/TESTING.md says the same.

Two of them are planted here; `make mutations` plants them all.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from mutations.plants import PLANTS, Plant
from mutations.run import TESTS_FAILED, plant, run

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("AFFIDAVIT_SEED", "2026"))
QUICK = [one for one in PLANTS if "/tlog/" in one.catcher or "/record/" in one.catcher]


def test_each_defect_can_be_planted_and_has_its_test() -> None:
    wrong = []
    for one in PLANTS:
        text = (ROOT / "src" / "affidavit" / one.file).read_text(encoding="utf-8")
        if text.count(one.old) != 1 or one.old == one.new or not (ROOT / one.catcher).is_file():
            wrong.append(one.name)
    assert [] == wrong
    assert len(PLANTS) >= 10


def test_the_page_lists_them() -> None:
    page = (ROOT / "docs" / "TESTING.md").read_text(encoding="utf-8")
    assert [] == [one.name for one in PLANTS if row(one) not in page]


def row(one: Plant) -> str:
    return f"| {one.name} | {one.cost} | `{one.catcher.removeprefix('tests/')}` |"


def test_planted_defects_are_caught(tmp_path: Path) -> None:
    chosen = random.Random(SEED).sample(QUICK, 2)
    print(f"seed {SEED}: {[one.name for one in chosen]}")
    missed = [
        one.name for at, one in enumerate(chosen) if run(one.catcher, plant(one, tmp_path / str(at))) != TESTS_FAILED
    ]
    assert [] == missed
