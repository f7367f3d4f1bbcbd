"""The `affidavit` command: every command registered once, every error one line that says what to do."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from cyclopts import App, CycloptsError

import affidavit
from affidavit.cli.output import print_error
from affidavit.errors import AffidavitError, InvalidInput

#: Command name, module, and what of it is the command or group. A module is imported when its command runs, or for
#: the help.
COMMANDS = (
    ("try", "affidavit.cli.try_", "try_"),
    ("init", "affidavit.cli.init", "init"),
    ("up", "affidavit.cli.up", "up"),
    ("demo", "affidavit.cli.demo.command", "demo"),
    ("ready", "affidavit.cli.ready", "ready"),
    ("apply", "affidavit.cli.apply", "apply"),
    ("grant", "affidavit.cli.grant", "grant"),
    ("approve", "affidavit.cli.approve", "approve"),
    ("settings", "affidavit.cli.settings", "settings"),
    ("token", "affidavit.cli.token", "token"),
    ("key", "affidavit.cli.key", "key"),
    ("timeline", "affidavit.cli.timeline", "timeline"),
    ("show", "affidavit.cli.show", "show"),
    ("explain", "affidavit.cli.explain", "explain"),
    ("order", "affidavit.cli.order", "order"),
    ("session", "affidavit.cli.session", "session"),
    ("findings", "affidavit.cli.findings", "findings"),
    ("state", "affidavit.cli.state", "state"),
    ("verify", "affidavit.cli.verify", "verify"),
    ("receipt", "affidavit.cli.receipt", "receipt"),
    ("witness", "affidavit.cli.witness", "witness"),
    ("fsck", "affidavit.cli.fsck", "fsck"),
    ("recover", "affidavit.cli.recover", "recover"),
    ("backup", "affidavit.cli.backup", "backup"),
    ("export", "affidavit.cli.export", "export"),
)
_HELP = ("--help", "-h")
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_NOT_READ = 141  # 128 + SIGPIPE; never 0 or 1, which would say something about what was asked


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
        app = make_app(whole=not arguments or arguments[0] in _HELP)
        status = app(list(arguments), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return print_error(InvalidInput("cli.usage", f"{error}".strip(), f"See `{_help_for(arguments)}`."))
    except AffidavitError as error:
        return print_error(error)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough. Keep the interpreter from complaining about it at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NOT_READ
    return status if isinstance(status, int) else 0


def main() -> None:
    """The entry point of the console script."""
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
