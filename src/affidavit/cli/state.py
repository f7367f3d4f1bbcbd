"""`affidavit state at TIME|INDEX [PREFIX]`: the state as it was, folded from the log."""

from __future__ import annotations

from cyclopts import App

from affidavit.cli.apply import short
from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, print_table, say
from affidavit.cli.prove import prove

state = App(name="state", help="The state as of any moment: identities, permissions, settings, systems.")
state.command(prove)


@state.command
def at(when: str, prefix: str = "", /, *, common: Common = DEFAULTS) -> int:
    """The objects as of WHEN: an index (just before that record), a UTC time such as 2026-11-22T14:17, or now.

    PREFIX shows only what begins so: grant/ana/, policy/, settings/.
    """
    with connect(common) as client:
        answer = client.get("/v1/state", at=when, prefix=prefix)
    if common.json:
        print_json(answer)
        return 0
    say(f"State {answer['state']}, after the records before {answer['at']}; root {answer['root']}", "dim")
    rows = [(item["shown"], str(item["version"]), short(item["value"])) for item in answer["objects"]]
    if rows:
        print_table(("object", "record", "value"), rows)
    else:
        say(f"No object's name begins with {prefix}." if prefix else "No object was there yet.")
    return 0
