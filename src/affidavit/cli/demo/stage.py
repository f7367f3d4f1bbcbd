"""How the demo speaks: chapters, commands and lines, with colour on a terminal and as plain text elsewhere.

Colour means what it means everywhere in Affidavit: green allowed, red denied, amber changed. Each stands on a word.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final, TextIO

from rich.box import ROUNDED
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

ALLOWED: Final = "green"
DENIED: Final = "red"
CHANGED: Final = "yellow"
QUIET: Final = "dim"
_PLAIN_COLUMNS = 118  # what a log file or a code block in a document shows without wrapping


#: Names and values. A value keeps its line breaks and wraps below itself.
Facts = Sequence[tuple[str, str]]


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

    def columns(self, left: tuple[str, Facts], right: tuple[str, Facts]) -> None:
        """Two panels beside each other, the right one wider: a title and facts each."""
        table = Table.grid(expand=True, padding=(0, 0))
        table.add_column(ratio=2)
        table.add_column(ratio=3)
        panels = [
            Panel(_grid(facts), title=Text(title, "bold"), title_align="left", box=ROUNDED, padding=(0, 1))
            for title, facts in (left, right)
        ]
        table.add_row(*panels)
        self._console.print(table)

    def facts(self, facts: Facts) -> None:
        """Names and values, aligned."""
        self._console.print(Padding(_grid(facts), (0, 0, 0, 2)))

    def blank(self) -> None:
        self._console.print()


def _grid(facts: Facts) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(Text(name, QUIET), Text(value))
    return grid
