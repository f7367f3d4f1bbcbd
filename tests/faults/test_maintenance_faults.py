"""The short form of commands that are broken off, and that it can fail. `make faults` runs the long one.

`AFFIDAVIT_SEED` chooses other moments.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from injection import Unsupported
from maintenance import Backup, Result, Rotate, campaign

SEED = int(os.environ.get("AFFIDAVIT_SEED", "2026"))
SECONDS = 6.0


def test_a_command_that_is_killed_at_any_call_loses_nothing_and_is_finished_by_the_next() -> None:
    try:
        result = campaign(SEED, SECONDS)
    except Unsupported as error:
        pytest.skip(str(error))
    print(result.last_line())
    assert [] == result.violations
    assert sum(result.injected.values()), "nothing was injected: this run showed nothing"


def test_a_lost_record_an_altered_file_and_a_key_that_was_left_are_told(tmp_path: Path) -> None:
    work, result = Rotate(tmp_path), Result(SEED)
    root = work.template
    assert [] == work.broken_off(root, result)
    (root / "log" / "tile" / "0" / "000").write_bytes(bytes(8_192))
    assert work.broken_off(root, result)[0].startswith("it does not open, or cannot be read: log.bundle ")
    (root / "journal").rename(root / "away")
    assert work.broken_off(root, result)[0].startswith("it does not open, or cannot be read: log.none ")


def test_a_copy_that_is_not_finished_is_told(tmp_path: Path) -> None:
    work, result = Backup(tmp_path), Result(SEED)
    assert [] == work.broken_off(work.template, result)
    assert any("verify: " in one for one in work.finished(work.template)), "it has not grown yet"
