"""An environment with aics-tlog and aics-witness, a reader and a witness of C2SP logs that this project did not write.

It needs Python 3.12, and Affidavit's tests may run on 3.11: so it gets an environment of its own, kept in the user's
cache from one run to the next. Tests that use it skip, with the reason, where there is no such Python or no PyPI.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PINNED = ("aics-witness==0.1.0", "aics-tlog==0.2.1", "cffi==2.1.1", "cryptography==50.0.2", "pycparser==3.12")
PROGRAM = Path(__file__).with_name("aics_check.py")
_NEW_ENOUGH = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))"
_TIMEOUT_S = 300


@functools.cache
def aics_python() -> Path:
    """The interpreter of an environment that has aics-tlog; skips the test where it cannot be made."""
    system = _python()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "affidavit-tests"
    folder = cache / "+".join(PINNED[:1])
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run(system, "-m", "venv", str(folder))
            _run(str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "-q", *PINNED)
            (folder / "made").touch()
    return folder / "bin/python"


def run_aics(log: Path | str, verifier_key: str, *older: Path) -> subprocess.CompletedProcess[str]:
    """The answer of `aics_check.py` on a log's folder or URL: exit status 0 and `ok size=N …`, or another."""
    return subprocess.run(
        [str(aics_python()), str(PROGRAM), str(log), verifier_key, *map(str, older)],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        env={"PATH": os.environ.get("PATH", "")},
    )


def _python() -> str:
    names = [found for name in ("python3.12", "python3.13", "python3.14") if (found := shutil.which(name))]
    names += sorted(map(str, Path.home().glob(".pyenv/versions/3.1[2-9]*/bin/python3")))
    for name in names:
        tried = subprocess.run([name, "-c", _NEW_ENOUGH], capture_output=True, timeout=60, check=False)
        if tried.returncode == 0:
            return name
    pytest.skip("aics-tlog needs Python 3.12 with venv, which is not here")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode != 0:
        pytest.skip(f"the environment for aics-tlog cannot be made: {done.stderr.strip()[-300:]}")
