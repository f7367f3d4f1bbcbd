"""`affidavit grant WHO ACTIONS on RESOURCE --for TIME`: a permission for a time."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from affidavit.cli.apply import print_result
from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common, Reason, Ticket, duration_s
from affidavit.cli.receiving import Receipt, check_receipt_file, keep_receipt
from affidavit.errors import InvalidInput


def grant(
    who: str,
    actions: str,
    on: str,
    resource: str,
    /,
    *,
    for_: Annotated[str, Parameter(name="--for", help="How long: 30m, 2h, 7d.")],
    reason: Reason,
    ticket: Ticket = "",
    approved_by: Annotated[
        tuple[str, ...],
        Parameter(help="Somebody said to have approved it. Kept as a claim; it never counts.", show_default=False),
    ] = (),
    break_glass: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="For an emergency: short, and reviewed by somebody afterwards."
        ),
    ] = False,
    receipt: Receipt = None,
    common: Common = DEFAULTS,
) -> int:
    """Let somebody do something for a time: `affidavit grant ana read on clinic/public.patients --for 2h`.

    WHO is a handle or group:NAME, ACTIONS a list with commas (read,write), RESOURCE a system or SYSTEM/schema.table.
    Where policy asks for an approval it becomes a proposal. With --break-glass it lasts 12 hours at most, policies see
    the fact break_glass, and `affidavit ready` names it until somebody else has done `affidavit review` on its record.
    """
    if on != "on":
        raise InvalidInput(
            "grant.form", f"Expected `on`, not {on!r}.", "Write: affidavit grant WHO ACTIONS on RESOURCE."
        )
    check_receipt_file(receipt)
    wish: dict[str, Any] = {
        "who": who,
        "actions": [action.strip() for action in actions.split(",") if action.strip()],
        "resource": resource,
        "seconds": duration_s(for_),
        "reason": reason,
        "ticket": ticket,
        "claimed": list(approved_by),
        "receipt": receipt is not None,
    }
    if break_glass:
        wish["break_glass"] = True
    with connect(common, writes=True) as client:
        result = client.post("/v1/grants", wish)
    status = print_result(result, common, f"{who} may {actions} on {resource} for {for_}")
    return keep_receipt(result, receipt, common) or status
