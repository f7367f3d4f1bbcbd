"""`affidavit ready`: the checks before one relies on the log, each with its fix."""

from __future__ import annotations

from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, say


def ready(*, common: Common = DEFAULTS) -> int:
    """Check what an audit would find: settings, publication, clock, checkpoints outside, policy, approvals.

    Exit status 1 if not ready.
    """
    with connect(common) as client:
        answer = client.get("/v1/ready")
    if common.json:
        print_json(answer)
        return 0 if answer["ready"] else 1
    for check in answer["checks"]:
        say(f"{'ok     ' if check['holds'] else 'MISSING'}  {check['detail']}", "allow" if check["holds"] else "deny")
        if not check["holds"]:
            say(f"         fix: {check['fix']}")
    missing = sum(not check["holds"] for check in answer["checks"])
    say(
        "Ready." if answer["ready"] else f"Not ready: {missing} of {len(answer['checks'])} checks do not hold.",
        "strong",
    )
    return 0 if answer["ready"] else 1
