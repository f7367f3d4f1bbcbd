"""Makes the places where a log's checkpoints are kept, from its configuration."""

from __future__ import annotations

from collections.abc import Sequence

from affidavit.clock import Clock
from affidavit.config import Config
from affidavit.durable import Disk
from affidavit.errors import InvalidInput
from affidavit.ledger.folder_place import FolderPlace
from affidavit.ledger.layout import Layout
from affidavit.ledger.place import Place
from affidavit.ledger.places import COSIGNED, Places
from affidavit.limits import POLICY_BYTES_MAX
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.policy import Policy, shown


def make_places(config: Config, disk: Disk, layout: Layout, clock: Clock, keys: Sequence[VerifierKey]) -> Places:
    """The folders and witnesses of the log whose own `keys` sign; nothing is asked of them yet.

    Raises `InvalidInput` for a policy that cannot be read or is not for this log.
    """
    places: list[Place] = [FolderPlace(disk, item.folder, layout.log, keys) for item in config.outside]
    kept = (layout.checkpoint, layout.root / COSIGNED)
    for item in config.witnesses:
        from affidavit.ledger.witness_http import WitnessHttp  # noqa: PLC0415  heavy rooms only when needed
        from affidavit.ledger.witness_place import WitnessPlace  # noqa: PLC0415

        places.append(WitnessPlace(item.name, item.key, WitnessHttp(item.url), disk, layout.log, keys, kept))
    return Places(places, disk, layout, clock, _policy(config, disk, keys))


def _policy(config: Config, disk: Disk, keys: Sequence[VerifierKey]) -> Policy | None:
    if config.policy is None:
        return None
    data = disk.read(config.policy, POLICY_BYTES_MAX)
    if data is None:
        raise InvalidInput(
            "config.policy", f"There is no policy file {config.policy}.", "Write it, or take the key out."
        )
    policy = Policy.parse(data)
    if policy.logs and not any(key in policy.log_keys(config.origin) for key in keys):
        raise InvalidInput(
            "config.policy",
            f"The policy {config.policy} names other logs, and not this one under its key.",
            f"Add the line: log {keys[0].to_text()}",
        )
    asked = {witness.key for witness in config.witnesses}
    if not policy.could_be_met(asked):
        lacking = [shown(witness.name) for witness in policy.witnesses if witness.key not in asked]
        raise InvalidInput(
            "config.policy",
            f"The policy {config.policy} asks for more than the [[witness]] tables could give: no table has "
            f"the key of {', '.join(lacking)}.",
            "Add a [[witness]] table for each witness that it names, or ask for fewer.",
        )
    return policy
