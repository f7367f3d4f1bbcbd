"""`affidavit recover`: what is possible with a log that `up` refuses, and doing it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, say
from affidavit.cli.watching import progress
from affidavit.errors import InvalidInput

if TYPE_CHECKING:
    from affidavit.compose.recovering import Situation


def recover(
    *,
    yes: Annotated[bool, Parameter(negative="", show_default=False, help="Do it without asking.")] = False,
    newest_copy: Annotated[
        bool, Parameter(negative="", show_default=False, help="You know that no newer copy of this log exists.")
    ] = False,
    new: Annotated[
        Path | None, Parameter(name="--new", show_default=False, help="Begin a new log in this folder instead.")
    ] = None,
    origin: Annotated[str, Parameter(show_default=False, help="The new log's name; never the old one's.")] = "",
    handle: Annotated[
        str | None, Parameter(show_default=False, help="The handle of the new log's first administrator.")
    ] = None,
    administrator: Annotated[
        str | None,
        Parameter(show_default=False, help="Make this person an administrator again, by the log's key."),
    ] = None,
    reason: Annotated[str, Parameter(show_default=False, help="Why; for --administrator. It stands in the log.")] = "",
    common: Common = DEFAULTS,
) -> int:
    """Say what is there when a log does not start, and what is possible: go on, or begin a new log that names this one.

    It goes on where everything that was signed is here: damaged files are written again from the copies that are
    whole, after a copy of each was put under DIR/set-aside; what may be lost beyond that is recorded as a gap. It never
    goes on from less than a place outside has seen. Exit status: 0 done, or nothing to do; 1 it was not told to go on;
    2 only you can know whether it may; 3 it cannot go on.
    """
    from affidavit.compose import recovering  # noqa: PLC0415  heavy rooms only when needed

    if (new is None) != (not origin):
        raise InvalidInput("cli.usage", "--new and --origin belong together.", "Give both for a new log.")
    if administrator is not None:
        return _restore(administrator, reason, common)
    with progress(shown=not common.json and sys.stderr.isatty()) as watch:
        situation = recovering.look(common.data, watch)
    if not common.json:
        _explain(situation)
    if new is not None:
        made = recovering.begin_anew(common.data, new, origin, handle, situation)
        if common.json:
            print_json({**situation.as_dict(), "new": {"folder": str(new), "verifier_key": made.verifier_key}})
            return 0
        say(f"A new log: {origin}, in {new}. Its first record names the old one; the old folder was not touched.")
        say(f"  {made.verifier_key}", "strong")
        say("People, policies and grants were not taken over: put them back with `affidavit apply`.")
        return 0
    if not situation.needed:
        if common.json:
            print_json({**situation.as_dict(), "done": False})
        return 0
    if not _told(situation, yes=yes, asks=not common.json and sys.stdin.isatty()):
        if common.json:
            print_json({**situation.as_dict(), "done": False})
        else:
            say("Nothing was changed. Run it with --yes to go on.")
        return 1
    done = recovering.go_on(common.data, situation, newest_copy=newest_copy)
    if common.json:
        print_json({**situation.as_dict(), "done": True, "written": list(done.written), "set_aside": done.set_aside})
        return 0
    for where in done.written:
        say(f"Written again: {where}.")
    if done.set_aside:
        say(f"What was replaced lies in {done.set_aside}.")
    say(f"The log goes on with {done.size} records. Start it with `affidavit up`.", "allow")
    return 0


def _restore(handle: str, reason: str, common: Common) -> int:
    from affidavit.compose import recovering  # noqa: PLC0415  heavy rooms only when needed

    if not reason:
        raise InvalidInput("cli.usage", "--administrator needs --reason.", "Say why; it stands in the log.")
    index = recovering.restore_administrator(common.data, handle, reason)
    if common.json:
        print_json({"administrator": handle, "index": index})
        return 0
    say(f"{handle} is an administrator, proved by this machine's user. Record {index} says so.", "allow")
    say("It was outside of policy: every verdict on this log names it.")
    return 0


def _told(situation: Situation, *, yes: bool, asks: bool) -> bool:
    """Whether to go on. What cannot go on is not asked about: doing it says why."""
    if yes or situation.obstacles or situation.ahead:
        return True
    if not asks:
        return False
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def _explain(situation: Situation) -> None:
    found = situation.found
    if not situation.needed:
        say("Everything is as it was written: nothing stands in the way of `affidavit up`.", "allow")
        return
    for one in found.faults:
        say(f"{one.where}: {one.message} [{one.code}]", "deny")
    if found.faults_count > len(found.faults):
        say(f"And {found.faults_count - len(found.faults)} more.")
    for place in situation.outside:
        what = f"holds a checkpoint of {place.size} records" if place.size is not None else "holds none"
        say(f"{place.where}: {place.problem or what}.")
    if not situation.outside:
        say("No place outside is configured: nothing but this folder says how much was signed.", "unknown")
    if situation.pending.get("what") == "backup":
        say(f"This is a copy that was made at {situation.pending.get('at')}, of {found.size} published records.")
    if found.signed is not None:
        say(f"The newest checkpoint here is of {found.size} records.")
    if situation.cause:
        lost = situation.lost
        say(
            f"Records from {lost['first']} on may have been accepted and are lost; {lost['readable']} of them can "
            "still be read. None of them is under a checkpoint. A gap will be recorded.",
            "unknown",
        )
    elif not situation.obstacles and not situation.ahead:
        say("Nothing is lost.")
