"""The `affidavit` command: every command registered once, every error one line that says what to do."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TextIO

from cyclopts import App, CycloptsError

import affidavit
from affidavit.cli.output import print_error
from affidavit.errors import AffidavitError, InvalidInput, Unavailable

#: Command name, module, and what of it is the command or group. A module is imported when its command runs, or for
#: the help.
COMMANDS = (
    ("try", "affidavit.cli.try_", "try_"),
    ("init", "affidavit.cli.init", "init"),
    ("up", "affidavit.cli.up", "up"),
    ("demo", "affidavit.cli.demo.command", "demo"),
    ("ready", "affidavit.cli.ready", "ready"),
    ("apply", "affidavit.cli.apply", "apply"),
    ("propose", "affidavit.cli.propose", "propose"),
    ("grant", "affidavit.cli.grant", "grant"),
    ("approve", "affidavit.cli.approve", "approve"),
    ("review", "affidavit.cli.review", "review"),
    ("settings", "affidavit.cli.settings", "settings"),
    ("token", "affidavit.cli.token", "token"),
    ("key", "affidavit.cli.key", "key"),
    ("login", "affidavit.cli.login", "login"),
    ("timeline", "affidavit.cli.timeline", "timeline"),
    ("show", "affidavit.cli.show", "show"),
    ("explain", "affidavit.cli.explain", "explain"),
    ("order", "affidavit.cli.order", "order"),
    ("session", "affidavit.cli.session", "session"),
    ("findings", "affidavit.cli.findings", "findings"),
    ("reconcile", "affidavit.cli.reconcile", "reconcile"),
    ("state", "affidavit.cli.state", "state"),
    ("who", "affidavit.cli.who", "who"),
    ("what-if", "affidavit.cli.what_if", "what_if"),
    ("verify", "affidavit.cli.verify", "verify"),
    ("receipt", "affidavit.cli.receipt", "receipt"),
    ("witness", "affidavit.cli.witness", "witness"),
    ("fsck", "affidavit.cli.fsck", "fsck"),
    ("recover", "affidavit.cli.recover", "recover"),
    ("backup", "affidavit.cli.backup", "backup"),
    ("export", "affidavit.cli.export", "export"),
    ("erase", "affidavit.cli.erase", "erase"),
)
_HELP = ("--help", "-h")
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_NOT_READ = 141  # 128 + SIGPIPE; never 0 or 1, which would say something about what was asked


class _OutputFailed(Exception):
    """Standard output takes nothing more. Of no type that a command handles."""


class _Output(io.TextIOBase):
    """Standard output, whose errors are told from those of other files."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _output_failing():
            return self._stream.write(text)

    def flush(self) -> None:
        with _output_failing():
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


@contextlib.contextmanager
def _output_failing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _OutputFailed(error.strerror or str(error)) from None


def make_app(*, whole: bool = False) -> App:
    """The command line. Commands whose room is not installed are left out.

    `whole` imports every command at once, so that the list of commands says what each does.
    """
    app = App(
        name="affidavit",
        help="An audit log that can testify: who did what, under which permissions and settings, provably.",
        version=affidavit.__version__,
        result_action="return_value",
    )
    for name, module, attribute in COMMANDS:
        if _exists(module):
            command = getattr(importlib.import_module(module), attribute) if whole else f"{module}:{attribute}"
            app.command(command, name=name)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit status."""
    try:
        with contextlib.redirect_stdout(_Output(sys.stdout)):
            status = _run_command(arguments)
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _give_up_output()
        return _NOT_READ
    except _OutputFailed as error:
        _give_up_output()
        return print_error(
            Unavailable(
                "cli.output",
                f"The output could not be written: {error}.",
                "What was asked may have been done all the same: look, before you ask for it again.",
            )
        )
    return status


def _run_command(arguments: Sequence[str]) -> int:
    try:
        app = make_app(whole=not arguments or arguments[0] in _HELP)
        status = app(list(arguments), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return print_error(InvalidInput("cli.usage", f"{error}".strip(), f"See `{_help_for(arguments)}`."))
    except AffidavitError as error:
        return print_error(error)
    return status if isinstance(status, int) else 0


def _give_up_output() -> None:
    """Keep the interpreter from trying again, and complaining, at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_standard_files() -> None:
    """Where a standard file is closed, put nothing in its place: else the next file that is opened would be it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def main() -> None:
    """The entry point of the console script."""
    _open_standard_files()
    sys.exit(run(sys.argv[1:]))


def _help_for(arguments: Sequence[str]) -> str:
    """The command line that explains the command in `arguments`, where it is one."""
    known = {name for name, _, _ in COMMANDS}
    return " ".join(["affidavit", *[item for item in arguments[:1] if item in known], "--help"])


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    main()
