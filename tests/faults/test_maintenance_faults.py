"""The short form of commands that are broken off, and that it can fail. `make faults` runs the long one.

`AFFIDAVIT_SEED` chooses other moments.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from injection import Unsupported
from maintenance import Backup, Campaign, Erase, Result, Rotate, campaign

from affidavit.cli.main import run

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


def test_an_erasure_that_is_killed_anywhere_is_finished_or_never_begun() -> None:
    """The calls that make it what it is: the write of the record, each sync and each rename after it."""
    result = Result(SEED)
    with tempfile.TemporaryDirectory() as folder:  # a short path: that of a socket in it is bounded
        try:
            lives = Campaign(Path(folder).resolve(), result, ["erase"])
            counts = lives.counts("erase")
            for call in ("rename", "fdatasync"):
                for when in range(1, counts[call] + 1, 2):
                    lives.one("erase", call, "signal=KILL", when)
        except Unsupported as error:
            pytest.skip(str(error))
    print(result.last_line())
    assert [] == result.violations
    assert sum(result.injected.values()), "nothing was injected: this run showed nothing"


def test_a_body_that_an_erasure_left_behind_is_told(tmp_path: Path) -> None:
    work, result = Erase(tmp_path), Result(SEED)
    root = work.template
    assert [] == work.broken_off(root, result)
    (root / "left").write_bytes(work.slot)
    assert 0 == run(work.command(root))
    assert any("1 erase records, and the body stands in ['left']" in one for one in work.broken_off(root, result))
    assert ["the body stands in left"] == work.finished(root)
