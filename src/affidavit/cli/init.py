"""`affidavit init DIR --origin NAME`: keys, secrets, configuration and the first records of a new log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from affidavit.cli.output import print_json, say
from affidavit.errors import InvalidInput
from affidavit.tlog.keys import ED25519, ML_DSA_44


def init(
    folder: Annotated[Path, Parameter(name="DIR")],
    /,
    *,
    origin: Annotated[str, Parameter(help="The log's name, under a domain of yours: example.com/audit.")],
    handle: Annotated[
        str | None, Parameter(help="The handle of the first administrator; else your user name.", show_default=False)
    ] = None,
    name: Annotated[str, Parameter(help="Their name as people read it.", show_default=False)] = "",
    post_quantum: Annotated[
        bool, Parameter(negative="", show_default=False, help="Let an ML-DSA-44 key sign beside the Ed25519 key.")
    ] = False,
    json: Annotated[bool, Parameter(negative="", show_default=False, help="Print JSON.")] = False,
) -> int:
    """Make a new log in a folder that is empty or not there yet.

    The user of this machine who runs this becomes the first administrator. An existing log is never touched.
    """
    from affidavit.compose.create import create  # noqa: PLC0415  heavy rooms only when needed

    if folder.exists() and not folder.is_dir():
        raise InvalidInput("init.folder", f"{folder} is not a folder.", "Name one that is empty or not there yet.")
    made = create(folder, origin, handle, name, types=(ED25519, ML_DSA_44) if post_quantum else (ED25519,))
    if json:
        print_json(
            {
                "folder": str(folder),
                "origin": origin,
                "verifier_key": made.verifier_key,
                "verifier_keys": list(made.verifier_keys),
                "administrator": made.handle,
            }
        )
        return 0
    say(f"A new log: {origin}, in {folder}.")
    say(f"First administrator: {made.handle}, proved by this machine's user {made.uid}.")
    say("Its public key, all that a verifier needs to trust:")
    for text in made.verifier_keys:
        say(f"  {text}", "strong")
    say(f"Keep {folder / 'secrets'} secret and in your backups: who has it can sign, and read every body.")
    return 0
