"""`affidavit backup DEST`: a copy of the log, whole and checked, also while it is being written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, say
from affidavit.cli.watching import progress


def backup(
    dest: Annotated[Path, Parameter(name="DEST")],
    /,
    *,
    secrets: Annotated[
        bool, Parameter(negative="", show_default=False, help="With the keys: whoever holds the copy can then sign.")
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """Copy the log to a folder, also while the server runs; the next time only what is new is copied.

    What is copied is checked: its records must lead to the root that the log signed, and continue what the copy held.
    A copy that knows more than the log stops it: the log was put back. `affidavit verify` and `fsck` read the copy; to
    go on from it, put it in the log's place, with the secrets, and run `affidavit recover`.
    """
    from affidavit.compose.backup import backup as copy  # noqa: PLC0415  heavy rooms only when needed

    with progress(shown=not common.json and sys.stderr.isatty()) as watch:
        copied = copy(common.data, dest, watch, secrets=secrets)
    if common.json:
        print_json(
            {"folder": str(dest), "size": copied.size, "held": copied.held, "added": copied.added, "secrets": secrets}
        )
        return 0
    say(f"{dest} holds {copied.size} published records, {copied.added} of them new.", "allow")
    if copied.held > copied.size:
        say(f"Its journal holds {copied.held - copied.size} that were not published yet.")
    if not secrets:
        say(f"The keys are not in it: keep {common.data / 'secrets'} on its own, or say --secrets.")
    return 0
