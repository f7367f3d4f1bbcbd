"""`affidavit fsck`: build the tree anew from the entries and compare everything, as the log's operator."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, say
from affidavit.cli.watching import progress
from affidavit.evidence.wording import list_words

if TYPE_CHECKING:
    from affidavit.ledger.fsck import Examination


def fsck(
    *,
    clean: Annotated[
        bool, Parameter(negative="", show_default=False, help="Remove what is left over, and list it.")
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """Build the whole tree anew from the entries, and compare everything that lies in the data folder.

    Reads with the operator's keys, needs no lock and repairs nothing; each finding says what to do. While the server
    runs, it looks as far as the checkpoint that it finds. `--clean` removes only what a crash left unfinished, and
    partial files whose full form is published. Exit status: 0 whole, 1 not, 3 something could not be read.
    """
    from affidavit.compose import examine  # noqa: PLC0415  heavy rooms only when needed

    with progress(shown=not common.json and sys.stderr.isatty()) as watch:
        found = examine.fsck(common.data, watch)
    removed = examine.clean(common.data, found) if clean else []
    if common.json:
        print_json({**found.as_dict(), "left_over": [one.where for one in found.strays if not one.code],
                    "removed": removed})  # fmt: skip
        return found.exit_status
    _print(found)
    for where in removed:
        say(f"Removed {where}.")
    return found.exit_status


def _print(found: Examination) -> None:
    for one in found.faults:
        say(f"{one.where}: {one.message} [{one.code}]", "deny")
        say(f"  {one.remedy.value}")
    if found.faults_count > len(found.faults):
        say(f"And {found.faults_count - len(found.faults)} more.")
    for stray in found.strays:
        if not stray.code:
            say(f"{stray.where}: {stray.message}", "dim")
    if found.rule:
        say(f"{found.size} records lead to the root that was signed, {found.root}.")
    if found.journal_begin:
        say(f"The journal begins at record {found.journal_begin}: what lies before is published alone.")
    if found.beyond:
        say(f"The journal holds {found.beyond} records that are not published yet.")
    if found.torn is not None:
        say("The journal ends in a torn write, which nobody was told about; the next start cuts it.")
    say(f"Bodies read: {found.bodies_read}. Kept checkpoints compared: {found.kept}.")
    if found.erased:
        listed = list_words([f"{index} (by record {by})" for index, by in sorted(found.erased.items())], 8)
        say(f"Erased, each by a record that says so: {listed}.")
    if found.bodies_unread:
        say(f"{found.bodies_unread} bodies could not be read: no key in secrets/body.keys opens them.", "unknown")
    if found.whole:
        say("Everything is as it was written.", "allow")
    else:
        say(f"{found.faults_count} findings. Nothing was changed.", "deny")
