"""Plants each defect in a copy of the code and demands that its test fails; and that it passes without.

    python tests/mutations/run.py [NAME …]

The last line says how many were planted and caught. Exit status 1 where one was missed or no longer applies, or nothing
was planted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutations.plant import ROOT, Plant
from mutations.plants import PLANTS

TIMEOUT_S, WHOLE_TIMEOUT_S = 240, 1_800
#: pytest's exit status: tests ran and some failed. Anything else is no catch: 4 and 5 say that there is no such test.
TESTS_FAILED = 1


@dataclass(frozen=True)
class Ran:
    """pytest's exit status, -1 where it took too long, and what it said."""

    status: int
    said: str = ""


def run(catchers: Sequence[str], source: Path, timeout_s: int = TIMEOUT_S) -> Ran:
    """Run `catchers` on the code in `source`."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(source),
        "AFFIDAVIT_STEPS": "20000",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "--tb=no", *(str(ROOT / catcher) for catcher in catchers)]
    try:
        done = subprocess.run(
            command, check=False, cwd=ROOT, env=environment, capture_output=True, timeout=timeout_s, text=True
        )
    except subprocess.TimeoutExpired:
        return Ran(-1)
    return Ran(done.returncode, done.stdout)


def plant(one: Plant, folder: Path) -> Path:
    """A copy of the code with the defect in it. Raises `ValueError` where it no longer applies."""
    text = one.planted()
    source = Path(shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.egg-info")))
    (source / "affidavit" / one.file).write_text(text, encoding="utf-8")
    return source


def attempt(one: Plant) -> str:
    """What came of planting it: `caught`, or what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = plant(one, Path(folder))
        except ValueError:
            return "DOES NOT APPLY"
        ran = run([one.catcher], source)
    return "caught" if ran.status == TESTS_FAILED else f"MISSED ({ran.status})"


def main(names: Sequence[str]) -> int:
    """The exit status."""
    unknown = sorted(set(names) - {one.name for one in PLANTS})
    if unknown:
        print(f"no defect is called so: {'; '.join(unknown)}")
    chosen = [one for one in PLANTS if not names or one.name in names]
    unsound = without_defects(sorted({one.catcher for one in chosen}))
    caught = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for number, (one, came) in enumerate(zip(chosen, pool.map(attempt, chosen), strict=True), 1):
            caught += came == "caught"
            _say(f"{came}: {one.name}, by {one.catcher}")
            _show(f"{number} of {len(chosen)} planted")
    without = "are NOT green" if unsound else "are green"
    missed = len(chosen) - caught
    _say(f"mutations: {len(chosen)} planted, {caught} caught, {missed} missed; the tests {without} without")
    return 1 if missed or unsound or unknown or not chosen else 0


def without_defects(catchers: Sequence[str]) -> list[str]:
    """What fails of the tests as the code is; then they show nothing."""
    _show(f"{len(catchers)} tests without any defect")
    ran = run(catchers, ROOT / "src", WHOLE_TIMEOUT_S)
    if ran.status == 0:
        return []
    failed = [line for line in ran.said.splitlines() if line.startswith(("FAILED", "ERROR"))]
    for line in failed:
        _say(f"without any defect: {line}")
    return failed or [f"the tests end with {ran.status}"]


def _show(text: str) -> None:
    """What is under way, on a terminal alone: the next line takes its place."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[2K{text[:width]}", end="", flush=True)


def _say(text: str) -> None:
    print(f"\r\x1b[2K{text}" if sys.stdout.isatty() else text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
