"""Keeping the receipt that a command was given: the option for it, and the file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from affidavit.cli.options import Common
from affidavit.cli.output import say
from affidavit.errors import InvalidInput

Receipt = Annotated[
    Path | None,
    Parameter(help="Write the log's signed receipt of the record to this new file.", show_default=False),
]


def check_receipt_file(path: Path | None) -> None:
    """Raise `InvalidInput` where a file is there: it may be the only receipt of another record. Call it first."""
    if path is not None and path.exists():
        raise InvalidInput("receipt.file", f"{path} exists, and is not overwritten.", "Name a new file.")


def keep_receipt(result: dict[str, Any], path: Path | None, common: Common) -> int:
    """Write the receipt in `result`, where one was asked for; the exit status: 3 where there is none."""
    if path is None:
        return 0
    text = result.get("receipt")
    if not isinstance(text, str):
        if not common.json:
            say(f"There is no receipt: {result.get('receipt_problem') or 'the log gave none.'}", "unknown")
        return 3
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise InvalidInput(
            "receipt.file",
            f"The record stands, but its receipt cannot be written to {path}: {error.strerror}.",
            "Name a new file in a folder that you may write to.",
        ) from None
    if not common.json:
        say(f"Its receipt: {path}")
    return 0
