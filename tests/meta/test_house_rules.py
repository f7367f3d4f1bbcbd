"""The rules of CONTRIBUTING.md that a program can check. A broken one names the file and the line."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "affidavit"
MODULES = sorted(PACKAGE.rglob("*.py"))
MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}

# Written in pieces, so that this file does not hold what it forbids.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
MACHINE = re.compile(r"(?<![\w.$}])/(?:" + "|".join(("work" + "/", "root" + "/", "home" + "/", "tmp" + "/w/")) + ")")
REGISTRY = re.compile("(?:extra-)?index" + "-url|find" + "-links|trusted" + "-host|GO" + "PROXY=http")
PROMISE = re.compile("compl" + "iant", re.IGNORECASE)


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: the tracked files are not known")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _lines_with(pattern: re.Pattern[str], but: tuple[str, ...] = ()) -> list[str]:
    found = []
    for path in _tracked():
        name = str(path.relative_to(ROOT))
        if name in but:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # vectors and other binary files
        found += [f"{name}:{n}: {line.strip()}" for n, line in enumerate(text.splitlines(), 1) if pattern.search(line)]
    return found


def test_modules_say_what_they_hold_and_stay_short() -> None:
    wrong = []
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT)
        if not ast.get_docstring(ast.parse(text)):
            wrong.append(f"{name}: no first sentence")
        if (count := len(text.splitlines())) > MODULE_LINES_MAX:
            wrong.append(f"{name}: {count} lines")
        if path.stem in VAGUE_NAMES or path.parent.name in VAGUE_NAMES:
            wrong.append(f"{name}: a name that says nothing")
    assert wrong == []


def test_functions_stay_short() -> None:
    wrong = []
    for path in [*MODULES, *sorted((ROOT / "bench").glob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                count = node.end_lineno - node.lineno + 1
                if count > FUNCTION_LINES_MAX:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {count} lines")
    assert wrong == []


def test_package_files_hold_a_docstring_only() -> None:
    wrong = []
    for path in PACKAGE.rglob("__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        allowed = 2 if path.parent == PACKAGE else 1  # the package itself also states its version
        if len(body) > allowed:
            wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []


def test_every_limit_has_its_reason() -> None:
    text = (PACKAGE / "limits.py").read_text(encoding="utf-8")
    lines = text.splitlines()
    wrong = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            said = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            if not re.search(r"#\s*\S+ ", said):
                wrong.append(lines[node.lineno - 1])
    assert wrong == []


def test_what_a_decoder_raises_is_named_at_one_place() -> None:
    """msgspec lets more through than its own errors: who catches only those lets them cross a trust boundary."""
    catching = [
        path for path in MODULES if re.search(r"msgspec\.(DecodeError|ValidationError)", path.read_text("utf-8"))
    ]
    assert [PACKAGE / "canonical.py"] == catching, "catch `canonical.UNREADABLE`"


def test_nothing_is_left_unfinished() -> None:
    assert _lines_with(UNFINISHED) == []


def test_no_path_of_a_machine_and_no_registry() -> None:
    assert _lines_with(MACHINE) == []
    assert _lines_with(REGISTRY) == []


def test_no_document_promises_what_only_an_auditor_can_say() -> None:
    assert _lines_with(PROMISE) == []


def test_names_of_test_files_are_unique() -> None:
    counted = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, times in counted.items() if times > 1] == []


def test_constraints_pin_every_package_by_version_alone() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.+!]*", line)] == []


def test_decisions_are_numbered_listed_and_say_what_is_bad() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = sorted(p for p in folder.glob("*.md") if p.name != "README.md")
    assert [p.name for p in pages if not re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", p.name)] == []
    numbers = Counter(p.name[:4] for p in pages)
    assert [number for number, times in numbers.items() if times > 1] == []
    assert [p.name for p in pages if f"({p.name})" not in index] == []
    assert [p.name for p in pages if "bad, because" not in p.read_text(encoding="utf-8").lower()] == []
