"""The programs behind docs/PERFORMANCE.md still run: each in a small form, whose figures mean nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = {
    "deciding": ("--seconds", "0.1", "--people", "20"),
    "history": ("--changes", "400", "--people", "30"),
    "search": ("--records", "3000", "--seconds", "0.3"),
    "stateproof": ("--changes", "60", "--objects", "60"),
    "verify": ("--sizes", "1500", "--rounds", "1", "--change-every", "100"),
}


@pytest.mark.parametrize("name", sorted(SMALL))
def test_it_runs(name: str, tmp_path: Path) -> None:
    program = ROOT / "bench" / f"{name}.py"
    options = [*SMALL[name], *(("--folder", str(tmp_path)) if name not in ("deciding", "stateproof") else ())]
    done = subprocess.run(
        [sys.executable, str(program), *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])},
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert any(character.isdigit() for character in done.stdout)
    assert [] == list(tmp_path.glob(".bench*")), "what it made is still there"
