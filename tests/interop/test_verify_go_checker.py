"""What verify says of a log's structure, a checker that this project did not write says too."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from gochecker_build import build_checker
from logmaker import SIGNER, afternoon, write_log

from affidavit.archive.open import open_archive
from affidavit.verify.verify import verify

VKEY = SIGNER.verifier.to_text()


def both(folder: Path) -> tuple[int, int]:
    """The exit status of verify over the public part, and of the Go checker."""
    verdict = verify(open_archive(str(folder / "log")), [SIGNER.verifier], {}, only="structure")
    done = subprocess.run(
        [build_checker(), folder / "log", VKEY], capture_output=True, text=True, timeout=120, check=False
    )
    return verdict.exit_status, done.returncode


def test_a_whole_log(tmp_path: Path) -> None:
    write_log(tmp_path, afternoon(300).paper.records, (3, 200))
    assert (0, 0) == both(tmp_path)


@pytest.mark.parametrize("path", ["tile/entries/000", "tile/entries/001.p/66", "tile/0/000", "checkpoint"])
def test_one_changed_bit(tmp_path: Path, path: str) -> None:
    write_log(tmp_path, afternoon(300).paper.records, (3, 200))
    data = bytearray((tmp_path / "log" / path).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "log" / path).write_bytes(data)
    assert (1, 1) == both(tmp_path)
