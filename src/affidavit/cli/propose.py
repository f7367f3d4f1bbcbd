"""`affidavit propose FILE|DIR`: ask for a change, and let somebody else decide whether it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from affidavit.cli.apply import print_differences, wish_of
from affidavit.cli.client import connect
from affidavit.cli.declaration import naming_places, read_declaration
from affidavit.cli.options import DEFAULTS, Common, Reason, Ticket
from affidavit.cli.output import print_json, say
from affidavit.cli.receiving import Receipt, check_receipt_file, keep_receipt


def propose(
    path: Annotated[Path, Parameter(name="FILE|DIR")],
    /,
    *,
    reason: Reason,
    ticket: Ticket = "",
    receipt: Receipt = None,
    common: Common = DEFAULTS,
) -> int:
    """Propose what a declaration would change, also where you could do it alone: `affidavit propose team/ --reason …`.

    The files are those of `affidavit apply`. Nothing changes until somebody else approves the proposal with `affidavit
    approve`; `affidavit timeline kind:proposal` shows what waits. It falls where one of its objects changes before.
    """
    check_receipt_file(receipt)
    declared = read_declaration(path)
    wish = {**wish_of(declared, reason, ticket), "propose": True, "receipt": receipt is not None}
    with connect(common, writes=True) as client, naming_places(declared.places):
        result = client.post("/v1/changes", wish)
    if common.json:
        print_json(result)
    elif result["kind"] == "nothing":
        say("Nothing to propose: all is as declared.")
    else:
        print_differences(result["differences"])
        say(
            f"Record {result['index']} is a proposal. "
            f"Somebody else approves it with `affidavit approve {result['index']}`.",
            "change",
        )
    return keep_receipt(result, receipt, common)
