"""`affidavit approve INDEX`: approve a proposal by one's own login."""

from __future__ import annotations

from affidavit.cli.apply import print_result
from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common, Reason, index_of


def approve(index: str, /, *, reason: Reason = "Approved", common: Common = DEFAULTS) -> int:
    """Approve a proposal of somebody else's. Where that suffices, its change applies at once.

    See what waits with `affidavit timeline kind:proposal`.
    """
    with connect(common, writes=True) as client:
        result = client.post(f"/v1/proposals/{index_of(index)}/approvals", {"reason": reason})
    return print_result(result, common, f"proposal {index} is approved and applied")
