"""How the demo speaks: chapters, commands and lines, with colour on a terminal and as plain text elsewhere.

Colour means what it means everywhere in Affidavit: green allowed, red denied, amber changed. Each stands on a word.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final, TextIO

from rich.box import ROUNDED
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

ALLOWED: Final = "green"
DENIED: Final = "red"
CHANGED: Final = "yellow"
QUIET: Final = "dim"
_PLAIN_COLUMNS = 118  # what a log file or a code block in a document shows without wrapping


class Stage:
    """Prints the demo. Nothing but this module prints in `cli/demo`."""

    def __init__(self, stream: TextIO | None = None) -> None:
        target = stream or sys.stdout
        width = None if target.isatty() else _PLAIN_COLUMNS
        self._console = Console(file=target, highlight=False, emoji=False, markup=False, width=width)

    def chapter(self, title: str) -> None:
        """A heading."""
        self._console.print()
        self._console.rule(Text(title, "bold"), align="left")

    def note(self, text: str) -> None:
        """What is going on, quietly."""
        self._console.print(Text(text, QUIET))

    def command(self, who: str, arguments: str) -> None:
        """A command that is really run, and by whom."""
        self._console.print(Text.assemble((f"{who:>6} ", "bold"), ("$ ", QUIET), f"affidavit {arguments}"))

    def statement(self, who: str, sql: str) -> None:
        """A statement that is really sent through the gateway, and by whom."""
        self._console.print(Text.assemble((f"{who:>6} ", "bold"), ("# ", QUIET), sql))

    def result(self, text: str, style: str = "") -> None:
        """What came of it, below the command or statement."""
        for line in text.splitlines() or [""]:
            self._console.print(Text("       " + line, style))

    def columns(self, left: tuple[str, Text], right: tuple[str, Text]) -> None:
        """Two panels beside each other: title and text each."""
        table = Table.grid(expand=True, padding=(0, 0))
        table.add_column(ratio=2)
        table.add_column(ratio=3)
        panels = [
            Panel(text, title=Text(title, "bold"), title_align="left", box=ROUNDED, padding=(0, 1), height=None)
            for title, text in (left, right)
        ]
        table.add_row(*panels)
        self._console.print(table)

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and values, aligned."""
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            self._console.print(Text.assemble((f"  {name:<{width}}  ", QUIET), value))

    def blank(self) -> None:
        self._console.print()
