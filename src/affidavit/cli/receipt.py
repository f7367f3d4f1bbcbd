"""`affidavit receipt check`: whether the log kept what it promised."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from affidavit.archive.open import open_archive
from affidavit.cli.output import print_error, print_json, say
from affidavit.cli.verify import read_file, verifier_keys
from affidavit.clock import SystemClock
from affidavit.errors import AffidavitError
from affidavit.limits import RECEIPT_BYTES_MAX
from affidavit.verify.receipt import check_receipt

receipt = App(name="receipt", help="Check the receipts that the log gave.")
_STYLES = {"kept": "allow", "broken": "deny", "not_due": "unknown"}


@receipt.command
def check(
    file: Annotated[Path, Parameter(name="FILE")],
    location: Annotated[str, Parameter(name="LOCATION")],
    /,
    *,
    key: str,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Tell whether the log kept a promise, trusting nothing but a public key.

    Exit status: 0 kept; 1 broken, or the receipt or the log does not hold; 2 wrong input; 3 not due yet, or the log
    could not be read.

    Parameters
    ----------
    file
        The receipt.
    location
        A data folder, a log's own folder, or the URL of a log.
    key
        The log's verifier key, or a file that holds it, one a line.
    json
        Print the verdict as JSON, with the checkpoint and the proof that it rests on.
    """
    try:
        archive = open_archive(location)
        keys, notes = verifier_keys(key, archive)
        verdict = check_receipt(read_file(file, RECEIPT_BYTES_MAX), keys, archive.log, SystemClock().now_ns())
    except AffidavitError as error:
        return print_error(error)
    if json:
        print_json({**verdict.as_dict(), "notes": list(notes)})
        return verdict.exit_status
    say(verdict.message, _STYLES[verdict.result])
    say(f"Accepted {verdict.accepted}, id {verdict.id}, by {verdict.origin}.")
    for line in notes:
        say(line)
    return verdict.exit_status
