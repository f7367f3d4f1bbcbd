"""`affidavit verify FILE`: check a proof of state, offline. Imports nothing that writes logs."""

from __future__ import annotations

from collections.abc import Sequence

from affidavit.cli.output import print_error, print_json, say
from affidavit.errors import VerificationError
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.policy import Policy
from affidavit.verify.stateproof import StateProofVerdict, check_state_proof


def check_proof(
    data: bytes,
    keys: Sequence[VerifierKey],
    kept: Sequence[bytes],
    policy: Policy | None,
    *,
    json: bool,
) -> int:
    """Print what a proof of state shows; the exit status. Raises `InvalidInput` as `check_state_proof` does."""
    try:
        verdict = check_state_proof(data, keys, kept, policy)
    except VerificationError as error:
        if not json:
            return print_error(error)
        print_json({"holds": False, "exit_status": error.exit_status, "code": error.code, "message": error.message})
        return error.exit_status
    if json:
        print_json(verdict.as_dict())
    else:
        _print(verdict)
    return verdict.exit_status


def _print(verdict: StateProofVerdict) -> None:
    say(f"Shown: {verdict.shown}", "allow")
    say()
    signers = ", ".join(f"{one.name} ({one.key_id})" for one in verdict.signed_by)
    say(f"By the log {verdict.origin}: its checkpoint of {verdict.size:,} records, signed by {signers}.")
    count = "one state" if verdict.states == 1 else f"{verdict.states:,} states, one after the other,"
    say(f"{count[0].upper()}{count[1:]} held in that time; each was looked at.")
    if verdict.elsewhere:
        say(f"Held on other systems, and so left out: {', '.join(verdict.elsewhere)}.", "change")
    for one in verdict.kept:
        if one.result == "consistent":
            say(f"The checkpoint of {one.size:,} records kept elsewhere is the same.")
    if verdict.cosigned:
        say(f"Cosigned by {', '.join(one.witness for one in verdict.cosigned)}.")
    for line in verdict.not_checked:
        say(f"Not checked: {line}.", "unknown")
    say()
    say("Not shown:")
    for line in verdict.not_shown:
        say(f"* {line}")
