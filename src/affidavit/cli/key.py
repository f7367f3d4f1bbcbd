"""`affidavit key show|rotate|serve`: which key the log signs with, giving it the next one, and keeping it elsewhere."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common, Reason
from affidavit.cli.output import print_json, say

key = App(name="key", help="Show and rotate the key that the log signs with, or hold it for the log.")


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


@key.command
def serve(
    folder: Annotated[Path, Parameter(name="DIR", help="The agent's own folder, with the keys in DIR/secrets.")],
    /,
    *,
    socket: Annotated[Path, Parameter(help="Where it answers; `signer` in affidavit.toml names the same.")],
    uid: Annotated[
        list[int] | None,
        Parameter(help="The user whose processes may ask; may be given again. Default: your own.", show_default=False),
    ] = None,
) -> int:
    """Hold a log's key in a process of its own, and sign what its ledger asks for, until SIGTERM or Ctrl-C.

    Run it as another user than the ledger: then whoever takes over the ledger's process has no key.
    """
    from affidavit.compose.keyagent import run_agent  # noqa: PLC0415  heavy rooms only when needed

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return run_agent(folder, socket, uid or (), say)
