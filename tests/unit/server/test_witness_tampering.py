"""Every row of the threat model's table on a witness's own folder, and what is said to be lost where nothing finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tampering.witness_folder import COSIGNED, FOLDER_ROWS, NEXT, SIZES, FolderTampering, made, outcome
from witnesscase import LEAVES, request

from affidavit.durable import OsDisk
from affidavit.server.witness_folder import WitnessFolder
from affidavit.tlog.hashing import leaf_hash

#: A history that parts from the other behind the first checkpoint that was cosigned.
SECOND = [*LEAVES[: SIZES[0]], leaf_hash(b"rewritten"), *LEAVES[SIZES[0] + 1 :]]


@pytest.mark.parametrize("row", FOLDER_ROWS, ids=lambda row: f"{row.part} {row.deed}".replace(" ", "_"))
def test_a_row(row: FolderTampering, tmp_path: Path) -> None:
    root, older = made(tmp_path)
    row.alter(root, older)
    folder = WitnessFolder(OsDisk(), root)
    forgot = row.why.startswith("it cosigns what follows")
    start = (0 if "emptied" in row.deed else SIZES[0]) if forgot else SIZES[-1]
    second = outcome(folder, request(start, NEXT, SECOND))
    assert forgot == (second == COSIGNED), "a second history is cosigned where the row says so, and nowhere else"
    if row.found:
        assert {row.found} == {second, outcome(folder, request(SIZES[-1], NEXT))}
    elif not forgot:
        assert ("422", COSIGNED) == (second, outcome(folder, request(SIZES[-1], NEXT)))


def test_a_witness_that_nobody_touched_cosigns_one_history(tmp_path: Path) -> None:
    root, _ = made(tmp_path)
    folder = WitnessFolder(OsDisk(), root)
    assert "422" == outcome(folder, request(SIZES[-1], NEXT, SECOND))
    assert COSIGNED == outcome(folder, request(SIZES[-1], NEXT))
