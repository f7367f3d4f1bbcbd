"""A progress bar on standard error, for commands that read a whole log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from affidavit.cli.output import console

#: What is done, how much of it, and of how much.
Watch = Callable[[str, int, int], None]


@contextmanager
def progress(*, shown: bool) -> Iterator[Watch | None]:
    """A bar on standard error while the log is read, only on a terminal."""
    if not shown:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as bar:
        task = bar.add_task("records", total=None)

        def watch(what: str, done: int, count: int) -> None:
            bar.update(task, description=what, completed=done, total=count)

        yield watch
