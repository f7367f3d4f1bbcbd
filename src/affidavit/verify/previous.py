"""The log that a new one says it goes on from: what `log.open` names must be a checkpoint that the old key signed."""

from __future__ import annotations

from typing import Any

from affidavit.errors import AffidavitError, VerificationError
from affidavit.tlog.checkpoint import open_checkpoint
from affidavit.tlog.keys import VerifierKey
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.line import Line

_MEMBERS = {"origin", "key", "size", "root", "checkpoint"}


def check_previous(line: Line, origin: str, notes: Notebook) -> None:
    """Part of duty 7, for record 0 where its body holds `previous`. Whether the old log holds is its own verdict."""
    previous = (line.content or {}).get("previous")
    if previous is None:
        return
    try:
        named, size = _named(previous)
    except AffidavitError as error:
        message = f"Record {line.index} names a log before this one that it cannot be: {error}"
        notes.fail(Duty.GENESIS, "genesis.previous", line.where, message, line.index)
        return
    if named == origin:
        message = f"Record {line.index} names a log before this one under the same name: one name, two histories."
        notes.fail(Duty.GENESIS, "genesis.previous", line.where, message, line.index)
        return
    notes.remark(
        Duty.GENESIS,
        f"it goes on from the log {named}, whose newest known checkpoint was of {size} records under the key "
        f"{str(previous['key'])[:200]}: verify that log on its own",
    )


def _named(previous: Any) -> tuple[str, int]:
    """The origin and size that `previous` names, its signature checked. Raises `AffidavitError`."""
    if not isinstance(previous, dict) or set(previous) != _MEMBERS:
        raise VerificationError("genesis.previous", "It does not have the members that name a log.")
    key = VerifierKey.parse(str(previous["key"]))
    checkpoint = open_checkpoint(str(previous["checkpoint"]).encode(), key, key.name)
    said = (previous["origin"], previous["size"], previous["root"])
    if said != (checkpoint.origin, checkpoint.size, checkpoint.root.hex()):
        raise VerificationError("genesis.previous", "What it says is not what its checkpoint says.")
    return checkpoint.origin, checkpoint.size
