"""`affidavit token create|revoke|list`: personal tokens, for gateways and for the API."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from cyclopts import App, Parameter

from affidavit.cli.apply import print_result
from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, print_table, say

token = App(name="token", help="Make, revoke and list personal tokens.")
_Reason = Annotated[str, Parameter(help="Why. It stands in the log.", show_default=False)]


@token.command
def create(
    handle: str,
    /,
    *,
    label: Annotated[str, Parameter(help="What it is for.", show_default=False)] = "",
    reason: _Reason = "",
    common: Common = DEFAULTS,
) -> int:
    """Make a token for HANDLE. It is shown this once and stored nowhere: it is the password at the gateway."""
    with connect(common, writes=True) as client:
        made = client.post("/v1/tokens", {"who": handle, "label": label, "reason": reason})
    if common.json:
        print_json(made)
        return 0
    say(f"The token of {handle}, shown this once:")
    say(f"  {made['token']}", "strong")
    say(f"Its thumbprint, which names it in the log: {made['thumbprint']}")
    if made["kind"] == "proposal":
        print_result(made, common, "")
    return 0


@token.command
def revoke(thumbprint: str, /, *, reason: _Reason = "", common: Common = DEFAULTS) -> int:
    """Take a token away. It proves nobody from then on."""
    with connect(common, writes=True) as client:
        result = client.delete(f"/v1/tokens/{quote(thumbprint, safe='')}", {"reason": reason})
    return print_result(result, common, f"token {thumbprint} is revoked")


@token.command(name="list")
def list_(handle: str = "", /, *, common: Common = DEFAULTS) -> int:
    """The tokens of HANDLE, or of everybody, by thumbprint."""
    with connect(common) as client:
        answer = client.get("/v1/tokens", **({"who": handle} if handle else {}))
    if common.json:
        print_json(answer)
        return 0
    rows = [
        (item["thumbprint"], item["handle"] or item["identity"], item["label"], str(item["version"]))
        for item in answer["tokens"]
    ]
    print_table(("thumbprint", "owner", "label", "record"), rows)
    return 0
