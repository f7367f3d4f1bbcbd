"""`affidavit login`: a link into the console, for whoever runs this."""

from __future__ import annotations

from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, say
from affidavit.errors import Unavailable


def login(*, common: Common = DEFAULTS) -> int:
    """Print a link that lets you into the console once, in a browser on this machine.

    It works for ten minutes, and voids the one you had before. The console shows what you may see by the command line.
    """
    with connect(common) as client:
        if not client.server_runs:
            raise Unavailable("login.stopped", "Nothing serves the console now.", "Start it with `affidavit up`.")
        link = client.post("/v1/login", {})
    if common.json:
        print_json(link)
        return 0
    say(link["url"], "strong")
    say(f"It lets you in once, within {link['seconds'] // 60} minutes.", "dim")
    return 0
