"""`affidavit state prove`: a small file that shows, with the log's public key alone, what the state was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common
from affidavit.cli.output import print_json, say
from affidavit.cli.verify import read_file
from affidavit.errors import InvalidInput
from affidavit.limits import STATE_PROOF_NOTE_BYTES_MAX


def prove(
    name: Annotated[str, Parameter(name="OBJECT")] = "",
    /,
    *,
    at: Annotated[str | None, Parameter(show_default=False)] = None,
    from_: Annotated[str | None, Parameter(name="--from", show_default=False)] = None,
    to: Annotated[str | None, Parameter(show_default=False)] = None,
    no_grant: Annotated[str | None, Parameter(show_default=False)] = None,
    system: Annotated[str | None, Parameter(show_default=False)] = None,
    no_membership: Annotated[str | None, Parameter(show_default=False)] = None,
    group: Annotated[str | None, Parameter(show_default=False)] = None,
    withhold: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    checkpoint: Annotated[Path | None, Parameter(show_default=False)] = None,
    out: Annotated[Path | None, Parameter(show_default=False)] = None,
    common: Common = DEFAULTS,
) -> int:
    """Write a proof of what the state was, at one moment or at any time between two.

    Of an object: the value that it had, or that it did not exist; between two moments, each value and when, so also
    that it never existed or never changed. Of a person or group: that they held no grant on a system, or were in no
    group of a name, themselves or through other groups. `affidavit verify FILE --key KEY` checks the file, offline,
    without the log. Moments are an index, a time or now, as in `affidavit state at`.

        affidavit state prove grant/ana/visits --at 2026-11-22T14:17 --out ana.proof
        affidavit state prove --no-grant ana --system clinic --from 2026-11-01 --to 2026-11-22 --out none.proof

    Exit status: 0 proved, 1 the statement is not true, 2 wrong input, 3 the log cannot be read.

    Parameters
    ----------
    name
        The object, with people by handle or id: grant/ana/visits, membership/ana/analysts, policy/login.
    at
        One moment. Default for an object: now.
    from_
        From this moment on. Default: the beginning of the log.
    to
        Up to this moment. Default: now.
    no_grant
        Whose grants there were none of: a handle, an id (u-…), group:NAME.
    system
        On which system; without it, on any.
    no_membership
        Who was not in the group.
    group
        Which group.
    withhold
        Show that the object existed and whether it changed, but not its value.
    checkpoint
        Prove it under this signed checkpoint, which somebody kept, instead of the newest.
    out
        The new file to write. Default: standard output.
    """
    _check(name, no_grant, no_membership, system, group, withhold)
    if at is not None and (from_ is not None or to is not None):
        raise InvalidInput("cli.usage", "--at is one moment; --from and --to are two.", "Give one or the other.")
    if out is not None and out.exists():
        raise InvalidInput("stateproof.file", f"{out} exists, and is not overwritten.", "Name a new file.")
    asked: dict[str, Any] = {"object": name or None, "no_grant": no_grant, "no_membership": no_membership}
    asked |= {"system": system, "group": group, "withheld": "1" if withhold else None}
    asked |= {"at": at or ("now" if name and not (from_ or to) else None), "from": from_, "to": to}
    if checkpoint is not None:
        asked["checkpoint"] = read_file(checkpoint, STATE_PROOF_NOTE_BYTES_MAX).decode("utf-8", "replace")
    with connect(common) as client:
        answer = client.get("/v1/state/proof", **{key: value for key, value in asked.items() if value is not None})
    return _give(answer, out, common)


def _give(answer: dict[str, Any], out: Path | None, common: Common) -> int:
    if not answer["holds"]:
        if common.json:
            print_json(answer)
        else:
            say(f"It is not so: {answer['words']} Nothing was written.", "deny")
        return 1
    if out is not None:
        _write(out, answer["file"])
    if common.json:
        print_json({**answer, "out": None if out is None else str(out)})
    elif out is None:
        print(answer["file"], end="")
    else:
        say(answer["verdict"]["shown"], "allow")
        for one, handle in answer["who"].items():
            say(f"{one} is {handle}, by the log's profiles.")
        if answer["verdict"]["elsewhere"]:
            say(f"The file also shows grants on other systems: {', '.join(answer['verdict']['elsewhere'])}.", "change")
        say(f"{out}: {len(answer['file'].encode()):,} bytes. Check it: affidavit verify {out} --key KEY")
    return 0


def _write(out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise InvalidInput(
            "stateproof.file",
            f"The proof cannot be written to {out}: {error.strerror}.",
            "Name a new file in a folder that you may write to.",
        ) from None


def _check(
    name: str,
    no_grant: str | None,
    no_membership: str | None,
    system: str | None,
    group: str | None,
    withhold: bool,
) -> None:
    """Raise `InvalidInput` unless the options make one statement."""
    if sum(bool(one) for one in (name, no_grant, no_membership)) != 1:
        raise InvalidInput(
            "cli.usage", "A proof is of one thing.", "Give an object, or --no-grant WHO, or --no-membership WHO."
        )
    if (system is not None and not no_grant) or (group is not None) != bool(no_membership) or (withhold and not name):
        raise InvalidInput(
            "cli.usage",
            "These options do not belong together.",
            "--system goes with --no-grant, --group with --no-membership, --withhold with an object.",
        )
