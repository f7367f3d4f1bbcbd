"""Makes a new log: its keys, its first three records, its first checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from affidavit.clock import Clock, ClockStatus
from affidavit.durable import PRIVATE_FOLDER, Disk, clear_temporary
from affidavit.errors import InvalidInput
from affidavit.ledger.clockwatch import ClockWatch
from affidavit.ledger.journal import EMPTY, Journal
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.own import Host, Own, genesis_record
from affidavit.ledger.publisher import Publisher
from affidavit.ledger.recovery import Recovered
from affidavit.ledger.signer import FileSigner
from affidavit.ledger.standing import Standing
from affidavit.tlog.keys import ED25519


def create_log(
    root: Path,
    disk: Disk,
    clock: Clock,
    origin: str,
    boot: str,
    randomness: Callable[[int], bytes],
    clock_status: Callable[[], ClockStatus],
    administrator: str,
    change: Mapping[str, Any],
    change_action: str,
    change_root: str,
    previous: Mapping[str, Any] | None = None,
    types: Sequence[int] = (ED25519,),
) -> Secrets:
    """Make the log `origin` in `root`, a folder that is empty or not there, and give its new keys, of `types`.

    Record 0 is `log.open`, 1 `clock`, 2 the first `change` by `administrator`: `change` is its body without the salt,
    `change_action` the header's action, `change_root` the root of the state map after it. Record 3 is `log.close`. The
    log is made when this returns; after a crash in between, remove the folder and begin again.
    `previous` names the log that this one goes on from, where there is one.

    Raises `InvalidInput` where something stands in `root` already.
    """
    if disk.names(root):
        raise InvalidInput("log.exists", f"{root} is not empty.", "Choose a folder that is empty or does not exist.")
    layout = Layout(root)
    for folder in (root, layout.bodies):
        disk.make_folder(folder, PRIVATE_FOLDER)
    lock = disk.lock(layout.lock)
    try:
        secrets = Secrets.create(disk, layout.secrets, origin, randomness, types)
        for temporary in (layout.publishing, layout.rotating, layout.snapshotting):
            clear_temporary(disk, temporary)
        journal = Journal.create(disk, layout.journal, layout.rotating, origin)
    except BaseException:
        lock.release()
        raise
    # From here on the ledger holds the lock. Should it fail now, it keeps it: the folder is of no use to anybody.
    host = Host(clock, boot, randomness, clock_status)
    publisher = Publisher.create(disk, layout, FileSigner(secrets.signers))
    found = Recovered(Standing(), EMPTY, 0, [], publisher, Standing())
    ledger = Ledger(disk, layout, host, secrets, journal, found, lock)
    fields = {
        "decided": 0,
        "actor": administrator,
        "action": change_action,
        "decision": "allow",
        "root": change_root,
    }
    ledger.write_own(
        [
            genesis_record(secrets, administrator, clock.now_ns(), previous),
            ClockWatch(host).start(None),
            Own("change", change, fields),
        ]
    )
    ledger.close("The log was made.")
    return secrets
