"""`affidavit apply FILE|DIR`: make the state as declared, in one change with one reason."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from affidavit.cli.client import connect
from affidavit.cli.declaration import Declaration, naming_places, read_declaration
from affidavit.cli.options import DEFAULTS, Common, Reason, Ticket
from affidavit.cli.output import print_json, say
from affidavit.cli.receiving import Receipt, check_receipt_file, keep_receipt
from affidavit.errors import InvalidInput


def apply(
    path: Annotated[Path, Parameter(name="FILE|DIR")],
    /,
    *,
    reason: Reason,
    ticket: Ticket = "",
    dry_run: Annotated[bool, Parameter(negative="", show_default=False, help="Show the difference only.")] = False,
    yes: Annotated[bool, Parameter(negative="", show_default=False, help="Do not ask before applying.")] = False,
    prune: Annotated[
        bool, Parameter(negative="", show_default=False, help="Delete what the folder put and no longer declares.")
    ] = False,
    receipt: Receipt = None,
    common: Common = DEFAULTS,
) -> int:
    """Show what a declaration would change, and apply it as one change.

    The file is YAML, a mapping from object name to value; people are named by handle, null deletes. A folder holds
    such files and one policy in each *.cedar file. Nothing is applied unless everything can be.

    A change by a folder keeps the folder's name. With --prune, objects whose present version was put by a folder of
    this name, and that it does not declare any more, are deleted; all others stay, whoever made them.
    """
    check_receipt_file(receipt)
    declared = read_declaration(path)
    if prune and not declared.folder:
        raise InvalidInput("apply.folder", "Only a folder of files can be pruned.", "Apply the folder, not a file.")
    wish = wish_of(declared, reason, ticket)
    if prune:
        wish["prune"] = True
    with connect(common, writes=not dry_run) as client, naming_places(declared.places):
        planned = client.post("/v1/changes", {**wish, "dry_run": True})
        if dry_run or not planned["differences"]:
            return _show(planned, common, "Nothing to change: all is as declared." if not dry_run else "")
        if not common.json:
            print_differences(planned["differences"])
        if not yes and not _confirmed():
            say("Nothing was changed.")
            return 1
        seen = {item["name"]: item["based"] for item in planned["differences"]}
        result = client.post("/v1/changes", {**wish, "seen": seen, "receipt": receipt is not None})
    status = print_result(result, common, "applied")
    return keep_receipt(result, receipt, common) or status


def wish_of(declared: Declaration, reason: str, ticket: str) -> dict[str, Any]:
    """What is asked of the API for a declaration."""
    wish: dict[str, Any] = {"objects": declared.objects, "reason": reason, "ticket": ticket}
    return {**wish, "folder": declared.folder} if declared.folder else wish


def print_differences(differences: Sequence[dict[str, Any]]) -> None:
    """One line an object, and one for each member that changes."""
    for item in differences:
        before, after = item["before"], item["after"]
        if after is None:
            say(f"- {item['shown']}", "deny")
        elif before is None:
            say(f"+ {item['shown']}  {short(after)}", "allow")
        else:
            say(f"~ {item['shown']}", "change")
            for member in sorted(before.keys() | after.keys()):
                if before.get(member) != after.get(member):
                    say(f"    {member}: {short(before.get(member))} -> {short(after.get(member))}")


def print_result(result: dict[str, Any], common: Common, done: str) -> int:
    """What a wish became, in one line; returns the exit status."""
    if common.json:
        print_json(result)
    elif result["kind"] == "proposal":
        say(
            f"Policy lets nobody do this alone: record {result['index']} is a proposal. "
            f"Somebody else approves it with `affidavit approve {result['index']}`.",
            "change",
        )
    elif result["kind"] == "nothing":
        say("Nothing to change: all is as declared.")
    elif result["change"] is None:
        say(f"Approved by record {result['index']}; the proposal waits for another approval.", "change")
    else:
        say(f"Record {result['change']}: {done}.", "change")
    return 0


def _show(planned: dict[str, Any], common: Common, otherwise: str) -> int:
    if common.json:
        print_json({"kind": "nothing", "index": None, "change": None, **planned})
    elif planned["differences"]:
        print_differences(planned["differences"])
    else:
        say(otherwise or "Nothing to change: all is as declared.")
    return 0


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise InvalidInput("apply.confirm", "Nobody is there to confirm the change.", "Add --yes to apply it.")
    sys.stdout.write("Apply this as one change? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def short(value: Any) -> str:
    """A value in at most a hundred characters on one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    folded = " ".join(text.split())
    return folded if len(folded) <= 100 else folded[:99] + "…"
