"""The documents name what exists: every command is described, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from affidavit.cli.main import COMMANDS, make_app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
_COMMAND = re.compile(r"^    (?:\S*/)?affidavit ([a-z-]+)", re.MULTILINE)


def test_every_command_is_installed_and_described() -> None:
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    app = make_app(whole=True)
    names = [name for name, *_ in COMMANDS]
    assert [name for name in names if name not in app] == []
    assert [name for name in names if f"affidavit {name}" not in reference] == []


def test_every_command_in_the_changelog_exists() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [name for name, *_ in COMMANDS if f"`{name}`" not in text and f"`affidavit {name}`" not in text] == []


def test_the_readme_shows_only_commands_that_exist() -> None:
    names = {name for name, *_ in COMMANDS}
    shown = set(_COMMAND.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert shown
    assert shown - names == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in _LINK.findall(text) if not link.startswith(("https://", "http://", "mailto:"))]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_target_that_the_readme_names_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        assert set(re.findall(r"\bmake ([a-z]+)\b", path.read_text(encoding="utf-8"))) - targets == set()
