"""Plants each defect in a copy of the code and demands that its test fails; and that it passes without.

    python tests/mutations/run.py [NAME …]

The last line says how many were planted and caught. Exit status 1 where one was missed, or nothing was planted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mutations.plants import PLANTS, Plant

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 240
TESTS_FAILED = 1  # pytest's exit status: tests ran and some failed; anything else is no catch


def run(catcher: str, source: Path) -> int:
    """pytest's exit status for `catcher` on the code in `source`; -1 where it took too long."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(source),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AFFIDAVIT_STEPS": "20000",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", str(ROOT / catcher)]
    try:
        done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return -1
    return done.returncode


def plant(one: Plant, folder: Path) -> Path:
    """A copy of the code with the defect in it."""
    source = Path(
        shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    )
    path = source / "affidavit" / one.file
    text = path.read_text(encoding="utf-8")
    if text.count(one.old) != 1:
        raise SystemExit(f"{one.name}: its text does not stand once in {one.file}")
    path.write_text(text.replace(one.old, one.new), encoding="utf-8")
    return source


def main(names: list[str]) -> int:
    """The exit status."""
    chosen = [one for one in PLANTS if not names or one.name in names]
    sound = [catcher for catcher in sorted({one.catcher for one in chosen}) if run(catcher, ROOT / "src") != 0]
    for catcher in sound:
        print(f"fails without any defect: {catcher}")
    missed = 0
    for one in chosen:
        with tempfile.TemporaryDirectory() as folder:
            status = run(one.catcher, plant(one, Path(folder)))
        missed += status != TESTS_FAILED
        print(
            f"{'caught' if status == TESTS_FAILED else f'MISSED ({status})'}: {one.name}, by {one.catcher}", flush=True
        )
    without = "are green" if not sound else "are NOT green"
    print(
        f"mutations: {len(chosen)} planted, {len(chosen) - missed} caught, {missed} missed; the tests {without} without"
    )
    return 1 if missed or sound or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
