"""`affidavit token create|revoke|list`: personal tokens, for gateways and for the API."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from cyclopts import App, Parameter

from affidavit.cli.apply import print_result
from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common, duration_s
from affidavit.cli.output import print_json, print_table, say

token = App(name="token", help="Make, revoke and list personal tokens.")
_Reason = Annotated[str, Parameter(help="Why. It stands in the log.", show_default=False)]


@token.command
def create(
    handle: str,
    /,
    *,
    label: Annotated[str, Parameter(help="What it is for.", show_default=False)] = "",
    for_: Annotated[
        str,
        Parameter(name="--for", help="How long it counts: 12h, 30d. Without it, until revoked.", show_default=False),
    ] = "",
    reason: _Reason = "",
    common: Common = DEFAULTS,
) -> int:
    """Make a token for HANDLE. It is shown this once and stored nowhere: it is the password at the gateway.

    With --for it ends by itself: `affidavit token create ana --for 30d`.
    """
    with connect(common, writes=True) as client:
        wish: dict[str, Any] = {"who": handle, "label": label, "reason": reason}
        if for_:
            wish["seconds"] = duration_s(for_)
        made = client.post("/v1/tokens", wish)
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
        (
            item["thumbprint"],
            item["handle"] or item["identity"],
            item["label"],
            "" if item["end"] is None else f"{item['end'][:19].replace('T', ' ')} UTC",
            str(item["version"]),
        )
        for item in answer["tokens"]
    ]
    print_table(("thumbprint", "owner", "label", "ends", "record"), rows)
    return 0
