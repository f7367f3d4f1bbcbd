"""How far reading has got, on standard error, for commands that read a whole log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from affidavit.cli.output import console

_LINE_S = 5.0  # between two lines, where there is no terminal to draw a bar on

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


def answered(lines: Iterable[Mapping[str, Any]], what: str, *, shown: bool) -> dict[str, Any]:
    """The `answer` of a question that streams, with a bar for how far it has got where it is `shown` on a terminal."""
    answer: dict[str, Any] = {}
    with progress(shown=shown and sys.stderr.isatty()) as watch:
        for line in lines:
            if watch is not None and "of" in line:
                watch(what, line["done"], line["of"])
            answer = line.get("answer", answer)
    return answer


@contextmanager
def folding() -> Iterator[Callable[[int, int], None]]:
    """Tells how far a log is folded anew, which it rarely is: nothing is shown before the first call. A bar on a
    terminal; else a line at once, one every few seconds, and one at the end."""
    if sys.stderr.isatty():
        with _lazy_bar() as bar:
            yield bar
        return
    begun_s = told_s = 0.0
    done = 0

    def tell(now: int, count: int) -> None:
        nonlocal begun_s, told_s, done
        done, at_s = now, time.monotonic()
        begun_s = begun_s or at_s
        if not told_s or at_s - told_s >= _LINE_S:
            told_s = at_s
            _line(f"The log is folded anew: {now:,} of {max(now, count):,} records.")

    yield tell
    if done:
        _line(f"The log is folded anew: all {done:,} records, in {time.monotonic() - begun_s:.1f} s.")


@contextmanager
def _lazy_bar() -> Iterator[Callable[[int, int], None]]:
    watching = None
    with ExitStack() as stack:

        def tell(now: int, count: int) -> None:
            nonlocal watching
            watching = watching or stack.enter_context(progress(shown=True))
            if watching is not None:
                watching("The log is folded anew", now, max(now, count))

        yield tell


def _line(text: str) -> None:
    console(sys.stderr).print(text)
