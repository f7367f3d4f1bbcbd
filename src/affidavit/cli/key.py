"""`affidavit key show|rotate`: which key the log signs with, and giving it the next one."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common, Reason
from affidavit.cli.output import print_json, say

key = App(name="key", help="Show and rotate the key that the log signs with.")


@key.command
def show(*, common: Common = DEFAULTS) -> int:
    """The log's public keys, the one in force last."""
    with connect(common) as client:
        answer = client.get("/v1/key")
    if common.json:
        print_json(answer)
        return 0
    for epoch in answer["keys"]:
        until = "in force" if epoch["last"] is None else f"up to {epoch['last']:,} records"
        say(f"After {epoch['after']:,} records, {until}:")
        for text in epoch["keys"]:
            say(f"  {text}", "strong" if epoch["last"] is None else "")
    return 0


@key.command
def rotate(
    *,
    reason: Reason,
    post_quantum: Annotated[
        bool | None,
        Parameter(
            negative="--no-post-quantum",
            show_default=False,
            help="Whether an ML-DSA-44 key signs beside the Ed25519 key. Default: as before.",
        ),
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """Give the log a new key. The old private key is removed; verifiers follow from the old public key to the new one.

    Witnesses must be told the new key: `affidavit witness add`, or what yours has for it.
    """
    wish: dict[str, object] = {"reason": reason}
    if post_quantum is not None:
        wish["post_quantum"] = post_quantum
    with connect(common, writes=True) as client:
        answer = client.post("/v1/key/rotation", wish)
    if common.json:
        print_json(answer)
        return 0
    say(f"Record {answer['index']}: from here on the log signs with its new key.")
    for text in answer["keys"]:
        say(f"  {text}", "strong")
    say("Tell your witnesses and verifiers. Who knows the old key finds the new one in the log itself.")
    return 0
