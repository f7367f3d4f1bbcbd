"""What commands print: tables and colour only on a terminal, one-line errors, JSON where asked. No other output.

Text that came from a log is shown with its control characters replaced, so that a record cannot drive the terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from affidavit.errors import AffidavitError

#: What colour means, everywhere: never colour alone, each stands on a word.
STYLES = {"allow": "green", "deny": "red", "change": "yellow", "unknown": "magenta", "dim": "dim", "strong": "bold"}


class _Console(Console):
    """A console that leaves it to `affidavit.cli.main` what a reader who stopped reading means for the exit status."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(stream: TextIO | None = None) -> Console:
    """A console on standard output (or `stream`) that writes plain text unless it is a terminal."""
    target = stream or sys.stdout
    return _Console(file=target, highlight=False, markup=False, emoji=False, soft_wrap=not target.isatty())


def say(text: str = "", style: str = "") -> None:
    """One line (or several) on standard output."""
    console().print(Text(printable(text), style=STYLES.get(style, style)))


def print_json(value: Any) -> None:
    """One JSON document on standard output, indented on a terminal, a single line elsewhere."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=True) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table with headings; on a terminal with rules, elsewhere as aligned text."""
    if not sys.stdout.isatty():
        lines = [tuple(columns), *[tuple(printable(cell) for cell in row) for row in rows]]
        widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
        for line in lines:
            say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        return
    table = Table(show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[Text(printable(cell)) for cell in row])
    console().print(table)


def print_error(error: AffidavitError) -> int:
    """The error in one line on standard error; returns the exit status that it asks for."""
    line = " ".join(printable(f"affidavit: {error.message} {error.hint}").split())
    with suppress(OSError):  # nobody to tell
        console(sys.stderr).print(Text(line))
    return error.exit_status


def printable(text: str) -> str:
    """`text` with every control character but line feed and tab replaced."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
