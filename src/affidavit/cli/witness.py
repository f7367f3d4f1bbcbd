"""`affidavit witness init|add|serve`: a witness for other people's logs, best on a machine that is not the log's."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from affidavit.cli.output import print_json, say

witness = App(name="witness", help="Make, extend and serve a witness, which cosigns checkpoints that continue.")
_Folder = Annotated[Path, Parameter(name="DIR", help="The witness's own folder.")]
_Json = Annotated[bool, Parameter(negative="", show_default=False, help="Print JSON.")]


@witness.command
def init(
    folder: _Folder,
    /,
    *,
    name: Annotated[str, Parameter(help="Its name, under a domain of yours: witness.example/w1.")],
    type: Annotated[
        list[str] | None,
        Parameter(help="ed25519, or ml-dsa-44; given twice, both cosign. Default: ed25519.", show_default=False),
    ] = None,
    json: _Json = False,
) -> int:
    """Make a witness in a folder that is empty or not there yet: its key, and nothing that it follows."""
    from affidavit.compose.witness import create_witness  # noqa: PLC0415  heavy rooms only when needed

    keys = [key.to_text() for key in create_witness(folder, name, type or ["ed25519"])]
    if json:
        print_json({"folder": str(folder), "name": name, "verifier_keys": keys})
        return 0
    say(f"A new witness: {name}, in {folder}. What a log needs to know of it:")
    for key in keys:
        say(f"  {key}", "strong")
    say(f"Next: affidavit witness add {folder} LOG-KEY, then affidavit witness serve {folder}.")
    return 0


@witness.command
def add(
    folder: _Folder,
    key: Annotated[
        str, Parameter(name="LOG-KEY", help="The log's verifier key, or a file that holds it: its log.vkey.")
    ],
    /,
    *,
    json: _Json = False,
) -> int:
    """Follow a log. A second key of a log that is followed is trusted beside the first, as while it is rotated.

    A witness that serves takes it up at once.
    """
    from affidavit.compose.witness import add_log  # noqa: PLC0415  heavy rooms only when needed

    added = add_log(folder, key)
    if json:
        print_json({"logs": [{"origin": one.name, "key": one.to_text(), "new": new} for one, new in added]})
        return 0
    for one, new in added:
        say(f"The witness follows {one.name}{'' if new else ' already'}, under the key {one.key_id.hex()}.")
    return 0


@witness.command
def serve(
    folder: _Folder,
    /,
    *,
    listen: Annotated[str, Parameter(help="HOST:PORT. Port 0 takes a free one.")] = "127.0.0.1:7380",
) -> int:
    """Answer logs that ask for cosignatures, until SIGTERM or Ctrl-C.

    Speaks HTTP; a checkpoint and a cosignature prove themselves, so TLS is a proxy's matter.
    """
    from affidavit.compose.witness import run_witness  # noqa: PLC0415  heavy rooms only when needed

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return run_witness(folder, listen, say)
